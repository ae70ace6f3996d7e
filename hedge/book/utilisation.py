"""Utilisation: what was used of the capacity that we own, what was left, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from hedge.book.book import HedgeBook, Holding
from ledger.allowances import account_name, capacity_in, overage_name
from ledger.calendar_months import months_later
from ledger.commitments import Commitment, CommitmentKind
from ledger.databases.sql import Sql
from ledger.instants import day_ns, instant
from ledger.measures import Measure
from ledger.money import Money, as_usd
from ledger.tables.commitments import CommitmentTable
from ledger.tables.rollups import ENTRIES_S
from ledger.windows import Span, Window

_NANOS_PER_MINUTE = 60_000_000_000
_ROLLUP_S = 86_400
_SIX = Decimal("0.000001")
USED_UP = 0.95
"""Of a quota: what is left then, requests of some length no longer fit into."""


@dataclass(frozen=True, slots=True)
class Utilisation:
    """Of one commitment in a period: a calendar month (UTC), or all of the term of a quota that has
    no months; as far as its term has it, and until now.

    *_micro: capacity in millionths of a unit; committed: of what is over, of a quota all of the
    period. fee: the expense of its days. overage, tokens: None where retention has deleted the
    charges. offered_tokens: all that the offers served that it covers, drawn or not.
    """

    commitment: str
    contract: str
    since: date
    until: date
    is_over: bool
    committed_micro: int
    used_micro: int
    overage_micro: int
    fee: Money
    overage: Money | None
    tokens: int | None
    offered_tokens: int
    is_quota: bool

    @property
    def within_micro(self) -> int:
        """Used of what is committed: a provider may count more than was held, and than is left."""
        return min(self.used_micro, self.committed_micro)

    @property
    def unused_micro(self) -> int:
        return self.committed_micro - self.within_micro

    @property
    def utilisation(self) -> float | None:
        """Used of committed; None of nothing."""
        return self.used_micro / self.committed_micro if self.committed_micro else None

    @property
    def is_used_up(self) -> bool:
        """A quota that hardly anything is left of, before its time is over."""
        return self.is_quota and not self.is_over and (self.utilisation or 0) >= USED_UP

    @property
    def used_fee(self) -> Money:
        """The share of the fee that what was used has; with what is stranded it is the fee."""
        if not self.committed_micro:
            return Money(0)
        return Money(self.fee * self.within_micro // self.committed_micro)

    @property
    def stranded(self) -> Money | None:
        """The fee of what was not used; None while it still may be."""
        return Money(self.fee - self.used_fee) if self.is_over else None

    @property
    def coverage(self) -> float | None:
        """Of the tokens of its offers, those that drew on it."""
        if self.tokens is None or not self.offered_tokens:
            return None
        return self.tokens / self.offered_tokens

    @property
    def usd_per_mtok(self) -> Decimal | None:
        """What a million tokens have cost, the stranded part in it; None while nothing of the fee
        is an expense."""
        if not self.tokens or self.overage is None or not self.fee:
            return None
        usd = as_usd(Money(self.fee + self.overage)) * 1_000_000 / self.tokens
        return usd.quantize(_SIX, ROUND_HALF_UP)


def utilisations(
    book: HedgeBook, days: tuple[date, date] = (date.min, date.max)
) -> Iterator[Utilisation]:
    """Of every commitment that the book has bought, by period; none of what is still to come. days:
    only the periods that have one from the first of these on and before the second."""
    table = CommitmentTable(book.sql)
    for holding in book.holdings.values():
        for name in (*holding.earlier, holding.commitment):
            commitment = table.one(name)
            if commitment is not None:
                yield from _of(book, holding, commitment, days)


def _of(
    book: HedgeBook, holding: Holding, commitment: Commitment, days: tuple[date, date]
) -> Iterator[Utilisation]:
    starts, ends = instant(commitment.starts_ns).date(), instant(commitment.ends_ns).date()
    has_months = commitment.is_monthly or commitment.kind is CommitmentKind.THROUGHPUT
    first = starts
    while first < ends and day_ns(first) < book.now_ns:
        after = months_later(first.replace(day=1), 1)
        until = min(after, ends) if has_months else ends
        if first < days[1] and until > days[0]:
            yield _in_period(book, holding, commitment, first, until)
        first = until


def _in_period(
    book: HedgeBook, holding: Holding, commitment: Commitment, since: date, until: date
) -> Utilisation:
    since_ns, until_ns = day_ns(since), day_ns(until)
    is_over = until_ns <= book.now_ns
    window = Window.MONTH
    month = since.replace(day=1)
    start_ns, end_ns = day_ns(month), day_ns(months_later(month, 1))
    if commitment.kind is CommitmentKind.THROUGHPUT:
        minutes = (min(until_ns, book.now_ns) - since_ns) // _NANOS_PER_MINUTE
        committed = commitment.micro_units * minutes
    elif commitment.is_monthly:
        span = Span(instant(start_ns), instant(end_ns), instant(start_ns))
        committed = capacity_in(commitment, span)
    else:
        window, start_ns, committed = Window.LIFETIME, 0, commitment.micro_units
    expense_until = until if is_over else book.today
    sums = _drawn(book.sql, commitment, since_ns, until_ns)
    return Utilisation(
        commitment=commitment.id,
        contract=commitment.contract,
        since=since,
        until=until,
        is_over=is_over,
        committed_micro=committed,
        used_micro=_posted(book.sql, account_name(commitment.id), window, start_ns),
        overage_micro=sum(
            _posted(book.sql, overage_name(commitment.id), Window.MONTH, day_ns(one))
            for one in _months(since, until)
        ),
        fee=Money(sum(amount for _, amount in holding.schedule.days(since, expense_until))),
        overage=None if sums is None else Money(sums[0]),
        tokens=None if sums is None else sums[1],
        offered_tokens=_offered(book.sql, commitment, since_ns, until_ns),
        is_quota=commitment.kind is not CommitmentKind.THROUGHPUT,
    )


def _months(since: date, until: date) -> Iterator[date]:
    month = since.replace(day=1)
    while month < until:
        yield month
        month = months_later(month, 1)


def _posted(sql: Sql, budget: str, window: Window, start_ns: int) -> int:
    row = sql.execute(
        "SELECT posted FROM accounts WHERE budget = ? AND measure = ? AND member = ''"
        " AND time_window = ? AND window_start_ns = ?",
        (budget, Measure.UNITS.value, window.value, start_ns),
    ).fetchone()
    return 0 if row is None else int(row[0])


def _drawn(
    sql: Sql, commitment: Commitment, since_ns: int, until_ns: int
) -> tuple[int, int] | None:
    """What its draws were billed (overage), and their tokens; None if some are deleted."""
    aged = sql.execute("SELECT before_ns FROM aged WHERE step_s = ?", (ENTRIES_S,)).fetchone()
    if aged is not None and aged[0] > since_ns:
        return None
    row = sql.execute(
        "SELECT coalesce(sum(billed_nanos), 0),"
        " coalesce(sum(prompt_tokens), 0) + coalesce(sum(completion_tokens), 0) FROM entries"
        " WHERE commitment = ? AND at_ns >= ? AND at_ns < ?",
        (commitment.id, since_ns, until_ns),
    ).fetchone()
    return None if row is None else (int(row[0]), int(row[1]))


def _offered(sql: Sql, commitment: Commitment, since_ns: int, until_ns: int) -> int:
    if not commitment.covers:
        return 0
    either = " OR ".join(
        "provider = ?" if one.model is None else "provider = ? AND upstream_model = ?"
        for one in commitment.covers
    )
    names = [name for one in commitment.covers for name in (one.provider, one.model) if name]
    row = sql.execute(
        "SELECT coalesce(sum(prompt_tokens + completion_tokens), 0) FROM rollups"
        " JOIN subjects ON subjects.id = subject_id"
        f" WHERE step_s = ? AND start_ns >= ? AND start_ns < ? AND ({either})",
        (_ROLLUP_S, since_ns, until_ns, *names),
    ).fetchone()
    return 0 if row is None else int(row[0])
