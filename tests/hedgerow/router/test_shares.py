"""Shares: who served how much, against counting by hand."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hedgerow.router.shares import NAMED, OTHERS, By, shares
from ledger.money import Money
from ledger.routed import Routed

STEP_NS = 900_000_000_000
SPAN_NS = (10 * STEP_NS, 30 * STEP_NS)
NAMES = tuple("abcdefghij")

money = st.integers(-10, 1000).map(Money)
rows = st.lists(
    st.builds(
        Routed,
        start_ns=st.integers(10, 29).map(lambda step: step * STEP_NS),
        model=st.sampled_from(("elm", "oak")),
        provider=st.sampled_from(NAMES),
        upstream_model=st.sampled_from(("x", "y")),
        requests=st.integers(1, 9),
        tokens=st.integers(0, 99),
        cost=money,
        first_offer=money,
        cheapest=money,
    ),
    max_size=40,
)


@given(rows, st.sampled_from(list(By)))
def test_nothing_is_lost(told: list[Routed], by: By) -> None:
    """Whatever they are told apart by, names, steps and what is drawn sum to all of it; and saved
    and missed are what the same would have cost, less or more."""
    found = shares(told, by, SPAN_NS, STEP_NS)
    count, cost = sum(one.requests for one in told), sum(one.cost for one in told)
    assert sum(one.requests for one in found.each) == found.total.requests == count
    assert sum(one.requests for one in found.steps) == count
    assert sum(map(sum, found.requests)) == count
    assert sum(one.cost for one in found.each) == found.total.cost == cost
    assert found.total.saved == sum(one.first_offer for one in told) - cost
    assert found.total.missed == cost - sum(one.cheapest for one in told)
    assert [one.start_ns for one in found.steps] == list(range(*SPAN_NS, STEP_NS))
    busiest = Counter({one.name: one.requests for one in found.each if one.name in found.named})
    left_out = [one.requests for one in found.each if one.name not in found.named]
    assert not left_out or max(left_out) <= min(busiest.values())
    assert len(found.named) <= NAMED + 1
    assert (OTHERS in found.named) == bool(left_out)


@given(rows)
def test_by_provider(told: list[Routed]) -> None:
    """Each provider's sums are those of its rows."""
    found = {one.name: one for one in shares(told, By.PROVIDER, SPAN_NS, STEP_NS).each}
    for name in NAMES:
        its = [one for one in told if one.provider == name]
        assert (name in found) == bool(its)
        if its:
            assert found[name].requests == sum(one.requests for one in its)
            assert found[name].saved == sum(one.first_offer - one.cost for one in its)


def test_no_traffic() -> None:
    """There are steps, and nobody has a share."""
    found = shares([], By.OFFER, SPAN_NS, STEP_NS)
    assert found.each == ()
    assert found.of(found.total) is None
    assert len(found.steps) == 20
