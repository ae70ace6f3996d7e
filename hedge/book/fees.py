"""Fees: what the ledger keeps of the schedule of what a fill bought, commitment by commitment.

The book writes bills and expenses as they come due; the ledger has them all from the day of the
purchase on, so that its exports and statements agree with the book month by month.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from hedge.book.book import HedgeBook, Holding
from hedge.book.schedule import Schedule
from ledger.accounting import GlAccount
from ledger.commitment_fees import Due, Ending, Fees, GivenUp, MonthCost
from ledger.money import Money
from ledger.tables.commitment_fees import FeeTable


def fees_as_bought(schedule: Schedule) -> Fees:
    return Fees(_dues(schedule), _costs(schedule.days(schedule.starts, schedule.ends)))


def fees_of(book: HedgeBook, holding: Holding) -> dict[str, Fees]:
    """Of each commitment that a fill has made: the first, and what each resale has left. What is
    due on the day of a resale is due for the one that was sold on."""
    schedule = holding.schedule
    dues = _dues(schedule)
    found: dict[str, Fees] = {}
    since: date | None = None
    chain = (*holding.earlier, holding.commitment)
    for name, day, resale in zip(holding.earlier, holding.resold, chain[1:], strict=True):
        is_last = resale == holding.commitment and not holding.units
        found[name] = Fees(
            tuple(due for due in dues if _is_after(due, since) and due.day <= day),
            _costs(schedule.days(_first(schedule, since), day)),
            _sold(book, resale, day, Ending.SOLD if is_last else Ending.PART_SOLD),
        )
        since = day
    if holding.units:
        found[holding.commitment] = Fees(
            tuple(due for due in dues if _is_after(due, since)),
            _costs(schedule.days(_first(schedule, since), schedule.ends)),
        )
    return found


def fees_taken_back(book: HedgeBook, holding: Holding, day: date) -> Fees:
    """What the book has written of the holding's bills and expenses, and its reversal on a day."""
    schedule, fill = holding.schedule, holding.fill
    dues = tuple(one for one in _dues(schedule) if book.has(f"bill:{fill}:{one.day}"))
    days = schedule.days(schedule.starts, schedule.ends)
    costs = _costs(one for one in days if book.has(f"expense:{fill}:{one[0]}"))
    billed, cost = sum(one.amount for one in dues), sum(one.amount for one in costs)
    return Fees(dues, costs, GivenUp(day, Ending.TAKEN_BACK, Money(-billed), Money(-cost)))


def keep_fees(book: HedgeBook) -> None:
    """Say of commitments that were bought before the ledger kept this when their fee is due."""
    table = FeeTable(book.sql)
    by_time = table.by_time()
    for holding in book.holdings.values():
        if by_time.intersection((*holding.earlier, holding.commitment)):
            for name, fees in fees_of(book, holding).items():
                table.keep(name, fees, book.now_ns)


def _dues(schedule: Schedule) -> tuple[Due, ...]:
    bounds = [*(day for day, _ in schedule.bills), schedule.ends]
    return tuple(
        Due(day, until, amount)
        for (day, amount), until in zip(schedule.bills, bounds[1:], strict=True)
        if amount
    )


def _costs(days: Iterable[tuple[date, Money]]) -> tuple[MonthCost, ...]:
    of_month: defaultdict[date, int] = defaultdict(int)
    for day, amount in days:
        of_month[day.replace(day=1)] += amount
    return tuple(MonthCost(month, Money(amount)) for month, amount in of_month.items())


def _is_after(due: Due, since: date | None) -> bool:
    return since is None or due.day > since


def _first(schedule: Schedule, since: date | None) -> date:
    return schedule.starts if since is None else max(since, schedule.starts)


def _sold(book: HedgeBook, resale: str, day: date, ending: Ending) -> GivenUp:
    moved = {line.account: line.amount for line in book.lines(resale)}
    billed = -moved.get(GlAccount.COMMITMENT_PAYABLE, 0)
    cost = moved.get(GlAccount.RESALE_RESULT, 0) + moved.get(GlAccount.CASH, 0)
    return GivenUp(day, ending, Money(billed), Money(cost))
