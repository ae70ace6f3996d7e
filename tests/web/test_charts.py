"""Charts and parts that keep themselves up to date, in a browser."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from playwright.async_api import Route, expect

from hedgerow.charts import Band, Chart, Mark, Place, Series
from hedgerow.web.assets import read_assets
from hedgerow.web.headers import HEADERS
from hedgerow.web.plots import plot_json, table_of
from hedgerow.web.templating import templates
from tests.web.browser import Desk

DAYS = tuple(f"2027-01-{day:02}" for day in range(1, 11))
CHART = Chart(
    "burn",
    "Spend against the cap",
    "Spend stays below the cap until the ninth day.",
    "day (UTC)",
    "USD",
    (
        Series("spent", Mark.BAR, DAYS, tuple(float(one) for one in range(10))),
        Series(
            "forecast", Mark.LINE, DAYS, (None,) * 4 + tuple(float(one) for one in range(4, 10))
        ),
        Series("plan", Mark.STEP, DAYS, (2.0,) * 10),
        Series("seen", Mark.POINTS, DAYS, (3.0,) * 10),
        Series("cap", Mark.LIMIT, (), (8.5,)),
    ),
    (Band("5% to 95%", DAYS[4:], (3.0,) * 6, (9.0,) * 6),),
)
PAGE = """{% extends "charts.html" %}{% import "ui.html" as ui with context %}{% block main %}
{{ ui.chart(chart) }}
{{ ui.chart(url="/ui/test/chart.json", every=1, id="fetched", title="Fetched") }}
{% call ui.live("/ui/test/part", 1, "part") %}{% endcall %}
{% endblock %}"""
PART = (
    '<p id="number">{}</p><button id="press">x</button><details><summary>more</summary>m</details>'
)


async def answer(route: Route, body: bytes | str, kind: str = "text/html") -> None:
    await route.fulfill(status=200, headers=HEADERS, content_type=kind, body=body)


def rendered() -> str:
    page = templates(read_assets()).environment.from_string(PAGE)
    values = {"visit": None, "nav": (), "title": "Charts", "path": "/ui/test", "said": ""}
    return page.render(values, chart=CHART)


async def opened(desk: Desk, told: dict[str, Any]) -> None:
    """A page of ours with nothing but charts and a live part, as the proxy would answer it. told:
    what is fetched."""
    html = await asyncio.to_thread(rendered)

    async def fetched(route: Route) -> None:
        if route.request.url.endswith("/ui/test"):
            await answer(route, html)
        elif told["status"] != 200:
            await route.fulfill(status=told["status"])
        elif route.request.url.endswith(".json"):
            await answer(route, told["chart"], "application/json")
        else:
            await answer(route, PART.format(told["number"]))

    await desk.page.route("**/ui/test**", fetched)
    await desk.open("/ui/test")
    await desk.settled()


async def test_charts_are_drawn(desk: Desk) -> None:
    """Each within its figure, in colours of the light and of the dark; the numbers stand beside;
    the policy lets all of it through."""
    await opened(desk, {"status": 200, "chart": plot_json(CHART), "number": 1})
    page = desk.page
    assert await page.locator("#burn svg.main-svg").count() >= 1
    assert await page.locator("#fetched svg.main-svg").count() >= 1
    line = page.locator("#burn .scatterlayer .js-line").last
    light = await line.evaluate("one => getComputedStyle(one).stroke")
    await page.emulate_media(color_scheme="dark")
    await expect(line).not_to_have_css("stroke", light)
    await page.emulate_media(color_scheme="light")
    await expect(line).to_have_css("stroke", light)
    await page.get_by_text("The numbers").first.click()
    cells = await page.locator("#burn tbody tr").first.locator("td").all_inner_texts()
    assert cells == [DAYS[0], "0", "–", "2", "3", "–", "–", "8.5"]
    assert await page.locator("#fetched tbody tr").count() == len(DAYS)
    await desk.pictures("charts")


async def test_a_live_part(desk: Desk) -> None:
    """It changes without a reload; what was open stays open, and what had the focus has it; a chart
    is drawn anew."""
    told = {"status": 200, "chart": plot_json(CHART), "number": 1}
    await opened(desk, told)
    page = desk.page
    await page.locator("#number").filter(has_text="1").wait_for()
    await page.locator("#part summary").click()
    await page.locator("#press").focus()
    told["number"] = 2
    more = json.loads(plot_json(CHART))
    told["chart"] = json.dumps(more | {"says": "More was spent."})
    await page.locator("#number").filter(has_text="2").wait_for()
    assert await page.evaluate("document.activeElement.id") == "press"
    assert await page.locator("#part details").evaluate("one => one.open")
    await page.locator("#fetched .says").filter(has_text="More was spent.").wait_for()


async def test_what_is_stale_says_so(desk: Desk) -> None:
    """While nothing answers, there is a sign with the time, and it goes when something does."""
    desk.expect("503")
    told = {"status": 200, "chart": plot_json(CHART), "number": 1}
    await opened(desk, told)
    await desk.page.locator("#number").filter(has_text="1").wait_for()
    told["status"] = 503
    stale = desk.page.locator(".stale")
    await stale.first.wait_for()
    assert "Not up to date since" in await stale.first.inner_text()
    assert await desk.page.locator("#number").inner_text() == "1"
    told["status"] = 200
    await stale.first.wait_for(state="detached")


async def test_an_ended_session_says_so(desk: Desk) -> None:
    """A page that is open when its login ends stands still, and leads to the login."""
    desk.expect("401")
    await desk.open("/ui/reports")
    await desk.page.context.clear_cookies()
    again = desk.page.get_by_role("link", name="Log in again")
    await again.wait_for()
    await again.click()
    await desk.page.get_by_label("Your key").wait_for()
    assert desk.page.url.endswith("/ui/login?next=/ui/reports")


places = st.integers(0, 20).map(float) | st.sampled_from(DAYS)


@given(
    st.lists(
        st.dictionaries(places, st.none() | st.floats(-1e6, 1e6), max_size=8),
        max_size=4,
    )
)
def test_the_table_has_every_number(data: list[dict[Place, float | None]]) -> None:
    """Each point of each series is in its column, in the row of its place; nothing else is."""
    lines = tuple(
        Series(f"s{number}", Mark.LINE, tuple(one), tuple(one.values()))
        for number, one in enumerate(data)
    )
    table = table_of(Chart("c", "t", "s", "x", "y", lines))
    found = [
        {row[0]: row[column] for row in table["rows"] if row[column] is not None}
        for column in range(1, len(data) + 1)
    ]
    assert found == [{x: y for x, y in one.items() if y is not None} for one in data]
    assert {row[0] for row in table["rows"]} == {x for one in data for x in one}
