"""LiteLLM's spend routes, and what its monitors ask for: health, and models with their prices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web

from ledger.databases.sql import Sql
from ledger.money import ZERO, Money, as_usd
from ledger.owners import OwnerKind
from ledger.spend_logs import DAY_NS, DaySum, Log, LogFilter, day_sums, logs, spent_by
from ledger.tables.policy import PolicyTable
from proxy.admin.asked import Asked, Told, invalid, time_text
from proxy.admin.desk import AdminDesk
from proxy.admin.litellm.keys import key_named

LOGS_TOLD = 10_000
"""As there: the newest ones."""
SPEND_DAYS = 30
"""What /global/spend counts, as there."""
REPORT_DAYS = 366

_NO_TEAM = "Unassigned Team"


@dataclass(frozen=True, slots=True)
class SpendRoutes:
    desk: AdminDesk

    def routes(self) -> list[web.RouteDef]:
        admin = self.desk.admin
        return [
            web.get("/spend/logs", admin(self._logs), allow_head=False),
            web.get("/global/spend", admin(self._total), allow_head=False),
            web.get("/global/spend/report", admin(self._report), allow_head=False),
        ]

    async def _logs(self, asked: Asked) -> Told:
        asked.refuse_queries(
            "api_key", "user_id", "request_id", "start_date", "end_date", "summarize"
        )
        api_key, has_days = asked.query("api_key"), asked.query("start_date") is not None
        wanted = LogFilter(asked.query("request_id"), user=asked.query("user_id"))
        if has_days:
            since_ns, until_ns = _days(asked)
            wanted = replace(wanted, since_ns=since_ns, until_ns=until_ns)
        summed = has_days and asked.choice("summarize", ("true", "false"), "true") == "true"
        if summed and wanted.request_id is not None:
            raise invalid("a request is no sum: add summarize=false", "summarize")

        def look(sql: Sql) -> Told:
            table = PolicyTable(sql)
            its = wanted
            if api_key:
                key = key_named(table, api_key)
                its = replace(wanted, key_id="" if key is None else key.id)
            tokens = _Tokens(table)
            if summed:
                return _by_day(day_sums(sql, its), tokens)
            return [_told_log(one, tokens) for one in logs(sql, its, LOGS_TOLD)]

        return await self.desk.books.read(look)

    async def _total(self, asked: Asked) -> Told:
        asked.refuse_queries()
        since_ns = self.desk.now_ns() // DAY_NS * DAY_NS - (SPEND_DAYS - 1) * DAY_NS
        found = await self.desk.books.read(lambda sql: spent_by(sql, LogFilter(since_ns=since_ns)))
        return {"spend": as_usd(found), "max_budget": None}

    async def _report(self, asked: Asked) -> Told:
        asked.refuse_queries(
            "start_date", "end_date", "group_by", "api_key", "internal_user_id", "team_id"
        )
        since_ns, until_ns = _days(asked)
        by = asked.choice("group_by", ("team", "customer", "api_key"), "team")
        api_key, user = asked.query("api_key"), asked.query("internal_user_id")
        wanted = LogFilter(
            user=user, team=asked.query("team_id"), since_ns=since_ns, until_ns=until_ns
        )

        def look(sql: Sql) -> Told:
            table = PolicyTable(sql)
            its = wanted
            if api_key:
                key = key_named(table, api_key)
                its = replace(wanted, key_id="" if key is None else key.id)
            sums, tokens = day_sums(sql, its), _Tokens(table)
            if by == "api_key" or api_key or user:
                return _by_key(sums, tokens)
            if by == "customer":
                return _grouped(sums, tokens, "customers", "customer", lambda one: one.user)
            aliases = _Aliases(table)
            return _grouped(sums, tokens, "teams", "team_name", lambda one: aliases.of(one.team))

        return await self.desk.books.read(look)


class _Tokens:
    """What LiteLLM calls keys by: the hashes of their secrets."""

    def __init__(self, table: PolicyTable) -> None:
        self._table = table
        self._known: dict[str, str] = {}

    def of(self, key_id: str) -> str:
        if key_id not in self._known:
            found = self._table.hash_of(key_id)
            self._known[key_id] = key_id if found is None else found.hex()
        return self._known[key_id]


class _Aliases:
    """The names of teams."""

    def __init__(self, table: PolicyTable) -> None:
        self._table = table
        self._known: dict[str, str] = {}

    def of(self, team: str | None) -> str:
        if team is None:
            return _NO_TEAM
        if team not in self._known:
            found = self._table.owner(OwnerKind.TEAM, team)
            self._known[team] = team if found is None or found.name is None else found.name
        return self._known[team]


def _days(asked: Asked) -> tuple[int, int]:
    """From the beginning of one day to the end of the other, in UTC."""
    ends: list[int] = []
    for name in ("start_date", "end_date"):
        text = asked.query(name)
        try:
            at = datetime.strptime(text or "", "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise invalid(f"{name} is a day, as in 2027-01-31", name) from None
        ends.append(int(at.timestamp()) * 1_000_000_000)
    since_ns, until_ns = ends[0], ends[1] + DAY_NS
    if not 0 < until_ns - since_ns <= REPORT_DAYS * DAY_NS:
        raise invalid(f"end_date is 0 to {REPORT_DAYS - 1} days after start_date", "end_date")
    return since_ns, until_ns


def _day(day_ns: int) -> str:
    return (
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=day_ns // 10**9)).date().isoformat()
    )


def _told_log(one: Log, tokens: _Tokens) -> dict[str, Any]:
    counted = (one.prompt_tokens or 0) + (one.completion_tokens or 0)
    return {
        "request_id": one.request_id,
        "litellm_call_id": one.attempt_id,
        "api_key": tokens.of(one.key_id),
        "spend": as_usd(one.effective),
        "total_tokens": counted,
        "prompt_tokens": one.prompt_tokens,
        "completion_tokens": one.completion_tokens,
        "startTime": time_text(one.at_ns),
        "endTime": time_text(one.ended_at_ns),
        "model": one.upstream_model,
        "model_group": one.model,
        "custom_llm_provider": one.provider,
        "user": one.user,
        "team_id": one.team,
        "organization_id": one.org,
        "request_tags": list(one.tags),
        "metadata": {"estimated": one.estimated},
        "cache_hit": "False",
        "status": "success",
    }


def _by_day(sums: Iterable[DaySum], tokens: _Tokens) -> list[Any]:
    days: dict[int, list[DaySum]] = defaultdict(list)
    for one in sums:
        days[one.day_ns].append(one)
    return [
        {
            **_spend_by((tokens.of(one.key_id), one.effective) for one in its),
            "startTime": _day(day_ns),
            "spend": as_usd(Money(sum(one.effective for one in its))),
            "users": _spend_by((one.user or "", one.effective) for one in its),
            "models": _spend_by((one.model, one.effective) for one in its),
        }
        for day_ns, its in sorted(days.items())
    ]


def _spend_by(parts: Iterable[tuple[str, Money]]) -> dict[str, Decimal]:
    sums: dict[str, Money] = {}
    for name, money in parts:
        sums[name] = Money(sums.get(name, ZERO) + money)
    return {name: as_usd(money) for name, money in sums.items()}


def _by_key(sums: Iterable[DaySum], tokens: _Tokens) -> list[Any]:
    keys: dict[str, list[DaySum]] = defaultdict(list)
    for one in sums:
        keys[one.key_id].append(one)
    found = [
        {
            "api_key": tokens.of(key_id),
            **_totals(its),
            "model_details": [
                {"model": model} | _totals([one for one in its if one.model == model])
                for model in sorted({one.model for one in its})
            ],
        }
        for key_id, its in keys.items()
    ]
    return sorted(found, key=lambda one: -one["total_cost"])


def _totals(sums: list[DaySum]) -> dict[str, Any]:
    return {
        "total_cost": as_usd(Money(sum(one.effective for one in sums))),
        "total_input_tokens": sum(one.prompt_tokens for one in sums),
        "total_output_tokens": sum(one.completion_tokens for one in sums),
    }


def _grouped(
    sums: Iterable[DaySum],
    tokens: _Tokens,
    groups: str,
    group: str,
    name_of: Callable[[DaySum], str | None],
) -> list[Any]:
    """Day by day, group by group, with what each key spent on each model."""
    days: dict[int, dict[str | None, list[DaySum]]] = defaultdict(lambda: defaultdict(list))
    for one in sums:
        days[one.day_ns][name_of(one)].append(one)
    return [
        {
            "group_by_day": f"{_day(day_ns)}T00:00:00Z",
            groups: [
                {
                    group: name,
                    "total_spend": as_usd(Money(sum(one.effective for one in its))),
                    "metadata": [
                        {
                            "model": one.model,
                            "api_key": tokens.of(one.key_id),
                            "spend": as_usd(one.effective),
                            "total_tokens": one.prompt_tokens + one.completion_tokens,
                        }
                        for one in its
                    ],
                }
                for name, its in named.items()
            ],
        }
        for day_ns, named in sorted(days.items())
    ]
