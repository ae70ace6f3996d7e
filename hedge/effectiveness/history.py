"""History: the months that the books have, and the days of one, by their all-in cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from hedge.book.book import HedgeBook
from hedge.effectiveness.economics import CostKind, Economics, unbooked
from hedge.effectiveness.exceedances import Exceedances
from hedge.effectiveness.period import Period
from hedge.effectiveness.query import Query
from ledger.accounting import GlAccount
from ledger.calendar_months import months_later
from ledger.instants import day_ns, instant
from ledger.money import Money
from ledger.tables.rollups import DAY_S

MOST_MONTHS = 36
"""How far back months are told."""
_DAY = timedelta(days=1)
_COSTS = (
    GlAccount.COMMITMENT_EXPENSE,
    GlAccount.RESALE_RESULT,
    GlAccount.REALISED_RESULT,
    GlAccount.UNREALISED_RESULT,
    GlAccount.FUNDING,
    GlAccount.FEES,
)
"""The accounts of an all-in cost: their debits."""


@dataclass(frozen=True, slots=True)
class MonthCost:
    """month: its first day. cost: all in, so far."""

    month: date
    cost: Money
    is_over: bool


@dataclass(frozen=True, slots=True)
class DayCost:
    """cost: all in. sum: of the month up to this day, it included."""

    day: date
    cost: Money
    sum: Money


@dataclass(frozen=True, slots=True)
class History:
    """months: up to the report's, from the first of the last 36 with any cost on, without gaps.
    days: of the report's month, so far; the last one may not be over. begins: the first day with
    any cost in these months; None without one. billed_query, records_query: usage as billed and
    what records cost, by day."""

    months: tuple[MonthCost, ...]
    days: tuple[DayCost, ...]
    begins: date | None
    billed_query: Query
    records_query: Query

    def exceedances(self, cap: Money, confidence: float | None) -> Exceedances:
        """Of the months that are over, held against one cap. confidence: that was promised."""
        over = [one for one in self.months if one.is_over]
        count = sum(one.cost > cap for one in over)
        return Exceedances(count, len(over), None if confidence is None else 1 - confidence)


def history(book: HedgeBook, period: Period, cost: Economics) -> History:
    """cost: of the period, to which its days sum. To be read within one `view`."""
    first = months_later(period.month, 1 - MOST_MONTHS)
    billed_query = Query(
        "billed_by_day",
        "usage as billed by providers, by day: its beginning in ns since 1970",
        "SELECT start_ns, sum(billed_nanos) AS billed_nanos FROM rollups"
        f" WHERE step_s = {DAY_S} AND start_ns >= {day_ns(first)}"
        f" AND start_ns < {day_ns(period.whole_until)} GROUP BY start_ns ORDER BY start_ns",
    )
    accounts = ", ".join(f"'{one}'" for one in _COSTS)
    records_query = Query(
        "records_by_day",
        "expenses of commitments, resale, results and fees of derivatives, by day",
        "SELECT day, sum(amount_nanos) AS amount_nanos FROM record_lines"
        f" JOIN records ON records.seq = record_lines.seq WHERE account IN ({accounts})"
        f" AND day >= '{first}' AND day <= '{period.last_day}' GROUP BY day ORDER BY day",
    )
    costs: defaultdict[date, int] = defaultdict(int)
    whole = 0
    for start_ns, amount in billed_query.rows(book.sql):
        costs[instant(start_ns).date()] += int(amount)
        whole += int(amount) if start_ns >= period.since_ns else 0
    for day, amount in records_query.rows(book.sql):
        costs[date.fromisoformat(day)] += int(amount)
    for day, unbooked_amount in unbooked(book, first, period.whole_until):
        costs[day] += unbooked_amount
    if rest := cost.line(CostKind.BILLED) - whole:  # of a day that is not over
        costs[period.last_day] += rest
    begins = min(costs, default=None)
    return History(
        months=tuple(_months(costs, begins, period)),
        days=tuple(_days(costs, period)),
        begins=begins,
        billed_query=billed_query,
        records_query=records_query,
    )


def _months(costs: dict[date, int], begins: date | None, period: Period) -> Iterator[MonthCost]:
    if begins is None:
        return
    sums: defaultdict[date, int] = defaultdict(int)
    for day, cost in costs.items():
        sums[day.replace(day=1)] += cost
    month = begins.replace(day=1)
    while month <= period.month:
        yield MonthCost(month, Money(sums[month]), month < period.month or period.is_over)
        month = months_later(month, 1)


def _days(costs: dict[date, int], period: Period) -> Iterator[DayCost]:
    day, so_far = period.month, 0
    while period.has_begun and day <= period.last_day:
        so_far += costs.get(day, 0)
        yield DayCost(day, Money(costs.get(day, 0)), Money(so_far))
        day += _DAY
