"""A real browser at a real proxy: Debian's chromium, driven by playwright, on loopback alone."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    async_playwright,
    expect,
)

from tests.serving import Proxy, serving

ADMIN = "sk-admin-of-these-tests"
SCREENSHOTS = Path(__file__).parents[2] / ".tmp" / "screenshots"
NARROW = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 860}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)  # a page looks again every few seconds
_TOO_WIDE = """[...document.querySelectorAll(".plot")].some((one) => {
    const drawn = one.querySelector(".main-svg");
    return drawn && drawn.getBoundingClientRect().width > one.clientWidth + 1;
})"""


def chromium() -> str:
    """Where it is; without it the test is skipped."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("this needs a browser: apt install chromium")
    return found


@dataclass
class Watched:
    """A page, and all that went wrong in it. expected: patterns of console messages that a test
    brings about on purpose, as the one for a 404."""

    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("request", lambda request: self._request(request.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type} at {self.page.url}: {message.text}")

    def _request(self, url: str) -> None:
        if not url.startswith((f"{self.origin}/", "data:", "blob:")):
            self.faults.append(f"request to {urlsplit(url).netloc or url}")

    def check(self) -> None:
        """Nothing was said to the console, nothing failed, nothing was asked elsewhere."""
        left = [
            one for one in self.faults if not any(re.search(known, one) for known in self.expected)
        ]
        if left:
            pytest.fail("in the page: " + "; ".join(left))


@dataclass
class Desk:
    """A proxy, and a browser at its dashboard."""

    proxy: Proxy
    browser: Browser
    context: BrowserContext
    watched: Watched

    @property
    def page(self) -> Page:
        return self.watched.page

    @property
    def origin(self) -> str:
        return self.watched.origin

    def expect(self, *patterns: str) -> None:
        self.watched.expected += patterns

    async def open(self, path: str) -> None:
        await self.page.goto(self.origin + path)

    async def log_in(self, key: str = ADMIN, path: str = "/") -> None:
        """Come to a page as somebody who is not logged in yet, and fill in a key."""
        await self.open(path)
        await self.page.get_by_label("Your key").fill(key)
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.wait_for_load_state()

    async def pictures(self, name: str) -> None:
        """The page as it is now, light, dark and narrow, kept to be looked at; and it has no need
        to be scrolled sideways, however narrow."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        for kind, size, scheme in (
            ("light", WIDE, "light"),
            ("dark", WIDE, "dark"),
            ("narrow", NARROW, "light"),
        ):
            await self.page.set_viewport_size({"width": size["width"], "height": size["height"]})
            await self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await self.settled()
            wide, seen = await self.page.evaluate(
                "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
            )
            path = SCREENSHOTS / f"{name}-{kind}.png"
            await self.page.screenshot(path=path, full_page=True)
            assert wide <= seen, f"{name} is {wide} px wide where {seen} px are to be seen"
        await self.page.set_viewport_size({"width": WIDE["width"], "height": WIDE["height"]})
        await self.page.emulate_media(color_scheme="light")

    async def settled(self) -> None:
        """Every chart is drawn, as wide as there is room."""
        await expect(self.page.locator("figure.chart:not([data-drawn])")).to_have_count(
            0, timeout=PATIENCE_MS
        )
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while await self.page.evaluate(_TOO_WIDE):
                await self.page.evaluate("new Promise((done) => requestAnimationFrame(done))")


class SharedBrowser:
    """One chromium for all tests of a process, with a profile for each: to start it, and what
    drives it, takes longer than most tests. It belongs to the event loop of the session."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._browser: Browser | None = None

    async def get(self) -> Browser:
        """Started when it is first needed, and anew if it is gone."""
        if self._browser is None or not self._browser.is_connected():
            await self.close()
            playwright = await self._stack.enter_async_context(async_playwright())
            self._browser = await self._stack.enter_async_context(
                await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            )
        return self._browser

    async def close(self) -> None:
        self._browser = None
        await self._stack.aclose()


SHARED = SharedBrowser()


@asynccontextmanager
async def browsing(folder: Path, **settings: Any) -> AsyncIterator[Desk]:
    """A proxy with the settings of `serving`, and a browser in front of it that nobody is logged in
    with yet. At the end nothing may have gone wrong in the page."""
    browser = await SHARED.get()
    settings.setdefault("server", f"{{port: 0, admin_key: {ADMIN}}}")
    async with (
        serving(folder, **settings) as proxy,
        await browser.new_context(
            viewport={"width": 1280, "height": 860}, reduced_motion="reduce"
        ) as context,
    ):
        context.set_default_timeout(PATIENCE_MS)
        watched = Watched(await context.new_page(), proxy.server.admin_url.rstrip("/"))
        watched.watch()
        desk = Desk(proxy, browser, context, watched)
        yield desk
        watched.check()
