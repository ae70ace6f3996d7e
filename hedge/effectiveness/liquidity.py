"""Liquidity: what margin binds, what was called for, and what a move of the indices would call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal

from hedge.book.book import PositionKey
from hedge.book.lots import Position, is_paid_upfront
from hedge.book.margin import MarginAccount
from hedge.book.settling import series_of
from hedge.contracts.derivatives import Event
from hedge.effectiveness.month_end import MonthEnd
from ledger.accounting import GlAccount
from ledger.instants import day_ns, instant
from ledger.money import Money
from ledger.tables.fixings import Fixing, FixingTable

SHOCKS = (Decimal("-0.10"), Decimal("-0.25"), Decimal("-0.50"))
HORIZONS = (1, 20)
"""Over how many fixings a move is looked for."""
_LEAST_FIXINGS = 2
_PRICES = Context(prec=28, rounding=ROUND_HALF_EVEN)


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
    """The largest fall (below zero) or rise of a series over so many fixings: day: its last one.
    since: the first fixing that is known; fixings: how many are."""

    series: str
    over: int
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


def liquidity(end: MonthEnd) -> Liquidity:
    """At the end of the month; events are paid for when they are bought, and are never called."""
    book = end.book
    accounts = book.margin_accounts()
    held = [position for _, position in book.open_positions()]
    worst = tuple(_worst(end))
    stress = tuple(_stress(end, accounts, worst))
    paid = sum(one.carried - one.unrealised for one in held)
    short = sum(1 for one in stress if one.call)
    return Liquidity(
        margin=tuple(map(_margin, accounts)),
        calls=tuple(_calls(end)),
        stress=stress,
        worst=worst,
        bound=Money(book.balance(GlAccount.MARGIN_DEPOSITS) + paid),
        says=_says(bool(held), short, len(stress)),
    )


def _says(is_held: bool, short: int, rows: int) -> str:
    if not is_held:
        return "No derivative is open: no move of an index calls for margin."
    if not short:
        return f"None of the {rows} moves that were tried would call for margin."
    return (
        f"{short} of the {rows} moves that were tried would call for margin, due by the end of the"
        " next business day: what is free elsewhere is not counted against it."
    )


def _margin(one: MarginAccount) -> MarginRow:
    return MarginRow(
        one.counterparty,
        one.deposits,
        one.unrealised,
        one.equity,
        one.initial,
        one.maintenance,
        one.free,
        one.assumed,
    )


def _calls(end: MonthEnd) -> Iterator[CallRow]:
    now_ns = min(end.at_ns, day_ns(end.until))
    for one in end.book.calls:
        state = one.state(now_ns)
        is_of_month = one.day >= end.month or (one.met_on is not None and one.met_on >= end.month)
        if is_of_month or state != "met":
            yield CallRow(one.counterparty, one.day, one.amount, one.due_at_ns, one.met_on, state)


# -- stress


def _stress(
    end: MonthEnd, accounts: list[MarginAccount], worst: tuple[WorstMove, ...]
) -> Iterator[StressRow]:
    for account in accounts:
        held = [
            (_series(end, key, position), position)
            for key, position in end.book.open_positions()
            if position.contract.owed_by == account.counterparty
        ]
        if not held:
            continue
        series = {name for name, _ in held}
        of_these = [one for one in worst if one.series in series]
        moves = [(f"{move:+.0%}", move) for move in SHOCKS]
        for over in HORIZONS:
            found = [one for one in of_these if one.over == over]
            within = "1 fixing" if over == 1 else f"{over} fixings"
            falls = [one.move for one in found if one.move < 0]
            rises = [one.move for one in found if one.move > 0]
            moves += [(f"worst fall in {within}", min(falls))] if falls else []
            moves += [(f"worst rise in {within}", max(rises))] if rises else []
        for name, move in moves:
            yield _shocked(account, [position for _, position in held], name, move)


def _shocked(account: MarginAccount, held: list[Position], name: str, move: Decimal) -> StressRow:
    gain = margined = 0
    for position in held:
        moved = Money(sum(_gain(position, place, move) for place in range(len(position.lots))))
        gain += moved
        margined += moved if position.contract.margin is not None else 0
    equity = Money(account.equity + margined)
    call = Money(account.initial - equity if equity < account.maintenance else 0)
    return StressRow(name, move, account.counterparty, Money(gain), equity, call, account.free)


def _gain(position: Position, place: int, move: Decimal) -> Money:
    contract, lot = position.contract, position.lots[place]
    price_usd = lot.entry_usd if lot.mark_usd is None else lot.mark_usd
    after_usd = _PRICES.multiply(price_usd, 1 + move)
    if isinstance(contract, Event) and is_paid_upfront(contract):
        after_usd = min(after_usd, contract.payout_usd)
    after, _ = lot.marked(contract, after_usd)
    return Money(after.unrealised(contract) - lot.unrealised(contract))


def _series(end: MonthEnd, key: PositionKey, position: Position) -> str:
    """The contract's own price, and where that is hardly known, its index."""
    name = series_of(key)
    is_known = len(_values(end, name)) >= _LEAST_FIXINGS
    return name if is_known else position.contract.settlement.index


def _worst(end: MonthEnd) -> Iterator[WorstMove]:
    held = end.book.open_positions()
    for name in dict.fromkeys(_series(end, key, position) for key, position in held):
        values = _values(end, name)
        for over in HORIZONS:
            moves = [
                (_PRICES.subtract(_PRICES.divide(later.value, one.value), 1), later.at_ns)
                for one, later in zip(values, values[over:], strict=False)
            ]
            for found in sorted({min(moves), max(moves)}) if moves else ():
                yield WorstMove(
                    series=name,
                    over=over,
                    move=found[0],
                    day=instant(found[1]).date(),
                    since=instant(values[0].at_ns).date(),
                    fixings=len(values),
                )


def _values(end: MonthEnd, series: str) -> list[Fixing]:
    known = FixingTable(end.sql).known(series, end.known_ns, 0, day_ns(end.until))
    return [one for one in known if one.value > 0]
