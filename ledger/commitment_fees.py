"""Fees: when a commitment's fee is billed, and which month it is the cost of.

Two schedules of the same money. A fee that is due upfront is billed once and is the cost of every
month of the term. Who bought the commitment knows both and keeps them with it; one of which nobody
has said more than its fee is billed and used up by time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from ledger.allowances import capacity_in
from ledger.calendar_months import month_after
from ledger.commitments import Commitment, CommitmentKind
from ledger.instants import day_ns, instant
from ledger.money import Money
from ledger.windows import Span

_MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Due:
    """What is billed on a day, for the days from then on and before `until`."""

    day: date
    until: date
    amount: Money


@dataclass(frozen=True, slots=True)
class MonthCost:
    """month: its first day (UTC). amount: what it costs of the fee."""

    month: date
    amount: Money


class Ending(StrEnum):
    """Why a commitment was ours no longer before its term was over."""

    SOLD = "sold"
    PART_SOLD = "part sold"
    """What was kept of it is another commitment from then on."""
    TAKEN_BACK = "taken back"
    """It was entered by mistake: all of it is reversed."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What was given up on a day.

    billed: of the fee, what was not due before and is owed at once. cost: what of the fee was the
    cost of no day yet; of what is taken back both are below zero, and reverse what was there.
    """

    day: date
    ending: Ending
    billed: Money
    cost: Money


@dataclass(frozen=True, slots=True)
class Fees:
    """dues, costs: oldest first; a month that costs nothing has its place, too.

    Both, with what was given up, are the fee; of a commitment that was sold on in part the dues
    and costs are those of it and of what was kept together, since what was kept may be paid for
    already.
    """

    dues: tuple[Due, ...]
    costs: tuple[MonthCost, ...]
    given_up: GivenUp | None = None


def fees_by_time(one: Commitment) -> Fees:
    """Billed at the start and at the start of each month (a quota of the whole term: once), used up
    evenly."""
    parts = list(_months(one))
    amounts = [Money(_until(one, end_ns) - _until(one, start_ns)) for _, start_ns, end_ns in parts]
    is_whole = one.kind is not CommitmentKind.THROUGHPUT and not one.is_monthly
    if is_whole:
        dues = [Due(_day(one.starts_ns), _last(one.ends_ns), one.fee)]
    else:
        dues = [
            Due(_day(start_ns), _last(end_ns), amount)
            for (_, start_ns, end_ns), amount in zip(parts, amounts, strict=True)
        ]
    return Fees(
        tuple(due for due in dues if due.amount),
        tuple(
            MonthCost(month, amount) for (month, _, _), amount in zip(parts, amounts, strict=True)
        ),
    )


def _months(one: Commitment) -> Iterator[tuple[date, int, int]]:
    """Each calendar month (UTC) of its term: the first day, and the part of it that it has."""
    start_ns = one.starts_ns
    while start_ns < one.ends_ns:
        month = _day(start_ns).replace(day=1)
        end_ns = min(one.ends_ns, day_ns(month_after(month)))
        yield month, start_ns, end_ns
        start_ns = end_ns


def _until(one: Commitment, until_ns: int) -> int:
    """The fee up to a moment, by time."""
    return one.fee * (until_ns - one.starts_ns) // (one.ends_ns - one.starts_ns)


def _day(at_ns: int) -> date:
    return instant(at_ns).date()


def _last(at_ns: int) -> date:
    """The first day that begins at this moment or later."""
    day = _day(at_ns)
    return day if day_ns(day) == at_ns else _day(day_ns(day) + 86_400 * 1_000_000_000)


def capacity_between(one: Commitment, since_ns: int, until_ns: int) -> int:
    """The micro-units of a part of its term, so that those of parts that lie side by side add up to
    those of both: a month's quota by time, and that of a whole term, too."""
    return _capacity(one, until_ns) - _capacity(one, since_ns)


def _capacity(one: Commitment, until_ns: int) -> int:
    until_ns = min(max(until_ns, one.starts_ns), one.ends_ns)
    if one.kind is CommitmentKind.THROUGHPUT:
        return one.micro_units * (until_ns - one.starts_ns) // _MINUTE_NS
    if not one.is_monthly:
        passed_ns, term_ns = until_ns - one.starts_ns, one.ends_ns - one.starts_ns
        return one.micro_units * passed_ns // term_ns
    units = 0
    for month, start_ns, end_ns in _months(one):
        if start_ns >= until_ns:
            break
        of_month = capacity_in(one, month_span(month))
        passed_ns = min(end_ns, until_ns) - start_ns
        units += of_month * passed_ns // (end_ns - start_ns)
    return units


def month_span(month: date) -> Span:
    """A calendar month of UTC."""
    start, end = instant(day_ns(month)), instant(day_ns(month_after(month)))
    return Span(start, end, start)
