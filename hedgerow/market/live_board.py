"""LiveBoard: the board as a server knows it now, for pages that look again every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from benchmarks.alarms import Alarm
from benchmarks.evals.history import EvalHistory
from benchmarks.market import Quoted
from benchmarks.snapshot import MarketSnapshot
from benchmarks.tables.history import MarketHistory
from benchmarks.traffic.observations import UNSEEN, Seen
from hedgerow.kept import Kept
from hedgerow.market.board import NOTHING_KNOWN, WEEK_NS, Board, Past, board
from hedgerow.market.last_good import LastGood
from hedgerow.market.our_text import OurText
from hedgerow.router.standing import Standing, rests_by_offer, standing, told, with_own
from ledger.databases.sql import Sql
from ledger.instants import instant
from proxy.house import House

PAST_S = 5.0
"""How old what the books say of prices and alarms gets; what was seen is of now."""
TEXT_S = 60.0
"""How old gets what our requests of the last week were."""
PATIENCE_S = 0.15
"""So long a board waits for that: of a great many requests it takes seconds."""
BOARD_S = 1.0
STANDINGS_S = 2.0

T = TypeVar("T")


class Books(Protocol):
    """Whoever reads the books in a thread."""

    async def read(self, look: Callable[[Sql], T]) -> T: ...


@dataclass(frozen=True, slots=True)
class Told:
    """What the books say: of offers, without our traffic, and of feeds. alarms: what is not
    believed of feeds."""

    past: Past
    alarms: tuple[Alarm, ...]


class LiveBoard:
    """Of one worker: what the others see is in its market, and how their routers stand is in the
    books."""

    def __init__(self, house: House, books: Books) -> None:
        now_s = house.clock.monotonic_s
        self._house = house
        self._text = Kept(lambda: books.read(self._look_at_text), TEXT_S, now_s)
        self._told = Kept(lambda: books.read(self._look), PAST_S, now_s)
        self._others = Kept(lambda: books.read(self._look_at_standings), STANDINGS_S, now_s)
        self._board = Kept(self._made, BOARD_S, now_s)

    async def board(self) -> Board:
        """Raises StoreError."""
        return await self._board.get()

    async def alarms(self) -> tuple[Alarm, ...]:
        """Raises StoreError."""
        return (await self._told.get()).alarms

    async def standings(self) -> tuple[Standing, ...]:
        """Of all workers, this one first, which is as it is at this moment. Raises StoreError."""
        return with_own(await self._others.get(), standing(self._house))

    async def _made(self) -> Board:
        told, text = await self._told.get(), await self._text.soon(PATIENCE_S)
        standings = await self.standings()
        snapshot, now_ns = self._house.market.snapshot, self._house.clock.now_ns()
        rests = rests_by_offer(standings, now_ns)
        text = text or told.past.text
        past = replace(told.past, text=text, observations=_Listed(snapshot), rests=rests)
        # Thousands of prices take some tens of milliseconds.
        return await asyncio.to_thread(board, _quoted(snapshot), past, instant(now_ns))

    def _look(self, sql: Sql) -> Told:
        now_ns = self._house.clock.now_ns()
        at = instant(now_ns)
        prices = MarketHistory(sql).quotes.all_as_of(at)
        past = replace(NOTHING_KNOWN, prices=prices, qualities=EvalHistory(sql).qualities(at))
        beliefs = LastGood(sql).beliefs()
        return Told(past, tuple(one for name in beliefs for one in beliefs[name].alarms))

    def _look_at_text(self, sql: Sql) -> OurText:
        now_ns = self._house.clock.now_ns()
        return OurText.read(sql, now_ns - WEEK_NS, now_ns)

    def _look_at_standings(self, sql: Sql) -> list[Standing]:
        return told(sql, self._house.clock.now_ns())


class _Listed:
    """What was seen of each offer, as a snapshot has it."""

    def __init__(self, snapshot: MarketSnapshot) -> None:
        self._seen = {
            one.offer.id: one.seen for listings in snapshot.models.values() for one in listings
        }

    def seen(self, offer_id: str, now_s: float) -> Seen:  # noqa: ARG002 - as Observations has it
        return self._seen.get(offer_id, UNSEEN)


def _quoted(snapshot: MarketSnapshot) -> Mapping[str, Sequence[Quoted]]:
    return {
        name: [Quoted(one.offer, one.quote, one.stats, one.quality) for one in listings]
        for name, listings in snapshot.models.items()
    }
