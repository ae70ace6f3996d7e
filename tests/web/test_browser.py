"""The dashboard in a real browser."""

from __future__ import annotations

from tests.web.browser import Desk


async def test_the_first_page(desk: Desk) -> None:
    """Whoever logs in comes to a page; nothing complains."""
    assert await desk.page.title() == "Keys · Hedgerow"
    await desk.pictures("keys")
