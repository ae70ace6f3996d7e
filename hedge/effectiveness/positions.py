"""Positions: what is held, what it is worth, and how sure that worth is, by trade.

Only futures, swaps, forwards, perpetuals and events are derivatives. Reservations are purchases
that both sides still have to perform (executory); whether dedicated GPUs are a lease is the
controller's to test.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from ledger.money import Money


class Holds(StrEnum):
    EXISTING = "existing"
    """Since before the month."""
    NEW = "new"
    """Traded in the month."""
    EXPIRING = "expiring"
    """Settles in this month or the next."""
    CLOSED = "closed"
    """In the month; nothing is left."""


@dataclass(frozen=True, slots=True)
class PositionRow:
    """A trade in one month of settlement. lots: open at the end; index_units: lots × multiplier.
    entry_usd, mark_usd: per index unit (of an event: per lot). mark_usd: None if never marked.
    fair_value: that it is carried at, an asset above zero, a liability below. level: of the
    fair-value hierarchy, 1 to 3, as it appears from the terms. gain: in the month."""

    trade: str
    hypothetical: str | None
    contract: str
    kind: str
    counterparty: str
    month: date | None
    holds: Holds
    traded_on: date
    lots: int
    index_units: Decimal
    entry_usd: Decimal
    mark_usd: Decimal | None
    marked_on: date | None
    notional: Money
    fair_value: Money
    gain: Money
    level: int
    why_level: str


@dataclass(frozen=True, slots=True)
class CommitmentRow:
    """A reservation or prepaid quota, at the end of the month. ends: the day after the last one.
    fee: of all of the term. prepaid, payable: what is carried. expensed: so far; in_month: of it in
    the month. to_bill: of the fee, what is not due yet. says: how it is seen, and who decides."""

    trade: str
    contract: str
    kind: str
    provider: str
    holds: Holds
    units: int
    starts: date
    ends: date
    fee: Money
    prepaid: Money
    payable: Money
    expensed: Money
    in_month: Money
    to_bill: Money
    needs_lease_test: bool
    says: str


@dataclass(frozen=True, slots=True)
class Positions:
    derivatives: tuple[PositionRow, ...]
    commitments: tuple[CommitmentRow, ...]
