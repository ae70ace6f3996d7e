"""BoardView: the lines that are wanted, in the order that is wanted, a page at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.market import Quoted
from benchmarks.offers import Offer
from benchmarks.quality import Quality
from benchmarks.quotes import Quote
from benchmarks.text_price import ASSUMED_MIX, TextPrice
from benchmarks.traffic.observations import Seen
from hedgerow.market.board import Board, Line, Share
from hedgerow.market.board_view import ON_A_PAGE, Column, Row, Wish, best_quality, view
from hedgerow.router.standing import Rest
from ledger.rates import RateCard
from routing.breaker import Health

AT = datetime(2026, 11, 20, tzinfo=UTC)
OPEN = Rest("x", Health.OPEN, 3, 1)

shares = st.none() | st.integers(0, 10).map(lambda tenths: Share(Decimal(tenths) / 10, False))
rates = st.none() | st.floats(0, 1)
times = st.none() | st.floats(1, 1000)


@st.composite
def lines(draw: st.DrawFn) -> list[Row]:
    found = []
    for number in range(draw(st.integers(0, 25))):
        price = draw(st.none() | st.integers(0, 9).map(Decimal))
        card = None if price is None else RateCard.of(price, price * 2)
        quote = None if card is None else Quote(card, None, (), "feed", AT)
        provider = draw(st.sampled_from(("acme", "zeta")))
        context = draw(st.none() | st.integers(1, 10_000))
        score = draw(st.none() | st.floats(0, 1))
        quality = {} if score is None else {"ours": Quality("ours", score, 0, 1, 9, AT, "eval")}
        seen = Seen(1, ttft_ms_p50=draw(times), error_rate=draw(rates))
        offer = Offer(provider, f"m{number}", context_tokens=context)
        line = Line(
            Quoted(offer, quote, None, quality),
            None,
            None if price is None else TextPrice(price / 4, ()),
            seen,
            draw(shares),
            None,
            draw(st.sampled_from(((), (OPEN,)))),
        )
        found.append(Row(draw(st.sampled_from(("elm", "oak"))), line))
    return found


def board_of(rows: list[Row]) -> Board:
    models = {
        name: tuple(one.line for one in rows if one.model == name)
        for name in dict.fromkeys(one.model for one in rows)
    }
    return Board(AT, ASSUMED_MIX, models)


KEYS = {
    Column.INPUT: lambda one: one.quoted.quote and one.quoted.quote.rates.input,
    Column.TTFT: lambda one: one.seen.ttft_ms_p50,
    Column.ERRORS: lambda one: one.seen.error_rate,
    Column.SHARE: lambda one: one.share and one.share.value,
    Column.CONTEXT: lambda one: one.quoted.offer.context_tokens,
}


@given(lines(), st.sampled_from(list(KEYS)), st.booleans())
def test_sorted(rows: list[Row], column: Column, is_descending: bool) -> None:
    """By the column, and what is not known last, whichever way; nobody is lost."""
    shown = view(board_of(rows), Wish(sort=column, is_descending=is_descending))
    values = [KEYS[column](one.line) for one in shown.rows]
    known = [one for one in values if one is not None]
    assert known == sorted(known, reverse=is_descending)
    assert values[len(known) :] == [None] * (len(values) - len(known))
    assert shown.found == len(shown.rows) == len(rows)


@given(lines(), st.sampled_from(("", "ACME", "elm", "zeta m1", "acme/m2 oak")))
def test_found(rows: list[Row], search: str) -> None:
    """Every word is somewhere in the model's name or the offer's id, whatever its case."""
    found = {one.line.quoted.offer.id for one in view(board_of(rows), Wish(search=search)).rows}
    for one in rows:
        name = f"{one.model} {one.line.quoted.offer.id}"
        is_wanted = all(word.lower() in name for word in search.split())
        assert (one.line.quoted.offer.id in found) == is_wanted


@given(lines())
def test_filtered(rows: list[Row]) -> None:
    """By model, by provider, by trouble: what is left out is what is not so."""
    board = board_of(rows)
    for wish, is_so in (
        (Wish(model="elm"), lambda one: one.model == "elm"),
        (Wish(provider="zeta"), lambda one: one.line.quoted.offer.provider == "zeta"),
        (Wish(is_in_trouble=True), _in_trouble),
    ):
        found = view(board, wish)
        assert {one.line.quoted.offer.id for one in found.rows} == {
            one.line.quoted.offer.id for one in rows if is_so(one)
        }
        assert found.models == tuple(board.models)
        assert found.in_trouble == sum(is_so(one) and _in_trouble(one) for one in rows)


def _in_trouble(one: Row) -> bool:
    no_price = one.line.quoted.quote is None
    return bool(one.line.rests) or no_price or (one.line.seen.error_rate or 0) >= 0.1


@pytest.mark.parametrize(("page", "expected"), [(1, 0), (2, 1), (3, 2), (99, 2)])
def test_paged(page: int, expected: int) -> None:
    """Each page has its part; beyond the last one is the last."""
    every = [
        Row("elm", Line(Quoted(Offer("a", f"m{number}"), None), None, None, Seen(0), None, None))
        for number in range(2 * ON_A_PAGE + 7)
    ]
    shown = view(board_of(every), Wish(page=page))
    assert shown.rows == tuple(every[expected * ON_A_PAGE :][:ON_A_PAGE])
    assert (shown.page, shown.pages, shown.found) == (expected + 1, 3, len(every))


def test_whose_quality_counts() -> None:
    """Our own evals' before any index."""
    index = Quality("aa", 0.9, 0.9, 0.9, None, AT, "feed")
    ours = replace(index, benchmark="ours", score=0.5)
    assert best_quality({"aa": index, "ours": ours}) is ours
    assert best_quality({"zz": index, "aa": index}) is index
    assert best_quality({}) is None


@given(st.integers(1, 10**9))
def test_a_request_of_the_mix(nanos: int) -> None:
    """A request is as many characters as the mix's requests have in the mean."""
    usd = Decimal(nanos) / 10**9
    line = Line(Quoted(Offer("a", "m"), None), None, TextPrice(usd, ()), Seen(0), None, None)
    found = Board(AT, ASSUMED_MIX, {}).usd_per_request(line)
    assert found == usd * ASSUMED_MIX.chars / ASSUMED_MIX.requests / 1_000_000
