"""What the tests of the dashboard have alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.web.browser import SHARED, Desk, browsing

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a browser share an event loop; so their async fixtures say
    `loop_scope="session"`, too."""
    shared = pytest.mark.asyncio(loop_scope="session")
    for item in items:
        if item.path.parent == HERE and pytest_asyncio.is_async_test(item):
            item.add_marker(shared, append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def _browser_ends() -> AsyncIterator[None]:
    yield
    await SHARED.close()


@pytest_asyncio.fixture(loop_scope="session")
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A browser at the dashboard, logged in with the admin key."""
    async with browsing(tmp_path) as desk:
        await desk.log_in()
        yield desk
