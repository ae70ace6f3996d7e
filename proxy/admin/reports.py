"""/admin/api/spend and requests: what was charged, for whom, and why."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from ledger.databases.sql import Sql
from ledger.money import as_usd
from ledger.requests import RequestRecord
from ledger.statements import Charged, Dimension, Spend, SpendRow, charged, spend, spend_per
from ledger.tables.policy import PolicyTable, name_told
from ledger.windows import Window
from proxy.admin.asked import Asked, Told, invalid, time_text, zone_named
from proxy.admin.desk import AdminDesk
from proxy.errors import NotFound

PERIODS = (Window.DAY, Window.WEEK, Window.MONTH)


@dataclass(frozen=True, slots=True)
class ReportRoutes:
    """The stories of what was spent."""

    desk: AdminDesk

    def routes(self, prefix: str) -> list[web.RouteDef]:
        admin = self.desk.admin
        return [
            web.get(f"{prefix}/spend", admin(self._spend), allow_head=False),
            web.get(f"{prefix}/requests/{{id}}", admin(self._request), allow_head=False),
        ]

    async def _spend(self, asked: Asked) -> Told:
        asked.refuse_queries("by", "per", "from", "to", "timezone")
        by = Dimension(asked.choice("by", Dimension, Dimension.TEAM))
        per = None if asked.query("per") is None else asked.choice("per", PERIODS, "")
        zone = await asyncio.to_thread(zone_named, asked.query("timezone") or "UTC", "timezone")
        since_ns, until_ns = asked.time("from", zone), asked.time("to", zone)
        if since_ns is not None and until_ns is not None and since_ns >= until_ns:
            raise invalid("to is not after from", "to")
        if per is not None and by is Dimension.DAY:
            raise invalid("rows of days are per day already: leave per out", "per")

        def look(sql: Sql) -> tuple[list[dict[str, Any]], Spend]:
            told: list[tuple[dict[str, Any], SpendRow]]
            if per is None:
                found = spend(sql, by, since_ns, until_ns, zone)
                told = [({str(by): row.name}, row) for row in found.rows]
            else:
                periods, found = spend_per(sql, by, Window(per), since_ns, until_ns, zone)
                told = [
                    ({per: one.name, str(by): row.name}, row) for one in periods for row in one.rows
                ]
            names = PolicyTable(sql).names(by, {row.name for _, row in told})
            return [
                named | _told_sums(row) | name_told(by, row.name, names) for named, row in told
            ], found

        rows, found = await self.desk.books.read(look)
        return {
            "rows": rows,
            "total": _told_sums(found.total),
            "from": time_text(found.since_ns),
            "to": time_text(found.until_ns),
        }

    async def _request(self, asked: Asked) -> Told:
        request_id = asked.part("id")

        def look(sql: Sql) -> list[Charged]:
            return list(charged(sql, request_id))

        record = await self.desk.books.request(request_id)
        charges = await self.desk.books.read(look)
        if record is None and not charges:
            raise NotFound(
                f"there is no request {request_id[:80]} in the books: its id is what x-request-id"
                " said",
                code="request_not_found",
            )
        told: dict[str, Any] = {"id": request_id} if record is None else _told_record(record)
        return told | {"charges": [_told_charge(one) for one in charges]}


def _told_sums(row: SpendRow) -> dict[str, Any]:
    return {
        "requests": row.requests,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "cost_usd": as_usd(row.cost),
        "first_offer_usd": as_usd(row.first_offer),
        "cheapest_usd": as_usd(row.cheapest),
        "estimated": row.estimated,
    }


def _told_record(one: RequestRecord) -> dict[str, Any]:
    would = one.would_have_cost
    return {
        "id": one.id,
        "at": time_text(one.at_ns),
        "key": one.key_id,
        "team": one.team,
        "user": one.user,
        "model": one.model,
        "outcome": one.outcome,
        "status": one.status,
        "attempts": one.attempts,
        "would_block": list(one.would_block),
        "would_have_cost_usd": None if would is None else as_usd(would),
        "decision": None if one.decision is None else msgspec.Raw(one.decision.encode()),
        "failures": [
            {"offer": fault.offer, "account": fault.account, "why": fault.why}
            | {"after_ms": fault.after_ms}
            for fault in one.failures
        ],
    }


def _told_charge(one: Charged) -> dict[str, Any]:
    return {
        "attempt_id": one.attempt_id,
        "at": time_text(one.at_ns),
        "provider": one.provider,
        "account": one.account,
        "model": one.upstream_model,
        "prompt_tokens": one.usage.prompt,
        "completion_tokens": one.usage.completion,
        "cached_tokens": one.usage.cached,
        "units": one.usage.units,
        "cost_usd": as_usd(one.effective),
        "price_version": one.rates.version,
        "estimated": one.estimated,
    }
