"""LedgerDemand: the history out of the books, today left out.

Hours come from the rollups of a quarter of an hour, at list amounts, whoever served; requests that
a budget refused come from their records, at what they would have cost, in tokens like the others of
their model. How uneven an hour is comes from single entries of the latest days.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from hedge.errors import DemandInvalid, DemandTooShort
from hedge.risk import Floats
from hedge.scenarios.history import (
    DAY_SLICES,
    HOURS,
    KINDS,
    LOAD,
    MIN_DAYS,
    SLICES,
    Counts,
    DemandHistory,
    ModelSpend,
    unevenness,
)
from hedge.scenarios.months import TokenKind
from hedge.scenarios.workload import Workload
from ledger.databases.sql import Sql
from ledger.instants import as_ns, instant
from ledger.money import Money
from ledger.tables.rollups import DAY_NS, NANOS_PER_S, QUARTER_NS, QUARTER_S, kept

OTHERS = "other models"
"""The workload of models that nobody named, or that cost little."""
READ_DAYS = 364
MOST_WORKLOADS, TEAM_WORKLOADS = 8, 3
LEAST_SHARE = 0.01
"""Of the list cost: a model with less is one of the others."""
UNEVEN_DAYS, UNEVEN_REQUESTS = 7, 1_000_000
"""The latest days whose entries are read, until there are so many: there may be millions a day."""
_HOUR_NS, _SLICE_NS = 3600 * NANOS_PER_S, 300 * NANOS_PER_S
_TOKENS = "prompt_tokens, cached_tokens, completion_tokens, requests, list_nanos"
_NAME = "CASE WHEN team = ? THEN ? || model ELSE model END"
"""Of a model: bound to `_mark`. A request has its team in its record, a sum in its subject."""
_SUMS = ", ".join(f"CAST(sum({one}) AS BIGINT)" for one in _TOKENS.split(", "))


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """One model's hours. used: tokens and requests [hours, 4]; nanos [hours]. refused: nano-USD
    that budgets refused, and how many requests [hours, 2]."""

    name: str
    used: Counts
    nanos: Counts
    refused: Counts


def demand_of(
    sql: Sql,
    now: datetime,
    workloads: Sequence[Workload] = (),
    *,
    days: int = READ_DAYS,
    team: str | None = None,
) -> DemandHistory:
    """The last `days` whole UTC days before that of `now`, as far as the books go back.

    workloads: by default each model that makes up 1% of the list cost, the dearest ones; models in
    none are a workload of their own. team: its use of each model apart, under `of_team`'s names.
    Raises DemandInvalid for books without use, DemandTooShort.
    """
    with sql.view():
        since, until = _window(sql, now, days)
        models = _models(sql, since, until, team)
        if not models:
            raise _empty(until)
        grouped = _grouped(models, workloads, team)
        slices = _slices(sql, grouped, since, until, team)
    amounts, nanos = zip(*(_with_refused(one, models) for one in models), strict=True)
    place = {name: w for w, one in enumerate(grouped) for name in one.models}
    width, count = len(grouped), (until - since).days
    by_workload = np.zeros((width, count * HOURS, KINDS), dtype=np.int64)
    cost = np.zeros((width, count * HOURS), dtype=np.int64)
    for one, its, spent in zip(models, amounts, nanos, strict=True):
        by_workload[place[one.name]] += its
        cost[place[one.name]] += spent
    return DemandHistory.of_hours(
        grouped,
        np.moveaxis(by_workload, 0, 1).reshape(count, HOURS, width, KINDS),
        cost.T.reshape(count, HOURS, width),
        since,
        slices,
        spend=[
            ModelSpend(one.name, Money(int(spent.sum())))
            for one, spent in zip(models, nanos, strict=True)
        ],
        refused=Money(sum(int(one.refused[:, 0].sum()) for one in models)),
        apart="" if team is None else of_team(team, ""),
    )


def of_team(team: str, model: str) -> str:
    """What a team's own use of a model is called, where it stands apart."""
    return f"{team}: {model}"


def _empty(until: datetime) -> DemandInvalid:
    return DemandInvalid(
        f"the books have no use before {until:%Y-%m-%d}: a plan needs {MIN_DAYS} whole days of it;"
        " until then, `hedgerow hedge plan --demo` shows one"
    )


def _window(sql: Sql, now: datetime, days: int) -> tuple[datetime, datetime]:
    """From the first day that is whole: the one on which the books begin hardly ever is."""
    until = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    (oldest_ns,) = sql.execute(
        "SELECT min(start_ns) FROM rollups WHERE step_s = ?", (QUARTER_S,)
    ).fetchone() or (None,)
    if oldest_ns is None or oldest_ns >= as_ns(until):
        raise _empty(until)
    whole = -(-oldest_ns // DAY_NS) * DAY_NS
    since = max(instant(max(whole, kept(sql).quarters_since_ns)), until - timedelta(days=days))
    if (until - since).days < MIN_DAYS:
        raise DemandTooShort(max(0, (until - since).days), MIN_DAYS)
    return since, until


def _mark(team: str | None) -> tuple[str | None, str]:
    return team, of_team(team or "", "")


def _models(sql: Sql, since: datetime, until: datetime, team: str | None) -> list[_Model]:
    """Dearest first."""
    mark = _mark(team)
    span = (as_ns(since), as_ns(until))
    hours = (until - since).days * HOURS
    found: dict[str, _Model] = {}

    def model(name: str) -> _Model:
        empty = (np.zeros((hours, width), dtype=np.int64) for width in (KINDS, 2))
        used, refused = empty
        return found.setdefault(name, _Model(name, used, np.zeros(hours, np.int64), refused))

    for name, hour, prompt, cached, completion, requests, nanos in sql.execute(
        f"SELECT {_NAME}, (start_ns - ?) / {_HOUR_NS}, {_SUMS} FROM rollups"
        " JOIN subjects ON subjects.id = subject_id"
        " WHERE step_s = ? AND start_ns >= ? AND start_ns < ? GROUP BY 1, 2",
        (*mark, span[0], QUARTER_S, *span),
    ):
        # A provider may count more as cached than as prompt.
        model(name).used[hour] += (max(prompt - cached, 0), cached, completion, requests)
        model(name).nanos[hour] += nanos
    for name, hour, nanos, requests in sql.execute(
        f"SELECT {_NAME}, (at_ns - ?) / {_HOUR_NS}, CAST(sum(would_have_cost_nanos) AS BIGINT),"
        " count(*) FROM requests WHERE would_have_cost_nanos > 0 AND at_ns >= ? AND at_ns < ?"
        " GROUP BY 1, 2",
        (*mark, span[0], *span),
    ):
        model(name).refused[hour] += (nanos, requests)
    return sorted(found.values(), key=lambda one: (-_cost(one), one.name))


def _cost(one: _Model) -> int:
    return int(one.nanos.sum() + one.refused[:, 0].sum())


def _with_refused(one: _Model, models: Sequence[_Model]) -> tuple[Counts, Counts]:
    """Its hours with what was refused, in its own mix of tokens; in that of all if it has none."""
    refused, requests = one.refused[:, 0], one.refused[:, 1]
    like = [one] if one.nanos.any() and one.used[:, : TokenKind.REQUEST].any() else models
    tokens, nanos = sum(its.used.sum(axis=0) for its in like), sum(its.nanos.sum() for its in like)
    per_nano = tokens / nanos if nanos else np.zeros(KINDS)
    added = np.rint(refused[:, None] * per_nano).astype(np.int64)
    added[:, TokenKind.REQUEST] = requests
    return one.used + added, one.nanos + refused


def _grouped(
    models: Sequence[_Model], workloads: Sequence[Workload], team: str | None
) -> tuple[Workload, ...]:
    """The workloads that are there, and one of all models that are in none; a team's apart."""
    mine = [one for one in models if team is not None and one.name.startswith(of_team(team, ""))]
    rest = [one for one in models if one not in mine]
    own = _workloads(mine, (), TEAM_WORKLOADS, of_team(team or "", OTHERS))
    return (*own, *_workloads(rest, workloads, MOST_WORKLOADS - len(own), OTHERS))


def _workloads(
    models: Sequence[_Model], workloads: Sequence[Workload], most: int, others: str
) -> tuple[Workload, ...]:
    if not workloads:
        total = sum(_cost(one) for one in models)
        dear = [one.name for one in models if _cost(one) >= LEAST_SHARE * total]
        workloads = [Workload(name, (name,)) for name in dear[:most]]
    named = {name for one in workloads for name in one.models}
    rest = tuple(one.name for one in models if one.name not in named)
    return (*workloads, *([Workload(others, rest)] if rest else []))


def _slices(
    sql: Sql, workloads: Sequence[Workload], since: datetime, until: datetime, team: str | None
) -> Floats:
    """How uneven an hour is [workloads, 12], from the latest entries; where retention has left
    none, from quarters of an hour."""
    place = {name: w for w, one in enumerate(workloads) for name in one.models}
    entries_ns = max(kept(sql).entries_since_ns, as_ns(since))
    first_ns = max(entries_ns, _latest(sql, as_ns(until)))
    if first_ns < as_ns(until):
        entries = _of_entries(sql, first_ns, as_ns(until), team)
        return unevenness(_load(entries, place, first_ns, until))
    first_ns = as_ns(until - timedelta(days=min(UNEVEN_DAYS, (until - since).days)))
    quarters = _load(_of_quarters(sql, first_ns, as_ns(until), team), place, first_ns, until)
    thirds = np.repeat(quarters[:, :, ::3] / 3, 3, axis=2)
    return unevenness(thirds)


def _latest(sql: Sql, until_ns: int) -> int:
    """Since when there are about as many entries as may be read: whole days, one at least."""
    counts: dict[int, int] = dict(
        sql.execute(
            f"SELECT (? - start_ns - 1) / {DAY_NS}, CAST(sum(requests) AS BIGINT) FROM rollups"
            " WHERE step_s = ? AND start_ns >= ? AND start_ns < ? GROUP BY 1",
            (until_ns, QUARTER_S, until_ns - UNEVEN_DAYS * DAY_NS, until_ns),
        ).fetchall()
    )
    days, read = 1, counts.get(0, 0)
    while days < UNEVEN_DAYS and read + counts.get(days, 0) <= UNEVEN_REQUESTS:
        read += counts.get(days, 0)
        days += 1
    return until_ns - days * DAY_NS


Pieces = Iterable[tuple[str, int, int, int, int]]
"""Model, slice from the first moment on, tokens of the prompt, cached ones, completion."""


def _of_entries(sql: Sql, since_ns: int, until_ns: int, team: str | None) -> Pieces:
    sums = ", ".join(f"CAST(sum(coalesce({one}, 0)) AS BIGINT)" for one in _TOKENS.split(", ")[:3])
    return sql.execute(
        f"SELECT {_NAME}, (at_ns - ?) / {_SLICE_NS}, {sums} FROM entries"
        " JOIN subjects ON subjects.id = subject_id"
        " WHERE kind = 'posted' AND at_ns >= ? AND at_ns < ? GROUP BY 1, 2",
        (*_mark(team), since_ns, since_ns, until_ns),
    ).fetchall()


def _of_quarters(sql: Sql, since_ns: int, until_ns: int, team: str | None) -> Pieces:
    """In the first slice of each quarter."""
    return sql.execute(
        f"SELECT {_NAME}, (start_ns - ?) / {QUARTER_NS} * 3,"
        f" {', '.join(_SUMS.split(', ')[:3])} FROM rollups"
        " JOIN subjects ON subjects.id = subject_id"
        " WHERE step_s = ? AND start_ns >= ? AND start_ns < ? GROUP BY 1, 2",
        (*_mark(team), since_ns, QUARTER_S, since_ns, until_ns),
    ).fetchall()


def _load(pieces: Pieces, place: dict[str, int], first_ns: int, until: datetime) -> Floats:
    """[days, 24, 12, workloads]."""
    slices = (as_ns(until) - first_ns) // DAY_NS * DAY_SLICES
    load = np.zeros((slices, max(place.values()) + 1))
    for name, piece, prompt, cached, completion in pieces:
        load[piece, place[name]] += LOAD[:3] @ (max(prompt - cached, 0), cached, completion)
    return load.reshape(-1, HOURS, SLICES, load.shape[1])
