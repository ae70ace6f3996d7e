"""Kept: made once for all who ask, and anew when it is old."""

from __future__ import annotations

import asyncio

import pytest

from hedgerow.kept import Kept


class Making:
    """Makes 1, 2, 3, … each when the gate is open; at 0 it fails."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.made = 0
        self.gate = asyncio.Event()
        self.fault: Exception | None = None
        self.kept = Kept(self.make, 10.0, lambda: self.now_s)

    async def make(self) -> int:
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        self.made += 1
        return self.made


async def test_once_for_all() -> None:
    """However many ask, it is made once until it is old; who leaves takes nothing from others."""
    making = Making()
    asking = [asyncio.create_task(making.kept.get()) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    making.gate.set()
    assert await asyncio.gather(*asking[1:]) == [1] * 4
    making.now_s = 9.9
    assert await making.kept.get() == 1
    making.now_s = 10.0
    assert await making.kept.get() == 2


async def test_soon() -> None:
    """Who cannot wait gets what there is: nothing, or what is old; it is made all the same."""
    making = Making()
    assert await making.kept.soon(0.0) is None
    making.gate.set()
    assert await making.kept.get() == 1
    making.gate.clear()
    making.now_s = 10.0
    assert await making.kept.soon(0.0) == 1
    making.gate.set()
    assert await making.kept.get() == 2


async def test_what_fails_is_tried_again() -> None:
    """Whoever asks is told, and the next one asks anew."""
    making = Making()
    making.gate.set()
    making.fault = LookupError("no books")
    for _ in range(2):
        with pytest.raises(LookupError):
            await making.kept.get()
    making.fault = None
    assert await making.kept.get() == 1
