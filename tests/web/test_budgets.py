"""The page Budgets, in a real browser before a real proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest_asyncio

from ledger.keys import Role
from tests.serving import PATIENCE_S, make_key
from tests.web.browser import Desk, browsing

BUDGETS = """{name: house-month, scope: {}, window: month, timezone: Europe/Berlin, cap_usd: 100,
     at: [{spent: 50%, route: cheapest}]}
  - {name: trial, scope: {user: "*"}, window: day, cap_usd: 0.00001, mode: shadow}"""


@pytest_asyncio.fixture(loop_scope="session")
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with browsing(tmp_path, names=("a", "b"), budgets=BUDGETS) as desk:
        for _ in range(3):
            assert (await desk.proxy.ask()).status == 200
        await desk.log_in(path="/ui/budgets")
        yield desk


async def _until(desk: Desk, status: int) -> None:
    """A change acts within a second; here it is only waited for."""
    async with asyncio.timeout(PATIENCE_S):
        while (await desk.proxy.ask()).status != status:
            pass


async def test_a_cap_that_is_lowered_in_the_page_stops_the_next_call(desk: Desk) -> None:
    """Made, lowered, raised for a while and removed in the page: each acts on the API."""
    page = desk.page
    await desk.pictures("budgets")
    await page.get_by_role("link", name="New budget").click()
    await desk.pictures("budget-new")
    await page.get_by_label("Name").fill("research-month")
    await page.get_by_label("Cap", exact=True).fill("5")
    await page.get_by_label("Team").fill("research")
    await page.get_by_label("Part of the cap").first.fill("80")
    await page.get_by_label("route to the cheapest").first.check()
    await page.get_by_role("button", name="Make it").click()
    await page.wait_for_url("**/ui/budgets/one?name=research-month")
    assert "counts from now on" in await page.locator(".said").inner_text()
    assert "routes to the cheapest offer" in await page.locator("main").inner_text()
    assert (await desk.proxy.ask()).status == 200

    await page.get_by_text("Change it").first.click()
    await page.get_by_label("Cap", exact=True).fill("0.000001")
    await page.get_by_role("button", name="Change it").click()
    await page.wait_for_url("**/ui/budgets/one?name=research-month")
    await _until(desk, 402)
    await desk.open("/ui/budgets")
    await page.get_by_text("Refused demand").wait_for()
    assert "research" in await page.get_by_role("region", name="What budgets refused").inner_text()

    await desk.open("/ui/budgets/one?name=research-month")
    await page.get_by_text("Give more for a while").click()
    await page.get_by_label("How much more").fill("3")
    await page.get_by_label("Until (UTC)").fill("2100-01-31T18:00")
    await page.get_by_label("Why").fill("a demo")
    await page.get_by_role("button", name="Give more").click()
    await page.get_by_role("region", name="Increases").wait_for()
    await _until(desk, 200)
    await desk.pictures("budget")

    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="End it").click()
    await page.get_by_text("The increase has ended.").wait_for()
    await _until(desk, 402)
    await page.get_by_text("Remove it").first.click()
    await page.get_by_role("button", name="Remove it").click()
    await page.wait_for_url("**/ui/budgets")
    await _until(desk, 200)


async def test_a_budget_that_is_nearly_used_up_is_to_be_watched(desk: Desk) -> None:
    """Without any threshold: the next large request may not fit."""
    page = desk.page
    await desk.open("/ui/budgets/new")
    await page.get_by_label("Name").fill("tight")
    await page.get_by_label("Cap", exact=True).fill("1")
    await page.get_by_role("button", name="Make it").click()
    await page.wait_for_url("**/ui/budgets/one?name=tight")
    assert (await desk.proxy.ask()).status == 200
    spent = max(await desk.proxy.charges(), key=lambda one: one.at_ns).effective
    await page.locator("svg.gauge.good").wait_for()
    await page.get_by_text("Change it").first.click()
    await page.get_by_label("Cap", exact=True).fill(f"{spent / Decimal('0.95e9'):.9f}")
    await page.get_by_role("button", name="Change it").click()
    await page.locator("svg.gauge.warn").wait_for()


async def test_a_budget_of_a_file_is_changed_there(desk: Desk) -> None:
    """The page names its file, has no form for it, and refuses one that is sent all the same."""
    await desk.open("/ui/budgets/one?name=house-month")
    text = await desk.page.locator("main").inner_text()
    assert "policy.yaml" in text
    assert await desk.page.get_by_text("Change it").count() == 0
    await desk.open("/ui/budgets/one?name=trial")
    assert "lets all through" in await desk.page.locator("main").inner_text()


async def test_who_may_only_read_changes_nothing(desk: Desk) -> None:
    """A reader sees how budgets stand, and no forms; one that is sent all the same is refused."""
    key = await asyncio.to_thread(make_key, desk.proxy.config, name="anna", role=Role.READER)
    await desk.context.clear_cookies()
    await desk.log_in(key, "/ui/budgets")
    assert await desk.page.get_by_role("link", name="New budget").count() == 0
    await desk.open("/ui/budgets/one?name=house-month")
    assert await desk.page.get_by_text("Give more for a while").count() == 0
    csrf = await desk.page.locator("input[name=csrf]").first.input_value()
    sent: dict[str, str | float | bool] = {
        "csrf": csrf,
        "budget": "house-month",
        "amount": "5",
        "reason": "because",
    }
    answer = await desk.page.request.post(
        f"{desk.origin}/ui/budgets/increase",
        form=sent | {"until": "2100-01-01T00:00"},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status == 403
    desk.expect("403")
    await desk.open("/ui/budgets/new")
    assert "admin" in await desk.page.locator("main").inner_text()


async def test_a_form_that_is_wrong_says_where(desk: Desk) -> None:
    """Nothing is made of it, and the sentence names the field."""
    await desk.open("/ui/budgets/new?scope.team=research")
    assert await desk.page.get_by_label("Team").input_value() == "research"
    await desk.page.get_by_label("Name").fill("odd")
    await desk.page.get_by_label("Cap", exact=True).fill("12 apples")
    desk.expect("400")
    await desk.page.get_by_role("button", name="Make it").click()
    assert "Cap: '12 apples'" in await desk.page.locator("main").inner_text()
    await desk.open("/ui/budgets")
    assert await desk.page.get_by_text("odd", exact=True).count() == 0
