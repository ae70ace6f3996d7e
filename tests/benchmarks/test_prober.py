"""Whom the prober asks: those that nobody has asked lately, within what the day may cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Offer, Task
from benchmarks.prober import (
    ENOUGH_SEEN,
    NEVER_S,
    Probing,
    Target,
    affordable,
    most_due,
    seconds_until,
    targets,
)
from benchmarks.quotes import Quote
from benchmarks.snapshot import Listing
from benchmarks.traffic.observations import UNSEEN
from ledger.money import Money, usd
from ledger.rates import RateCard

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
PROBING = Probing(every_s=600, per_day=usd("0.5"), max_tokens=16, prompt="Count from one to ten.")


def listing(
    name: str, price: int | None = 1, attempts: int = 0, task: Task | None = None
) -> Listing:
    quote = None
    if price is not None:
        card = RateCard.of(Decimal(price), Decimal(price))
        quote = Quote(card, None, (), "test", NOW)
    offer = Offer(name, "oak", tasks=None if task is None else frozenset((task,)))
    return Listing(offer, quote, replace(UNSEEN, attempts=attempts))


def names(found: Sequence[Target]) -> list[str]:
    return [one.offer.provider for one in found]


def test_who_can_be_probed() -> None:
    """Who has a price and writes, once; not who was seen enough of lately, unless it is asked."""
    models = {
        "oak": [
            listing("a"),
            listing("b", None),
            listing("c", attempts=ENOUGH_SEEN),
            listing("d", task=Task.EMBEDDING),
            listing("e", 5, task=Task.CHAT),
        ],
        "ash": [listing("a"), listing("f", attempts=ENOUGH_SEEN - 1)],
    }
    found = targets(models)
    assert [(one.model, one.offer.provider) for one in found] == [
        ("oak", "a"),
        ("oak", "e"),
        ("ash", "f"),
    ]
    assert [round(one.relative, 2) for one in found] == [1, 5, 1]
    assert names(targets(models, fresh_too=True)) == ["a", "c", "e", "f"]


def test_who_comes_first() -> None:
    """Who was never probed; then the longest ago, where five times the price counts as a fifth of
    the time, and an attempt by traffic as half of it. Not who was probed in this round's time."""
    more = [listing("e", 5), listing("f", attempts=1)]
    found = targets({"oak": [listing(one) for one in "abcd"] + more})
    since_s = {"a/oak": 700.0, "b/oak": 5000.0, "c/oak": 100.0, "e/oak": 20_000.0, "f/oak": 9000.0}
    assert names(most_due(found, since_s, 600)) == ["d", "b", "f", "e", "a"]


@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0, 2 * NEVER_S)), min_size=1, max_size=12),
    st.integers(0, 60_000),
)
def test_never_more_than_there_is(offers: list[tuple[int, float]], left: int) -> None:
    """Worst cases together fit into what is left; and the next one in turn would not have."""
    found = targets({"oak": [listing(f"p{n}", price) for n, (price, _) in enumerate(offers)]})
    since_s = {f"p{n}/oak": ago for n, (_, ago) in enumerate(offers)}
    ordered = most_due(found, since_s, 0)
    due = affordable(ordered, PROBING.worst_case, Money(left), PROBING.per_day)
    worst = [PROBING.worst_case(one.quote) for one in ordered]
    assert due == ordered[: len(due)]
    assert sum(worst[: len(due)]) <= left
    if len(due) < len(ordered):
        assert sum(worst[: len(due) + 1]) > left


def test_what_no_day_could_pay_keeps_nobody_waiting() -> None:
    """It is passed over; what only this round cannot pay is waited for."""
    found = targets({"oak": [listing("a", 900_000), listing("b", 3), listing("c", 1)]})
    ordered = sorted(found, key=lambda one: one.offer.id)
    worst = PROBING.worst_case
    assert names(affordable(ordered, worst, usd("0.5"), PROBING.per_day)) == ["b", "c"]
    only_c = worst(found[2].quote)
    assert affordable(ordered, worst, only_c, PROBING.per_day) == []


def test_until_when_it_rests() -> None:
    """Until the budget begins anew; where nobody said when, until midnight in UTC."""
    assert seconds_until(datetime(2026, 11, 20, 19, tzinfo=UTC), NOW) == 3600
    assert seconds_until(None, NOW) == 6 * 3600
    assert seconds_until(datetime(2026, 11, 20, 17, tzinfo=UTC), NOW) == 1
