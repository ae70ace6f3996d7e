"""RequestLog: requests one by one, newest first, down to what each attempt was charged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.attempts import Charge
from ledger.databases.sql import Row, Sql, Value, marks
from ledger.money import MAX_NANOS, Money
from ledger.rates import RateCard
from ledger.tables.ddl import CHARGE, PRICES, USAGE
from ledger.usage import TokenUsage

LOOKED_AT = 20_000
"""How many requests are looked at for one page of those that are wanted."""


@dataclass(frozen=True, slots=True)
class Place:
    """Behind which request a page begins: older ones follow."""

    at_ns: int
    id: str


FIRST = Place(MAX_NANOS, "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests; None is any. Of `team` and `user` the empty text is those without one."""

    since_ns: int = 0
    until_ns: int = MAX_NANOS
    key: str | None = None
    team: str | None = None
    user: str | None = None
    model: str | None = None
    outcome: str | None = None
    is_shadowed: bool = False
    """Those alone that a budget in shadow mode would have refused."""


@dataclass(frozen=True, slots=True)
class RequestLine:
    """cost: what it was charged so far. would_have_cost: of one that a budget refused."""

    id: str
    at_ns: int
    key_id: str
    team: str | None
    user: str | None
    model: str
    outcome: str
    status: int
    attempts: int
    would_have_cost: Money | None
    would_block: tuple[str, ...]
    cost: Money


@dataclass(frozen=True, slots=True)
class RequestPage:
    """next: where the next one begins; None after the last. is_cut: so many were looked at that
    are not wanted that the search ended there; the next page goes on."""

    lines: tuple[RequestLine, ...]
    next: Place | None
    is_cut: bool


def request_page(
    sql: Sql, wanted: Wanted, behind: Place, limit: int, looked_at: int = LOOKED_AT
) -> RequestPage:
    """Within a `view`."""
    where, values = _where(wanted)
    if wanted.is_shadowed:  # they have an index of their own
        where.append("would_block IS NOT NULL")
    candidates = (
        "SELECT * FROM requests WHERE at_ns >= ? AND (at_ns, id) < (?, ?)"
        f"{' AND would_block IS NOT NULL' if wanted.is_shadowed else ''}"
        " ORDER BY at_ns DESC, id DESC LIMIT ?"
    )
    span: list[Value] = [wanted.since_ns, *_before(behind, wanted.until_ns), looked_at]
    conditions = f" WHERE {' AND '.join(where)}" if where else ""
    rows = sql.execute(
        "SELECT id, at_ns, key_id, team, user_id, model, outcome, status, attempts,"
        f" would_have_cost_nanos, would_block FROM ({candidates}) AS looked_at{conditions}"
        " ORDER BY at_ns DESC, id DESC LIMIT ?",
        (*span, *values, limit + 1),
    ).fetchall()
    page = rows[:limit]
    costs = _costs(sql, [row[0] for row in page])
    lines = tuple(_line(row, costs.get(row[0], Money(0))) for row in page)
    if len(rows) > limit:
        return RequestPage(lines, Place(page[-1][1], page[-1][0]), is_cut=False)
    last = sql.execute(  # there is one only if not all were looked at
        f"SELECT at_ns, id FROM ({candidates}) AS looked_at ORDER BY at_ns DESC, id DESC"
        " LIMIT 1 OFFSET ?",
        (*span, looked_at - 1),
    ).fetchone()
    return RequestPage(lines, None if last is None else Place(*last), is_cut=last is not None)


def _before(behind: Place, until_ns: int) -> tuple[int, str]:
    return (behind.at_ns, behind.id) if behind.at_ns < until_ns else (until_ns, "")


def _where(wanted: Wanted) -> tuple[list[str], list[Value]]:
    where: list[str] = []
    values: list[Value] = []
    for column, value in (
        *(("key_id", wanted.key), ("team", wanted.team), ("user_id", wanted.user)),
        *(("model", wanted.model), ("outcome", wanted.outcome)),
    ):
        if value is not None:
            where.append(f"coalesce({column}, '') = ?")
            values.append(value)
    return where, values


def _costs(sql: Sql, ids: Sequence[str]) -> dict[str, Money]:
    if not ids:
        return {}
    rows = sql.execute(
        "SELECT request_id, CAST(sum(effective_nanos) AS BIGINT) FROM entries"
        f" WHERE kind = 'posted' AND request_id IN ({marks(len(ids))}) GROUP BY request_id",
        ids,
    )
    return {request_id: Money(cost) for request_id, cost in rows}


def _line(row: Row, cost: Money) -> RequestLine:
    would_block = tuple(row[10].split("\n")) if row[10] else ()
    id_, at_ns, key_id, team, user, model, outcome, status, attempts, would_have_cost, _ = row
    return RequestLine(
        *(id_, at_ns, key_id, team, user, model, outcome, status, attempts),
        None if would_have_cost is None else Money(would_have_cost),
        would_block,
        cost,
    )


# -- one request


@dataclass(frozen=True, slots=True)
class CountedIn:
    """A budget's account that an attempt drew on. window_start_ns: 0 for a lifetime."""

    budget: str
    measure: str
    member: str
    window: str
    window_start_ns: int


@dataclass(frozen=True, slots=True)
class AttemptEntry:
    """How an attempt ended, as its row of the ledger has it; kind `held` for one that is open.

    held: what was reserved for it. charge: None for what is open. micro_units: what it took of
    `commitment`, beyond its quota included.
    """

    attempt_id: str
    kind: str
    reason: str
    at_ns: int
    ended_at_ns: int | None
    provider: str
    account: str | None
    upstream_model: str
    tags: tuple[str, ...]
    project: str | None
    org: str | None
    usage: TokenUsage
    rates: RateCard
    charge: Charge | None
    held: Money
    overrun: Money
    is_estimated: bool
    ttft_ms: float | None
    total_ms: float | None
    commitment: str | None
    micro_units: int
    counted_in: tuple[CountedIn, ...]


_WHERE_FROM = "provider, account, upstream_model, tags, project, org"
_PRICES = ", ".join(f"rate_cards.{one}" for one in PRICES.split(", "))


def attempt_entries(sql: Sql, request_id: str) -> tuple[AttemptEntry, ...]:
    """All attempts of a request that the books have, in the order they were made. Within a
    `view`."""
    joins = "JOIN subjects ON subjects.id = subject_id JOIN rate_cards ON version = rate_card"
    ended = sql.execute(
        f"SELECT attempt_id, kind, reason, at_ns, ended_at_ns, draws_id, held_nanos, overrun_nanos,"
        f" estimated, ttft_ms, total_ms, commitment,"
        f" coalesce(micro_units + overage_micro_units, 0), {_WHERE_FROM}, {USAGE}, {CHARGE},"
        f" {_PRICES} FROM entries {joins} WHERE request_id = ?",
        (request_id,),
    ).fetchall()
    known = {row[0] for row in ended}
    nothing = ", ".join(["NULL"] * (len(USAGE.split(", ")) + len(CHARGE.split(", "))))
    held = sql.execute(
        "SELECT attempt_id, 'held', '', at_ns, NULL, draws_id, amount_nanos, 0, 0, NULL, NULL,"
        f" NULL, 0, {_WHERE_FROM}, {nothing}, {_PRICES} FROM holds {joins} WHERE request_id = ?",
        (request_id,),
    ).fetchall()
    rows = [*ended, *(row for row in held if row[0] not in known)]
    drawn = _drawn(sql, {row[5] for row in rows})
    found = [_entry(row, drawn[row[5]]) for row in rows]
    found.sort(key=lambda one: (len(one.attempt_id), one.attempt_id))
    return tuple(found)


def _entry(row: Row, counted_in: tuple[CountedIn, ...]) -> AttemptEntry:
    attempt_id, kind, reason, at_ns, ended_at_ns, _, held, overrun, estimated = row[:9]
    ttft_ms, total_ms, commitment, micro_units = row[9:13]
    provider, account, upstream_model, tags, project, org = row[13:19]
    is_charged = kind == "posted"
    return AttemptEntry(
        *(attempt_id, kind, reason, at_ns, ended_at_ns, provider, account, upstream_model),
        *(tuple(json.loads(tags)), project, org, TokenUsage(*row[19:26])),
        RateCard.of_row(row[32:]),
        Charge(*row[26:32]) if is_charged else None,
        Money(held),
        Money(overrun),
        bool(estimated),
        *(ttft_ms, total_ms, commitment, micro_units),
        counted_in,
    )


def _drawn(sql: Sql, draws: Iterable[int]) -> dict[int, tuple[CountedIn, ...]]:
    found: dict[int, tuple[CountedIn, ...]] = {}
    for draws_id in draws:
        (ids,) = sql.execute("SELECT accounts FROM draws WHERE id = ?", (draws_id,)).fetchall()
        accounts = json.loads(ids[0])
        rows = (
            sql.execute(
                "SELECT budget, measure, member, time_window, window_start_ns FROM accounts"
                f" WHERE id IN ({marks(len(accounts))}) ORDER BY budget, member",
                accounts,
            ).fetchall()
            if accounts
            else []
        )
        found[draws_id] = tuple(CountedIn(*row) for row in rows)
    return found


# -- demand that budgets cut off, or would have


@dataclass(frozen=True, slots=True)
class RefusedDemand:
    """Requests of a team for a model that a budget refused, and what they would have cost."""

    team: str | None
    model: str
    requests: int
    would_have_cost: Money


def refused_demand(sql: Sql, since_ns: int, until_ns: int = MAX_NANOS) -> list[RefusedDemand]:
    """The dearest first. Within a `view`."""
    rows = sql.execute(
        "SELECT team, model, count(*), CAST(sum(would_have_cost_nanos) AS BIGINT) FROM requests"
        " WHERE would_have_cost_nanos IS NOT NULL AND at_ns >= ? AND at_ns < ?"
        " GROUP BY team, model",
        (since_ns, until_ns),
    )
    found = [RefusedDemand(*row) for row in rows]
    found.sort(key=lambda one: (-one.would_have_cost, one.team or "", one.model))
    return found


@dataclass(frozen=True, slots=True)
class ShadowResult:
    """What a budget in shadow mode would have refused: so many requests, which cost so much."""

    budget: str
    requests: int
    cost: Money
    last_at_ns: int


def shadow_results(sql: Sql, since_ns: int, until_ns: int = MAX_NANOS) -> list[ShadowResult]:
    """By budget. A request that several would have refused counts for each. Within a `view`."""
    rows = sql.execute(
        "SELECT id, at_ns, would_block, CAST((SELECT coalesce(sum(effective_nanos), 0) FROM entries"
        " WHERE entries.request_id = requests.id AND kind = 'posted') AS BIGINT) FROM requests"
        " WHERE would_block IS NOT NULL AND at_ns >= ? AND at_ns < ? ORDER BY at_ns",
        (since_ns, until_ns),
    )
    found: dict[str, ShadowResult] = {}
    for _, at_ns, would_block, cost in rows:
        for budget in would_block.split("\n"):
            before = found.get(budget)
            requests = 1 if before is None else before.requests + 1
            spent = cost if before is None else before.cost + cost
            found[budget] = ShadowResult(budget, requests, Money(spent), at_ns)
    return sorted(found.values(), key=lambda one: one.budget)
