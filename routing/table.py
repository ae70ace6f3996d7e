"""Table: a model's offers prepared for many decisions, as long as the market says the same.

What does not depend on the size of a request is worked out once: who can serve a kind of request,
prices as columns of numbers, and what an offer's luck is worth. A decision is then a handful of
operations on short arrays.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from operator import mul
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.quotes import DAY_MINUTES
from benchmarks.snapshot import Listing
from benchmarks.traffic.chances import Chances
from ledger.instants import as_ns
from ledger.rates import RateCard
from routing.candidates import Place
from routing.eligibility import SURELY_TOO_LONG, Refusal, refusal, too_bad
from routing.intent import RoutingIntent
from routing.limits import Limits
from routing.ordering import Odds

Floats: TypeAlias = NDArray[np.float64]

Sizes: TypeAlias = tuple[float, float, float, float, float, float]
"""Of a request: tokens of its prompt, and of the answer, 1, units, tokens from a cache, and tokens
written to it. Or the prices of these."""

KINDS_KEPT = 64
"""Kinds of request per table of which it is remembered who can serve them."""
IN_TIME, IN_TIME_AT_LEAST = 0.95, 0.25
_MINUTE_NS = 60_000_000_000
_PER_TOKEN = 1000.0  # nano-USD per token, of 1 USD per million
_USUAL_PROMPT = 3.0  # tokens for one of the answer


class Rates:
    """Prices of some offers at one time and for one length of prompt, in nano-USD.

    rows: per token of the prompt, per token of the answer, per request, per unit; what a token
    from the provider's cache costs besides (it saves), and one that is written to it. A column for
    each offer. It is as expected: what caches that nobody foresees leave of a price is in there.
    usual: the prices of the offer in the middle: what a request usually costs.
    """

    __slots__ = ("_expected", "_listed", "rows", "usual")

    def __init__(self, cards: Sequence[RateCard], ratios: Sequence[float]) -> None:
        each = [_nanos(card) for card in cards]
        listed: Floats = np.array(each, dtype=np.float64).reshape(-1, 6).T.copy()
        self.rows: Floats = listed * np.array(ratios)
        self._listed, self._expected = _some(listed), _some(self.rows)
        by_cost = sorted(each, key=lambda one: one[0] * _USUAL_PROMPT + sum(one[1:4]))
        self.usual = by_cost[(len(by_cost) - 1) // 2] if by_cost else _NOTHING

    def costs(self, sizes: Sizes) -> Floats:
        """What a request of these sizes is expected to cost at each."""
        return _summed(self._expected, sizes)

    def listed_costs(self, sizes: Sizes) -> Floats:
        """What work of exactly these sizes costs at each."""
        return _summed(self._listed, sizes)

    def usual_cost(self, sizes: Sizes) -> float:
        """At least a nano-USD, so that what is measured in it is there where all is free."""
        cost: float = sum(map(mul, sizes, self.usual))
        return max(1.0, cost)

    def per_cached(self, at: int) -> float:
        """What a token costs besides if it is read from the cache: less than 0."""
        return float(self.rows[4, at])


Rows: TypeAlias = list[tuple[int, Floats]]
"""Rows in which there is any price, and which they are; the first always."""


def _some(rows: Floats) -> Rows:
    return [(which, row) for which, row in enumerate(rows) if which == 0 or row.any()]


def _summed(rows: Rows, sizes: Sizes) -> Floats:
    """Each row times its size. By hand, and not by `dot`: that lets go of the interpreter, and a
    busy thread is slow to give it back."""
    (_, first), *others = rows
    costs = first * sizes[0]
    for which, row in others:
        if size := sizes[which]:
            costs += row * size
    return costs


_NOTHING: Sizes = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def _nanos(card: RateCard) -> Sizes:
    return (
        float(card.input) * _PER_TOKEN,
        # Nobody knows how much of an answer will be reasoning.
        float(max(card.output, card.reasoning or card.output)) * _PER_TOKEN,
        float(card.request) * 1e9,
        float(card.unit) * 1e9,
        float(card.cache_read - card.input) * _PER_TOKEN,
        float(card.cache_write - card.input) * _PER_TOKEN,
    )


TRIED = 0.5
"""Good attempts, as they fade, that tell of one that was tried."""


def _is_recovering(one: Chances) -> bool:
    return one.lately_good >= TRIED and one.success * one.on_time < IN_TIME


class Field:
    """The offers of a table that can serve one kind of request, by position.

    places: the groups that they stand in, as far as one request's size does not matter; all_ready:
    nothing speaks against any. weights: the attempts of the last minutes at each. recovering: those
    of which little is thought, and that did well when they were tried last.
    """

    def __init__(
        self, table: Table, listings: Sequence[Listing], refused: Sequence[Refusal]
    ) -> None:
        self._table = table
        self.listings = tuple(listings)
        self.refused = tuple(refused)
        self.quotes = [one.quote for one in self.listings if one.quote is not None]
        self.position = {one.offer.id: at for at, one in enumerate(self.listings)}
        self.of_provider: dict[str, list[int]] = {}
        for at, one in enumerate(self.listings):
            self.of_provider.setdefault(one.offer.provider, []).append(at)
        chances = [one.chances for one in self.listings]
        success = np.array([one.success for one in chances])
        on_time = np.array([one.on_time for one in chances])
        self.odds = Odds.of(success, on_time)
        self.weights = [one.weight for one in chances]
        self.recovering = {at for at, one in enumerate(chances) if _is_recovering(one)}
        self.places = [_place(one, table.limits, table.at_ns) for one in self.listings]
        self.all_ready = all(one is Place.READY for one in self.places)
        self.ttft_ms_p95 = _or_nothing(one.seen.ttft_ms_p95 for one in self.listings)
        self.inter_token_ms_p95 = _or_nothing(one.seen.inter_token_ms_p95 for one in self.listings)
        self._rates: dict[tuple[int, int], Rates] = {}

    def rates(self, prompt_tokens: int, at_ns: int) -> Rates:
        """Prices at that moment, for a prompt of that length."""
        band = self._table.band(prompt_tokens, at_ns)
        found = self._rates.get(band)
        if found is None:
            cards = [one.card(prompt_tokens, at_ns) for one in self.quotes]
            found = Rates(cards, [one.price_ratio for one in self.listings])
            self._rates[band] = found
        return found


def _place(one: Listing, limits: Limits, at_ns: int) -> Place:
    ends = one.offer.ends_at
    if ends is not None and as_ns(ends) <= at_ns:
        return Place.ENDED
    floor = limits.quality
    if floor is not None and floor.benchmark not in one.quality:
        return Place.UNPROVEN
    often = IN_TIME if limits.late_last else IN_TIME_AT_LEAST
    has_limit = limits.ttft_ms_p95_max < math.inf
    return Place.SLOW if has_limit and one.chances.on_time < often else Place.READY


def _ends_ns(listings: Sequence[Listing], at_ns: int) -> Iterator[int]:
    """The moments to come at which an offer, or a price, ends."""
    for one in listings:
        for at in (one.offer.ends_at, None if one.quote is None else one.quote.valid_until):
            if at is not None and as_ns(at) > at_ns:
                yield as_ns(at)


def _or_nothing(times_ms: Iterable[float | None]) -> Floats:
    """What nobody has seen takes no time: the unknown is no reason against an offer."""
    return np.array([one or 0.0 for one in times_ms])


class Table:
    """One model's offers. until_ns: from then on it has to be made anew, in nanoseconds since 1970:
    an offer ends, or a price does."""

    def __init__(self, listings: tuple[Listing, ...], limits: Limits, at_ns: int) -> None:
        self.listings = listings
        self.limits = limits
        self.at_ns = at_ns
        self.until_ns = min(_ends_ns(listings, at_ns), default=2**63)
        quotes = [one.quote for one in listings if one.quote is not None]
        overrides = [one for quote in quotes for one in quote.overrides]
        self._lengths = sorted({one.above_prompt_tokens for one in overrides})
        hours = [one.hours for one in overrides if one.hours is not None]
        edges = {edge for one in hours for edge in (one.start_minute, one.end_minute)}
        # Of a day; of a week where that matters.
        self._days = 1 if all(one.weekdays is None for one in hours) else 7
        self._minutes = sorted(
            {day * DAY_MINUTES + edge for day in range(self._days) for edge in (0, *edges)}
        )
        self._has_hours = bool(hours)
        offers = [one.offer for one in listings]
        self._contexts = sorted({one.context_tokens for one in offers if one.context_tokens})
        self._outputs = sorted({one.max_output_tokens for one in offers if one.max_output_tokens})
        self._fields: OrderedDict[tuple[object, ...], Field] = OrderedDict()

    def band(self, prompt_tokens: int, at_ns: int) -> tuple[int, int]:
        """Within which every price is the same."""
        minute = at_ns // _MINUTE_NS % (self._days * DAY_MINUTES) if self._has_hours else 0
        return bisect_left(self._lengths, prompt_tokens), bisect_right(self._minutes, minute)

    def field(self, intent: RoutingIntent, at_ns: int) -> Field:
        """Who can serve it at that moment; there may be nobody."""
        most = intent.max_completion_tokens
        kind = (
            intent.task,
            intent.features,
            intent.preferences,
            intent.service_tier,
            intent.long_cache,
            intent.parameters,
            intent.units > 0,
            bisect_left(self._contexts, -(-intent.prompt_tokens // SURELY_TOO_LONG)),
            0 if most is None else bisect_left(self._outputs, most),
            None
            if intent.preferences.max_price is None
            else self.band(intent.prompt_tokens, at_ns),
        )
        found = self._fields.get(kind)
        if found is not None:
            self._fields.move_to_end(kind)
        else:
            found = self._sorted_out(intent, at_ns)
            self._fields[kind] = found
            if len(self._fields) > KINDS_KEPT:
                self._fields.popitem(last=False)
        return found

    def _sorted_out(self, intent: RoutingIntent, at_ns: int) -> Field:
        able, refused = [], []
        for one in self.listings:
            why_not = refusal(one, intent, at_ns)
            # Who is asked for by name is asked, as evals do: else nobody could become good again.
            if why_not is None and intent.preferences.offer_id is None:
                why_not = too_bad(one, self.limits.quality)
            if why_not is None:
                able.append(one)
            else:
                refused.append(why_not)
        return Field(self, able, refused)
