"""Kept: a value that takes a while to make, made once for all who ask, and anew when it is old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """for_s: how old the value may get. now_s: a monotonic clock. Of one event loop."""

    def __init__(
        self, make: Callable[[], Awaitable[T]], for_s: float, now_s: Callable[[], float]
    ) -> None:
        self._make, self._for_s, self._now_s = make, for_s, now_s
        self._made: tuple[T, float] | None = None
        self._making: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """One that is not too old. Raises what making it raises."""
        if self._made is not None and self._now_s() - self._made[1] < self._for_s:
            return self._made[0]
        if self._making is None:
            self._making = asyncio.create_task(self._remake())
            self._making.add_done_callback(self._over)
        # Whoever asked first may leave: the others wait on.
        return await asyncio.shield(self._making)

    async def soon(self, within_s: float) -> T | None:
        """What there is when so much time has passed, however old it is; None: nothing yet. Raises
        what making it raises, if that is known by then."""
        try:
            async with asyncio.timeout(within_s):
                return await self.get()
        except TimeoutError:
            return None if self._made is None else self._made[0]

    async def _remake(self) -> T:
        value = await self._make()
        self._made = value, self._now_s()
        return value

    def _over(self, task: asyncio.Task[T]) -> None:
        self._making = None
        if not task.cancelled():
            task.exception()  # whoever waited is told; nobody may have
