"""The program against the extensive form: every choice of every scenario written out at once."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.program.program import Program
from tests.hedge.extensive import least_usd
from tests.hedge.program_cases import some_menu, some_months

CONFIDENCE = 0.5
GAP = 2e-5
seeds = st.integers(0, 100_000)
calm = settings(deadline=None, max_examples=2)


@calm
@given(seeds, st.booleans(), st.integers(0, 3), st.sampled_from([0, 2, 3]))
def test_equals_the_extensive_form(seed: int, alike: bool, integer_months: int, lines: int) -> None:
    """Whole units, terms, limits, losses, lines with margin: the optimum is the same, with caps,
    without them, for the least cap and with aversion to the whole horizon's tail."""
    months = some_months(seed, scenarios=10)
    menu = some_menu(seed, months, quotas=1 if alike else 0, alike=alike, lines=lines)
    program = Program(menu, months, CONFIDENCE, gap=GAP, integer_months=integer_months)
    scale = float(months.month_usd().mean())

    free = program.cheapest()
    judge = partial(least_usd, menu, months, CONFIDENCE, integer_months=integer_months)
    best = judge()
    assert free.expected_usd == pytest.approx(best, abs=3 * GAP * 2 * scale)
    low = program.lowest()
    cap = judge(lowest=True)
    assert low.cvar_usd.max() == pytest.approx(cap, abs=(3 * GAP + 2e-4) * scale)
    caps = np.full(2, 0.5 * low.cvar_usd.max() + 0.5 * free.cvar_usd.max())
    capped = program.cheapest(caps)
    cost = capped.expected_usd + 10 * capped.slack_usd.sum()
    best = judge(caps)
    assert cost == pytest.approx(best, abs=3 * GAP * 2 * scale)
    averse = program.cheapest_averse(0.7)
    cost = averse.expected_usd + 0.7 * np.sort(averse.cost_usd.sum(axis=1))[-5:].mean()
    best = judge(kappa=0.7)
    assert cost == pytest.approx(best, abs=3 * GAP * 4 * scale)
