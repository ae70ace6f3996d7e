"""The page Spend, in a real browser before a real proxy."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest_asyncio

from ledger.money import as_usd
from tests.serving import asking
from tests.web.browser import Desk, browsing

BUDGETS = """{name: house-month, scope: {}, window: month, timezone: Europe/Berlin, cap_usd: 0.01}
  - {name: research-month, scope: {team: research}, window: month, cap_usd: 0.005}
  - {name: trial, scope: {user: "*"}, window: day, cap_usd: 0.00001, mode: shadow}"""


@pytest_asyncio.fixture(loop_scope="session")
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Two teams have asked: research three times, ops twice."""
    async with browsing(tmp_path, names=("a", "b"), budgets=BUDGETS) as desk:
        ops = await desk.proxy.new_key(team="ops", user="anna", name="the robot", tags=("nightly",))
        for _ in range(3):
            assert (await desk.proxy.ask()).status == 200
        for _ in range(2):
            sent = await desk.proxy.post(asking(), authorization=f"Bearer {ops}")
            assert sent.status == 200
        await desk.log_in()
        yield desk


async def _money(desk: Desk, selector: str) -> list[Decimal]:
    """What is exactly meant by the amounts that are shown."""
    values = await desk.page.locator(f"{selector} data.money").evaluate_all(
        "all => all.map((one) => one.value)"
    )
    return [Decimal(one) for one in values]


async def test_what_is_shown_is_what_was_charged(desk: Desk) -> None:
    """The total, and each line of each dimension, to the nano-USD; down to one request's six
    amounts and its decision."""
    charges = await desk.proxy.charges()
    total = sum((as_usd(one.effective) for one in charges), Decimal(0))
    assert await _money(desk, "[data-spent]") == [total]
    for by in ("org", "team", "project", "user", "key", "model", "provider", "tag", "day"):
        await desk.open(f"/ui/spend?by={by}")
        assert await _money(desk, "[data-total]") == [total], by
        costs = await _money(desk, "section tbody tr:not(.total) td:nth-of-type(4)")
        assert sum(costs, Decimal(0)) == total, by
    await desk.open("/ui/spend")
    await desk.pictures("spend")
    await desk.page.get_by_role("link", name="ops", exact=True).click()
    await desk.page.wait_for_url("**/ui/spend?by=model&team=ops")
    assert await desk.page.locator("section tbody tr:not(.total)").count() == 1
    await desk.page.get_by_role("link", name="requests of oak").click()
    await desk.page.wait_for_url("**/ui/spend/requests?**")
    assert await desk.page.locator(".live tbody tr").count() == 2
    await desk.page.set_viewport_size({"width": 360, "height": 740})
    cost = await desk.page.locator(".live tbody td data.money").first.bounding_box()
    assert cost is not None
    assert cost["x"] + cost["width"] <= 360  # what it cost is seen on a phone, too
    await desk.page.set_viewport_size({"width": 1280, "height": 860})
    await desk.pictures("requests")
    await desk.page.locator(".live tbody a").first.click()
    await desk.page.wait_for_url("**/ui/spend/requests/req_**")
    amounts = await _money(desk, ".amounts")
    (one,) = [c for c in charges if c.request_id in desk.page.url]
    assert len(amounts) == 6
    assert amounts[0] == as_usd(one.effective)
    elsewhere = [one.list, one.first_offer, one.cheapest]
    assert amounts[3:] == [as_usd(amount) for amount in elsewhere if amount is not None]
    assert "trial" in await desk.page.locator("main").inner_text()
    assert await desk.page.get_by_role("region", name="The decision").locator("tr").count() == 3
    await desk.pictures("request")


async def test_a_request_appears_in_an_open_page(desk: Desk) -> None:
    """Without reloading: in the total, and in the list of requests, whose first line it is."""
    page = desk.page
    before = await _money(desk, "[data-spent]")
    assert (await desk.proxy.ask()).status == 200
    charges = await desk.proxy.charges()
    total = sum((as_usd(one.effective) for one in charges), Decimal(0))
    assert total > before[0]
    await page.locator(f"[data-spent] data[value='{total:f}']").wait_for()
    await desk.open("/ui/spend/requests")
    assert await page.locator(".live tbody tr").count() == 6
    sent = await desk.proxy.ask()
    new = page.locator(".live tbody tr").first.get_by_text(sent.headers["x-request-id"])
    await new.wait_for()


async def test_the_table_as_csv_searched_and_sorted(desk: Desk) -> None:
    """A search and an order stand in the URL; the file has all lines of it, digit by digit."""
    page = desk.page
    await page.get_by_label("Find a team").fill("OP")
    await page.get_by_label("Find a team").press("Enter")
    await page.wait_for_url("**/ui/spend?q=OP")
    assert await page.locator("section tbody tr:not(.total) th").all_inner_texts() == ["ops"]
    await desk.open("/ui/spend")
    await page.get_by_role("link", name="team", exact=True).last.press("Enter")
    await page.wait_for_url("**/ui/spend?sort=name&order=up")
    names = await page.locator("section tbody tr:not(.total) th").all_inner_texts()
    assert names == ["ops", "research"]
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    path = Path(await (await download.value).path())
    text = await asyncio.to_thread(path.read_text)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [one["team"] for one in rows] == ["ops", "research"]
    charges = await desk.proxy.charges()
    assert sum(Decimal(one["cost_usd"]) for one in rows) == sum(
        as_usd(one.effective) for one in charges
    )


async def test_what_is_not_there_says_what_to_do(desk: Desk) -> None:
    """A month without a charge, a request that is not kept, a filter that nobody has."""
    await desk.open("/ui/spend?period=2020-01")
    assert "Nothing was charged in this time" in await desk.page.locator("main").inner_text()
    await desk.pictures("spend-empty")
    await desk.open("/ui/spend/requests?team=nobody")
    assert "No such request" in await desk.page.locator("main").inner_text()
    desk.expect("404", "400")
    await desk.open("/ui/spend/requests/req_none")
    assert "no request req_none" in await desk.page.locator("main").inner_text()
    await desk.open("/ui/spend?from=2027-02-30")
    assert "From is no day" in await desk.page.locator("main").inner_text()
