"""Connection: what a client sends before any story begins, and its answer if that is no HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from ledger.ids import new_id
from proxy.errors import Invalid
from proxy.house import House

HEAD_TIMEOUT_S = 20.0
"""How long the head of a connection's first request may take."""


class Connection(web.RequestHandler):
    """aiohttp's, with a limit on the first head, and errors in our shape."""

    __slots__ = ("_head_timer", "_house", "_timers")

    def __init__(self, server: web.Server, house: House, **settings: Any) -> None:
        self._timers = asyncio.get_running_loop()
        super().__init__(server, loop=self._timers, **settings)
        self._house = house
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._head_timer = self._timers.call_later(HEAD_TIMEOUT_S, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.head_came()
        super().connection_lost(exc)

    def head_came(self) -> None:
        """A request has come: from here on, its handler and aiohttp's keep-alive watch."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp refuses itself: request lines and heads that are none, or too long."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        what = (message or "").splitlines() or [str(status)]
        problem = Invalid(
            f"the request is no HTTP that can be read: {what[0]}", code="invalid_http"
        )
        request_id = new_id("req", self._house.clock.now_ns(), self._house.random_bytes)
        headers = {"Content-Type": "application/json", "x-request-id": request_id}
        told = web.Response(status=status, headers=headers, body=problem.body())
        told.force_close()
        return told
