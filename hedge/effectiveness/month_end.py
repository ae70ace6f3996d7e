"""MonthEnd: the hedge's book at the end of a month, or as far as it has come.

By the days that records are of: what was settled a few days later belongs to the month that it
settles. A report of a month that is not over is of all that is known by the end of the day of `at`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from hedge.book.book import HedgeBook
from hedge.book.settling import LATE_DAYS
from hedge.effectiveness.gains import Gains, gains_of
from ledger.accounting import Record
from ledger.calendar_months import months_later
from ledger.databases.sql import Sql
from ledger.instants import day_ns, instant
from ledger.tables.records import RecordTable

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, eq=False)
class MonthEnd:
    """month: its first day. until: the first day that is not in it. whole_until: as far as days are
    over. known_ns: prices that were known by then count: a month's last fixing is published after
    it. book: at the beginning of `until`; for reading. records: of it, in their order."""

    sql: Sql
    month: date
    until: date
    whole_until: date
    at_ns: int
    known_ns: int
    book: HedgeBook
    records: tuple[Record, ...]
    gains: Gains

    @property
    def of_month(self) -> list[Record]:
        return [one for one in self.records if one.day >= self.month]


def month_end(sql: Sql, month: date, at_ns: int) -> MonthEnd:
    """month: its first day. at_ns: later than it is over counts as its end."""
    end = months_later(month, 1)
    last = instant(at_ns - 1).date()
    until = max(month, min(end, last + _DAY))
    book = HedgeBook(sql, at_ns, until)
    records = tuple(one for one in RecordTable(sql).read() if one.day < until)
    return MonthEnd(
        sql=sql,
        month=month,
        until=until,
        whole_until=max(month, min(end, instant(at_ns).date())),
        at_ns=at_ns,
        known_ns=day_ns(until + _DAY * LATE_DAYS),
        book=book,
        records=records,
        gains=gains_of(book, records),
    )
