"""The page Routing in a real browser."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

from playwright.async_api import Locator, expect

from benchmarks.sandbox.faults import Fault
from tests.web.browser import Desk, browsing
from tests.web.past import as_books, fill


def tile(desk: Desk, label: str) -> Locator:
    return desk.page.locator(".tile").filter(has_text=label).locator(".figure")


async def test_looks(tmp_path: Path) -> None:
    """With a past, in the light, in the dark and on a phone."""
    await asyncio.to_thread(fill, as_books(tmp_path), time.time_ns())
    async with browsing(tmp_path, names=("a", "b", "c"), honest=False) as desk:
        await desk.log_in(path="/ui/routing?span=7d")
        for text in ("no answer in 20 s", "budget_exceeded", "tried an offer that is not known"):
            await expect(desk.page.get_by_text(text).first).to_be_visible()
        await desk.pictures("routing")


async def test_a_failover_is_seen(tmp_path: Path) -> None:
    """Without a reload: the offer rests, the attempt in vain is named, and its request leads to the
    page of it."""
    async with browsing(tmp_path, names=("a", "b"), honest=False) as desk:
        await desk.log_in(path="/ui/routing")
        await expect(tile(desk, "Resting offers")).to_have_text("0")
        await expect(desk.page.get_by_text("No request was charged")).to_be_visible()
        desk.proxy.a.fault = Fault.HTTP_500
        replies = [await desk.proxy.ask() for _ in range(4)]
        assert [one.status for one in replies] == [200] * 4
        await expect(tile(desk, "Resting offers")).to_have_text("1")
        await expect(desk.page.get_by_text("status 500").first).to_be_visible(timeout=15_000)
        links = desk.page.locator("a[href^='/ui/spend/requests/']")
        known = {f"/ui/spend/requests/{one.headers['x-request-id']}" for one in replies}
        told = {await one.get_attribute("href") for one in await links.all()}
        assert told
        assert told <= known
        await desk.open("/ui/routing?by=provider")
        await expect(tile(desk, "Charged requests")).to_have_text("4")
        shares = desk.page.get_by_role("region", name="Shares by provider")
        await expect(shares.get_by_role("row", name=re.compile("^b"))).to_contain_text("100.0%")


async def test_what_would_be_chosen(tmp_path: Path) -> None:
    """The form says who would be asked, at what expected cost, and who is refused, and why; what
    cannot be is told. It changes nothing."""
    async with browsing(tmp_path, names=("a", "b")) as desk:
        await desk.log_in(path="/ui/routing/now")
        page = desk.page
        await page.get_by_label("Tokens in").fill("100000")
        await page.get_by_label("Tokens out").fill("1000")
        await page.get_by_role("button", name="Ask").click()
        rows = page.get_by_role("region", name="Offers in the router").get_by_role("row")
        await expect(rows.nth(1)).to_contain_text("a/oak-70b")
        await expect(rows.nth(1).locator("data.money")).to_have_attribute("value", "0.102")
        await expect(rows.nth(2)).to_contain_text("b/oak-70b")
        await desk.pictures("routing-now")
        await page.get_by_text("Preferences").click()
        await page.get_by_label("The field provider").fill('{"only": ["b"]}')
        await page.get_by_role("button", name="Ask").click()
        await expect(rows.nth(1)).to_contain_text("b/oak-70b")
        await expect(page.get_by_text("refused", exact=True)).to_be_visible()
        await page.get_by_label("The field provider").fill('{"only": 7}')
        await page.get_by_role("button", name="Ask").click()
        await expect(page.get_by_role("alert").filter(has_text="provider.only")).to_be_visible()
        assert await desk.proxy.charges() == []
