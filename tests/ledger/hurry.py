"""An event loop in which time passes as soon as nobody works: seconds of waiting take no time.

Its clock stands still while a writer's thread has something to do, so that how fast this machine is
decides nothing.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from selectors import SelectorKey

NOBODY_S = 0.0005
"""How long to look for what a thread may say."""


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.is_busy: Callable[[], bool] = lambda: False

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        found = super().select(0)
        if found or timeout <= 0:
            return found
        if self.is_busy():
            return super().select(NOBODY_S)
        self.now_s += timeout
        return found


class HurriedLoop(asyncio.SelectorEventLoop):
    """is_busy: whether some thread works for this loop."""

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        self._hurried = _Selector()
        self._hurried.is_busy = is_busy
        super().__init__(self._hurried)

    def time(self) -> float:
        return self._hurried.now_s
