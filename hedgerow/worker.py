"""Worker: one of several processes that serve. `supervisor` starts it, and ends it.

Between them is a line, a pair of sockets. The worker says on it that it is ready, or why it cannot
be; when the other end is closed, by the supervisor or by its death, the worker drains and ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from benchmarks.errors import MarketError
from hedgerow.app import Worker, running
from hedgerow.config import Config, load_config
from hedgerow.errors import HedgerowError
from hedgerow.loops import run, settle_in, told_to_stop
from ledger.errors import LedgerError

LONGEST_REPORT = 8000
"""Characters; what is longer has said enough."""


class Orders(msgspec.Struct, frozen=True):
    """What a worker is told, as its one argument. sockets, line: numbers of files it inherits."""

    config: str
    host: str
    index: int
    count: int
    sockets: tuple[int, ...]
    line: int
    opened_at_s: int


class Report(msgspec.Struct, frozen=True):
    """What a worker says once, in a line of JSON. refused: why it cannot serve; None: it does."""

    refused: str | None = None


def main() -> None:
    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s %(levelname)s worker {orders.index}: %(message)s",
    )
    with socket.socket(fileno=orders.line) as line:
        try:
            run(_work(load_config(Path(orders.config), os.environ), orders, line))
        except (HedgerowError, LedgerError, MarketError) as error:
            _report(line, Report(str(error)[:LONGEST_REPORT]))
            sys.exit(1)


async def _work(config: Config, orders: Orders, line: socket.socket) -> None:
    stop = told_to_stop()
    loop = asyncio.get_running_loop()

    def is_over() -> None:  # nothing is ever said to a worker: this is the end of the line
        loop.remove_reader(line)
        stop.set()

    loop.add_reader(line, is_over)
    sockets = tuple(socket.socket(fileno=one) for one in orders.sockets)
    worker = Worker(orders.index, orders.count, sockets, orders.opened_at_s)
    async with running(config, host=orders.host, worker=worker):
        settle_in()
        _report(line, Report())
        await stop.wait()


def _report(line: socket.socket, report: Report) -> None:
    with suppress(BrokenPipeError):  # the supervisor has died: nobody is to know
        line.sendall(msgspec.json.encode(report) + b"\n")


if __name__ == "__main__":
    main()
