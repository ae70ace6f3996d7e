"""Limits: budgets of one owner, and back."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ledger.budgets import part_of
from ledger.limits import KINDS, Limits, Whose, budgets_for, counted_by, limits_in
from ledger.measures import Measure
from ledger.money import MAX_NANOS, Money
from ledger.windows import Window, window_of

COUNTS = st.one_of(st.none(), st.integers(0, 10**6))
USD = st.one_of(st.none(), st.integers(1, MAX_NANOS).map(Money))
WINDOWS = st.sampled_from([*Window, window_of("rolling:2h")])
WHOSE = st.builds(
    Whose,
    kind=st.sampled_from(KINDS),
    id=st.sampled_from(["a", "usd per 1d", "b model c"]),
    model=st.sampled_from([None, "oak"]),
)


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    usd, soft = draw(USD), draw(USD)
    if usd is not None and soft is not None:
        soft = Money(min(usd, soft))
    window = draw(WINDOWS) if usd is not None or soft is not None else Window.LIFETIME
    return Limits(usd, window, soft, draw(COUNTS), draw(COUNTS), draw(COUNTS))


@given(WHOSE, limits())
def test_limits_are_budgets_and_back(whose: Whose, given_limits: Limits) -> None:
    """What was limited can be read from the budgets, to the last nano-USD."""
    budgets = budgets_for(whose, given_limits, ("ops",))
    assert limits_in(whose, budgets) == given_limits
    assert len({counted_by(one) for one in budgets}) == len(budgets)
    assert len({one.name for one in budgets}) == len(budgets)


@given(WHOSE, st.integers(1, MAX_NANOS).map(Money))
def test_a_soft_limit_refuses_nothing(whose: Whose, soft: Money) -> None:
    """It counts, and tells; what is spent has no end."""
    (budget,) = budgets_for(whose, Limits(soft=soft), ("ops",))
    assert budget.measure is Measure.USD
    assert budget.most is None
    assert [(one.part, one.notify) for one in budget.thresholds] == [(Decimal(1), ("ops",))]


@given(WHOSE, st.data())
def test_a_soft_limit_leaves_the_cap_alone(whose: Whose, data: st.DataObject) -> None:
    """Beside a cap it is told at exactly its amount, and all of the cap can be spent."""
    usd = data.draw(st.integers(1, MAX_NANOS).map(Money))
    soft = data.draw(st.integers(1, usd).map(Money))
    (budget,) = budgets_for(whose, Limits(usd=usd, soft=soft), ("ops",))
    assert budget.most == usd
    assert part_of(usd, budget.thresholds[0].part) == soft
