"""Courier: takes notices from the outbox to their channels, each at least once.

All that it knows is in the outbox: it may be stopped, or killed, at any moment, and whoever comes
next goes on from there. What was sent and could not be recorded is sent again, under the same id.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self, TypeAlias

from hedgerow.errors import NotSent
from hedgerow.notifications.channel import Channel
from hedgerow.notifications.outbox import Outbox
from ledger.notices import Delivery, on_one_line
from proxy.clock import Clock
from proxy.errors import log

PARALLEL = 4
"""How many are under way on one channel: one that is slow keeps no other waiting."""
LOOK_EVERY_S = 1.0
"""How long nobody looks into the outbox if nobody says that there is something."""
SWEEP_EVERY_S = 3600.0
FORGOTTEN_AT_ONCE = 500
LONGEST_WAIT_S = 900.0
GIVE_UP_AFTER_S = 86_400.0
TRIES_AT_LEAST = 10
"""Not given up before, however old: while nobody was running, nobody was trying."""
RECORD_AGAIN_S = 5.0
LONGEST_WHY = 500
_S = 1_000_000_000

Key: TypeAlias = tuple[str, str]
"""A notice's id, and its channel."""
Write: TypeAlias = Callable[[], Awaitable[bool]]


class Courier:
    """The only one at its outbox. draw: from 0 up to 1. drain_s: how long what is under way may
    take once it is closed; the rest is sent by who comes next."""

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        clock: Clock,
        draw: Callable[[], float],
        *,
        drain_s: float = 5.0,
    ) -> None:
        self._outbox = outbox
        self._channels = dict(channels)
        self._clock = clock
        self._draw = draw
        self._drain_s = drain_s
        self._news = asyncio.Event()
        self._under_way: dict[Key, asyncio.Task[None]] = {}
        self._just_ended: set[Key] = set()
        self._swept_at_s: float | None = None
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        under_way = [*self._under_way.values()]
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=self._drain_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def wake(self) -> None:
        """Something was put into the outbox."""
        self._news.set()

    def use(self, channels: Mapping[str, Channel]) -> None:
        """From now on these, as a changed configuration names them."""
        self._channels = dict(channels)
        self.wake()

    # -- the round

    async def _run(self) -> None:
        said = ""
        while True:
            self._news.clear()
            try:
                while await self._start_some():
                    pass
                await self._sweep()
            except Exception as error:  # noqa: BLE001 - an edge: nobody else hears of it
                if said != (said := str(error)):  # once, not each second while it lasts
                    log.error("notices wait: %s", said)
            else:
                said = ""
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._news.wait()

    async def _start_some(self) -> bool:
        """Whether there may be more: something was begun."""
        busy = Counter(channel for _, channel in self._under_way)
        full = [channel for channel, count in busy.items() if count >= PARALLEL]
        # What is under way is still due in the outbox: ask for so many more.
        limit = len(self._under_way) + PARALLEL
        self._just_ended.clear()
        begun = False
        for one in await self._outbox.due(self._clock.now_ns(), limit, full):
            key = (one.notice.id, one.channel)
            # What ended while we looked may have been seen as it was before.
            is_known = key in self._under_way or key in self._just_ended
            if not is_known and busy[one.channel] < PARALLEL:
                busy[one.channel] += 1
                begun = True
                task = self._under_way[key] = asyncio.create_task(self._deliver(one))
                task.add_done_callback(partial(self._ended, key))
        return begun

    def _ended(self, key: Key, _task: asyncio.Task[None]) -> None:
        del self._under_way[key]
        self._just_ended.add(key)
        self._news.set()

    async def _sweep(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._swept_at_s is not None and now_s - self._swept_at_s < SWEEP_EVERY_S:
            return
        while await self._outbox.forget(self._clock.now_ns(), FORGOTTEN_AT_ONCE):
            pass
        self._swept_at_s = now_s

    # -- one delivery

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await self._send(delivery)
        except NotSent as error:
            write = self._not_sent(delivery, error)
        else:
            write = partial(self._outbox.delivered, delivery)
        await self._record(write)

    async def _send(self, delivery: Delivery) -> None:
        channel = self._channels.get(delivery.channel)
        if channel is None:
            raise NotSent(f"no channel is called {delivery.channel}: add it under `notify`")
        try:
            await channel.send(delivery.notice)
        except NotSent:
            raise
        except Exception as error:
            # An edge: a fault of ours in one channel delays its notices, and stops no others.
            log.error("%s over %s: %s", delivery.notice.id, delivery.channel, error, exc_info=error)
            raise NotSent(f"a fault in Hedgerow: {type(error).__name__}") from error

    def _not_sent(self, delivery: Delivery, error: NotSent) -> Write:
        """Tried again later, or never."""
        now_ns, tries = self._clock.now_ns(), delivery.tries + 1
        why = on_one_line(str(error))[:LONGEST_WHY]  # the other side's words, for log and database
        name = f"{delivery.notice.id} over {delivery.channel}"
        if now_ns - delivery.created_at_ns >= GIVE_UP_AFTER_S * _S and tries >= TRIES_AT_LEAST:
            text = delivery.notice.text()
            log.error("%s is given up after %d tries: %s; it was: %s", name, tries, why, text)
            return partial(self._outbox.given_up, delivery, why)
        wait_s = wait_before_s(tries, self._draw(), error.retry_after_s)
        log.warning("%s is tried again in %.0f s: %s", name, wait_s, why)
        return partial(self._outbox.failed, delivery, now_ns + int(wait_s * _S), why)

    async def _record(self, write: Write) -> None:
        """What was sent is not sent again only because it cannot be written down just now."""
        while True:
            try:
                await write()
            except Exception as error:  # noqa: BLE001 - an edge: nobody else hears of it
                log.error("what became of a notice is not recorded yet: %s", error)
                await self._clock.sleep(RECORD_AGAIN_S)
            else:
                return


def wait_before_s(tries: int, draw: float, retry_after_s: float | None = None) -> float:
    """How long to wait after so many tries: twice as long each time, from 1 s to 15 minutes, by a
    draw from 0 up to 1 so that not all come back at once; at least as long as was asked for."""
    most = min(LONGEST_WAIT_S, 2.0 ** min(tries, 10))
    return min(LONGEST_WAIT_S, max(most / 2 * (1 + draw), retry_after_s or 0.0))
