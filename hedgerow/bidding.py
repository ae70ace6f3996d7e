"""Bidding: what the capacity that we own is worth, learned from the traffic that the books see.

One of all workers says what quotas are worth, in the books, where all read it. Capacity by the
minute has another price each second, by what is left of it: each worker works that out by itself,
from the same traffic.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TypeVar

from benchmarks.market import Market
from benchmarks.snapshot import Listing
from hedge.bids.bidder import QuotaBidder, ThroughputBidder
from hedge.bids.demand import HOUR_S, Demand
from hedge.bids.minute import MinutePrices
from hedge.bids.wanted import Wanted
from hedgerow.background import beside
from hedgerow.books import opened_sql
from hedgerow.config import Ledger
from ledger.allowances import Allowance, allowance
from ledger.answered import Answered, AnsweredTail, answered_by_hour
from ledger.commitments import MICRO, Commitment, CommitmentKind
from ledger.databases.sql import Sql
from ledger.errors import StoreUnavailable
from ledger.money import Money
from ledger.tables.commitments import CommitmentTable
from proxy.clock import Clock

log = logging.getLogger("hedgerow")

Models = Mapping[str, Sequence[Listing]]
T = TypeVar("T")

QUOTAS_EVERY_S = 60.0
MINUTES_EVERY_S = 5.0
HISTORY_S = 14 * 86_400
WHO = "hedgerow, by traffic"
"""Who set a bid price, in the books."""


@asynccontextmanager
async def bidding_for_quotas(
    ledger: Ledger, market: Market, clock: Clock, every_s: float = QUOTAS_EVERY_S
) -> AsyncIterator[None]:
    """Keep the bid prices of quotas in the books right, until the block ends."""

    def set_prices(desk: QuotaDesk) -> None:
        desk.set_rates(market.snapshot.models, clock.now_ns())

    async with beside(_keep(ledger, QuotaDesk, set_prices, every_s), "the bid prices of quotas"):
        yield


@asynccontextmanager
async def bidding_for_minutes(
    ledger: Ledger, market: Market, clock: Clock, every_s: float = MINUTES_EVERY_S
) -> AsyncIterator[Mapping[str, MinutePrices]]:
    """By commitment, what its minutes are worth: kept right until the block ends."""
    prices: dict[str, MinutePrices] = {}

    def follow(desk: MinuteDesk) -> None:
        now = desk.prices(market.snapshot.models, clock.now_ns())
        prices.update(now)
        for name in prices.keys() - now.keys():
            del prices[name]

    async with beside(_keep(ledger, MinuteDesk, follow, every_s), "the bid prices of minutes"):
        yield prices


def rate_now(prices: MinutePrices, left_micro_units: int, at_ns: int) -> Money:
    """What a million units of it are worth at a moment, with so many micro-units left."""
    return _rate(prices.price(left_micro_units / MICRO, at_ns / 1e9))


class QuotaDesk:
    """What quotas, and spend that was promised, are worth. sql: its own; not for two threads."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._table = CommitmentTable(sql)
        self._tail = AnsweredTail(sql)
        self._bidders: dict[str, QuotaBidder] = {}

    def set_rates(self, models: Models, now_ns: int) -> None:
        """Look at what came in, and write what changed. Raises StoreUnavailable."""
        news, rates = self._tail.read(), self._table.bid_prices(now_ns)
        active = [
            one for one in self._table.active(now_ns) if one.kind is not CommitmentKind.THROUGHPUT
        ]
        known, self._bidders = self._bidders, {}
        found: dict[str, Money] = {}
        for one in active:
            bidder = known.get(one.id)
            if bidder is None:
                bidder = self._opened(one, models, rates.get(one.id, Money(0)), now_ns)
            else:
                for wanted in _wanted(one, news, models):
                    bidder.note(wanted)
            self._bidders[one.id] = bidder
            if not bidder.has_learned:
                continue
            its = allowance(one, now_ns)
            until_ns = min(its.until_ns, one.ends_ns)
            price = bidder.price(now_ns / 1e9, self._left(its) / MICRO, until_ns / 1e9)
            found[one.id] = _rate(price)
        if found:
            with self._sql.transaction():
                self._table.set_bid_prices(found, now_ns, WHO)

    def _opened(self, one: Commitment, models: Models, start: Money, now_ns: int) -> QuotaBidder:
        """With what was wanted of it in the last weeks, whether we owned it then or not."""
        every = answered_by_hour(self._sql, now_ns - HISTORY_S * 10**9)
        began_s = every[0].at_ns / 1e9 if every else now_ns / 1e9
        bidder = QuotaBidder(Demand(began_s // HOUR_S * HOUR_S), start / MICRO)
        for wanted in _wanted(one, every, models):
            bidder.note(wanted)
        return bidder

    def _left(self, its: Allowance) -> int:
        """Micro-units: what is held by attempts under way counts as drawn when they end."""
        budget, measure, member, window, start_ns = its.capacity.key
        row = self._sql.execute(
            "SELECT posted FROM accounts WHERE budget = ? AND measure = ? AND member = ?"
            " AND time_window = ? AND window_start_ns = ?",
            (budget, measure, member, window, start_ns),
        ).fetchone()
        return its.micro_units - (0 if row is None else int(row[0]))


class MinuteDesk:
    """What throughput is worth. sql: its own; not for two threads."""

    def __init__(self, sql: Sql) -> None:
        self._table = CommitmentTable(sql)
        self._tail = AnsweredTail(sql)
        self._bidders: dict[str, ThroughputBidder] = {}

    def prices(self, models: Models, now_ns: int) -> dict[str, MinutePrices]:
        """By commitment, with what came in since the last look. Raises StoreUnavailable."""
        active = [
            one for one in self._table.active(now_ns) if one.kind is CommitmentKind.THROUGHPUT
        ]
        news = self._tail.read()
        rates = self._table.bid_prices(now_ns) if active else {}
        known, self._bidders = self._bidders, {}
        found: dict[str, MinutePrices] = {}
        for one in active:
            bidder = known.get(one.id) or ThroughputBidder(
                one.micro_units / MICRO, now_ns / 1e9, rates.get(one.id, Money(0)) / MICRO
            )
            for wanted in _wanted(one, news, models):
                bidder.note(wanted)
            self._bidders[one.id] = bidder
            found[one.id] = bidder.prices(now_ns / 1e9)
        return found


async def _keep(
    ledger: Ledger, opened: Callable[[Sql], T], ask: Callable[[T], None], every_s: float
) -> None:
    """Ask a desk every few seconds, in a thread. It is opened when the books can be read; while
    they cannot, what is known stays."""
    sql: Sql | None = None
    desk: T | None = None
    # All in one thread: whoever is cancelled leaves what is asked there under way, and what is
    # opened there is closed after it.
    thread, to_close = ThreadPoolExecutor(1, "bid prices"), ExitStack()
    run = partial(asyncio.get_running_loop().run_in_executor, thread)

    def open_books() -> Sql:
        books = opened_sql(ledger, create=False)
        to_close.callback(books.close)
        return books

    try:
        while True:
            try:
                if sql is None:
                    sql = await run(open_books)
                if desk is None:
                    desk = await run(opened, sql)
                await run(ask, desk)
            except StoreUnavailable as error:
                log.warning("bid prices stay as they are: %s", error)
            await asyncio.sleep(every_s)
    finally:
        await run(to_close.close)
        thread.shutdown(wait=False)


def _wanted(one: Commitment, every: Sequence[Answered], models: Models) -> Iterator[Wanted]:
    """What could have been served by it: requests of models that have an offer that it covers."""
    served = {
        name
        for name, listings in models.items()
        if any(one.covers_offer(its.offer.provider, its.offer.model) for its in listings)
    }
    for each in every:
        if each.model not in served or not each.count:
            continue
        sizes = (each.prompt, each.cached, each.completion)
        prompt, cached, completion = (round(size / each.count) for size in sizes)
        micro_units = one.takes(prompt, cached, completion, each.elsewhere_nanos / each.count)
        if micro_units > 0:
            units = each.count * micro_units / MICRO
            yield Wanted(each.at_ns / 1e9, units, each.elsewhere_nanos, each.count)


def _rate(nanos_per_unit: float) -> Money:
    """Of a million units, cut to three digits: what hardly changed is no news."""
    rate = int(nanos_per_unit * MICRO)
    unit = 10 ** max(0, len(str(rate)) - 3)
    return Money(rate // unit * unit)
