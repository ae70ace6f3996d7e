"""The frame of every page, in a browser: logging in and out, the keyboard, the phone, the dark."""

from __future__ import annotations

import asyncio
from pathlib import Path

from playwright.async_api import Page, expect

from hedgerow.web.routes import PAGES
from ledger.keys import Role
from tests.serving import make_key
from tests.web.browser import ADMIN, NARROW, Desk, browsing


async def test_in_and_out(tmp_path: Path) -> None:
    """A wrong key is told so, a right one leads to where one wanted to be, and the way out leads to
    the login; the page that was left shows nothing, whichever way one comes back to it."""
    async with browsing(tmp_path) as desk:
        page = desk.page
        desk.expect("401")
        await desk.log_in("sk-wrong", "/ui/reports")
        await expect(page.get_by_role("alert").first).to_contain_text("This key opens nothing here")
        await desk.pictures("login")
        await desk.log_in(path="/ui/reports")
        assert page.url == f"{desk.origin}/ui/reports"
        await page.get_by_role("button", name="Log out").click()
        await page.get_by_label("Your key").wait_for()
        await page.go_back()
        await page.get_by_label("Your key").wait_for()


async def test_every_page_opens(tmp_path: Path) -> None:
    """With books that have nothing in them, for somebody who may only read: each says what to do,
    at any width, in the light and the dark, without a word on the console."""
    async with browsing(tmp_path) as desk:
        secret = await asyncio.to_thread(make_key, desk.proxy.config, name="anna", role=Role.READER)
        await desk.log_in(secret)
        for entry in PAGES:
            await desk.open(entry.nav.path)
            await expect(desk.page.locator("nav [aria-current=page]")).to_have_text(entry.nav.title)
            await expect(desk.page.locator("h1")).to_be_visible()
            await desk.pictures(f"empty-{entry.nav.title.lower()}")


async def focused(page: Page) -> str:
    found: str = await page.evaluate(
        "(document.activeElement.innerText || document.activeElement.getAttribute('aria-label') ||"
        " document.activeElement.name || '').trim()"
    )
    return found


async def test_the_keyboard(desk: Desk) -> None:
    """The first key skips to the page; then come the pages in their order, and what is in the bar;
    what has the focus is seen; nothing holds it."""
    page = desk.page
    await desk.open("/ui/keys")
    await page.keyboard.press("Tab")
    assert await focused(page) == "Skip to the page"
    assert await page.locator(".skip").bounding_box() is not None
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    await desk.open("/ui/keys")
    seen = []
    for _ in range(60):
        await page.keyboard.press("Tab")
        seen.append(await focused(page))
        if await page.evaluate("document.activeElement === document.body"):
            break
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", seen
    assert await page.evaluate("document.activeElement === document.body")  # out at the other end
    names = [one.nav.title for one in PAGES]
    assert seen[: 3 + len(names)] == ["Skip to the page", "Hedgerow", *names, "◐"]
    await page.get_by_role("link", name=names[-1]).focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("nav [aria-current=page]")).to_have_text(names[-1])


async def test_a_phone(desk: Desk) -> None:
    """The bar folds, and opens by its button, for fingers and for readers of screens."""
    page = desk.page
    await page.set_viewport_size({"width": NARROW["width"], "height": NARROW["height"]})
    link = page.get_by_role("link", name="Reports")
    await expect(link).to_be_hidden()
    menu = page.get_by_role("button", name="Menu")
    await expect(menu).to_have_attribute("aria-expanded", "false")
    await menu.click()
    await expect(menu).to_have_attribute("aria-expanded", "true")
    await link.click()
    await expect(page.get_by_role("heading", name="Reports", exact=True)).to_be_visible()


async def test_light_and_dark(desk: Desk) -> None:
    """As the system has it; or as somebody chose, and then on every page from its first paint."""
    page = desk.page
    colour = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(colour)
    await page.emulate_media(color_scheme="dark")
    dark = await page.evaluate(colour)
    assert light != dark
    await page.get_by_role("button", name="Light or dark").click()
    assert await page.evaluate(colour) == light
    await desk.open("/ui/reports")
    assert await page.evaluate(colour) == light


async def test_tables_sort(desk: Desk) -> None:
    """By a button in the head, numbers as numbers; its state is said to readers of screens."""
    names = ["b", "a", "C"]
    for name in names:
        await asyncio.to_thread(make_key, desk.proxy.config, name=name, team="t")
    page = desk.page
    await desk.open("/ui/keys?q=t")
    cells = page.locator("tbody td:first-child")
    head = page.get_by_role("columnheader", name="Name")
    await head.get_by_role("button").click()
    await expect(head).to_have_attribute("aria-sort", "ascending")
    assert [one.strip() for one in await cells.all_inner_texts()][:3] == ["a", "b", "C"]
    await head.get_by_role("button").click()
    await expect(head).to_have_attribute("aria-sort", "descending")
    assert [one.strip() for one in await cells.all_inner_texts()][-3:] == ["C", "b", "a"]


async def test_what_is_not_there(desk: Desk) -> None:
    """A page that says so, with the bar; and the id that the log has."""
    desk.expect("404")
    await desk.open("/ui/nothing")
    await expect(desk.page.get_by_role("heading", name="Not Found")).to_be_visible()
    await expect(desk.page.get_by_role("navigation", name="Pages")).to_be_visible()
    await desk.pictures("not-found")


async def test_without_scripts(tmp_path: Path) -> None:
    """Pages are read and forms are sent; what scripts would unfold is open."""
    async with browsing(tmp_path) as desk:
        context = await desk.browser.new_context(
            java_script_enabled=False, viewport={"width": 360, "height": 740}
        )
        async with context:
            page = await context.new_page()
            await page.goto(f"{desk.origin}/ui/keys/new")
            await page.get_by_label("Your key").fill(ADMIN)
            await page.get_by_role("button", name="Log in").click()
            await page.get_by_label("Name").first.fill("ci")
            await page.get_by_role("button", name="Make key").click()
            await expect(page.locator("#secret")).to_contain_text("sk-hedge-")
            await page.get_by_role("link", name="Reports").click()
            await expect(page.get_by_role("heading", name="Reports", exact=True)).to_be_visible()
            await page.get_by_role("button", name="Log out").click()
            await expect(page.get_by_label("Your key")).to_be_visible()
