"""Work beside a block: it ends with it, and is missed when it ends before."""

from __future__ import annotations

import asyncio
import logging

import pytest

from hedgerow.background import beside


async def test_it_ends_with_the_block(caplog: pytest.LogCaptureFixture) -> None:
    """To its last line, and nothing is said of it."""
    told = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            told.append("ended")

    async with beside(work(), "the work"):
        await asyncio.sleep(0)
        assert told == []
    assert told == ["ended"]
    assert caplog.records == []


async def test_what_ends_in_an_error_is_said_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Though the block goes on, and ends well."""

    async def work() -> None:
        raise KeyError("of nobody")

    async with beside(work(), "the work"):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        (said,) = caplog.records
    assert said.levelno == logging.ERROR
    assert said.getMessage().startswith("the work stands still")
    assert said.exc_info is not None
