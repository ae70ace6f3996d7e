"""AdminDesk: what every admin route needs, and who may ask it."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from hashlib import sha256

from aiohttp import web

from benchmarks.snapshot import MarketSnapshot
from ledger.errors import KeyRefused, NameTaken
from ledger.ids import new_id
from ledger.keys import KeyRecord, hash_of
from ledger.tables.policy import PolicyTable
from proxy.admin.asked import Asked, Story, content_of
from proxy.admin.books import PolicyBooks
from proxy.auth import key_sent
from proxy.clock import Clock
from proxy.errors import Conflict, NotAuthenticated
from proxy.wires import body as bodies

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class AdminDesk:
    """admin_key: whoever has it may all that is here; None: nobody. snapshot: the market, whose
    models can be named. channels: who is told of soft budgets."""

    books: PolicyBooks
    clock: Clock
    random_bytes: Callable[[int], bytes]
    admin_key: str | None
    snapshot: Callable[[], MarketSnapshot]
    channels: tuple[str, ...] = ()
    body_timeout_s: float = 30.0

    def known_models(self) -> Collection[str]:
        return self.snapshot().models

    def now_ns(self) -> int:
        return self.clock.now_ns()

    def new_id(self, prefix: str) -> str:
        return new_id(prefix, self.clock.now_ns(), self.random_bytes)

    def may(self, request: web.BaseRequest) -> bool:
        """Whether a request comes with the admin key; it takes as long to say no to any other."""
        if self.admin_key is None:
            return False
        sent, ours = key_sent(request.headers), self.admin_key
        return hmac.compare_digest(sha256(_bytes(sent)).digest(), sha256(_bytes(ours)).digest())

    def own_key(self, table: PolicyTable, request: web.BaseRequest) -> KeyRecord:
        """The key that a request comes with, while it may be used. Raises NotAuthenticated."""
        key = table.key_of(hash_of(key_sent(request.headers)))
        if key is None:
            raise NotAuthenticated("this needs the admin key, or a key that asks about itself")
        try:
            key.check(self.now_ns())
        except KeyRefused as refused:
            raise NotAuthenticated(str(refused)) from None
        return key

    async def refuse_strangers(self, request: web.BaseRequest) -> None:
        """Look a key up, alone, before the books are read for it: who has none keeps nobody from
        reading. Raises NotAuthenticated."""
        await self.books.change(lambda table: self.own_key(table, request))

    def admin(self, story: Story) -> Handler:
        """A story as a handler, for the admin key alone."""

        async def handler(request: web.Request) -> web.StreamResponse:
            if not self.may(request):
                raise NotAuthenticated(
                    "this needs the admin key: send the header `Authorization: Bearer …` with"
                    " what server.admin_key is in the configuration"
                )
            return await self.answered(request, story)

        return handler

    async def answered(self, request: web.Request, story: Story) -> web.Response:
        content = await content_of(request, self.body_timeout_s)
        try:
            told = await story(Asked(request, content))
        except NameTaken as taken:
            raise Conflict(str(taken)) from None
        headers = {"Content-Type": "application/json", "x-request-id": self.new_id("req")}
        return web.Response(body=bodies.encode(told), headers=headers)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # of headers that are no UTF-8
