"""Supervisor: several workers on one host, started, started again when they die, stopped together.

It holds the place (the locks of the books and the files) and the bound sockets, and serves nothing.
Its workers inherit both: if it is killed, nobody else gets in before they have drained, which they
do when their lines to it break.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import msgspec

from hedgerow.app import CLOSE_S, DRAIN_S, sole_place
from hedgerow.config import Config
from hedgerow.errors import WorkersFailed
from hedgerow.listening import base_url, bound
from hedgerow.worker import Orders, Report
from proxy.clock import Clock

log = logging.getLogger("hedgerow")

FIRST_REST_S, LONGEST_REST_S = 0.1, 5.0
"""How long a worker that has died rests before it is started again: each time twice as long..."""
STEADY_S = 10.0
"""...unless it has served so long."""
MOST_FAILURES = 3
"""How often one may die before it is ready, while no other serves: then nobody does."""
END_S = DRAIN_S + CLOSE_S + 4.0
"""How long a worker may take to its end; then it is killed."""


@dataclass(slots=True)
class _Life:
    """One process of a worker. ready_at_s: when it said so; refused: why it could not serve."""

    ready_at_s: float | None = None
    refused: str | None = None
    code: int = 0

    def __str__(self) -> str:
        """How it ended."""
        if self.refused is not None:
            return self.refused
        how = f"signal {-self.code}" if self.code < 0 else f"exit code {self.code}"
        return f"{how}, {'before' if self.ready_at_s is None else 'after'} it was ready"


class Supervisor:
    """The workers of one `hedgerow serve`.

    orders: of every worker, but for what is its own. inherited: what each has open besides. over:
    set when they are to end. ready: told once, when all of them serve.
    """

    def __init__(
        self,
        orders: Orders,
        inherited: tuple[int, ...],
        over: asyncio.Event,
        ready: Callable[[], None],
    ) -> None:
        self._orders = orders
        self._inherited = inherited
        self._over = over
        self._ready = ready
        self._serving: set[int] = set()
        self._has_served = False
        self._failure: WorkersFailed | None = None

    async def run(self) -> None:
        """Until it is told to stop and every worker has ended. Raises WorkersFailed."""
        await asyncio.gather(*(self._keep(index) for index in range(self._orders.count)))
        if self._failure is not None:
            raise self._failure

    async def _keep(self, index: int) -> None:
        """Have this worker serve, again and again."""
        rest_s, failures, loop = FIRST_REST_S, 0, asyncio.get_running_loop()
        while not self._over.is_set():
            life = await self._live(index)
            if self._over.is_set():
                return
            failures = failures + 1 if life.ready_at_s is None else 0
            if life.ready_at_s is not None and loop.time() - life.ready_at_s >= STEADY_S:
                rest_s = FIRST_REST_S
            if self._is_hopeless(life, failures):
                self._failure = WorkersFailed(str(life))
                self._over.set()
                return
            log.error("worker %d ended: %s; it starts again in %.1f s", index, life, rest_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._over.wait()
            rest_s = min(2 * rest_s, LONGEST_REST_S)

    def _is_hopeless(self, life: _Life, failures: int) -> bool:
        """While others serve, never: what is wrong may be mended meanwhile."""
        is_refused = life.refused is not None and not self._has_served
        return not self._serving and (failures >= MOST_FAILURES or is_refused)

    async def _live(self, index: int) -> _Life:
        """One process, from its start to its end."""
        life = _Life()
        ours, theirs = socket.socketpair()
        with theirs:
            orders = msgspec.structs.replace(self._orders, index=index, line=theirs.fileno())
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",  # what lies in the working directory is no module of ours
                    "-m",
                    "hedgerow.worker",
                    msgspec.json.encode(orders).decode(),
                    pass_fds=(theirs.fileno(), *orders.sockets, *self._inherited),
                    start_new_session=True,  # Ctrl-C is told to us, and by us to them
                )
            except OSError as error:
                ours.close()
                life.refused = f"it cannot be started: {error.strerror}"
                return life
        reader, writer = await asyncio.open_connection(sock=ours)
        listening = asyncio.create_task(self._listen(index, life, reader))
        ended = asyncio.create_task(process.wait())
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait({ended, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if not ended.done():
            writer.write_eof()
            await asyncio.wait({ended}, timeout=END_S)
        if not ended.done():
            log.error("worker %d does not end: it is killed", index)
            process.kill()
        life.code = await ended
        await listening  # to the end: its last word may be still on the line
        writer.close()
        self._serving.discard(index)
        return life

    async def _listen(self, index: int, life: _Life, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            async for said in reader:
                life.refused = msgspec.json.decode(said, type=Report).refused
                if life.refused is not None:
                    continue
                life.ready_at_s = asyncio.get_running_loop().time()
                self._serving.add(index)
                if self._has_served:
                    log.info("worker %d serves again", index)
                elif len(self._serving) == self._orders.count:
                    self._has_served = True
                    self._ready()


async def supervised(
    config: Config,
    clock: Clock,
    stop: asyncio.Event,
    *,
    host: str,
    port: int,
    workers: int,
    ready: Callable[[str], None],
    stopping: Callable[[], None],
) -> None:
    """Serve with several workers until `stop`; then until each has drained.

    ready: told the base URL, once, when all of them serve. stopping: told when they are to end.
    Raises LedgerError, PortTaken, WorkersFailed.
    """
    over = asyncio.Event()
    async with sole_place(config, clock) as inherited:
        with ExitStack() as stack:
            sockets = [stack.enter_context(one) for one in await bound(host, port)]
            url = base_url(host, sockets)
            orders = Orders(
                config=str(config.path),
                host=host,
                index=0,
                count=workers,
                sockets=tuple(one.fileno() for one in sockets),
                line=-1,
                opened_at_s=clock.now_ns() // 1_000_000_000,
            )

            async def end() -> None:
                await stop.wait()
                stopping()
                stack.close()  # who connects once the workers have closed theirs, too, is refused
                over.set()

            ending = asyncio.create_task(end())
            try:
                await Supervisor(orders, inherited, over, lambda: ready(url)).run()
            finally:
                ending.cancel()
