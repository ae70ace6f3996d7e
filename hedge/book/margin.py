"""Margin: what counterparties want to see deposited, and what they have called for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from hedge.book.lots import Position
from ledger.business_days import is_business_day
from ledger.instants import day_ns
from ledger.money import Money, usd

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MarginAccount:
    """With one counterparty. equity: deposits and what open positions have gained. Positions that
    no margin is asked for are not in here. assumed: contracts whose margin nobody has published."""

    counterparty: str
    deposits: Money
    unrealised: Money
    initial: Money
    maintenance: Money
    assumed: tuple[str, ...] = ()

    @property
    def equity(self) -> Money:
        return Money(self.deposits + self.unrealised)

    @property
    def missing(self) -> Money:
        """What a call would be of: nothing above maintenance; below it, all up to the initial."""
        return Money(self.initial - self.equity if self.equity < self.maintenance else 0)

    @property
    def free(self) -> Money:
        """What can be taken back."""
        return Money(max(0, min(self.deposits, self.equity - self.initial)))


@dataclass(frozen=True, slots=True)
class Call:
    """A margin call. level: what deposits have to reach. met_on: the day they did."""

    counterparty: str
    day: date
    amount: Money
    level: Money
    due_at_ns: int
    met_on: date | None = None

    def state(self, now_ns: int) -> Literal["met", "open", "overdue"]:
        if self.met_on is not None:
            return "met"
        return "open" if now_ns < self.due_at_ns else "overdue"


def margin_account(
    counterparty: str, deposits: Money, positions: Iterable[Position]
) -> MarginAccount:
    """positions: those with the counterparty. Months are not set off against each other."""
    unrealised = initial = maintenance = 0
    assumed = set[str]()
    for one in positions:
        margin = one.contract.margin
        if margin is None:
            continue
        if margin.assumed:
            assumed.add(one.contract.name)
        unrealised += one.unrealised
        initial += usd(margin.initial) * abs(one.units)
        maintenance += usd(margin.maintenance) * abs(one.units)
    return MarginAccount(
        counterparty,
        deposits,
        Money(unrealised),
        Money(initial),
        Money(maintenance),
        tuple(sorted(assumed)),
    )


def due_at_ns(day: date) -> int:
    """A call of a day is due by the end of the next business day."""
    due = day + _DAY
    while not is_business_day(due):
        due += _DAY
    return day_ns(due + _DAY)


def after_deposit(call: Call, deposits: Money, day: date) -> Call:
    """Once met, a call stays so: what is missing later is another one."""
    is_met = call.met_on is None and deposits >= call.level
    return replace(call, met_on=day) if is_met else call
