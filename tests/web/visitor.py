"""Visitor: somebody at the dashboard without a browser, for what a browser would not do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.serving import Proxy

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True, slots=True)
class Got:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def location(self) -> str:
        return self.headers["Location"]


@dataclass(slots=True)
class Visitor:
    origin: str
    http: aiohttp.ClientSession
    csrf: str = ""

    async def ask(self, method: str, path: str, **how: Any) -> Got:
        """It goes no further where it is sent."""
        async with self.http.request(
            method, self.origin + path, allow_redirects=False, **how
        ) as response:
            return Got(response.status, response.headers.copy(), await response.text())

    async def get(self, path: str, **headers: str) -> Got:
        return await self.ask("GET", path, headers=headers)

    async def post(
        self, path: str, form: Mapping[str, str] | None = None, headers: Any = None
    ) -> Got:
        """With the token of this login, as the page would."""
        given = {"csrf": self.csrf, **(form or {})}
        return await self.ask("POST", path, data=given, headers=headers or SAME_SITE)

    async def log_in(self, key: str, next_path: str = "/ui/keys", **headers: str) -> Got:
        """What answers the form of the login page."""
        page = await self.get("/ui/login", **headers)
        token = re.search(r'name="form_token" value="(\w+)"', page.text)
        assert token is not None
        answer = await self.ask(
            "POST",
            "/ui/login",
            data={"key": key, "next": next_path, "form_token": token[1]},
            headers=SAME_SITE | headers,
        )
        if answer.status == 303:
            found = re.search(r'name="csrf" value="(\w+)"', (await self.get("/ui/keys")).text)
            self.csrf = "" if found is None else found[1]
        return answer


@asynccontextmanager
async def visiting(proxy: Proxy) -> AsyncIterator[Visitor]:
    """With cookies of their own."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Visitor(proxy.server.admin_url.rstrip("/"), http)
