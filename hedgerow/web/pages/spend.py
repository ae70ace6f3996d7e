"""The page Spend: this month against its cap, by any dimension, down to requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web

from hedge.burn_down import BurnDown, NoForecast
from hedgerow.charts import Chart, Mark, Series
from hedgerow.web.burning import Burning, burn_chart, burning, chance_text
from hedgerow.web.desk import WebDesk
from hedgerow.web.formats import money_text
from hedgerow.web.periods import CUSTOM, Period, choices, day_period, period_of
from hedgerow.web.views import Fragment, Page, Sheet
from hedgerow.web.visits import Visit
from ledger.breakdown import Breakdown, Line, Only, breakdown, day_costs, only_of
from ledger.budgets import DIMENSIONS, Balance, Budget, Mode
from ledger.databases.sql import Sql
from ledger.exports.csv_sheet import guarded
from ledger.instants import instant
from ledger.measures import Measure
from ledger.money import Money, as_usd
from ledger.statements import Dimension, standing
from ledger.tables.policy import PolicyTable
from ledger.windows import Window
from proxy.admin.asked import Asked

PATH = "/ui/spend"
ON_A_PAGE = 50
_WINDOWS = (Window.MONTH, Window.QUARTER, Window.WEEK, Window.YEAR)
"""Of which a cap is shown against what is spent, the first that there is."""
_CHART_DAYS = 400
_FILTERS = tuple(one for one in Dimension if one is not Dimension.DAY)
_NEXT = {
    Dimension.ORG: Dimension.TEAM,
    Dimension.TEAM: Dimension.MODEL,
    Dimension.PROJECT: Dimension.MODEL,
    Dimension.USER: Dimension.MODEL,
    Dimension.KEY: Dimension.MODEL,
    Dimension.TAG: Dimension.TEAM,
    Dimension.PROVIDER: Dimension.MODEL,
    Dimension.ACCOUNT: Dimension.MODEL,
    Dimension.MODEL: Dimension.PROVIDER,
}
"""What somebody who looks closer at one of these wants to see it by."""
_SCOPED = frozenset(DIMENSIONS)
_REQUESTS_BY = (Dimension.TEAM, Dimension.USER, Dimension.KEY, Dimension.MODEL)
_SORTS = {
    "name": lambda one: one.name or "",
    "requests": lambda one: one.figures.requests,
    "in": lambda one: one.figures.prompt_tokens,
    "out": lambda one: one.figures.completion_tokens,
    "cost": lambda one: one.figures.effective,
    "first_offer": lambda one: one.figures.first_offer,
    "saved": lambda one: one.figures.saved,
    "list": lambda one: one.figures.list,
    "estimated": lambda one: one.figures.estimated,
}


@dataclass(frozen=True, slots=True)
class Look:
    """What a URL of this page asks for."""

    by: Dimension
    only: Only
    period: Period
    q: str = ""
    sort: str = "cost"
    is_ascending: bool = False
    page: int = 1

    def url(self, path: str = PATH, **change: object) -> str:
        """The same look, changed: `by`, `only`, `q`, `sort`, `is_ascending`, `page`."""
        return _url(path, replace(self, **{"page": 1, **change}))  # type: ignore[arg-type]

    def sorted_by(self, sort: str) -> str:
        """The URL of its table sorted by a column; the other way round if it is already."""
        usual = sort == "name"
        return self.url(
            sort=sort, is_ascending=not self.is_ascending if sort == self.sort else usual
        )

    def aria(self, sort: str) -> str:
        if sort != self.sort:
            return "none"
        return "ascending" if self.is_ascending else "descending"

    def closer(self, name: str | None) -> str:
        """The URL that shows what one line is made of."""
        if self.by is Dimension.DAY:
            day = replace(self.period, choice=CUSTOM) if name is None else day_period(name)
            return self.url(by=Dimension.TEAM, period=day, q="", sort="cost", is_ascending=False)
        only = (*self.only, (self.by, name))
        filtered = {dimension for dimension, _ in only}
        following = _NEXT[self.by]
        if following in filtered:
            following = next((one for one in _NEXT if one not in filtered), Dimension.DAY)
        return self.url(by=following, only=only, q="", sort="cost", is_ascending=False)

    def requests(self, name: str | None) -> str | None:
        """The URL of a line's requests; None where they cannot be found by all these names."""
        return replace(self, only=(*self.only, (self.by, name))).requests_of_all()

    def requests_of_all(self) -> str | None:
        """The URL of the requests of all lines."""
        if any(dimension not in _REQUESTS_BY for dimension, _ in self.only):
            return None
        told = {str(dimension): value for dimension, value in self.only if value is not None}
        if nobody := [str(dimension) for dimension, value in self.only if value is None]:
            told["none"] = ",".join(nobody)
        return f"{PATH}/requests?{urlencode(told | self.period.query)}"

    def hidden(self) -> list[tuple[str, str]]:
        """What a form that searches the table keeps of this URL."""
        return parse_qsl(urlsplit(self.url(q="")).query, keep_blank_values=True)

    def scope_query(self) -> str:
        """For the form of a budget of what is looked at."""
        told = {f"scope.{one}": name for one, name in self.only if name and one in _SCOPED}
        return f"?{urlencode(told)}" if told else ""

    def without(self, dimension: Dimension) -> str:
        return self.url(only=tuple(one for one in self.only if one[0] is not dimension))


def _url(path: str, look: Look) -> str:
    told: dict[str, str] = {}
    if look.by is not Dimension.TEAM:
        told["by"] = str(look.by)
    told |= {str(dimension): value or "" for dimension, value in look.only}
    told |= look.period.query
    if look.q:
        told["q"] = look.q
    if look.sort != "cost" or look.is_ascending:
        told["sort"] = look.sort
        told["order"] = "up" if look.is_ascending else "down"
    if look.page > 1:
        told["page"] = str(look.page)
    return f"{path}?{urlencode(told)}" if told else path


@dataclass(frozen=True, slots=True)
class Shown:
    """Lines of one page of a table. count: of all pages. called: names of keys and owners."""

    lines: tuple[Line, ...]
    count: int
    pages: int
    called: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Capped:
    """The budget that limits what is looked at, and its account."""

    budget: Budget
    balance: Balance

    @property
    def cap(self) -> Money | None:
        cap = self.balance.account.cap
        return None if cap is None else Money(cap)

    @property
    def left(self) -> Money | None:
        left = self.balance.left
        return None if left is None else Money(left)


@dataclass(frozen=True, slots=True)
class SpendPage:
    desk: WebDesk

    def routes(self) -> list[web.RouteDef]:
        page = self.desk.page
        return [
            web.get(PATH, page(self._show), allow_head=False),
            web.get(f"{PATH}/part", page(self._part), allow_head=False),
            web.get(f"{PATH}/table.csv", page(self._csv), allow_head=False),
        ]

    async def _show(self, visit: Visit) -> Page:
        return Page("spend.html", "Spend", await self._looked(visit))

    async def _part(self, visit: Visit) -> Fragment:
        return Fragment("_spend.html", await self._looked(visit))

    async def _looked(self, visit: Visit) -> dict[str, object]:
        look = await asyncio.to_thread(look_of, visit.asked, visit.now_ns)
        return await self.desk.read(lambda sql: self._read(sql, look, visit.now_ns))

    async def _csv(self, visit: Visit) -> Sheet:
        """All lines of the table, whatever page is shown."""
        look = await asyncio.to_thread(look_of, visit.asked, visit.now_ns)
        found = await self.desk.read(
            lambda sql: breakdown(
                sql, look.by, look.only, look.period.since_ns, look.period.until_ns
            )
        )
        head = (str(look.by), *_HEAD)
        rows = [(guarded(one.name or ""), *_cells(one)) for one in _sorted(found.lines, look)]
        return Sheet(f"spend-by-{look.by}-{instant(visit.now_ns):%Y-%m-%d}.csv", [head, *rows])

    # -- reading

    def _read(self, sql: Sql, look: Look, now_ns: int) -> dict[str, object]:
        found = breakdown(sql, look.by, look.only, look.period.since_ns, look.period.until_ns)
        lines = _sorted(found.lines, look)
        first = (look.page - 1) * ON_A_PAGE
        few = tuple(lines[first : first + ON_A_PAGE])
        called = PolicyTable(sql).names(look.by, {one.name for one in few})
        pages = max(1, -(-len(lines) // ON_A_PAGE))
        capped, burn = self._burning(sql, look, now_ns)
        forecast = None if burn is None else burn.forecast
        known = forecast if isinstance(forecast, BurnDown) else None
        return {
            "look": look,
            "period": look.period,
            "shown": Shown(lines=few, count=len(lines), pages=pages, called=called),
            "total": found.total,
            "capped": capped,
            "burn": burn,
            "chart": _chart(sql, look, capped, burn),
            "forecast": known,
            "why_none": forecast.why if isinstance(forecast, NoForecast) else "",
            "breach_figure": None if known is None else chance_text(known.breach),
            "edges": _edges(look.period, found),
            "choices": choices(now_ns, look.period.zone),
            "dimensions": tuple(Dimension),
            "example": min(self.desk.admin.known_models(), default=""),
        }

    def _burning(self, sql: Sql, look: Look, now_ns: int) -> tuple[Capped | None, Burning | None]:
        """Of the window that runs: that of the cap, or of the period without one."""
        if not look.period.is_running or look.period.ends_ns is None:
            return None, None
        capped = self._capped(sql, look.only, instant(now_ns))
        if capped is None:
            since_ns, ends_ns = look.period.since_ns, look.period.ends_ns
            return None, burning(sql, look.only, since_ns, ends_ns, now_ns, None)
        account = capped.balance.account
        since_ns, ends_ns = account.window_start_ns, account.resets_at_ns
        spent = Money(capped.balance.posted)
        return capped, burning(sql, look.only, since_ns, ends_ns, now_ns, capped.cap, spent)

    def _capped(self, sql: Sql, only: Only, now: datetime) -> Capped | None:
        """The tightest budget of USD of exactly what is looked at, by month if there is one."""
        books, table = self.desk.admin.books, PolicyTable(sql)
        budgets = [one.budget for one in books.file_budgets.values()] + list(table.named_budgets())
        wanted = dict(only)
        fitting = [
            one
            for one in budgets
            if one.measure is Measure.USD
            and one.mode is Mode.ENFORCE
            and one.window in _WINDOWS
            and (member := _member(one, wanted)) is not None
            and dict(only_of(one.scope, member)) == wanted
        ]
        if not fitting:
            return None
        budget = min(fitting, key=lambda one: (_WINDOWS.index(Window(str(one.window))), one.cap))
        member = _member(budget, wanted) or ""
        raises = (*books.file_raises, *table.raises(0))
        account = budget.account(member, now, raises)
        found = [one for one in standing(sql, [budget], now, raises) if one.account == account]
        return Capped(budget, found[0] if found else Balance(account, 0, 0))


def look_of(asked: Asked, now_ns: int) -> Look:
    """Reads a time zone from disk. Raises Invalid."""
    by = Dimension(asked.choice("by", Dimension, Dimension.TEAM))
    given = ((one, asked.query(str(one))) for one in _FILTERS)
    sort = asked.choice("sort", _SORTS, "cost")
    order = asked.choice("order", ("up", "down"), "down")
    return Look(
        by,
        tuple((one, name or None) for one, name in given if name is not None),
        period_of(asked, now_ns),
        (asked.query("q") or "").strip()[:200],
        sort,
        order == "up",
        asked.count("page", 1, 10**6),
    )


def _member(budget: Budget, wanted: Mapping[Dimension, str | None]) -> str | None:
    """The account of a budget for one name in each dimension; None where that is not one alone."""
    parts = []
    for dimension in Dimension:
        if getattr(budget.scope, dimension, None) == "*":
            if dimension not in wanted:
                return None
            name = (wanted[dimension] or "").replace("\\", "\\\\").replace(",", "\\,")
            parts.append(f"{dimension}={name}")
    return ",".join(parts)


def _sorted(lines: Iterable[Line], look: Look) -> list[Line]:
    wanted = look.q.lower()
    found = [one for one in lines if wanted in (one.name or "(none)").lower()]
    found.sort(key=lambda one: one.name or "")
    if look.by is Dimension.DAY and look.sort == "cost":
        return found[::-1]
    found.sort(key=_SORTS[look.sort], reverse=not look.is_ascending)
    return found


_HEAD = (
    *("requests", "prompt_tokens", "completion_tokens", "cost_usd", "first_offer_usd"),
    *("cheapest_usd", "list_usd", "estimated"),
)


def _cells(line: Line) -> tuple[str, ...]:
    one = line.figures
    amounts = (one.effective, one.first_offer, one.cheapest, one.list)
    return (
        *(str(one.requests), str(one.prompt_tokens), str(one.completion_tokens)),
        *(format(as_usd(amount), "f") for amount in amounts),
        str(one.estimated),
    )


def _edges(period: Period, found: Breakdown) -> str:
    """What is to be said where retention has left sums of days alone."""
    if (found.since_ns, found.until_ns) == (period.since_ns, period.until_ns):
        return ""
    return (
        "Of a part of this time there are only sums of days (UTC): counted is from"
        f" {instant(found.since_ns):%Y-%m-%d %H:%M} UTC on."
    )


def _chart(sql: Sql, look: Look, capped: Capped | None, burn: Burning | None) -> Chart:
    if burn is not None:
        title = (
            "Spend until the end of the period"
            if capped is None
            else (
                f"{capped.budget.name}: spend against its cap until the {capped.budget.window} ends"
            )
        )
        return burn_chart(burn, "burn", title)
    period = look.period
    days = day_costs(sql, look.only, period.since_ns, period.until_ns)[-_CHART_DAYS:]
    names = tuple(f"{instant(one.day_ns):%Y-%m-%d}" for one in days)
    costs = tuple(float(as_usd(one.effective)) for one in days)
    total = Money(sum(one.effective for one in days))
    return Chart(
        "burn",
        f"Spend by day, {period.title}",
        f"{money_text(total)} on {len(days)} {'day' if len(days) == 1 else 'days'} with a charge.",
        "day (UTC)",
        "USD",
        (Series("spent", Mark.BAR, names, costs),),
    )
