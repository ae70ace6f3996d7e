"""The reserve: what goes into it, and what leaves."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hedge.effectiveness.reserve import NOTHING, Moment, Passed, asc815, ifrs9, summed
from ledger.money import Money

AMOUNTS = st.integers(-(10**15), 10**15).map(Money)
PARTS = st.fractions(0, 1, max_denominator=31)


@st.composite
def passed(draw: st.DrawFn) -> Passed:
    expensed = draw(PARTS)
    return Passed(expensed, (1 - expensed) * draw(PARTS))


MOMENTS = st.builds(Moment, AMOUNTS, st.none() | AMOUNTS, passed())


@given(st.lists(MOMENTS, min_size=1, max_size=6))
def test_months_follow_each_other(moments: list[Moment]) -> None:
    """A month opens with what the one before closed with; of each, the gain is what went into the
    reserve and what did not; flows sum to what is told of all months so far."""
    for view in (ifrs9, asc815):
        months = [view(one, other) for one, other in pairwise([NOTHING, *moments])]
        assert months[0].reserve.opening == 0
        assert all(one.reserve.closing == other.reserve.opening for one, other in pairwise(months))
        for one in months:
            assert one.derivative == one.reserve.effective + one.ineffective
            assert one.derivative_so_far == one.effective_so_far + one.ineffective_so_far
        last = months[-1]
        assert sum(one.reserve.effective for one in months) == last.effective_so_far
        assert sum(one.ineffective for one in months) == last.ineffective_so_far
        flows = summed(one.reserve for one in months)
        assert flows.effective - flows.reclassified == last.reserve.closing


@given(AMOUNTS, st.none() | AMOUNTS, passed())
def test_the_reserve_by_hand(gain: Money, item: Money | None, gone: Passed) -> None:
    """IFRS 9: the lower in size of gain and item where they offset, nothing else; ASC 815: all of
    the gain. Of each the parts that passed are gone, rounded to the nano-USD."""
    moment = Moment(gain, item, gone)
    lower = 0
    if item is not None and gain * item < 0:
        lower = max(min(gain, -item), 0) if gain > 0 else min(max(gain, -item), 0)
    for view, put in ((ifrs9, lower), (asc815, gain)):
        found = view(NOTHING, moment)
        assert found.effective_so_far == put
        left = put * (1 - gone.expensed - gone.failed)
        assert abs(found.reserve.closing - left) <= Fraction(1, 2)
        assert abs(found.reserve.expensed - put * gone.expensed) <= Fraction(1, 2)


@given(AMOUNTS, AMOUNTS)
def test_all_is_gone_in_the_end(gain: Money, item: Money) -> None:
    """When all purchases have passed, nothing waits, however much was expensed of them."""
    for expensed in (Fraction(0), Fraction(1, 3), Fraction(1)):
        moment = Moment(gain, item, Passed(expensed, 1 - expensed))
        assert ifrs9(NOTHING, moment).reserve.closing == 0
        assert asc815(NOTHING, moment).reserve.closing == 0
