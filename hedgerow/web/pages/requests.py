"""The pages of requests: those of a team, key or model, newest first; and one with its decision."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from urllib.parse import urlencode

from aiohttp import web

from hedgerow.decisions import DecisionTable, decision_table
from hedgerow.failed_attempts import Failure, failures_of
from hedgerow.web.desk import WebDesk
from hedgerow.web.pages.spend import PATH as SPEND_PATH
from hedgerow.web.pages.spend import SpendPage
from hedgerow.web.periods import Period, choices, period_of
from hedgerow.web.views import Fragment, Page, Sheet
from hedgerow.web.visits import Visit
from ledger.commitments import MICRO
from ledger.databases.sql import Sql
from ledger.exports.csv_sheet import guarded
from ledger.instants import instant
from ledger.money import Money, as_usd
from ledger.request_log import (
    FIRST,
    AttemptEntry,
    Place,
    RequestLine,
    RequestPage,
    Wanted,
    attempt_entries,
    request_page,
)
from ledger.requests import RequestRecord
from ledger.statements import tried
from ledger.tables.policy import PolicyTable
from ledger.tables.requests import RequestTable
from proxy.admin.asked import Asked, invalid, time_text
from proxy.errors import NotFound
from routing.explanation import from_text

PATH = f"{SPEND_PATH}/requests"
ON_A_PAGE = 50
_CSV_LINES = 1_000
_NAMED = ("key", "team", "user", "model", "outcome")
_OUTCOMES = ("answered", "budget_exceeded", "upstream_failed", "client_left", "rate_limit_exceeded")
"""Those that are offered for choice; others can be written."""


@dataclass(frozen=True, slots=True)
class Search:
    """What a URL of the list asks for. behind: where its page begins."""

    wanted: Wanted
    period: Period
    behind: Place = FIRST

    def url(self, path: str = PATH, behind: Place | None = None) -> str:
        told = self.query
        if behind is not None:
            told["behind"] = f"{behind.at_ns}.{behind.id}"
        return f"{path}?{urlencode(told)}" if told else path

    @property
    def query(self) -> dict[str, str]:
        named = {name: getattr(self.wanted, name) for name in _NAMED}
        told = {name: value for name, value in named.items() if value}
        if nobody := [name for name, value in named.items() if value == ""]:
            told["none"] = ",".join(nobody)
        if self.wanted.is_shadowed:
            told["shadowed"] = "1"
        return told | self.period.query

    @property
    def here(self) -> str:
        """The URL of the part that is kept up to date."""
        return self.url(f"{PATH}/part", None if self.behind == FIRST else self.behind)


@dataclass(frozen=True, slots=True)
class SpendPages:
    """Spend, and the requests that it is made of."""

    desk: WebDesk

    def routes(self) -> list[web.RouteDef]:
        return [*SpendPage(self.desk).routes(), *RequestsPage(self.desk).routes()]


@dataclass(frozen=True, slots=True)
class RequestsPage:
    desk: WebDesk

    def routes(self) -> list[web.RouteDef]:
        page = self.desk.page
        return [
            web.get(PATH, page(self._show), allow_head=False),
            web.get(f"{PATH}/part", page(self._part), allow_head=False),
            web.get(f"{PATH}/table.csv", page(self._csv), allow_head=False),
            web.get(f"{PATH}/{{id}}", page(self._one), allow_head=False),
        ]

    async def _show(self, visit: Visit) -> Page:
        values = await self._looked(visit)
        return Page("requests.html", "Requests", values)

    async def _part(self, visit: Visit) -> Fragment:
        return Fragment("_requests.html", await self._looked(visit))

    async def _looked(self, visit: Visit) -> dict[str, object]:
        search = await asyncio.to_thread(search_of, visit.asked, visit.now_ns)

        def look(sql: Sql) -> tuple[RequestPage, Mapping[str, str]]:
            page = request_page(sql, search.wanted, search.behind, ON_A_PAGE)
            return page, PolicyTable(sql).names("key", {one.key_id for one in page.lines})

        page, called = await self.desk.read(look)
        return {
            "search": search,
            "page": page,
            "called": called,
            "outcomes": [("", "any"), *((one, one) for one in _OUTCOMES)],
            "choices": choices(visit.now_ns, search.period.zone),
        }

    async def _csv(self, visit: Visit) -> Sheet:
        """The newest of them, a thousand at most."""
        search = await asyncio.to_thread(search_of, visit.asked, visit.now_ns)
        page = await self.desk.read(
            lambda sql: request_page(sql, search.wanted, search.behind, _CSV_LINES)
        )
        rows = [_HEAD, *map(_cells, page.lines)]
        return Sheet(f"requests-{instant(visit.now_ns):%Y-%m-%d}.csv", rows)

    async def _one(self, visit: Visit) -> Page:
        request_id = visit.asked.part("id")

        def look(sql: Sql) -> OneRequest:
            record = RequestTable(sql).one(request_id)
            attempts = attempt_entries(sql, request_id)
            failures = failures_of(record.failures, tried(sql, request_id)) if record else []
            keys = {record.key_id} if record else set()
            return OneRequest(
                request_id, record, attempts, failures, PolicyTable(sql).names("key", keys)
            )

        found = await self.desk.read(look)
        if found.record is None and not found.attempts:
            raise NotFound(
                f"there is no request {request_id[:80]} in the books: its id is what x-request-id"
                " said; `hedgerow explain` tells which requests are not kept",
                code="request_not_found",
            )
        return Page("request.html", f"Request {request_id}", {"one": found})


@dataclass(frozen=True, slots=True)
class OneRequest:
    """All that the books have of a request. record: None while it is under way."""

    id: str
    record: RequestRecord | None
    attempts: tuple[AttemptEntry, ...]
    failures: Sequence[Failure]
    called: Mapping[str, str]

    @property
    def cost(self) -> Money:
        return Money(sum(one.charge.effective for one in self.attempts if one.charge is not None))

    @property
    def decision(self) -> DecisionTable | None:
        if self.record is None or self.record.decision is None:
            return None
        return decision_table(from_text(self.record.decision))

    def failure(self, attempt_id: str) -> Failure | None:
        """Why an attempt failed; None if it did not."""
        known = (one for one in self.failures if one.tried is not None)
        return next((one for one in known if one.tried.attempt_id == attempt_id), None)  # type: ignore[union-attr]

    @property
    def unplaced(self) -> list[Failure]:
        """Failures of attempts that the books do not have."""
        return [one for one in self.failures if one.tried is None]

    def units(self, one: AttemptEntry) -> Decimal:
        return Decimal(one.micro_units) / MICRO


def search_of(asked: Asked, now_ns: int) -> Search:
    """Reads a time zone from disk. Raises Invalid."""
    period = period_of(asked, now_ns)
    named = {name: asked.query(name) or None for name in _NAMED}
    for nobody in (asked.query("none") or "").split(","):
        if nobody in ("team", "user"):
            named[nobody] = ""
    shadowed = asked.query("shadowed") == "1"
    wanted = Wanted(period.since_ns, period.until_ns, is_shadowed=shadowed, **named)
    return Search(wanted, period, _behind(asked.query("behind")))


def _behind(text: str | None) -> Place:
    if text is None:
        return FIRST
    at_ns, dot, id_ = text.partition(".")
    if not (dot and id_ and at_ns.isascii() and at_ns.isdecimal() and len(at_ns) < 20):
        raise invalid("behind is no place in this list: begin at its first page", "behind")
    return replace(FIRST, at_ns=int(at_ns), id=id_)


_HEAD = (
    *("id", "at", "key", "team", "user", "model", "outcome", "status", "attempts", "cost_usd"),
    *("would_have_cost_usd", "would_block"),
)


def _cells(one: RequestLine) -> tuple[str, ...]:
    would = one.would_have_cost
    return (
        *(guarded(one.id), time_text(one.at_ns) or "", guarded(one.key_id)),
        *(guarded(one.team or ""), guarded(one.user or ""), guarded(one.model)),
        *(guarded(one.outcome), str(one.status), str(one.attempts)),
        format(as_usd(one.cost), "f"),
        "" if would is None else format(as_usd(would), "f"),
        guarded(" ".join(one.would_block)),
    )
