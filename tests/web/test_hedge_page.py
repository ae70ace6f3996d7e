"""The page Hedge in a real browser: a plan is read, approved, filled, and drawn on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.async_api import expect

from hedge.book.approving import keep
from hedge.book.book import HedgeBook
from hedge.planning.plan import (
    Adds,
    FrontierPoint,
    HedgePlan,
    Judged,
    MonthAhead,
    PlannedPosition,
    Stressed,
)
from hedgerow.printing import json_bytes
from hedgerow.web.hedge_charts import frontier_chart
from ledger.keys import Role
from ledger.store import Store
from tests.hedge.book.contracts import GPU1, SOURCE, plan_json, terms
from tests.serving import PATIENCE_S, make_key, read_books
from tests.web.browser import Desk, browsing

FLAT: dict[str, object] = {
    "kind": "prepaid_quota",
    "name": "flat",
    "provider": "b",
    "source": SOURCE,
    "covers": [{"provider": "b"}],
    "size": {"max": 10},
    "prices": [{"months": 1, "usd_per_month": "20"}],
    "quota_units": "1000000",
}


def usd(amount: float) -> Decimal:
    return Decimal(str(amount))


JUDGED = Judged(2000, usd(900), usd(1400), 0.91, (0.89, 0.93), 0.4)
PLAN = HedgePlan(
    status="optimal",
    cap_usd=usd(1200),
    confidence=0.95,
    expected_usd=usd(850.5),
    cvar_usd=usd(1150.25),
    p_within_cap=0.972,
    p_interval=(0.964, 0.979),
    min_reachable_cap_usd=usd(1010),
    positions=(
        PlannedPosition(
            "flat", 2, usd(40), "it carries what costs more as it goes", term_months=1,
            break_even=0.4, utilisation=0.83, adds=Adds(usd(-120), usd(-250)),
        ),
        PlannedPosition("GPU1", 0, usd(0), "no exposure follows its index", month=date(2027, 1, 1)),
    ),
    frontier=tuple(
        FrontierPoint(usd(cap), usd(cost), usd(cap - 10), usd(0))
        for cap, cost in ((1020, 990), (1100, 880), (1200, 850), (1400, 840))
    ),
    bid_prices=(),
    attempts=(),
    inputs_sha256="ab" * 32,
    seed=1,
    total_expected_usd=usd(1701),
    end_value_usd=usd(0),
    unhedged=replace(JUDGED, cvar_usd=usd(1600)),
    in_sample=JUDGED,
    fresh=JUDGED,
    months=tuple(
        MonthAhead(date(2026, at, 1), usd(850), usd(1150), usd(40), 0.97, (0.96, 0.98), usd(0))
        for at in (11, 12)
    ),
    gap=0.0003,
    stress=(Stressed("demand", "demand is 30% higher", usd(1100), usd(1500), 0.6, True),),
)  # fmt: skip


async def kept(desk: Desk, plan: bytes = json_bytes(PLAN), made_by: str = "ada") -> str:
    def write() -> str:
        def work(store: Store) -> str:
            with store.transaction():
                book = HedgeBook(store.sql, time.time_ns())
                return keep(book, plan, [terms(FLAT), terms(GPU1)], made_by).id

        return read_books(desk.proxy.config, work)

    return await asyncio.to_thread(write)


async def person(desk: Desk, name: str, role: Role) -> str:
    return await asyncio.to_thread(make_key, desk.proxy.config, name=name, role=role)


async def swap(desk: Desk, key: str, path: str) -> None:
    """Somebody else sits down."""
    await desk.page.get_by_role("button", name="Log out").click()
    await desk.page.wait_for_load_state()
    await desk.log_in(key, path)


async def test_an_empty_book_says_what_to_do(tmp_path: Path) -> None:
    """With the command to copy, in every look."""
    async with browsing(tmp_path) as desk:
        await desk.log_in(path="/ui/hedge")
        await desk.page.get_by_text("Nothing is planned or held").wait_for()
        assert await desk.page.get_by_text("hedgerow hedge plan -c").count() == 1
        await desk.pictures("hedge-empty")


async def test_from_a_plan_to_a_draw(tmp_path: Path) -> None:
    """The approver approves what somebody else made, the admin enters what was bought, and the next
    request draws on it; the page follows without being loaded anew."""
    async with browsing(tmp_path, names=("a", "b")) as desk:
        assert (await desk.proxy.ask()).headers["x-hedgerow-provider"] == "a"
        plan = await kept(desk)
        boss, admin = (
            await person(desk, "ben", Role.APPROVER),
            await person(desk, "cleo", Role.ADMIN),
        )
        await desk.log_in(boss, f"/ui/hedge/plans/{plan}")
        page = desk.page
        await page.get_by_text("it carries what costs more").first.wait_for()
        await desk.pictures("hedge-plan")
        page.once("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
        await page.get_by_label("For how many days").fill("30")
        await page.get_by_role("button", name="Approve").click()
        await page.get_by_text(f"{plan} is approved, by ben").wait_for()
        assert await page.get_by_role("button", name="Enter the fill").count() == 0

        await swap(desk, admin, f"/ui/hedge/plans/{plan}")
        assert await page.get_by_role("button", name="Withdraw").count() == 0
        await page.get_by_label("Their reference").fill("inv-7")
        await page.get_by_label("Price, USD").fill("20")
        await page.get_by_label("Charged to teams").fill("0.40")
        await desk.pictures("hedge-fill")
        await page.get_by_role("button", name="Enter the fill").click()
        await page.get_by_text("fill:inv-7 is entered").wait_for()
        await page.get_by_text("All that it buys is filled").wait_for()

        await desk.open("/ui/hedge")
        await page.get_by_role("row", name="fill:inv-7").first.wait_for()
        async with asyncio.timeout(PATIENCE_S):
            while (await desk.proxy.ask()).headers.get("x-hedgerow-commitment") != "fill:inv-7":
                pass
        # Seen without loading the page anew: less than all of it is left.
        left = page.get_by_role("table", name="Capacity that requests draw on").locator("td.number")
        await expect(left.first).not_to_have_attribute("data-key", "2000000")
        await desk.pictures("hedge")


async def test_nobody_approves_what_they_made_or_may_not(tmp_path: Path) -> None:
    """The maker is told so, whatever their role; a reader sees no button, and a form sent by hand
    is refused; who names another plan's hash is told to look again."""
    async with browsing(tmp_path) as desk:
        plan = await kept(desk, made_by="Ben ")
        boss = await person(desk, "ben", Role.APPROVER)
        await desk.log_in(boss, f"/ui/hedge/plans/{plan}")
        await desk.page.get_by_text("You made this plan").wait_for()
        reader = await person(desk, "rita", Role.READER)
        await swap(desk, reader, f"/ui/hedge/plans/{plan}")
        assert await desk.page.get_by_role("button", name="Approve").count() == 0
        desk.expect("403")
        status = await desk.page.evaluate(
            """async (path) => (await fetch(path, {method: "POST", headers:
              {"content-type": "application/x-www-form-urlencoded"},
              body: new URLSearchParams({csrf: document.querySelector("[name=csrf]").value,
              days: "3", sha256: "x"})})).status""",
            f"/ui/hedge/plans/{plan}/approve",
        )
        assert status == 403


async def test_a_plan_of_another_version(tmp_path: Path) -> None:
    """What cannot be read in full is shown as far as it can be; no plan at all is a page, too."""
    async with browsing(tmp_path) as desk:
        plan = await kept(desk, plan_json({"flat": 1}))
        await desk.log_in(path=f"/ui/hedge/plans/{plan}")
        await desk.page.get_by_text("An earlier version made this plan").wait_for()
        desk.expect("404")
        await desk.open("/ui/hedge/plans/plan-none")
        await desk.page.get_by_text("no plan plan-none is kept").wait_for()


@pytest.mark.parametrize("points", [0, 1])
def test_a_single_point_is_no_frontier(points: int) -> None:
    """A chart of it would say nothing."""
    assert frontier_chart(replace(PLAN, frontier=PLAN.frontier[:points])) is None
    assert frontier_chart(PLAN) is not None
