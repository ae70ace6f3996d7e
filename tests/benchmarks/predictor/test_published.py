"""On published tables, where they are at hand: what `make evaluate` says of prompt-aware choice."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from benchmarks.predictor.gain import gain
from benchmarks.predictor.training import cross_validated, expected_costs, train
from tests.evaluate.cascade import Verifier
from tests.evaluate.prompt_cascade import judged
from tests.evaluate.prompt_choice import CALLS, GPT4, MIXTRAL
from tests.evaluate.prompt_tables import DATA, models_of, table_of

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the published tables are not here")


def test_on_gsm8k_the_prompt_alone_closes_a_fifth() -> None:
    """Of the area to the oracle at equal share of calls: 22% or more, and the interval excludes
    no gain."""
    table = table_of("routellm-gsm8k", (MIXTRAL, GPT4), CALLS)
    found = [
        gain(
            cross_validated(table, seed).probabilities,
            expected_costs(table, seed),
            table.scores,
            table.costs,
            table.groups,
        )
        for seed in (0, 1, 2)
    ]
    assert float(np.mean([one.closed for one in found])) >= 0.22
    assert all(one.is_sure for one in found)


def test_without_text_swe_bench_switches_it_off() -> None:
    """There is nothing to choose by."""
    pair = ("DeepSeek V3.2 Reasoner", "Claude 4.5 Opus medium (20251101)")
    assert not train(
        table_of("swebench-verified", pair, None), "", date(2027, 1, 1)
    ).evidence.verdict.is_on


def test_a_cascade_closes_half_of_swe_bench() -> None:
    """With the gold tests as verifier 45% or more, chosen on other folds."""
    table = table_of("swebench-verified", models_of("swebench-verified"), None)
    assert judged(table, Verifier()).gain.closed >= 0.45
