"""Clock: the time, handed in wherever it is needed."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    def now_ns(self) -> int:
        """Nanoseconds since 1970 in UTC: for the books."""

    def monotonic_s(self) -> float:
        """Seconds that never go back: for limits and latencies."""

    async def sleep(self, seconds: float) -> None:
        """Wait until so many of them have passed."""


class SystemClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
