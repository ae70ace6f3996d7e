"""Positions: what is held, what it is worth, and how sure that worth is, by trade.

Only futures, swaps, forwards, perpetuals and events are derivatives. Reservations are purchases
that both sides still have to perform (executory); whether dedicated GPUs are a lease is the
controller's to test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from hedge.book.book import Holding
from hedge.book.lots import Lot, notional, per_lot
from hedge.contracts.capacity import DedicatedEndpoint, GpuBlock
from hedge.contracts.contract import DerivativeContract
from hedge.contracts.derivatives import Future
from hedge.effectiveness.gains import total
from hedge.effectiveness.month_end import MonthEnd
from hedge.effectiveness.relation import Relation
from hedge.effectiveness.trades import Trade, trades
from ledger.accounting import GlAccount
from ledger.calendar_months import months_later
from ledger.instants import instant
from ledger.money import ZERO, Money

_DAY = timedelta(days=1)


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
    """A trade, in one month of settlement. trade: as in its relation; hypothetical: all of its ids,
    None if nothing is designated. lots: open at the end; index_units: lots × multiplier. entry_usd,
    mark_usd: per index unit (of an event: per lot). mark_usd: None if never marked. fair_value:
    that it is carried at, an asset above zero, a liability below. level: of the hierarchy of fair
    values, 1 to 3, as it appears from the terms; None if nothing is open. gain: in the month."""

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
    level: int | None
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


def positions(end: MonthEnd, relations: Iterable[Relation]) -> Positions:
    designated = {
        (one.fill, one.month): one.hypothetical for one in relations if one.hypothetical is not None
    }
    return Positions(
        tuple(_derivatives(end, designated)),
        tuple(_commitment(end, one) for one in end.book.holdings.values() if _is_held(end, one)),
    )


# -- derivatives


def _derivatives(
    end: MonthEnd, designated: dict[tuple[str, date | None], str]
) -> Iterator[PositionRow]:
    """Open at the end of the month, or closed in it."""
    for trade in trades(end):
        position = end.book.positions.get(trade.key)
        lots = [] if position is None else [one for one in position.lots if one.fill == trade.id]
        closed = end.gains.closed_on(trade.id, trade.key)
        if lots or (closed is not None and closed >= end.month):
            hypothetical = designated.get((trade.id, trade.key[1]))
            yield _row(end, trade, lots[0] if lots else None, hypothetical)


def _row(end: MonthEnd, trade: Trade, lot: Lot | None, hypothetical: str | None) -> PositionRow:
    contract, month = trade.contract, trade.key[1]
    gains = end.gains.of(trade.id, trade.key)
    mark_usd = None if lot is None else lot.mark_usd
    marked_on = end.book.marked_on.get(trade.key) if mark_usd is not None else None
    lots = 0 if lot is None else lot.units
    level, why = _level(contract, is_open=lot is not None, is_marked=mark_usd is not None)
    entry_usd = trade.fill.price_usd
    return PositionRow(
        trade=trade.name,
        hypothetical=hypothetical,
        contract=contract.name,
        kind=contract.kind,
        counterparty=contract.owed_by,
        month=month,
        holds=_holds(end, trade, lot),
        traded_on=trade.traded_on,
        lots=lots,
        index_units=lots * per_lot(contract),
        entry_usd=entry_usd,
        mark_usd=mark_usd,
        marked_on=marked_on,
        notional=notional(contract, lots, entry_usd if mark_usd is None else mark_usd),
        fair_value=ZERO if lot is None else lot.carried(contract),
        gain=total(gains, end.month, end.until),
        level=level,
        why_level=why,
    )


def _holds(end: MonthEnd, trade: Trade, lot: Lot | None) -> Holds:
    month = trade.key[1]
    if lot is None:
        return Holds.CLOSED
    if trade.traded_on >= end.month:
        return Holds.NEW
    is_near = month is not None and month <= months_later(end.month, 1)
    return Holds.EXPIRING if is_near else Holds.EXISTING


def _level(
    contract: DerivativeContract, *, is_open: bool, is_marked: bool
) -> tuple[int | None, str]:
    """Of the hierarchy of fair values, as it appears from the terms."""
    if not is_open:
        return None, "closed or settled: nothing of it is left to be valued"
    index = contract.settlement.index
    if isinstance(contract, Future) and contract.cleared and is_marked:
        return 1, f"listed and marked by {contract.provider}; whether its market is active is open"
    if is_marked:
        return 2, f"no listed future; valued by a price that follows {index}, which is published"
    return 3, "never marked: carried at entry, as nothing observable is known of it"


# -- commitments


def _is_held(end: MonthEnd, one: Holding) -> bool:
    """In the month, or later; or carried still."""
    accounts = (GlAccount.PREPAID_COMMITMENTS, GlAccount.COMMITMENT_PAYABLE)
    is_carried = any(end.book.balance(account, one.fill) for account in accounts)
    return one.ends > end.month or is_carried


def _commitment(end: MonthEnd, one: Holding) -> CommitmentRow:
    def at(account: GlAccount) -> Money:
        return end.book.balance(account, one.fill)

    needs_test = isinstance(one.contract, DedicatedEndpoint | GpuBlock)
    in_month = sum(
        line.amount
        for record in end.of_month
        for line in record.lines
        if line.about == one.fill and line.account is GlAccount.COMMITMENT_EXPENSE
    )
    return CommitmentRow(
        trade=one.fill,
        contract=one.contract.name,
        kind=one.contract.kind,
        provider=one.contract.provider,
        holds=_held(end, one),
        units=one.units,
        starts=one.starts,
        ends=one.ends,
        fee=Money(sum(one.schedule.expenses)),
        prepaid=at(GlAccount.PREPAID_COMMITMENTS),
        payable=Money(-at(GlAccount.COMMITMENT_PAYABLE)),
        expensed=at(GlAccount.COMMITMENT_EXPENSE),
        in_month=Money(in_month),
        to_bill=to_bill(end, one),
        needs_lease_test=needs_test,
        says=_LEASE if needs_test else _EXECUTORY,
    )


_EXECUTORY = "a purchase that both sides still have to perform (executory): no derivative"
_LEASE = f"{_EXECUTORY}; GPUs that serve nobody else may be a lease, which the controller tests"


def to_bill(end: MonthEnd, one: Holding) -> Money:
    """Of the fee, what the book has no bill of yet."""
    return Money(sum(amount for _, amount in unbilled(end, one)))


def unbilled(end: MonthEnd, one: Holding) -> Iterator[tuple[date, Money]]:
    for day, amount in one.schedule.bills:
        if not end.book.has(f"bill:{one.fill}:{day}"):
            yield day, amount


def _held(end: MonthEnd, one: Holding) -> Holds:
    if one.ends <= end.until:
        return Holds.CLOSED
    if instant(end.book.fills[one.fill].at_ns).date() >= end.month:
        return Holds.NEW
    is_near = one.ends <= months_later(end.month, 2)
    return Holds.EXPIRING if is_near else Holds.EXISTING
