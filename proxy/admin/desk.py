"""AdminDesk: what every admin route needs, and who may ask it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from aiohttp import web

from benchmarks.snapshot import MarketSnapshot
from ledger.errors import KeyRefused, NameTaken
from ledger.ids import new_id
from ledger.keys import KeyRecord, Role, hash_of
from ledger.tables.policy import PolicyTable
from proxy.admin.asked import Asked, Story, content_of
from proxy.admin.books import PolicyBooks
from proxy.admin.people import ROOT, People, Person
from proxy.auth import key_sent
from proxy.clock import Clock
from proxy.errors import Conflict, NotAuthenticated
from proxy.wires import body as bodies

log = logging.getLogger("hedgerow.admin")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class AdminDesk:
    """admin_key: whoever has it may all that is here; keys with a role may what that lets them.
    snapshot: the market, whose models can be named. channels: who is told of soft budgets."""

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

    @property
    def people(self) -> People:
        return People(self.admin_key)

    async def person(self, request: web.BaseRequest) -> Person | None:
        """Who asks, if it is somebody who may ask here at all."""
        sent, people = key_sent(request.headers), self.people
        if people.is_root(sent):
            return ROOT
        key_hash, now_ns = hash_of(sent), self.now_ns()
        return await self.books.change(lambda table: people.of_hash(table, key_hash, now_ns))

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
        """A story as a handler, for the admin key and for keys with a role: any of them reads,
        and to change something takes the role admin."""

        async def handler(request: web.Request) -> web.StreamResponse:
            person = await self.person(request)
            if person is None:
                raise NotAuthenticated(
                    "this needs the admin key, or a key with a role: send the header"
                    " `Authorization: Bearer …` with what server.admin_key is in the"
                    " configuration, or with what `hedgerow key create --role …` made"
                )
            if request.method == "GET":
                return await self.answered(request, story)
            person.check(Role.ADMIN)
            answer = await self.answered(request, story)
            log.info("%s: %s %s", person.name, request.method, request.path)
            return answer

        return handler

    async def answered(self, request: web.Request, story: Story) -> web.Response:
        content = await content_of(request, self.body_timeout_s)
        try:
            told = await story(Asked(request, content))
        except NameTaken as taken:
            raise Conflict(str(taken)) from None
        headers = {"Content-Type": "application/json", "x-request-id": self.new_id("req")}
        return web.Response(body=bodies.encode(told), headers=headers)
