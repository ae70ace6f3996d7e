"""The page Market in a real browser: the board, live, and the past of offers."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

from playwright.async_api import expect

from benchmarks.sandbox.faults import Fault
from tests.serving import offer
from tests.web.browser import Desk, browsing
from tests.web.past import as_books, fill

THREE = ("a", "b", "c")
FEED_PRICES = "prices:\n  - {{provider: a, model: oak-70b, input: {}, output: 4}}\n"


async def test_looks(tmp_path: Path) -> None:
    """Every page of the market with a past, in the light, in the dark and on a phone: nothing
    complains, and nothing needs to be scrolled sideways."""
    await asyncio.to_thread(fill, as_books(tmp_path), time.time_ns())
    async with browsing(tmp_path, names=THREE, honest=False) as desk:
        await asyncio.gather(*(desk.proxy.ask(stream=True) for _ in range(30)))
        await desk.log_in(path="/ui/market")
        await expect(desk.page.get_by_role("row", name="a/oak-70b")).to_contain_text("0.73")
        await desk.pictures("market")
        await desk.open("/ui/market/offer?offer=a/oak-70b&span=30d")
        for title in ("Price", "Time to the first token", "Attempts", "Quality"):
            await expect(
                desk.page.get_by_role("figure").filter(has_text=title).first
            ).to_be_visible()
        await desk.pictures("market-offer")
        await desk.open("/ui/market/model?model=oak")
        await desk.pictures("market-model")
        await desk.open("/ui/market/capacity")
        await expect(desk.page.get_by_role("row", name="H100-SXM")).to_be_visible()
        await desk.pictures("market-capacity")


async def test_prices_as_they_were_known(tmp_path: Path) -> None:
    """What was known four days ago is shown without what was told since."""
    await asyncio.to_thread(fill, as_books(tmp_path), time.time_ns())
    async with browsing(tmp_path, names=("a",), honest=False) as desk:
        await desk.log_in(path="/ui/market/offer?offer=a/oak-70b&span=30d")
        prices = desk.page.get_by_role("region", name="Prices of a/oak-70b").get_by_role("row")
        await expect(prices).to_have_count(1 + 11)
        at = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() - 3.5 * 86_400))
        await desk.page.get_by_label("As it was known at").fill(at)
        await desk.page.get_by_role("button", name="Show").click()
        await expect(prices).to_have_count(1 + 7)


async def test_an_offer_that_fails_is_seen_resting(tmp_path: Path) -> None:
    """Without a reload: as soon as its breaker opens, and no longer when it is well again."""
    async with browsing(tmp_path, names=("a", "b"), honest=False) as desk:
        await desk.log_in(path="/ui/market")
        row = desk.page.get_by_role("row", name="a/oak-70b")
        await expect(row).to_contain_text("not asked")
        desk.proxy.a.fault = Fault.HTTP_500
        for _ in range(3):
            await desk.proxy.ask()
        await expect(row).to_contain_text(re.compile("rests|on trial"))
        await desk.page.get_by_role("link", name="1 in trouble").click()
        await expect(desk.page.get_by_role("row", name="oak-70b")).to_have_count(1)
        await desk.open("/ui/market")
        desk.proxy.a.fault = None
        async with asyncio.timeout(20):
            while await row.get_by_text(re.compile("rests|on trial")).count():
                await desk.proxy.ask()


async def test_another_price_is_seen(tmp_path: Path) -> None:
    """Without a reload, when the operator's file says another one; when it says nonsense, there is
    an alarm, and the last good price stays."""
    file = tmp_path / "prices.yaml"
    await asyncio.to_thread(file.write_text, FEED_PRICES.format("1.25"))
    given = {
        "feeds": "[{kind: prices, path: prices.yaml}]",
        "offers": {"a": offer("a", price=None)},
    }
    async with browsing(tmp_path, honest=False, **given) as desk:
        await desk.log_in(path="/ui/market")
        row = desk.page.get_by_role("row", name="a/oak-70b")
        await expect(row).to_contain_text("1.25")
        await asyncio.to_thread(file.write_text, FEED_PRICES.format("7.5"))
        await expect(row).to_contain_text("7.5")
        await asyncio.to_thread(file.write_text, "prices: lower")
        alarm = desk.page.get_by_text("1 thing that a feed says is not believed")
        await alarm.click(timeout=30_000)
        await expect(desk.page.get_by_text("malformed")).to_be_visible()
        await expect(row).to_contain_text("7.5")


async def test_found_sorted_and_paged(tmp_path: Path) -> None:
    """Search, filters and order are in the address; heads are sorted by keyboard; a head is pressed
    three times to be as at first."""
    async with browsing(tmp_path, names=THREE) as desk:
        await desk.log_in(path="/ui/market")
        page = desk.page
        rows = page.locator("table.board th[scope=row]")
        await expect(rows).to_have_text([re.compile(f"^{one}/oak-70b") for one in THREE])
        head = page.get_by_role("columnheader", name="Input").get_by_role("link")
        await head.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("columnheader", name="Input")).to_have_attribute(
            "aria-sort", "ascending"
        )
        await head.press("Enter")
        await expect(rows.first).to_have_text(re.compile("^c/oak-70b"))
        await head.press("Enter")
        await page.wait_for_url(re.compile("/ui/market[?]?$"))
        await page.get_by_label("Search offers").fill("B/OAK")
        await page.keyboard.press("Enter")
        await expect(rows).to_have_count(1)
        await page.get_by_label("Search offers").fill("elm")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("No offer is like that")).to_be_visible()
        await desk.open("/ui/market?provider=c")
        await expect(rows).to_have_count(1)


async def test_nothing_there_yet(desk: Desk) -> None:
    """Without traffic, feeds or a past each page says so; what is not there is a page, too."""
    page = desk.page
    await desk.open("/ui/market")
    await expect(page.get_by_text("not asked")).to_be_visible()
    await desk.open("/ui/market/capacity")
    await expect(page.get_by_text("No price of a GPU-hour is known")).to_be_visible()
    await desk.open("/ui/market?trouble=1")
    await expect(page.get_by_text("No offer is like that")).to_be_visible()
    desk.expect("404")
    for path in ("offer?offer=x", "offer", "model?model=x"):
        await desk.open(f"/ui/market/{path}")
        await expect(page.get_by_role("heading", name="Not Found")).to_be_visible()
    desk.expect("400")
    await desk.open("/ui/market?sort=beauty")
    await expect(page.get_by_text("sort is one of")).to_be_visible()
