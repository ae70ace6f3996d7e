"""/admin/api/budgets, increases and balances."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from aiohttp import web

from ledger.budgets import Balance, Budget, Raise
from ledger.databases.sql import Sql
from ledger.instants import instant
from ledger.measures import Measure
from ledger.money import Money, as_usd
from ledger.statements import standing
from ledger.tables.policy import PolicyTable
from proxy.admin.asked import (
    LISTED,
    MOST_LISTED,
    Asked,
    Told,
    future_of,
    invalid,
    label,
    listed,
    maybe_label,
    money_of,
    nanos_of,
    time_text,
)
from proxy.admin.budget_body import BudgetBody, amount_told, budget_of, told_budget
from proxy.admin.desk import AdminDesk
from proxy.errors import Conflict, NotFound


class NewIncrease(msgspec.Struct, forbid_unknown_fields=True):
    """More for a while. `by_usd` for a budget of USD, `by` for one of another measure."""

    budget: str
    until: datetime
    name: str
    member: str | None = None
    by_usd: Decimal | None = None
    by: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class BudgetRoutes:
    """The stories of budgets, their increases and balances."""

    desk: AdminDesk

    def routes(self, prefix: str) -> list[web.RouteDef]:
        admin, one = self.desk.admin, f"{prefix}/budgets/{{name}}"
        return [
            web.post(f"{prefix}/budgets", admin(self._create)),
            web.get(f"{prefix}/budgets", admin(self._list), allow_head=False),
            web.get(one, admin(self._get), allow_head=False),
            web.put(one, admin(self._replace)),
            web.delete(one, admin(self._delete)),
            web.post(f"{prefix}/increases", admin(self._increase)),
            web.get(f"{prefix}/increases", admin(self._increases), allow_head=False),
            web.delete(f"{prefix}/increases/{{id}}", admin(self._end)),
            web.get(f"{prefix}/balances", admin(self._balances), allow_head=False),
        ]

    async def _create(self, asked: Asked) -> Told:
        budget = await self._budget(asked)
        self._refuse_of_file(budget.name)
        now_ns = self.desk.now_ns()
        await self.desk.books.change(lambda table: table.add_budget(budget, now_ns))
        return told_budget(budget, None)

    async def _list(self, asked: Asked) -> Told:
        """Those of files first; then those that were made by name. Limits stand at their owners."""
        limit, after = asked.count("limit", LISTED, MOST_LISTED), asked.query("after")
        own = await self.desk.books.read(lambda sql: PolicyTable(sql).named_budgets())
        files = self.desk.books.file_budgets.values()
        found = [told_budget(one.budget, one.file) for one in files]
        found += [told_budget(one, None) for one in own]
        if after is not None:
            names = [one["name"] for one in found]
            if after not in names:
                raise invalid(f"there is no budget {after[:80]!r} to begin after", "after")
            found = found[names.index(after) + 1 :]
        return listed(found[: limit + 1], limit)

    async def _get(self, asked: Asked) -> Told:
        name = asked.part("name")
        if (of_file := self.desk.books.file_budgets.get(name)) is not None:
            return told_budget(of_file.budget, of_file.file)
        found = await self.desk.books.read(lambda sql: PolicyTable(sql).budget(name))
        if found is None:
            raise no_budget(name)
        return told_budget(found, None)

    async def _replace(self, asked: Asked) -> Told:
        name = asked.part("name")
        self._refuse_of_file(name)
        budget = await self._budget(asked)
        if budget.name != name:
            raise invalid(f"name is {name} in the path: what it has counted goes by it", "name")

        def replace(table: PolicyTable) -> None:
            if not table.change_budget(budget):
                raise no_budget(name)

        await self.desk.books.change(replace)
        return told_budget(budget, None)

    async def _delete(self, asked: Asked) -> Told:
        name = asked.part("name")
        self._refuse_of_file(name)

        def delete(table: PolicyTable) -> None:
            if all(one.name != name for one in table.named_budgets()):
                is_limit = table.budget(name) is not None
                raise limit_of_owner(name) if is_limit else no_budget(name)
            table.remove_budget(name)

        await self.desk.books.change(delete)
        return {"id": name, "object": "budget", "deleted": True}

    async def _budget(self, asked: Asked) -> Budget:
        """Its time zone is read from disk."""
        return await asyncio.to_thread(budget_of, asked.body(BudgetBody, "a budget"), self.desk)

    def _refuse_of_file(self, name: str) -> None:
        if (of_file := self.desk.books.file_budgets.get(name)) is not None:
            raise Conflict(
                f"budget {name} is written in {of_file.file}: change it there, or give it an"
                " increase at /admin/api/increases"
            )

    # -- increases

    async def _increase(self, asked: Asked) -> Told:
        given, now_ns = asked.body(NewIncrease, "an increase"), self.desk.now_ns()
        until_ns = future_of(given.until, now_ns, "until")
        since_ns = now_ns if given.since is None else nanos_of(given.since, "since")
        if until_ns is None or since_ns >= until_ns:
            raise invalid("since is not before until", "since")
        name = label(given.name, "name")
        member = maybe_label(given.member, "member")
        raise_id = self.desk.new_id("raise")

        def increase(table: PolicyTable) -> Raise:
            budget = self._find(table, given.budget)
            one = Raise(raise_id, budget.name, member, _by(given, budget), since_ns, until_ns, name)
            table.add_raise(one)
            return one

        one = await self.desk.books.change(increase)
        return told_raise(one, await self.desk.books.read(self._budget_of(one)))

    async def _increases(self, asked: Asked) -> Told:
        """Those that are not over."""
        limit, now_ns = asked.count("limit", LISTED, MOST_LISTED), self.desk.now_ns()

        def look(sql: Sql) -> list[dict[str, Any]]:
            found = PolicyTable(sql).raises(now_ns)[: limit + 1]
            return [told_raise(one, self._budget_of(one)(sql)) for one in found]

        return listed(await self.desk.books.read(look), limit)

    async def _end(self, asked: Asked) -> Told:
        raise_id, now_ns = asked.part("id"), self.desk.now_ns()
        if not await self.desk.books.change(lambda table: table.end_raise(raise_id, now_ns)):
            raise NotFound(
                f"there is no increase {raise_id[:80]} that is not over: GET"
                " /admin/api/increases lists those that there are",
                code="increase_not_found",
            )
        return {"id": raise_id, "object": "increase", "ended": True}

    def _budget_of(self, one: Raise) -> Callable[[Sql], Budget | None]:
        """None for a budget that has since been taken out of its file."""
        of_file = self.desk.books.file_budgets.get(one.budget)
        return lambda sql: (
            PolicyTable(sql).budget(one.budget) if of_file is None else of_file.budget
        )

    def _find(self, table: PolicyTable, name: str) -> Budget:
        of_file = self.desk.books.file_budgets.get(name)
        found = table.budget(name) if of_file is None else of_file.budget
        if found is None:
            raise no_budget(name)
        return found

    # -- how they stand

    async def _balances(self, asked: Asked) -> Told:
        """Every budget in its window of this moment, or the one that is asked for."""
        name, now_ns = asked.query("budget"), self.desk.now_ns()
        now = instant(now_ns)
        of_files = tuple(one.budget for one in self.desk.books.file_budgets.values())
        limit = asked.count("limit", LISTED, MOST_LISTED)

        def stand(table: PolicyTable) -> tuple[tuple[Budget, ...], tuple[Raise, ...]]:
            budgets = (*of_files, *table.named_budgets())
            if name is not None:
                budgets = (self._find(table, name),)
            return budgets, (*self.desk.books.file_raises, *table.raises(now_ns))

        def look(sql: Sql) -> list[Balance]:
            budgets, raises = stand(PolicyTable(sql))
            return standing(sql, budgets, now, raises)

        found = await self.desk.books.read(look)
        data = [told_balance(one) for one in found[: limit + 1]]
        return listed(data, limit)


def _by(given: NewIncrease, budget: Budget) -> int:
    usd = money_of(given.by_usd, "by_usd")
    amount = usd if budget.measure is Measure.USD else given.by
    other = given.by if budget.measure is Measure.USD else usd
    field = "by_usd" if budget.measure is Measure.USD else "by"
    if not amount or other is not None:
        raise invalid(
            f"budget {budget.name} counts {budget.measure}: write {field}, above 0, alone", field
        )
    return amount


def told_raise(one: Raise, budget: Budget | None) -> dict[str, Any]:
    is_usd = budget is not None and budget.measure is Measure.USD
    return {
        "id": one.id,
        "budget": one.budget,
        "member": one.member,
        "by_usd" if is_usd else "by": as_usd(Money(one.amount)) if is_usd else one.amount,
        "since": time_text(one.since_ns),
        "until": time_text(one.until_ns),
        "name": one.name,
    }


def told_balance(one: Balance) -> dict[str, Any]:
    """With the names of `hedgerow budget status`."""
    account, measure = one.account, one.account.measure
    amounts = {"cap": account.cap, "spent": one.posted, "held": one.pending, "left": one.left}
    told = {
        f"{name}_{measure}": None if amount is None else amount_told(amount, measure)
        for name, amount in amounts.items()
    }
    return {
        "id": f"{account.budget}/{account.scope}",
        "budget": account.budget,
        "scope": account.scope,
        "measure": str(measure),
        "window": account.window,
        **told,
        "mode": "shadow" if account.is_shadow else "enforce",
        "resets_at": None if account.resets_at is None else account.resets_at.isoformat(),
    }


def no_budget(name: str) -> NotFound:
    return NotFound(
        f"there is no budget {name[:80]}: GET /admin/api/budgets lists those that there are",
        code="budget_not_found",
    )


def limit_of_owner(name: str) -> Conflict:
    return Conflict(f"{name} is a limit: set it to null at the key or the owner that it limits")
