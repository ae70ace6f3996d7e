"""The page Keys: those of applications and of people; made, rotated, blocked, revoked."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from hedgerow.web.desk import WebDesk
from hedgerow.web.views import Page
from hedgerow.web.visits import Visit
from ledger.databases.sql import Sql
from ledger.keys import KeyRecord
from ledger.tables.policy import KeyFilter, PolicyTable

PATH = "/ui/keys"
ON_A_PAGE = 100


@dataclass(frozen=True, slots=True)
class KeysPage:
    desk: WebDesk

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.desk.page(self._keys), allow_head=False)]

    async def _keys(self, visit: Visit) -> Page:
        def look(sql: Sql) -> list[KeyRecord]:
            return PolicyTable(sql).key_page(KeyFilter(), limit=ON_A_PAGE)

        return Page("keys.html", "Keys", {"keys": await self.desk.read(look)})
