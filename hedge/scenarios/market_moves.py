"""Market moves: how list prices and GPU indices went, out of the market's history."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from benchmarks.capacity.prices import CAPACITY
from benchmarks.market import Quoted
from benchmarks.quotes import Quote
from benchmarks.tables.facts import Facts
from benchmarks.tables.history import MarketHistory
from hedge.errors import DemandInvalid
from hedge.scenarios.history import HOURS, DemandHistory, places
from hedge.scenarios.outlook import MONTH_DAYS, HourPrices, Retirement
from ledger.databases.sql import Sql
from ledger.instants import as_ns
from ledger.rates import RateCard

PROMPT_SHARE = 0.75
"""Of tokens, in the price by which changes are told."""
_LEAST_STEP = 0.005
"""In logs: less is rounding."""
_PROMPT_TOKENS = 1000


class PriceStep(NamedTuple):
    """A change of a price for good: when, and by how much, in logs."""

    at: datetime
    log: float


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """One model's cheapest list price over `months`. steps: its changes, oldest first."""

    model: str
    months: float
    steps: tuple[PriceStep, ...]


def at_todays_prices(history: DemandHistory, records: Sequence[PriceRecord]) -> DemandHistory:
    """The history as if what it used had cost all along what its models cost now: each hour's list
    cost moves by the changes that came after it. Months are priced over the history's prices, so a
    price that was halved last week has to be halved in all of it."""
    place = places(history.workloads)
    starts = [history.since + timedelta(hours=hour) for hour in range(history.days * HOURS)]
    total = dict.fromkeys(range(len(history.workloads)), 0)
    for one in history.spend:
        total[place[one.model]] += one.list_cost
    share = {one.model: one.list_cost / max(total[place[one.model]], 1) for one in history.spend}
    factors = np.ones((len(starts), len(history.workloads)))
    for record in records:
        if record.model in share:
            later = [sum(step.log for step in record.steps if step.at > at) for at in starts]
            factors[:, place[record.model]] += share[record.model] * (np.exp(later) - 1)
    nanos = history.list_nanos * factors.reshape(history.list_nanos.shape)
    return replace(history, list_nanos=np.rint(nanos).astype(np.int64))


@dataclass(frozen=True, slots=True)
class IndexSeries:
    """An index as it was printed, oldest first: on which days, USD per GPU-hour."""

    index: str
    days: tuple[date, ...]
    usd: tuple[float, ...]

    @classmethod
    def of(cls, index: str, prints: Iterable[tuple[date, float]]) -> IndexSeries:
        """Prints in any order; of two of one day the later one counts. Raises DemandInvalid for
        what is no price: negative ones stand for days without one, and are left out by the
        caller, who knows his source."""
        by_day = dict(prints)
        for day, usd in by_day.items():
            if not (math.isfinite(usd) and usd > 0):
                raise DemandInvalid(f"{index} of {day} is {usd:g} USD: no price; leave the day out")
        days = tuple(sorted(by_day))
        return cls(index, days, tuple(by_day[day] for day in days))


def price_records(
    sql: Sql, offers: Mapping[str, Sequence[str]], since: datetime, now: datetime
) -> tuple[PriceRecord, ...]:
    """Of each model, over the offers that may serve it, from when its first price was known on;
    models without one are left out. As it is known now."""
    history = MarketHistory(sql)
    found = []
    for model, ids in offers.items():
        moves = [
            (fact.value_time, number, None if fact.said is None else _blended(fact.said, now))
            for number, offer in enumerate(ids)
            for fact in history.changes(offer, since, now, now)
        ]
        if moves:
            found.append(_record(model, moves, since, now))
    return tuple(found)


def retirements(models: Mapping[str, Sequence[Quoted]], now: datetime) -> tuple[Retirement, ...]:
    """What is known of the end of offers: of each model, when the cheapest one ends, and what the
    next one costs over it. A model that nobody sells from then on goes on at its price, give or
    take what a successor may cost."""
    found: list[Retirement] = []
    for model, quoted in models.items():
        priced = [
            (price, one.offer.ends_at)
            for one in quoted
            if one.quote is not None and (price := _blended(one.quote, now))
        ]
        left = [(price, end) for price, end in priced if end is None or end > now]
        left.sort(key=lambda one: one[0])
        while left and (end := left[0][1]) is not None:
            price = left[0][0]
            left = [(usd, its) for usd, its in left if its is None or its > end]
            on = end.astimezone(UTC).date()
            if left:
                found.append(Retirement(model, on, math.log(left[0][0] / price), 0.0))
            else:
                found.append(Retirement(model, on))
    return tuple(found)


def index_series(sql: Sql, index: str, subject: str, since: datetime, now: datetime) -> IndexSeries:
    """An index that the market's history keeps as `subject` (`CapacityPrice.series`), as it is
    known now; of a day's prints the last."""
    facts = Facts(sql, CAPACITY).changes(subject, since, now, now)
    prints = [
        (fact.said.at.astimezone(UTC).date(), float(fact.said.usd_per_gpu_hour))
        for fact in facts
        if fact.said is not None
    ]
    return IndexSeries.of(index, prints)


def _record(
    model: str,
    moves: list[tuple[datetime, int, float | None]],
    since: datetime,
    now: datetime,
) -> PriceRecord:
    """From (when, which offer, its price from then on)."""
    held: dict[int, float] = {}
    steps: list[PriceStep] = []
    before: float | None = None
    moves.sort(key=lambda move: (move[0], move[1]))
    for place, (at, offer, price) in enumerate(moves):
        held.pop(offer, None)
        if price is not None:
            held[offer] = price
        if place + 1 < len(moves) and moves[place + 1][0] == at:
            continue
        cheapest = min(held.values(), default=None)
        if cheapest is not None and before is not None:
            step = math.log(cheapest / before)
            if abs(step) >= _LEAST_STEP:
                steps.append(PriceStep(at, step))
        before = before if cheapest is None else cheapest
    begun = max(since, min(at for at, _, _ in moves))
    return PriceRecord(model, (now - begun).total_seconds() / 86_400 / MONTH_DAYS, tuple(steps))


def hour_prices(model: str, quote: Quote, history: RateCard, now: datetime) -> HourPrices:
    """What a quote's hours (UTC) will charge over what the history was charged, where windows are
    new: `history` is the card of that time. Raises DemandInvalid if that was free."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=30, second=0, microsecond=0)
    usual = _price(history)
    if not usual:
        raise DemandInvalid(f"{model} was free: no price is a multiple of that")
    cards = (quote.card(_PROMPT_TOKENS, as_ns(midnight.replace(hour=at))) for at in range(HOURS))
    return HourPrices(model, tuple(_price(card) / usual for card in cards))


def _blended(quote: Quote, now: datetime) -> float | None:
    """USD per million tokens; None where nothing is asked, which no logarithm knows."""
    return _price(quote.card(_PROMPT_TOKENS, as_ns(now))) or None


def _price(card: RateCard) -> float:
    return PROMPT_SHARE * float(card.input) + (1 - PROMPT_SHARE) * float(card.output)
