"""SpendReport: what a month cost, by everything that finance asks, and how far it is closed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from hedge.effectiveness.query import Query, written
from ledger.budgets import Balance, Budget, Raise
from ledger.calendar_months import month_after, months_later
from ledger.chargeback import Chargeback, MonthSpan, Rule, chargeback, cost_of_month
from ledger.closing import BillsOf, Correction, corrections
from ledger.databases.sql import Row, Sql
from ledger.instants import instant
from ledger.measures import Measure
from ledger.money import ZERO, Money
from ledger.statements import standing
from ledger.tables.closes import Close, CloseTable
from ledger.tables.reconciliations import KeptReconciliation, ReconciliationTable
from ledger.tables.rollups import DAY_NS, DAY_S, kept, plan, source
from ledger.tables.verifications import Verification, VerificationTable
from ledger.windows import Window

_SUMMED = (
    "requests, prompt_tokens, completion_tokens, effective_nanos, billed_nanos, list_nanos,"
    " first_offer_nanos, cheapest_nanos, estimated, overrun_nanos"
)
_SUMS = ", ".join(f"coalesce(sum({one}), 0) AS {one}" for one in _SUMMED.split(", "))
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sums:
    """Charged attempts of one name; None where they had none. list: at the list prices of the
    offers that served. first_offer, cheapest: at the first-listed offer, and at the cheapest quote
    of their moment; unknown ones count at their own cost. estimated: attempts."""

    name: str | None
    requests: int
    prompt_tokens: int
    completion_tokens: int
    effective: Money
    billed: Money
    list: Money
    first_offer: Money
    cheapest: Money
    estimated: int
    overrun: Money


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query gave, dearest first, but days in their order."""

    query: Query
    rows: tuple[Sums, ...]


class Status(StrEnum):
    """Of a provider's invoice for the month."""

    RECONCILED = "reconciled"
    DIFFERS = "differs"
    IN_PART = "in part"
    """An invoice was compared, but not for all days of the month, or not for all accounts."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """billed: what we expect of usage. estimated: attempts that rest on an estimate of ours."""

    provider: str
    billed: Money
    estimated: int
    status: Status
    newest: KeptReconciliation | None

    @property
    def is_open(self) -> bool:
        return self.status is not Status.RECONCILED and bool(self.billed)


@dataclass(frozen=True, slots=True)
class FocusLine:
    """What the FOCUS export of the month has of one kind of row. effective: None while it is not
    known."""

    category: str
    status: str
    billed: Money
    effective: Money | None


@dataclass(frozen=True, slots=True)
class SpendReport:
    """A month (UTC), by its first day, up to a moment.

    until_ns: the month's end, or the moment if it runs. cap: the lowest of those on everything;
    None: there is none. before: what the month before cost; None where it is not known.
    is_whole, has_refused: whether retention has left all charges, and all requests.
    """

    month: date
    at_ns: int
    until_ns: int
    has_begun: bool
    is_over: bool
    total: Asked
    by_model: Asked
    by_provider: Asked
    by_project: Asked
    by_team: Asked
    by_day: Asked
    bears: Chargeback
    late: tuple[Correction, ...]
    close: Close | None
    before: Money | None
    cap: Money | None
    budgets: tuple[Balance, ...]
    providers: tuple[ProviderStatus, ...]
    verification: Verification | None
    is_whole: bool = True
    has_refused: bool = True

    @property
    def estimates_why_not(self) -> str | None:
        return None if self.is_whole or not self.sums.estimated else _GONE.format("charges")

    @property
    def refused_why_not(self) -> str | None:
        return None if self.has_refused else _GONE.format("requests")

    @property
    def sums(self) -> Sums:
        """Of everything."""
        (found,) = self.total.rows
        return found

    @property
    def is_empty(self) -> bool:
        return not self.sums.requests and not self.bears.commitments

    @property
    def unreconciled(self) -> Money:
        """What providers will bill, or have billed, without an invoice that was reconciled."""
        return Money(sum(one.billed for one in self.providers if one.is_open))

    @property
    def focus(self) -> tuple[FocusLine, ...]:
        months, sold = self.bears.commitments, self.bears.platform.sold
        is_known = self.bears.why_not is None
        has_rows = all(one.charged is not None for one in months)
        charged = Money(sum(one.charged or 0 for one in months))
        unused = Money(sum(one.unused or 0 for one in months))
        variance = Money(sum(one.variance or 0 for one in months))
        due = Money(sum(one.billed for one in months))
        as_it_went = Money(self.sums.effective - charged) if has_rows else None
        return (
            FocusLine("Usage, and Adjustments of rounding", "", self.sums.billed, as_it_went),
            FocusLine("Purchase, and Adjustments of what was given up", "", due, sold),
            FocusLine("Usage", "Used", ZERO, charged if has_rows else None),
            FocusLine("Usage", "Unused", ZERO, unused if is_known else None),
            FocusLine("Adjustment", "Variance", ZERO, variance if is_known else None),
        )


def spend_of_month(
    sql: Sql,
    month: date,
    at_ns: int,
    *,
    rule: Rule,
    bills: BillsOf,
    budgets: Iterable[Budget],
    raises: Iterable[Raise],
    cap: Money | None,
) -> SpendReport:
    """Within one `view`. bills: of fixed fees, as of the moment."""
    span = MonthSpan.of(month)
    until_ns = max(span.first_ns, min(span.end_ns, at_ns))
    earlier = MonthSpan.of(months_later(span.month, -1))
    has_begun = at_ns > span.first_ns
    by_provider = _asked(sql, span, until_ns, "provider", "by provider")
    return SpendReport(
        month=span.month,
        at_ns=at_ns,
        until_ns=until_ns,
        has_begun=has_begun,
        is_over=span.is_over(at_ns),
        total=_asked(sql, span, until_ns, None, "in all"),
        by_model=_asked(sql, span, until_ns, "model", "by model"),
        by_provider=by_provider,
        by_project=_asked(sql, span, until_ns, "project", "by project"),
        by_team=_asked(sql, span, until_ns, "team", "by team"),
        by_day=_asked(sql, span, until_ns, "day", "by day (UTC)"),
        bears=chargeback(sql, span, rule, bills(span.month), at_ns),
        late=tuple(corrections(sql, span.month, bills, at_ns)),
        close=CloseTable(sql).one(span.month),
        before=cost_of_month(sql, earlier, at_ns) if has_begun else None,
        cap=cap,
        budgets=tuple(_monthly(sql, budgets, raises, until_ns)) if has_begun else (),
        providers=tuple(_providers(sql, span, by_provider)),
        verification=VerificationTable(sql).last(_EVER_NS),
        is_whole=kept(sql).entries_since_ns <= span.first_ns,
        has_refused=kept(sql).quarters_since_ns <= span.first_ns,  # they age together
    )


_GONE = "Retention has deleted {} of the month: what was told by them alone is not known any more."


_EVER_NS = 2**63 - 1


def base(sql: Sql, since_ns: int, until_ns: int) -> str:
    """A FROM of what was charged in a span that begins with a day of UTC: rows of `day` (days since
    1970), subject_id, and the sums of SUMMED."""
    whole_ns = until_ns // DAY_NS * DAY_NS
    days = written(
        f"SELECT start_ns / {DAY_NS} AS day, subject_id, {_SUMMED} FROM rollups"
        f" WHERE step_s = {DAY_S} AND start_ns >= ? AND start_ns < ?",
        (since_ns, whole_ns),
    )
    if whole_ns >= until_ns:
        return f"({days}) AS charged"
    parts, values = source(plan(whole_ns, until_ns, kept(sql)).parts, _SUMMED)
    rest = written(
        f"SELECT {whole_ns // DAY_NS} AS day, subject_id, {_SUMMED} FROM {parts}", values
    )
    return f"({days} UNION ALL {rest}) AS charged"


def _asked(sql: Sql, span: MonthSpan, until_ns: int, column: str | None, says: str) -> Asked:
    group = "" if column is None else f" GROUP BY {column}"
    query = Query(
        f"spend_{column or 'total'}",
        f"what was charged {says}, in nano-USD",
        f"SELECT {column or 'NULL AS name'}, {_SUMS} FROM {base(sql, span.first_ns, until_ns)}"
        f" JOIN subjects ON subjects.id = subject_id{group}",
    )
    rows = [_sums(row, is_day=column == "day") for row in query.rows(sql)]
    if column == "day":
        rows.sort(key=lambda one: one.name or "")
    else:
        rows.sort(key=lambda one: (-one.effective, one.name is not None, one.name or ""))
    return Asked(query, tuple(rows))


def _sums(row: Row, *, is_day: bool) -> Sums:
    name, *numbers = row
    requests, prompt, completion, effective, billed, listed, *rest = (int(one) for one in numbers)
    first_offer, cheapest, estimated, overrun = rest
    return Sums(
        name=instant(name * DAY_NS).date().isoformat() if is_day else name,
        requests=requests,
        prompt_tokens=prompt,
        completion_tokens=completion,
        effective=Money(effective),
        billed=Money(billed),
        list=Money(listed),
        first_offer=Money(first_offer),
        cheapest=Money(cheapest),
        estimated=estimated,
        overrun=Money(overrun),
    )


def _monthly(
    sql: Sql, budgets: Iterable[Budget], raises: Iterable[Raise], until_ns: int
) -> Iterator[Balance]:
    """USD budgets of a month, in the window of the last moment that is looked at."""
    its = [one for one in budgets if one.window is Window.MONTH and one.measure is Measure.USD]
    yield from standing(sql, its, instant(until_ns - 1), raises)


def _providers(sql: Sql, span: MonthSpan, charged: Asked) -> Iterator[ProviderStatus]:
    last = month_after(span.month) - _ONE_DAY
    kept_: dict[str, list[KeptReconciliation]] = {}
    for one in ReconciliationTable(sql).of_days(span.month, last):
        kept_.setdefault(one.provider, []).append(one)
    sums = {row.name or "": row for row in charged.rows}
    for name in sorted({*sums, *kept_}):
        row, its = sums.get(name), kept_.get(name, [])
        whole = [one for one in its if one.first <= span.month and one.last >= last]
        whole = [one for one in whole if one.account is None]
        newest = next(iter(whole or its), None)
        yield ProviderStatus(
            name,
            ZERO if row is None else row.billed,
            0 if row is None else row.estimated,
            _status(newest, is_whole=bool(whole)),
            newest,
        )


def _status(newest: KeptReconciliation | None, *, is_whole: bool) -> Status:
    if newest is None:
        return Status.NONE
    if not newest.is_explained:
        return Status.DIFFERS
    return Status.RECONCILED if is_whole else Status.IN_PART
