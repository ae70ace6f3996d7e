"""BoardView: the lines of a board that somebody wants to see: found, filtered, sorted, paged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from benchmarks.quality import Quality
from hedgerow.market.board import Board, Line
from ledger.rates import RateCard

ON_A_PAGE = 100

Sortable: TypeAlias = str | float | Decimal
OURS = "ours"


class Column(StrEnum):
    """What a board can be sorted by."""

    LISTED = "listed"
    """As the configuration has it: models, then offers."""
    OFFER = "offer"
    INPUT = "input"
    OUTPUT = "output"
    CACHED = "cached"
    EFFECTIVE = "effective"
    TTFT = "ttft"
    TTFT_P95 = "p95"
    GAP = "gap"
    ERRORS = "errors"
    LIMITED = "limited"
    QUALITY = "quality"
    SHARE = "share"
    CONTEXT = "context"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class Wish:
    """search: words that must all be somewhere in the name of the model, or in the offer's id.
    page: from 1 on; beyond the last one, the last one."""

    search: str = ""
    model: str | None = None
    provider: str | None = None
    sort: Column = Column.LISTED
    is_descending: bool = False
    is_in_trouble: bool = False
    page: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    model: str
    line: Line


@dataclass(frozen=True, slots=True)
class BoardView:
    """rows: of this page, of the `found` that were wanted; in_trouble: so many of those. models,
    providers: all that there are, to choose from."""

    at: datetime
    rows: tuple[Row, ...]
    found: int
    in_trouble: int
    page: int
    pages: int
    models: tuple[str, ...]
    providers: tuple[str, ...]


def view(board: Board, wish: Wish) -> BoardView:
    """What is not known stands last, whichever way it is sorted."""
    rows = [row for row in _rows(board) if _is_wanted(row, wish)]
    key = _KEYS.get(wish.sort)
    if key is None:
        rows = rows[::-1] if wish.is_descending else rows
    else:
        known = [row for row in rows if key(row.line) is not None]
        unknown = [row for row in rows if key(row.line) is None]
        known.sort(key=lambda row: _known(key(row.line)), reverse=wish.is_descending)
        rows = known + unknown
    pages = max(1, -(-len(rows) // ON_A_PAGE))
    page = min(max(1, wish.page), pages)
    providers = {one.quoted.offer.provider for lines in board.models.values() for one in lines}
    return BoardView(
        board.at,
        tuple(rows[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]),
        len(rows),
        sum(is_in_trouble(row.line) for row in rows),
        page,
        pages,
        tuple(board.models),
        tuple(sorted(providers)),
    )


def best_quality(qualities: Mapping[str, Quality]) -> Quality | None:
    """Our own evals' before any index; None where nobody has measured."""
    if not qualities:
        return None
    return qualities.get(OURS) or qualities[min(qualities)]


def _rows(board: Board) -> Iterator[Row]:
    for model, lines in board.models.items():
        for line in lines:
            yield Row(model, line)


def _is_wanted(row: Row, wish: Wish) -> bool:
    offer = row.line.quoted.offer
    if wish.model is not None and row.model != wish.model:
        return False
    if wish.provider is not None and offer.provider != wish.provider:
        return False
    if wish.is_in_trouble and not is_in_trouble(row.line):
        return False
    name = f"{row.model} {offer.id}".lower()
    return all(word in name for word in wish.search.lower().split())


def is_in_trouble(line: Line) -> bool:
    """Whether it rests, has no price, or a tenth of its attempts fail or are refused for rate."""
    seen = line.seen
    rates = (seen.error_rate or 0.0, seen.rate_limited_rate or 0.0)
    return bool(line.rests) or line.quoted.quote is None or max(rates) >= 0.1


def _known(value: Sortable | None) -> Sortable:
    if value is None:
        raise AssertionError("what is not known is put last before")
    return value


def _price(pick: Callable[[RateCard], Decimal]) -> Callable[[Line], Sortable | None]:
    def key(one: Line) -> Sortable | None:
        quote = one.quoted.quote
        return None if quote is None else pick(quote.rates)

    return key


def _quality(one: Line) -> Sortable | None:
    best = best_quality(one.quoted.quality)
    return None if best is None else best.score


_KEYS: Mapping[Column, Callable[[Line], Sortable | None]] = {
    Column.OFFER: lambda one: one.quoted.offer.id,
    Column.INPUT: _price(lambda rates: rates.input),
    Column.OUTPUT: _price(lambda rates: rates.output),
    Column.CACHED: _price(lambda rates: rates.cache_read),
    Column.EFFECTIVE: lambda one: None if one.text is None else one.text.usd_per_mchar,
    Column.TTFT: lambda one: one.seen.ttft_ms_p50,
    Column.TTFT_P95: lambda one: one.seen.ttft_ms_p95,
    Column.GAP: lambda one: one.seen.inter_token_ms_p50,
    Column.ERRORS: lambda one: one.seen.error_rate,
    Column.LIMITED: lambda one: one.seen.rate_limited_rate,
    Column.QUALITY: _quality,
    Column.SHARE: lambda one: None if one.share is None else one.share.value,
    Column.CONTEXT: lambda one: one.quoted.offer.context_tokens,
    Column.SINCE: lambda one: None if one.since is None else one.since.timestamp(),
}
