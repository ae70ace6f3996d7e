"""Statements: what was spent, by any dimension, and how budgets stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from ledger.budgets import Balance, Budget, Raise
from ledger.databases.sql import Row, Sql, Value, each_of
from ledger.money import MAX_NANOS, ZERO, Money
from ledger.rates import RateCard
from ledger.tables.ddl import PRICES, USAGE
from ledger.tables.outlines import source
from ledger.tables.rollups import DAY_NS, DAY_S, NANOS_PER_S, Kept, kept, plan
from ledger.usage import TokenUsage
from ledger.windows import Window, span_of

_UTC = ZoneInfo("UTC")
_CHARGED_AT_ONCE = 5_000


class Dimension(StrEnum):
    ORG = "org"
    TEAM = "team"
    PROJECT = "project"
    USER = "user"
    KEY = "key"
    MODEL = "model"
    PROVIDER = "provider"
    ACCOUNT = "account"
    TAG = "tag"
    DAY = "day"


NAMED = {
    Dimension.USER: ("user_id",),
    Dimension.KEY: ("key_id",),
    Dimension.TAG: ("tags",),
    Dimension.ACCOUNT: ("provider", "account"),
}
"""The columns of subjects that say it, where they are called otherwise."""
_COLUMNS = {Dimension.TAG: "tag.value", Dimension.ACCOUNT: "provider || '/' || account"}


@dataclass(frozen=True, slots=True)
class SpendRow:
    """Charged attempts of one member of a dimension. `name` is None where requests had none.

    first_offer, cheapest: what the same tokens would have cost at the first-listed offer and at the
    cheapest eligible quote of their moment; an attempt for which that is unknown counts at its own
    cost.
    """

    name: str | None
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: Money
    first_offer: Money
    cheapest: Money
    estimated: int


@dataclass(frozen=True, slots=True)
class Spend:
    """Rows, dearest first, and their total. By tag, a request counts once for each of its tags.

    since_ns, until_ns: the span that was counted, None without a limit. It is the one that was
    asked for, unless retention has left only the sums of the days (or quarters of an hour) that its
    edges lie in: such a day counts for the span that it begins in.
    """

    rows: tuple[SpendRow, ...]
    total: SpendRow
    since_ns: int | None = None
    until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """What was spent in one day, week or month, named by its first day, or as in 2027-01."""

    name: str
    rows: tuple[SpendRow, ...]


def spend(
    sql: Sql,
    by: Dimension,
    since_ns: int | None = None,
    until_ns: int | None = None,
    zone: ZoneInfo = _UTC,
) -> Spend:
    """Effective cost of all charged attempts with `since <= at < until`, by `by`.

    zone: where days begin.
    """
    with sql.view():
        return _spend(sql, by, since_ns, until_ns, zone, kept(sql))


def spend_per(
    sql: Sql,
    by: Dimension,
    per: Window,
    since_ns: int | None = None,
    until_ns: int | None = None,
    zone: ZoneInfo = _UTC,
) -> tuple[tuple[Period, ...], Spend]:
    """The same for each window of a day or longer in which something was charged, and in all."""
    first, last = since_ns or 0, MAX_NANOS if until_ns is None else until_ns
    with sql.view():
        left = kept(sql)
        periods = [
            Period(
                at.strftime("%Y-%m") if per is Window.MONTH else at.date().isoformat(),
                tuple(_sorted(_by_name(sql, by, begin_ns, end_ns, left))),
            )
            for at, begin_ns, end_ns in _spans(sql, per, first, last, zone)
        ]
        whole = _spend(sql, by, since_ns, until_ns, zone, left)
    return tuple(one for one in periods if one.rows), whole


def spend_of(sql: Sql, team: str, since_ns: int, until_ns: int) -> tuple[SpendRow, ...]:
    """What one team was charged with `since <= at < until`, by model, dearest first."""
    with sql.view():
        counted = plan(since_ns, until_ns, kept(sql))
        parts, values = source(counted.parts, ("team", "model"), _SUMMED)
        found = sql.execute(
            f"SELECT model, {_SUMS} FROM {parts} WHERE team = ? GROUP BY 1",
            (*values, team),
        )
        return tuple(_sorted(_row(row) for row in found))


def _spend(
    sql: Sql,
    by: Dimension,
    since_ns: int | None,
    until_ns: int | None,
    zone: ZoneInfo,
    left: Kept,
) -> Spend:
    first, last = since_ns or 0, MAX_NANOS if until_ns is None else until_ns
    counted = plan(first, last, left)
    if by is Dimension.DAY:
        rows = list(_by_day(sql, first, last, zone, left))
    else:
        rows = _by_name(sql, by, first, last, left)
    total = _row((None, *_sums(sql, first, last, left))) if by is Dimension.TAG else _sum(rows)
    return Spend(
        tuple(_sorted(rows)),
        total,
        None if since_ns is None else counted.since_ns,
        None if until_ns is None else counted.until_ns,
    )


def _sorted(rows: Iterable[SpendRow]) -> list[SpendRow]:
    """As text, whatever the order of the database's locale."""
    return sorted(rows, key=lambda row: (-row.cost, row.name is not None, row.name or ""))


_SUMMED = (
    "requests, prompt_tokens, completion_tokens, effective_nanos, first_offer_nanos,"
    " cheapest_nanos, estimated"
)
_SUMS = ", ".join(f"coalesce(sum({one}), 0)" for one in _SUMMED.split(", "))


def _by_name(sql: Sql, by: Dimension, since_ns: int, until_ns: int, left: Kept) -> list[SpendRow]:
    names = NAMED.get(by, (by.value,))
    parts, values = source(plan(since_ns, until_ns, left).parts, names, _SUMMED)
    column = _COLUMNS.get(by, names[0])
    tags = each_of("tags", "tag", sql.dialect) if by is Dimension.TAG else ""
    found = sql.execute(f"SELECT {column}, {_SUMS} FROM {parts} {tags} GROUP BY 1", values)
    return [_row(row) for row in found]


def _by_day(
    sql: Sql, since_ns: int, until_ns: int, zone: ZoneInfo, left: Kept
) -> Iterator[SpendRow]:
    """Those without a charge have no row."""
    for at, begin_ns, end_ns in _spans(sql, Window.DAY, since_ns, until_ns, zone):
        sums = _sums(sql, begin_ns, end_ns, left)
        if sums[0]:
            yield _row((at.date().isoformat(), *sums))


def _spans(
    sql: Sql, window: Window, since_ns: int, until_ns: int, zone: ZoneInfo
) -> Iterator[tuple[datetime, int, int]]:
    """Each window in the zone since the first charge: its start there, and the part that counts."""
    one = "SELECT {}(start_ns) FROM rollups WHERE step_s = ?"  # each from the end of the index
    range_of_days = f"SELECT ({one.format('min')}), ({one.format('max')})"
    oldest_ns, newest_ns = sql.execute(range_of_days, (DAY_S, DAY_S)).fetchone() or (None, None)
    if oldest_ns is None:
        return
    since_ns, until_ns = max(since_ns, oldest_ns), min(until_ns, newest_ns + DAY_NS)
    while since_ns < until_ns:
        span = span_of(window, zone, datetime.fromtimestamp(since_ns // NANOS_PER_S, UTC))
        end_ns = until_ns if span.end is None else int(span.end.timestamp()) * NANOS_PER_S
        yield span.start.astimezone(zone), since_ns, min(end_ns, until_ns)
        since_ns = end_ns


def _sums(sql: Sql, since_ns: int, until_ns: int, left: Kept) -> Row:
    parts, values = source(plan(since_ns, until_ns, left).parts, (), _SUMMED)
    (row,) = sql.execute(f"SELECT {_SUMS} FROM {parts}", values).fetchall()
    return row


def _row(row: Row) -> SpendRow:
    name, requests, prompt, completion, cost, first_offer, cheapest, estimated = row
    return SpendRow(
        name,
        requests,
        prompt,
        completion,
        Money(cost),
        Money(first_offer),
        Money(cheapest),
        estimated,
    )


def _sum(rows: Iterable[SpendRow]) -> SpendRow:
    total = SpendRow(None, 0, 0, 0, ZERO, ZERO, ZERO, 0)
    for row in rows:
        total = SpendRow(
            None,
            total.requests + row.requests,
            total.prompt_tokens + row.prompt_tokens,
            total.completion_tokens + row.completion_tokens,
            Money(total.cost + row.cost),
            Money(total.first_offer + row.first_offer),
            Money(total.cheapest + row.cheapest),
            total.estimated + row.estimated,
        )
    return total


@dataclass(frozen=True, slots=True)
class Charged:
    """One charged attempt, as far as statements elsewhere need it.

    account: which of our accounts at the provider paid; None where there was but one. commitment:
    what it drew on, so many micro-units, those beyond its quota included; None for none.
    """

    attempt_id: str
    request_id: str
    at_ns: int
    provider: str
    account: str | None
    upstream_model: str
    usage: TokenUsage
    rates: RateCard
    effective: Money
    list: Money
    first_offer: Money | None
    cheapest: Money | None
    estimated: bool
    commitment: str | None = None
    micro_units: int = 0


def charged(sql: Sql, request_id: str | None = None, since_ns: int = 0) -> Iterator[Charged]:
    """Charged attempts that still have a row of their own, all or those of one request, oldest
    first. Read a few thousand at a time: what is charged meanwhile may be among them."""
    if request_id is not None:
        yield from _charged(sql, "request_id = ? AND at_ns >= ?", (request_id, since_ns))
        return
    where, last = "(at_ns, attempt_id) >= (?, ?)", (since_ns, "")
    while found := _charged(sql, where, last, f"LIMIT {_CHARGED_AT_ONCE}"):
        yield from found
        where, last = "(at_ns, attempt_id) > (?, ?)", (found[-1].at_ns, found[-1].attempt_id)


def _charged(sql: Sql, where: str, values: Sequence[Value], limit: str = "") -> list[Charged]:
    rows = sql.execute(
        "SELECT attempt_id, request_id, at_ns, provider, account, upstream_model,"
        " effective_nanos, list_nanos, first_offer_nanos, cheapest_nanos, estimated,"
        f" {USAGE}, commitment, coalesce(micro_units + overage_micro_units, 0), {PRICES}"
        " FROM entries JOIN rate_cards ON version = rate_card"
        f" JOIN subjects ON subjects.id = subject_id WHERE kind = 'posted' AND {where}"
        f" ORDER BY at_ns, attempt_id {limit}",
        values,
    )
    found: list[Charged] = []
    for row in rows:
        effective, listed, first_offer, cheapest, estimated = row[6:11]
        attempt, request, at_ns, provider, account, upstream_model = row[:6]
        found.append(
            Charged(
                attempt,
                request,
                at_ns,
                provider,
                account,
                upstream_model,
                TokenUsage(*row[11:18]),
                RateCard.of_row(row[20:]),
                effective,
                listed,
                first_offer,
                cheapest,
                bool(estimated),
                *row[18:20],
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt of a request, charged or not. number: from 1 on, in the order they were made."""

    attempt_id: str
    number: int
    provider: str
    upstream_model: str
    account: str | None


def tried(sql: Sql, request_id: str) -> list[Tried]:
    """The attempts of a request that have ended, or whose holds are in the books; first to last."""
    rows = sql.execute(
        "SELECT attempt_id, provider, upstream_model, account FROM"
        " (SELECT attempt_id, subject_id FROM entries WHERE request_id = ?"
        " UNION SELECT attempt_id, subject_id FROM holds WHERE request_id = ?) AS attempts"
        " JOIN subjects ON subjects.id = subject_id ORDER BY length(attempt_id), attempt_id",
        (request_id, request_id),
    ).fetchall()
    return [Tried(row[0], number, *row[1:]) for number, row in enumerate(rows, start=1)]


def standing(
    sql: Sql, budgets: Iterable[Budget], now: datetime, raises: Iterable[Raise] = ()
) -> list[Balance]:
    """Each budget's balance in the window of `now`, for each member that has an account.

    Pending is what is in holds, whether the books or their writers keep them; what writers have
    taken to admit from and not used is free.
    """
    raises = tuple(raises)
    balances: list[Balance] = []
    with sql.view():
        for budget in budgets:
            whole = budget.account("", now, raises)
            found = sql.execute(
                "SELECT member, sum(posted), sum(pending + (SELECT coalesce(sum(held), 0)"
                " FROM leases WHERE account_id = accounts.id)) FROM accounts"
                " WHERE budget = ? AND measure = ? AND time_window = ?"
                " AND window_start_ns BETWEEN ? AND ? GROUP BY member ORDER BY member",
                (
                    whole.budget,
                    whole.measure,
                    whole.window,
                    whole.counted_since_ns,
                    whole.window_start_ns,
                ),
            ).fetchall()
            balances.extend(
                Balance(budget.account(member, now, raises), posted, pending)
                for member, posted, pending in found or [("", 0, 0)]
            )
    return balances


@dataclass(frozen=True, slots=True)
class Head:
    """How far a writer's chain goes: the number of its last entry, and the hash."""

    writer: str
    seq: int
    hash: bytes


RECORDS_CHAIN = "hedge book"
"""Stands in the place of a writer's name for the chain of the hedge's records."""


def heads(sql: Sql) -> list[Head]:
    """Of each writer, and of the hedge's book. Kept elsewhere, they show later that what they cover
    was not rewritten."""
    rows = sql.execute("SELECT name, seq, head FROM writers ORDER BY name").fetchall()
    return [*(Head(*row) for row in rows), *_head_of_records(sql)]


def heads_until(sql: Sql, until_ns: int) -> list[Head]:
    """The same of what had ended by then, which what is written later leaves as it is: of each
    writer that had an entry, or of which retention has left the end of a chain. The hedge's book
    as it is now: what is written into it later may be of earlier days."""
    writers = sql.execute("SELECT id, name FROM writers ORDER BY name").fetchall()
    found = []
    for writer_id, name in writers:
        last = (
            sql.execute(
                "SELECT seq, hash FROM entries WHERE writer_id = ? AND ended_at_ns < ?"
                " ORDER BY seq DESC LIMIT 1",
                (writer_id, until_ns),
            ).fetchone()
            or sql.execute(
                "SELECT seq, hash FROM checkpoints WHERE writer_id = ? AND at_ns <= ?"
                " ORDER BY seq DESC LIMIT 1",
                (writer_id, until_ns),
            ).fetchone()
        )
        if last is not None:
            found.append(Head(name, last[0], bytes(last[1])))
    return [*found, *_head_of_records(sql)]


def _head_of_records(sql: Sql) -> list[Head]:
    rows = sql.execute("SELECT seq, hash FROM record_head").fetchall()
    return [Head(RECORDS_CHAIN, *row) for row in rows]
