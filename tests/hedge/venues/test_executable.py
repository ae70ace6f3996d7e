"""What can be executed: the book is walked, and what is no price any more is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.errors import QuoteRefused
from hedge.venues.executable import Executable, Level, Side, usable

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
DAY = timedelta(days=1)
BOOK = Executable(
    contract="gpu1",
    month=date(2027, 1, 1),
    at=NOW - timedelta(hours=1),
    bids=(Level(Decimal("2.55"), 40), Level(Decimal("2.54"), 100)),
    asks=(Level(Decimal("2.58"), 25), Level(Decimal("2.60"), 80)),
    source="q.csv",
)
LEVELS = st.lists(
    st.tuples(st.decimals(0, 10, places=2), st.integers(1, 30)),
    max_size=6,
    unique_by=lambda x: x[0],
)


@given(LEVELS, st.integers(1, 120), st.sampled_from(Side))
def test_a_fill_is_lot_by_lot_the_best_that_is_left(
    levels: list[tuple[Decimal, int]], lots: int, side: Side
) -> None:
    """The average is that of the best single lots; the worst is the last of them; more than stands
    there is not to be had."""
    ordered = sorted(levels, reverse=side is Side.SELL)
    book = tuple(Level(price, size) for price, size in ordered)
    one_sided = replace(BOOK, asks=book) if side is Side.BUY else replace(BOOK, bids=book)
    found = one_sided.fill(side, lots)
    single = [price for price, size in ordered for _ in range(size)]
    if lots > len(single):
        assert found is None
        return
    assert found is not None
    assert found.average * lots == pytest.approx(sum(single[:lots]))
    assert found.worst == single[lots - 1]


def test_buying_pays_the_ask_and_selling_gets_the_bid() -> None:
    """Never the middle, and never more lots than are there."""
    buying, selling = BOOK.fill(Side.BUY, 25), BOOK.fill(Side.SELL, 40)
    assert buying is not None
    assert selling is not None
    assert (buying.average, selling.average) == (Decimal("2.58"), Decimal("2.55"))
    assert (BOOK.lots(Side.BUY), BOOK.lots(Side.SELL)) == (105, 140)
    assert BOOK.fill(Side.BUY, 106) is None
    assert BOOK.fill(Side.BUY, 0) is None


@pytest.mark.parametrize(
    ("book", "says"),
    [
        (replace(BOOK, at=NOW - 2 * DAY), "is of 2026-11-18 15:00, older than 24 h: ask the venue"),
        (replace(BOOK, at=NOW + DAY), "is quoted at 2026-11-21 15:00, which is to come"),
        (replace(BOOK, valid_until=NOW), "was good until 2026-11-20 15:00"),
        (replace(BOOK, month=date(2026, 10, 1)), "gpu1 2026-10 has expired: take it out"),
        (
            replace(BOOK, bids=(Level(Decimal("2.59"), 1),)),
            "is crossed: a bid of 2.59 above an ask of 2.58",
        ),
    ],
)
def test_what_is_no_price_any_more_is_refused_with_a_sentence(book: Executable, says: str) -> None:
    """Stale, of tomorrow, withdrawn, expired, crossed."""
    with pytest.raises(QuoteRefused) as refused:
        book.refuse_unless_usable(NOW, DAY)
    assert says in str(refused.value)
    assert usable([BOOK, book], NOW, DAY) == ((BOOK,), (str(refused.value),))


def test_an_auction_is_one_price_on_both_sides() -> None:
    """Equal bid and ask are not crossed, nor is a side on which nobody stands."""
    cleared = (Level(Decimal("2.50"), 300),)
    for book in (
        replace(BOOK, bids=cleared, asks=cleared),
        replace(BOOK, bids=()),
        replace(BOOK, month=date(2026, 11, 1)),
    ):
        assert usable([book], NOW, DAY) == ((book,), ())
