"""What the tests of the dashboard have alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.browser import Desk, browsing


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A browser at the dashboard, logged in with the admin key."""
    async with browsing(tmp_path) as desk:
        await desk.log_in()
        yield desk
