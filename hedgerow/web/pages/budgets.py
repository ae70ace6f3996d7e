"""The page Budgets: how each stands, what is about to happen, and what can be changed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from aiohttp import web

from hedgerow.charts import Chart
from hedgerow.web.budget_form import (
    WINDOWS,
    Filled,
    budget_in,
    empty,
    filled,
    raise_in,
)
from hedgerow.web.budget_words import PATH, WORDS, url_of, used_part
from hedgerow.web.burning import burn_chart, burning
from hedgerow.web.desk import WebDesk
from hedgerow.web.views import Fragment, Page, SeeOther
from hedgerow.web.visits import Visit
from ledger.breakdown import only_of
from ledger.budgets import DIMENSIONS, Balance, Budget, Raise
from ledger.databases.sql import Sql
from ledger.instants import as_ns, instant
from ledger.keys import Role
from ledger.measures import Measure
from ledger.money import Money
from ledger.pace import Standing, effective_thresholds, paces, standings
from ledger.request_log import RefusedDemand, ShadowResult, refused_demand, shadow_results
from ledger.statements import standing
from ledger.tables.policy import PolicyTable
from ledger.windows import Window, span_of
from proxy.admin.budgets import limit_of_owner, no_budget
from proxy.errors import Conflict, NotFound

_UTC = ZoneInfo("UTC")
MEMBERS_SHOWN = 5
MEMBERS_ON_A_PAGE = 100
REFUSED_SHOWN = 20
_CHARTED = (Window.WEEK, Window.MONTH, Window.QUARTER, Window.YEAR)


@dataclass(frozen=True, slots=True)
class Accounts:
    """A budget with those of its accounts that are nearest to their caps; `others`: how many more
    there are."""

    budget: Budget
    file: str | None
    standings: tuple[Standing, ...]
    others: int

    @property
    def used(self) -> float:
        return max((used_part(one) for one in self.standings), default=0.0)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that the list shows. since_ns: from when on refused demand and shadow results are."""

    accounts: tuple[Accounts, ...]
    raises: tuple[tuple[Raise, Measure | None, bool], ...]
    refused: tuple[RefusedDemand, ...]
    refused_others: int
    shadow: tuple[ShadowResult, ...]
    since_ns: int


@dataclass(frozen=True, slots=True)
class BudgetsPage:
    desk: WebDesk

    def routes(self) -> list[web.RouteDef]:
        page, action = self.desk.page, self.desk.action
        return [
            web.get(PATH, page(self._list), allow_head=False),
            web.get(f"{PATH}/part", page(self._list_part), allow_head=False),
            web.get(f"{PATH}/new", page(self._new, needs=Role.ADMIN), allow_head=False),
            web.post(f"{PATH}/new", action(self._create)),
            web.get(f"{PATH}/one", page(self._one), allow_head=False),
            web.get(f"{PATH}/one/part", page(self._one_part), allow_head=False),
            web.post(f"{PATH}/change", action(self._change)),
            web.post(f"{PATH}/remove", action(self._remove)),
            web.post(f"{PATH}/increase", action(self._increase)),
            web.post(f"{PATH}/end-increase", action(self._end_increase)),
        ]

    # -- looks

    async def _list(self, visit: Visit) -> Page:
        return Page("budgets.html", "Budgets", await self._listed(visit))

    async def _list_part(self, visit: Visit) -> Fragment:
        return Fragment("_budgets.html", await self._listed(visit))

    async def _listed(self, visit: Visit) -> dict[str, object]:
        now_ns = visit.now_ns

        def look(sql: Sql) -> Seen:
            known, raises = self._known(sql, now_ns)
            found = self._standings(sql, [one for one, _ in known.values()], raises, known, now_ns)
            by_name: dict[str, list[Standing]] = defaultdict(list)
            for one in found:
                by_name[one.budget.name].append(one)
            accounts = [_accounts(*known[name], its) for name, its in by_name.items()]
            accounts.sort(key=lambda one: -one.used)
            month = span_of(Window.MONTH, _UTC, instant(now_ns))
            refused = refused_demand(sql, as_ns(month.start))
            kept = {one.id for one in PolicyTable(sql).raises(now_ns)}
            return Seen(
                tuple(accounts),
                tuple((one, _measure(known, one.budget), one.id in kept) for one in raises),
                tuple(refused[:REFUSED_SHOWN]),
                max(0, len(refused) - REFUSED_SHOWN),
                tuple(shadow_results(sql, as_ns(month.start))),
                as_ns(month.start),
            )

        return {"seen": await self.desk.read(look), "now_ns": now_ns, **WORDS}

    async def _new(self, visit: Visit) -> Page:
        scope = {one: value for one in DIMENSIONS if (value := visit.asked.query(f"scope.{one}"))}
        return Page("budget_new.html", "New budget", self._form(empty(scope)))

    async def _one(self, visit: Visit) -> Page:
        name = visit.asked.query("name") or ""
        return Page("budget.html", name, await self._looked(visit))

    async def _one_part(self, visit: Visit) -> Fragment:
        return Fragment("_budget.html", await self._looked(visit))

    async def _looked(self, visit: Visit) -> dict[str, object]:
        name, member = visit.asked.query("name") or "", visit.asked.query("member")
        number = visit.asked.count("page", 1, 10**6)

        def look(sql: Sql) -> dict[str, object]:
            known, raises = self._known(sql, visit.now_ns)
            if name not in known:
                if PolicyTable(sql).budget(name) is not None:
                    raise limit_of_owner(name)
                raise no_budget(name)
            budget, file = known[name]
            found = self._standings(sql, [budget], raises, known, visit.now_ns)
            found.sort(key=lambda one: (-used_part(one), one.balance.account.member))
            if member is not None:
                found = [one for one in found if one.balance.account.member == member]
            first = (number - 1) * MEMBERS_ON_A_PAGE
            few = found[first : first + MEMBERS_ON_A_PAGE]
            kept = {one.id for one in PolicyTable(sql).raises(visit.now_ns)}
            return {
                "budget": budget,
                "file": file,
                "standings": few,
                "count": len(found),
                "page": number,
                "pages": max(1, -(-len(found) // MEMBERS_ON_A_PAGE)),
                "member": member,
                "chart": _chart(sql, few[0], visit.now_ns) if len(found) == 1 else None,
                "raises": [
                    (one, budget.measure, one.id in kept) for one in raises if one.budget == name
                ],
                "thresholds": effective_thresholds(budget),
                **self._form(filled(budget)),
            }

        return {**await self.desk.read(look), "now_ns": visit.now_ns, **WORDS}

    def _form(self, given: Filled) -> dict[str, object]:
        return {
            "given": given,
            "dimensions": DIMENSIONS,
            "windows": WINDOWS,
            "channels": self.desk.admin.channels,
            "models": sorted(self.desk.admin.known_models()),
        }

    # -- changes

    async def _create(self, visit: Visit) -> SeeOther:
        desk = self.desk
        budget = await asyncio.to_thread(budget_in, visit.form, desk.admin)
        self._refuse_of_file(budget.name)
        await desk.change(lambda table: table.add_budget(budget, visit.now_ns))
        return SeeOther(url_of(budget.name), f"{budget.name} counts from now on.")

    async def _change(self, visit: Visit) -> SeeOther:
        name = visit.form.wanted("budget")
        self._refuse_of_file(name)
        budget = await asyncio.to_thread(budget_in, visit.form, self.desk.admin, name)

        def change(table: PolicyTable) -> None:
            _check_named(table, name)
            table.change_budget(budget)

        await self.desk.change(change)
        return SeeOther(url_of(name), f"{name} is changed, on every worker within a second.")

    async def _remove(self, visit: Visit) -> SeeOther:
        name = visit.form.wanted("budget")
        self._refuse_of_file(name)

        def remove(table: PolicyTable) -> None:
            _check_named(table, name)
            table.remove_budget(name)

        await self.desk.change(remove)
        return SeeOther(PATH, f"{name} counts no more. What was spent stays in the books.")

    async def _increase(self, visit: Visit) -> SeeOther:
        name, raise_id = visit.form.wanted("budget"), self.desk.admin.new_id("raise")

        def increase(table: PolicyTable) -> Raise:
            of_file = self.desk.admin.books.file_budgets.get(name)
            budget = table.budget(name) if of_file is None else of_file.budget
            if budget is None:
                raise no_budget(name)
            one = raise_in(visit.form, budget, raise_id, visit.now_ns)
            table.add_raise(one)
            return one

        one = await self.desk.change(increase)
        until = f"{instant(one.until_ns):%Y-%m-%d %H:%M} UTC"
        return SeeOther(url_of(name), f"{name} may spend more until {until}.")

    async def _end_increase(self, visit: Visit) -> SeeOther:
        raise_id, name = visit.form.wanted("increase"), visit.form.wanted("budget")
        if not await self.desk.change(lambda table: table.end_raise(raise_id, visit.now_ns)):
            raise NotFound(
                "this increase is over already, or written in a file: it ends there",
                code="increase_not_found",
            )
        return SeeOther(url_of(name), "The increase has ended.")

    def _refuse_of_file(self, name: str) -> None:
        of_file = self.desk.admin.books.file_budgets.get(name)
        if of_file is not None:
            raise Conflict(
                f"budget {name} is written in {of_file.file}: change it there, or give it an"
                " increase here"
            )

    # -- reading

    def _known(
        self, sql: Sql, now_ns: int
    ) -> tuple[dict[str, tuple[Budget, str | None]], tuple[Raise, ...]]:
        """Budgets by name, each with its file, and the increases of this moment and later."""
        books, table = self.desk.admin.books, PolicyTable(sql)
        known: dict[str, tuple[Budget, str | None]] = {
            one.budget.name: (one.budget, one.file) for one in books.file_budgets.values()
        }
        for one in table.named_budgets():
            known.setdefault(one.name, (one, None))
        of_files = tuple(one for one in books.file_raises if one.until_ns > now_ns)
        return known, (*of_files, *table.raises(now_ns))

    def _standings(
        self,
        sql: Sql,
        budgets: Sequence[Budget],
        raises: Sequence[Raise],
        known: dict[str, tuple[Budget, str | None]],
        now_ns: int,
    ) -> list[Standing]:
        balances = [
            one
            for one in standing(sql, budgets, instant(now_ns), raises)
            if one.account.member or not _has_members(known[one.account.budget][0])
        ]
        seen = {one.account.budget for one in balances}
        balances += [  # nobody has spent of it yet
            Balance(one.account("", instant(now_ns), raises), 0, 0)
            for one in budgets
            if one.name not in seen
        ]
        return standings(balances, known, raises, paces(sql, budgets, now_ns), now_ns)


def _check_named(table: PolicyTable, name: str) -> None:
    """Raises NotFound, Conflict."""
    if all(one.name != name for one in table.named_budgets()):
        raise limit_of_owner(name) if table.budget(name) is not None else no_budget(name)


def _has_members(budget: Budget) -> bool:
    return any(getattr(budget.scope, one) == "*" for one in DIMENSIONS)


def _measure(known: dict[str, tuple[Budget, str | None]], name: str) -> Measure | None:
    return known[name][0].measure if name in known else None


def _accounts(budget: Budget, file: str | None, its: Iterable[Standing]) -> Accounts:
    found = sorted(its, key=lambda one: (-used_part(one), one.balance.account.member))
    few = tuple(found[:MEMBERS_SHOWN])
    return Accounts(budget, file, few, len(found) - len(few))


def _chart(sql: Sql, one: Standing, now_ns: int) -> Chart | None:
    """Of USD, in a window of a week or longer."""
    budget, account = one.budget, one.balance.account
    if budget.measure is not Measure.USD or budget.window not in _CHARTED:
        return None
    burn = burning(
        sql,
        only_of(budget.scope, account.member),
        account.window_start_ns,
        account.resets_at_ns,
        now_ns,
        None if account.cap is None else Money(account.cap),
        Money(one.balance.posted),
    )
    return burn_chart(burn, "burn", f"Until the {budget.window} ends")
