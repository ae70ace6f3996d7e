"""/v1/key and /v1/credits: a key about itself, as OpenRouter's clients read it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from ledger.budgets import Balance
from ledger.databases.sql import Sql
from ledger.instants import instant
from ledger.keys import KeyRecord
from ledger.limits import KEY, Whose, limits_in, money_budget
from ledger.money import Money, as_usd
from ledger.spend_logs import LogFilter, day_sums
from ledger.statements import standing
from ledger.tables.policy import PolicyTable
from ledger.windows import Window, span_of
from proxy.admin.asked import Asked, Told, time_text
from proxy.admin.desk import AdminDesk

_RESETS = {Window.DAY: "daily", Window.WEEK: "weekly", Window.MONTH: "monthly"}


@dataclass(frozen=True, slots=True)
class OwnKey:
    """The stories of a key that asks about itself."""

    desk: AdminDesk

    def routes(self, prefix: str) -> list[web.RouteDef]:
        return [
            web.get(f"{prefix}/key", self._key, allow_head=False),
            web.get(f"{prefix}/credits", self._credits, allow_head=False),
        ]

    async def _key(self, request: web.Request) -> web.Response:
        def look(sql: Sql) -> Told:
            key = self.desk.own_key(PolicyTable(sql), request)
            return {"data": self._told(sql, key)}

        async def story(_asked: Asked) -> Told:
            await self.desk.refuse_strangers(request)
            return await self.desk.books.read(look)

        return await self.desk.answered(request, story)

    async def _credits(self, request: web.Request) -> web.Response:
        """What the key may spend in its window, and what of it is spent; null without a limit."""

        def look(sql: Sql) -> Told:
            key = self.desk.own_key(PolicyTable(sql), request)
            balance = self._balance(sql, key)
            if balance is None:
                spent = sum(one.effective for one in day_sums(sql, LogFilter(key_id=key.id)))
                return {"data": {"total_credits": None, "total_usage": as_usd(Money(spent))}}
            cap = Money(balance.account.cap or 0)
            told = {"total_credits": as_usd(cap), "total_usage": as_usd(Money(balance.posted))}
            return {"data": told}

        async def story(_asked: Asked) -> Told:
            await self.desk.refuse_strangers(request)
            return await self.desk.books.read(look)

        return await self.desk.answered(request, story)

    def _balance(self, sql: Sql, key: KeyRecord) -> Balance | None:
        table, now_ns = PolicyTable(sql), self.desk.now_ns()
        money = money_budget(Whose(KEY, key.id), table.limits_of(KEY, key.id))
        if money is None or money.most is None:
            return None
        now = instant(now_ns)
        return next(iter(standing(sql, (money,), now, table.raises(now_ns))))

    def _told(self, sql: Sql, key: KeyRecord) -> dict[str, Any]:
        limits = limits_in(Whose(KEY, key.id), PolicyTable(sql).limits_of(KEY, key.id))
        balance = self._balance(sql, key)
        left = None if balance is None or balance.left is None else Money(max(0, balance.left))
        cap = None if balance is None else balance.account.cap
        resets = _RESETS.get(limits.window) if isinstance(limits.window, Window) else None
        return {
            "label": key.name or key.label,
            "limit": None if cap is None else as_usd(Money(cap)),
            "limit_remaining": None if left is None else as_usd(left),
            "limit_reset": None if cap is None else resets,
            "include_byok_in_limit": True,
            **self._usage(sql, key),
            "is_free_tier": False,
            "is_management_key": key.role is not None,
            "is_provisioning_key": False,
            "expires_at": time_text(key.expires_at_ns),
            "creator_user_id": key.principal.user,
            "rate_limit": None
            if limits.rpm is None
            else {"requests": limits.rpm, "interval": "1m"},
        }

    def _usage(self, sql: Sql, key: KeyRecord) -> dict[str, Any]:
        """In all, and in the spans of this moment in UTC."""
        sums = day_sums(sql, LogFilter(key_id=key.id))
        now = instant(self.desk.now_ns())
        since = {
            "usage": 0,
            "usage_daily": _start_ns(Window.DAY, now),
            "usage_weekly": _start_ns(Window.WEEK, now),
            "usage_monthly": _start_ns(Window.MONTH, now),
        }
        return {
            name: as_usd(Money(sum(one.effective for one in sums if one.day_ns >= start_ns)))
            for name, start_ns in since.items()
        }


def _start_ns(window: Window, now: datetime) -> int:
    return int(span_of(window, ZoneInfo("UTC"), now).start.timestamp()) * 1_000_000_000
