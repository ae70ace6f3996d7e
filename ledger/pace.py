"""Pace: how fast budgets are being spent, and what happens when, if that goes on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from ledger.budgets import DIMENSIONS, Balance, Budget, Raise, Subject, Threshold, part_of
from ledger.databases.sql import Sql
from ledger.directives import amount_at
from ledger.measures import Measure
from ledger.money import MAX_NANOS
from ledger.principals import Principal
from ledger.tables.outlines import source
from ledger.tables.rollups import DAY_NS, QUARTER_NS, kept, plan
from ledger.windows import Rolling, Window

HOUR_NS = 3_600_000_000_000
SHORT_NS = 3 * HOUR_NS
"""What the pace of windows of up to a day is taken from."""
LONG_NS = 7 * DAY_NS
"""And of longer ones: whole weeks, so that weekends count as often as they come."""
_SHORT = (Window.HOUR, Window.DAY)
_NOT_PACED = (Window.MINUTE,)
_COLUMNS = {"user": "user_id", "key": "key_id", "tag": "tags"}

Spent: TypeAlias = Mapping[Measure, int]


@dataclass(frozen=True, slots=True)
class Pace:
    """amount: in the budget's measure, within the last `over_ns`."""

    amount: int
    over_ns: int

    def reaches_at_ns(self, missing: int, now_ns: int) -> int | None:
        """When so much more will have been spent; None if nothing is being spent."""
        if missing <= 0:
            return now_ns
        if self.amount <= 0:
            return None
        return min(now_ns + missing * self.over_ns // self.amount, MAX_NANOS)


@dataclass(frozen=True, slots=True)
class Step:
    """What happens at a part of the cap. amount: where that is, in the budget's measure. at_ns: for
    a step that is ahead, when that is at this pace; None if not before the window ends."""

    threshold: Threshold
    amount: int
    is_reached: bool
    at_ns: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget's account, as it stands and as it goes on.

    cap: as it is raised now, in the measure's unit. file: where the budget is written; None for
    one that is kept in the books. steps: lowest first, the block at the whole cap among them.
    pace: None where none is known: of parallel requests, and by the minute.
    """

    budget: Budget
    file: str | None
    balance: Balance
    cap: int
    raises: tuple[Raise, ...]
    steps: tuple[Step, ...]
    pace: Pace | None

    @property
    def reached(self) -> tuple[Step, ...]:
        return tuple(one for one in self.steps if one.is_reached)

    @property
    def next(self) -> Step | None:
        """What is about to happen: the first step that is not reached."""
        return next((one for one in self.steps if not one.is_reached), None)


def standings(
    balances: Iterable[Balance],
    budgets: Mapping[str, tuple[Budget, str | None]],
    raises: Sequence[Raise],
    paces: Mapping[tuple[str, str], Pace],
    now_ns: int,
) -> list[Standing]:
    """budgets: by name, each with its file."""
    return [_standing(*budgets[one.account.budget], one, raises, paces, now_ns) for one in balances]


def _standing(
    budget: Budget,
    file: str | None,
    balance: Balance,
    raises: Sequence[Raise],
    paces: Mapping[tuple[str, str], Pace],
    now_ns: int,
) -> Standing:
    member = balance.account.member
    cap = budget.raised_cap(member, now_ns, raises)
    own = tuple(one for one in raises if one.budget == budget.name and one.member in (None, member))
    pace = paces.get((budget.name, member))
    steps = tuple(
        _step(one, budget, balance, cap, pace, now_ns) for one in effective_thresholds(budget)
    )
    return Standing(budget, file, balance, cap, own, steps, pace)


def effective_thresholds(budget: Budget) -> tuple[Threshold, ...]:
    """Lowest first; with the block at the whole cap, where nothing else is said of it."""
    own = budget.thresholds
    if not any(one.blocks or one.allows for one in own):
        at_cap = next((one for one in own if one.part == 1), None)
        if at_cap is None:
            own = (*own, Threshold(Decimal(1), blocks=True))
    return tuple(sorted(own, key=lambda one: one.part))


def _step(
    one: Threshold, budget: Budget, balance: Balance, cap: int, pace: Pace | None, now_ns: int
) -> Step:
    amount = part_of(cap, one.part) if one.blocks else amount_at(cap, one.part)
    if balance.posted >= amount:
        return Step(one, amount, is_reached=True, at_ns=None)
    if pace is None or isinstance(budget.window, Rolling):  # which forgets as it goes
        return Step(one, amount, is_reached=False, at_ns=None)
    at_ns = pace.reaches_at_ns(amount - balance.posted, now_ns)
    ends_ns = balance.account.resets_at_ns
    return Step(one, amount, False, None if at_ns is None or at_ns >= ends_ns else at_ns)


# -- what was spent lately


def paces(sql: Sql, budgets: Iterable[Budget], now_ns: int) -> dict[tuple[str, str], Pace]:
    """Of each budget and member: what was spent in the last hours, or in the last week for windows
    longer than a day; shorter where the books are younger. Within a `view`."""
    found: dict[tuple[str, str], Pace] = {}
    first_ns = _first_ns(sql)
    groups: dict[tuple[tuple[str, ...], int], list[Budget]] = defaultdict(list)
    for budget in budgets:
        if budget.measure is not Measure.PARALLEL and budget.window not in _NOT_PACED:
            over_ns = HOUR_NS if budget.window is Window.HOUR else SHORT_NS
            if budget.window not in _SHORT:
                over_ns = LONG_NS
            groups[_dimensions(budget), over_ns].append(budget)
    for (dimensions, over_ns), its in groups.items():
        step_ns = DAY_NS if over_ns == LONG_NS else QUARTER_NS
        since_ns = max((now_ns - over_ns) // step_ns * step_ns, first_ns)
        lasted_ns = max(now_ns - since_ns, QUARTER_NS)
        amounts: dict[tuple[str, str], int] = defaultdict(int)
        for subject, spent in _spent(sql, dimensions, since_ns):
            for budget in its:
                for member in budget.scope.members(subject):
                    amounts[budget.name, member] += spent[budget.measure]
        found |= {key: Pace(amount, lasted_ns) for key, amount in amounts.items()}
    return found


def _dimensions(budget: Budget) -> tuple[str, ...]:
    return tuple(one for one in DIMENSIONS if getattr(budget.scope, one) is not None)


def _first_ns(sql: Sql) -> int:
    """When the first charge was, to the quarter of an hour."""
    row = sql.execute("SELECT min(start_ns) FROM rollups WHERE step_s = 900").fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def _spent(sql: Sql, dimensions: Sequence[str], since_ns: int) -> Iterable[tuple[Subject, Spent]]:
    columns = [_COLUMNS.get(one, one) for one in dimensions]
    summed = "effective_nanos, prompt_tokens, completion_tokens, requests"
    parts, values = source(plan(since_ns, MAX_NANOS, kept(sql)).parts, columns, summed)
    sums = ", ".join(f"CAST(coalesce(sum({one}), 0) AS BIGINT)" for one in summed.split(", "))
    named = "".join(f"{one}, " for one in columns)
    grouped = f" GROUP BY {', '.join(columns)}" if columns else ""
    for row in sql.execute(f"SELECT {named}{sums} FROM {parts}{grouped}", values):
        nanos, prompt, completion, requests = row[len(columns) :]
        said = dict(zip(dimensions, row, strict=False))
        who = Principal(
            said.get("key", ""),
            org=said.get("org"),
            team=said.get("team"),
            project=said.get("project"),
            user=said.get("user"),
            tags=tuple(json.loads(said["tag"])) if "tag" in said else (),
        )
        subject = Subject(who, said.get("model", ""), said.get("provider", ""))
        yield (
            subject,
            {
                Measure.USD: nanos,
                Measure.TOKENS: prompt + completion,
                Measure.REQUESTS: requests,
            },
        )
