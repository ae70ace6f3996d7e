"""Closing: what teams are billed for a month, once, and what is found later, as a correction.

A request counts in the month in which it began, and may be charged after that was billed: a batch
that took a day, a worker that came back with its journal. What was billed is not changed; the next
month that is closed has the difference, by team, as a line of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from ledger.chargeback import Chargeback, MonthSpan, Rule, chargeback
from ledger.commitment_periods import bought
from ledger.databases.sql import Sql
from ledger.errors import MonthNotClosable
from ledger.fixed_fees import Bill
from ledger.money import ZERO, Money
from ledger.tables.closes import PLATFORM, Close, CloseLine, CloseTable, Payer
from ledger.tables.commitment_fees import FeeTable
from ledger.team_sums import metered_by_team

LOOKED_BACK = 12
"""How many closed months before a month are looked at for what has changed."""

BillsOf = Callable[[date], Mapping[str, Bill]]
"""The fixed fees of a month, by team; the month by its first day."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What somebody was billed too little (above zero) or too much for an earlier month."""

    of_month: date
    payer: Payer
    amount: Money


def close_month(
    sql: Sql, found: Chargeback, bills: BillsOf, *, who: str, now_ns: int
) -> tuple[Correction, ...]:
    """Keep what each bears of a month as billed, with the corrections of earlier ones, which are
    returned. Within a transaction. Raises MonthNotClosable."""
    if not found.is_over:
        raise MonthNotClosable(
            f"{found.month:%Y-%m} is not over: close it when it is, and its late answers are in"
        )
    table = CloseTable(sql)
    closed = table.all()
    if any(one.month == found.month for one in closed):
        raise MonthNotClosable(
            f"{found.month:%Y-%m} is closed already: what has changed since is a correction of the"
            " next month"
        )
    if closed and closed[-1].month > found.month:
        raise MonthNotClosable(
            f"{closed[-1].month:%Y-%m} is closed already: months are closed in their order"
        )
    if found.why_not is not None:
        raise MonthNotClosable(f"{found.month:%Y-%m} cannot be closed: {found.why_not}")
    late = tuple(corrections(sql, found.month, bills, now_ns))
    lines = [CloseLine(found.month, payer, amount) for payer, amount in borne(found).items()]
    lines += [CloseLine(one.of_month, one.payer, one.amount) for one in late]
    close = Close(
        *(found.month, now_ns, who, found.zone, found.rule.value),
        *(found.requests, found.metered, found.cost),
    )
    table.add(close, lines)
    return late


def corrections(sql: Sql, month: date, bills: BillsOf, now_ns: int) -> Iterator[Correction]:
    """Of earlier closed months, what a month has to correct: as it was closed, or as it stands.

    Within a `view`.
    """
    table = CloseTable(sql)
    closed = table.all()
    if any(one.month == month for one in closed):
        for line in table.lines(month):
            if line.of_month != month:
                yield Correction(line.of_month, line.payer, line.amount)
        return
    for one in [one for one in closed if one.month < month][-LOOKED_BACK:]:
        if not _has_changed(sql, one):
            continue
        found = as_it_stands(sql, one, bills, now_ns)
        billed = table.billed(one.month)
        now = borne(found) if found.why_not is None else billed
        for payer in sorted({*now, *billed}, key=_order):
            difference = Money(now.get(payer, ZERO) - billed.get(payer, ZERO))
            if difference:
                yield Correction(one.month, payer, difference)


def _has_changed(sql: Sql, close: Close) -> bool:
    """Whether something was charged to it since, or its commitments cost something else, or one was
    given up in it, which is no month's cost."""
    span = MonthSpan.of(close.month, ZoneInfo(close.zone))
    used = metered_by_team(sql, span.since_ns, span.until_ns).values()
    requests, metered = sum(one.requests for one in used), sum(one.effective for one in used)
    fees = {one.held.id: one.fees for one in bought(sql)}
    costs = (cost for one in fees.values() for cost in one.costs)
    cost = sum(one.amount for one in costs if one.month == close.month)
    if (requests, metered, cost) != (close.requests, close.metered, close.cost):
        return True
    since = {name for name, (_, at_ns) in FeeTable(sql).written().items() if at_ns > close.at_ns}
    gone = (one.given_up for name, one in fees.items() if name in since)
    return any(one is not None and one.day.replace(day=1) == close.month for one in gone)


def as_it_stands(sql: Sql, close: Close, bills: BillsOf, now_ns: int) -> Chargeback:
    """What each bears of a closed month by now, by the rule that it was closed with."""
    span = MonthSpan.of(close.month, ZoneInfo(close.zone))
    return chargeback(sql, span, Rule(close.rule), bills(close.month), now_ns)


def borne(found: Chargeback) -> dict[Payer, Money]:
    """What each bears; who bears nothing is left out."""
    amounts = {Payer(one.team): one.total for one in found.teams}
    amounts[PLATFORM] = found.platform.total
    return {payer: amount for payer, amount in amounts.items() if amount}


def _order(payer: Payer) -> tuple[bool, bool, str]:
    return payer.is_platform, payer.team is not None, payer.team or ""
