"""Liquidity: what margin binds, what was called for, and what a move of the indices would call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ledger.money import Money


@dataclass(frozen=True, slots=True)
class MarginRow:
    """With one counterparty, at the end of the month. free: what can be taken back."""

    counterparty: str
    deposits: Money
    unrealised: Money
    equity: Money
    initial: Money
    maintenance: Money
    free: Money
    assumed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallRow:
    """A margin call of the month, or still open from before. state: met, open or overdue."""

    counterparty: str
    day: date
    amount: Money
    due_at_ns: int
    met_on: date | None
    state: str


@dataclass(frozen=True, slots=True)
class StressRow:
    """All prices of a counterparty's open lots move by `move` at once (-0.25: down by 25%). gain:
    of those lots, losses below zero. call: what would be called for; free: what could be taken back
    before the move."""

    name: str
    move: Decimal
    counterparty: str
    gain: Money
    equity: Money
    call: Money
    free: Money


@dataclass(frozen=True, slots=True)
class WorstMove:
    """The largest fall or rise of a series from one of its fixings to the next. since: the first
    fixing that is known."""

    series: str
    move: Decimal
    day: date
    since: date
    fixings: int


@dataclass(frozen=True, slots=True)
class Liquidity:
    """bound: deposits, and what was paid for open events."""

    margin: tuple[MarginRow, ...]
    calls: tuple[CallRow, ...]
    stress: tuple[StressRow, ...]
    worst: tuple[WorstMove, ...]
    bound: Money
    says: str
