"""The price board: each model's offers side by side, as far as a program that is no server knows.

Prices are the configuration's of this moment; since when they hold, what workers saw in the last
minutes, and what our own requests are, is read from the books.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from benchmarks.evals.history import EvalHistory
from benchmarks.market import Quoted
from benchmarks.price_changes import PriceChange, next_change
from benchmarks.quality import Quality
from benchmarks.tables.history import MarketHistory, PastQuote
from benchmarks.tables.quote_text import quote_text
from benchmarks.text_price import TextMix, TextPrice, text_price
from benchmarks.traffic.observations import Observations, Seen
from benchmarks.traffic.observed import observed
from hedgerow.market.our_text import OurText
from hedgerow.router.standing import Rest, rests_by_offer
from hedgerow.router.standing import told as told_standings
from ledger.databases.sql import Sql
from ledger.instants import as_ns

WEEK_NS = 7 * 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a model's requests. is_joint: other offers of the model are among it that the books
    do not tell apart."""

    value: Decimal
    is_joint: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One offer. since: when its price began to hold, as the history has it; None where nobody kept
    one. seen: by all workers in the last minutes. share: None without any traffic of its model.
    rests: of each worker whose breaker for it is not closed.
    """

    quoted: Quoted
    since: datetime | None
    text: TextPrice | None
    seen: Seen
    share: Share | None
    next_change: PriceChange | None
    rests: tuple[Rest, ...] = ()


@dataclass(frozen=True, slots=True)
class Board:
    """mix: the text that effective prices are told for."""

    at: datetime
    mix: TextMix
    models: Mapping[str, tuple[Line, ...]]

    def usd_per_request(self, line: Line) -> Decimal | None:
        """What a request of the mix's mean size costs there; None where no text has a price."""
        if line.text is None or not self.mix.requests:
            return None
        chars = Decimal(self.mix.chars) / self.mix.requests
        return line.text.usd_per_mchar * chars / 1_000_000


class Watching(Protocol):
    """Whoever knows what was seen of offers in the last minutes."""

    def seen(self, offer_id: str, now_s: float) -> Seen: ...


@dataclass(frozen=True, slots=True)
class Past:
    """What the books know. text: our requests of the last week. prices, qualities: by offer, those
    of our own evals. rests: by offer, of workers."""

    text: OurText
    prices: Mapping[str, PastQuote]
    observations: Watching
    qualities: Mapping[str, Mapping[str, Quality]]
    rests: Mapping[str, tuple[Rest, ...]] = field(default_factory=dict)


NOTHING_KNOWN = Past(OurText((), {}), {}, Observations(), {})


def past(sql: Sql, at: datetime) -> Past:
    """From books that have the market's tables. Raises StoreError."""
    now_ns = as_ns(at)
    return Past(
        OurText.read(sql, now_ns - WEEK_NS, now_ns),
        MarketHistory(sql).quotes.all_as_of(at),
        observed(sql, now_ns),
        EvalHistory(sql).qualities(at),
        rests_by_offer(told_standings(sql, now_ns), now_ns),
    )


def board(models: Mapping[str, Sequence[Quoted]], known: Past, at: datetime) -> Board:
    """The offers of each model, in the order in which they are configured."""
    return Board(
        at,
        known.text.mix,
        {name: tuple(_lines(name, offers, known, at)) for name, offers in models.items()},
    )


def _lines(model: str, offers: Sequence[Quoted], known: Past, at: datetime) -> Iterable[Line]:
    alike = Counter((one.offer.provider, one.offer.model) for one in offers)
    requests, mix = known.text.requests(model), known.text.mix
    for one in offers:
        offer, quote = one.offer, one.quote
        text = change = share = None
        if quote is not None:
            reading = known.text.reading(model, offer)
            text = text_price(quote, mix, reading, as_ns(at))
            tokens = mix.prompt_chars / mix.requests / float(reading.chars_per_token.value)
            change = next_change(quote, round(tokens), at)
        if requests:
            part = Decimal(known.text.requests(model, offer)) / requests
            share = Share(part, alike[offer.provider, offer.model] > 1)
        seen = known.observations.seen(offer.id, at.timestamp())
        graded = replace(one, quality={**one.quality, **known.qualities.get(offer.id, {})})
        since, rests = _since(one, known.prices.get(offer.id)), known.rests.get(offer.id, ())
        yield Line(graded, since, text, seen, share, change, rests)


def _since(one: Quoted, kept: PastQuote | None) -> datetime | None:
    """None where what was kept last is another price."""
    if one.quote is None or kept is None or kept.said is None:
        return None
    same = quote_text(kept.said) == quote_text(one.quote)
    return kept.value_time if same else None
