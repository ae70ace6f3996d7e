"""Breakdown: what was charged, by one dimension, of what has these names; and day by day.

Days are those of UTC. The span may begin and end at any moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ledger.budgets import Scope
from ledger.databases.sql import Dialect, Sql, Value, each_of
from ledger.instants import instant
from ledger.money import MAX_NANOS, ZERO, Money
from ledger.statements import NAMED, Dimension
from ledger.tables.outlines import DAY_NAME, Of, source
from ledger.tables.rollups import DAY_S, STEPS_S, kept, plan

Only: TypeAlias = tuple[tuple[Dimension, str | None], ...]
"""What is counted: all of these at once. None is what has no such name."""

_SUMMED = (
    "requests, prompt_tokens, completion_tokens, effective_nanos, list_nanos, first_offer_nanos,"
    " cheapest_nanos, estimated"
)
_SUMS = ", ".join(f"CAST(coalesce(sum({one}), 0) AS BIGINT)" for one in _SUMMED.split(", "))


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over charged attempts. effective: what budgets count. list: at list prices.
    first_offer, cheapest: at the first-listed offer, and at the cheapest quote of the moment; an
    attempt for which that is unknown counts at its own cost."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    effective: Money = ZERO
    list: Money = ZERO
    first_offer: Money = ZERO
    cheapest: Money = ZERO
    estimated: int = 0

    @property
    def saved(self) -> Money:
        """Against the first-listed offer; below 0 if it would have been cheaper."""
        return Money(self.first_offer - self.effective)

    @property
    def below_list(self) -> Money:
        return Money(self.list - self.effective)


@dataclass(frozen=True, slots=True)
class Line:
    """One member of a dimension; a day is named as 2027-01-31. None: of those without a name."""

    name: str | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class Breakdown:
    """total: of all that is counted; by tag a request stands in the line of each of its tags.

    since_ns, until_ns: the span that was counted: what was asked for, unless retention has left
    only the sums of the days that its edges lie in.
    """

    lines: tuple[Line, ...]
    total: Figures
    since_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class DayCost:
    """day_ns: its beginning."""

    day_ns: int
    effective: Money


def breakdown(sql: Sql, by: Dimension, only: Only, since_ns: int, until_ns: int) -> Breakdown:
    """Charged attempts with `since <= at < until`. Within a `view`."""
    largest_s = DAY_S if by is Dimension.DAY else STEPS_S[-1]
    counted = plan(since_ns, until_ns, kept(sql), largest_s)
    where, wanted, names = _where(sql, only)
    of = _of(sql, where, wanted)
    own = (DAY_NAME,) if by is Dimension.DAY else NAMED.get(by, (by.value,))
    parts, values = source(counted.parts, dict.fromkeys((*own, *names)), _SUMMED, of)
    lines = tuple(
        Line(_name(name), Figures(*sums))
        for name, *sums in sql.execute(
            f"SELECT {_said(by)}, {_SUMS} FROM {parts}"
            f" {each_of('tags', 'tag', sql.dialect) if by is Dimension.TAG else ''}{_text(where)}"
            " GROUP BY 1",
            (*values, *wanted),
        )
    )
    if by is Dimension.TAG:
        parts, values = source(counted.parts, names, _SUMMED, of)
        (sums,) = sql.execute(
            f"SELECT {_SUMS} FROM {parts}{_text(where)}", (*values, *wanted)
        ).fetchall()
        total = Figures(*sums)
    else:
        total = _total(lines)
    return Breakdown(lines, total, counted.since_ns, counted.until_ns)


def day_costs(sql: Sql, only: Only, since_ns: int, until_ns: int = MAX_NANOS) -> list[DayCost]:
    """Of each day in which something was charged, what of it lies in the span; in their order.
    Within a `view`."""
    where, wanted, names = _where(sql, only)
    counted = plan(since_ns, until_ns, kept(sql), DAY_S)
    of = _of(sql, where, wanted)
    parts, values = source(counted.parts, (DAY_NAME, *names), "effective_nanos", of)
    rows = sql.execute(
        f"SELECT {DAY_NAME}, CAST(sum(effective_nanos) AS BIGINT) FROM {parts}{_text(where)}"
        " GROUP BY 1 ORDER BY 1",
        (*values, *wanted),
    )
    return [DayCost(*row) for row in rows]


def only_of(scope: Scope, member: str) -> Only:
    """What the account of one member of a scope counts. member: as `Scope.members` names it."""
    named = dict(_members(member))
    found: list[tuple[Dimension, str | None]] = []
    for dimension in ("org", "team", "project", "user", "key", "tag", "model", "provider"):
        value = getattr(scope, dimension)
        if dimension in named:
            found.append((Dimension(dimension), named[dimension] or None))
        elif value is not None and value != "*":
            found.append((Dimension(dimension), value))
    return tuple(found)


def _members(member: str) -> list[tuple[str, str]]:
    """`team=a,user=b` as pairs; a comma in a name stands behind a backslash."""
    pairs, escaped = [""], False
    for one in member:
        if escaped or one not in "\\,":
            pairs[-1] += one
            escaped = False
        elif one == "\\":
            escaped = True
        else:
            pairs.append("")
    split = [one.partition("=") for one in pairs if one]
    return [(dimension, value) for dimension, _, value in split]


def _where(sql: Sql, only: Only) -> tuple[str, list[Value], tuple[str, ...]]:
    """As SQL with its values, and the columns of subjects that it needs."""
    conditions: list[str] = []
    values: list[Value] = []
    names: list[str] = []
    for by, name in only:
        names += NAMED.get(by, (by.value,))
        said = "account" if by is Dimension.ACCOUNT and name is None else _said(by)
        if by is Dimension.TAG:
            conditions.append(_tagged(sql.dialect) if name is not None else "tags = '[]'")
        else:
            conditions.append(f"{said} = ?" if name is not None else f"{said} IS NULL")
        if name is not None:
            values.append(name)
    return " AND ".join(conditions), values, tuple(dict.fromkeys(names))


def _text(where: str) -> str:
    return f" WHERE {where}" if where else ""


def _of(sql: Sql, where: str, values: Sequence[Value]) -> Of | None:
    if not where:
        return None
    row = sql.execute("SELECT max(start_ns) FROM rollups WHERE step_s = ?", (DAY_S,)).fetchone()
    return Of(where, tuple(values), 0 if row is None or row[0] is None else row[0])


def _tagged(dialect: Dialect) -> str:
    if dialect is Dialect.SQLITE:
        return "EXISTS (SELECT 1 FROM json_each(tags) AS one WHERE one.value = ?)"
    return "jsonb_exists(tags::jsonb, ?)"


def _said(by: Dimension) -> str:
    match by:
        case Dimension.DAY:
            return DAY_NAME
        case Dimension.TAG:
            return "tag.value"
        case Dimension.ACCOUNT:
            return "provider || '/' || account"
        case _:
            return NAMED.get(by, (by.value,))[0]


def _name(value: str | int | None) -> str | None:
    if isinstance(value, int):
        return instant(value).date().isoformat()
    return value


def _total(lines: Sequence[Line]) -> Figures:
    figures = [one.figures for one in lines]
    return Figures(
        sum(one.requests for one in figures),
        sum(one.prompt_tokens for one in figures),
        sum(one.completion_tokens for one in figures),
        Money(sum(one.effective for one in figures)),
        Money(sum(one.list for one in figures)),
        Money(sum(one.first_offer for one in figures)),
        Money(sum(one.cheapest for one in figures)),
        sum(one.estimated for one in figures),
    )
