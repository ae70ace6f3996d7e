"""The event loop of a serving process: uvloop where there is one."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

YOUNG_OBJECTS = 10_000
"""How many new objects there may be before the collector looks at them. Hundreds live as long as
their request: at Python's own 700 it looks at those under way again and again, and finds nothing.
"""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end. SIGTERM ends it as Ctrl-C does, unless `told_to_stop` waits for both."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(main)
    finally:
        signal.signal(signal.SIGTERM, before)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def told_to_stop() -> asyncio.Event:
    """An event that SIGTERM and Ctrl-C set from now on, instead of ending the program."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def settle_in() -> None:
    """What start-up has made stays: no collection need walk through it."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
