"""Fixed bills: what teams with a fixed fee are billed for a month, as the hedge's book has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date

from hedge.book.book import HedgeBook
from hedge.fixed_fee.agreements import team_months
from ledger.closing import BillsOf
from ledger.databases.sql import Sql
from ledger.fixed_fees import Bill
from ledger.money import ZERO, Money


def bills_of(sql: Sql, now_ns: int) -> BillsOf:
    """Of any month, by its first day: what was billed, or would be by now. A team with several
    agreements has the sum of their bills."""
    of_month: defaultdict[date, dict[str, Bill]] = defaultdict(dict)
    for one in team_months(HedgeBook(sql, now_ns)):
        team, bills = one.agreement.quote.fee.team, of_month[one.month]
        before = bills.get(team, Bill())
        bills[team] = Bill(
            Money(before.fee + one.bill.fee),
            Money(before.overage + one.bill.overage),
            max(before.metered, one.bill.metered, ZERO),
        )

    def of(month: date) -> Mapping[str, Bill]:
        return of_month.get(month, {})

    return of
