"""Sums by team over a span of time: what requests cost, drew, rest on estimates, or were refused.

A team of None is that of requests without one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TypeAlias

from ledger.databases.sql import Sql
from ledger.money import Money
from ledger.tables.rollups import kept, plan, source


@dataclass(frozen=True, slots=True)
class Metered:
    """Charged attempts, and their effective cost."""

    requests: int
    effective: Money


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn of a commitment, overage not among it, and what it was charged."""

    micro_units: int
    effective: Money


@dataclass(frozen=True, slots=True)
class Refused:
    """Requests that a budget refused, and what they would have cost."""

    requests: int
    cost: Money


Draws: TypeAlias = dict[str, dict[str | None, Drawn]]
"""By commitment and team."""


DRAWN = (
    "SELECT commitment, team, sum(micro_units), sum(effective_nanos) FROM entries"
    " JOIN subjects ON subjects.id = subject_id WHERE commitment IS NOT NULL"
    " AND kind = 'posted' AND overage_micro_units = 0 AND at_ns >= ? AND at_ns < ?"
    " GROUP BY commitment, team"
)
ESTIMATED = (
    "SELECT team, sum(effective_nanos) FROM entries"
    " JOIN subjects ON subjects.id = subject_id WHERE estimated = 1 AND kind = 'posted'"
    " AND at_ns >= ? AND at_ns < ? GROUP BY team"
)
REFUSED = (
    "SELECT team, count(*), sum(would_have_cost_nanos) FROM requests"
    " WHERE would_have_cost_nanos IS NOT NULL AND at_ns >= ? AND at_ns < ? GROUP BY team"
)
"""What these sums are asked by: a span, from a moment on and before another."""


def metered_by_team(sql: Sql, since_ns: int, until_ns: int) -> dict[str | None, Metered]:
    parts, values = source(plan(since_ns, until_ns, kept(sql)).parts, "requests, effective_nanos")
    rows = sql.execute(
        "SELECT team, sum(requests), sum(effective_nanos)"
        f" FROM {parts} JOIN subjects ON subjects.id = subject_id GROUP BY team",
        values,
    )
    return {team: Metered(int(requests), Money(int(cost))) for team, requests, cost in rows}


def draws_by_team(sql: Sql, since_ns: int, until_ns: int) -> Draws:
    """As far as charges still have rows of their own."""
    found: defaultdict[str, dict[str | None, Drawn]] = defaultdict(dict)
    for name, team, micro_units, effective in sql.execute(DRAWN, (since_ns, until_ns)):
        found[name][team] = Drawn(int(micro_units), Money(int(effective)))
    return dict(found)


def charged_for_draws(sql: Sql, since_ns: int, until_ns: int) -> Money:
    """What all draws on commitments were charged, as far as charges have rows of their own."""
    row = sql.execute(
        "SELECT coalesce(sum(effective_nanos), 0) FROM entries WHERE commitment IS NOT NULL"
        " AND kind = 'posted' AND overage_micro_units = 0 AND at_ns >= ? AND at_ns < ?",
        (since_ns, until_ns),
    ).fetchone()
    return Money(0 if row is None else int(row[0]))


def estimated_by_team(sql: Sql, since_ns: int, until_ns: int) -> dict[str | None, Money]:
    """The effective cost that rests on estimates, as far as charges still have rows of their own;
    those are looked at only if there are any."""
    parts, values = source(plan(since_ns, until_ns, kept(sql)).parts, "estimated")
    row = sql.execute(f"SELECT coalesce(sum(estimated), 0) FROM {parts}", values).fetchone()
    if row is None or not row[0]:
        return {}
    rows = sql.execute(ESTIMATED, (since_ns, until_ns))
    return {team: Money(int(cost)) for team, cost in rows}


def refused_by_team(sql: Sql, since_ns: int, until_ns: int) -> dict[str | None, Refused]:
    rows = sql.execute(REFUSED, (since_ns, until_ns))
    return {team: Refused(int(count), Money(int(cost))) for team, count, cost in rows}
