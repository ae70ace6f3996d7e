"""Settling: all that has come due, written into the book; running it again changes nothing.

Fees of capacity by the day, marks, funding of perpetuals, settlement of months that are over,
margin calls. What lacks a price waits, with a sentence that says which.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from hedge.book.book import FUNDING, HedgeBook, PositionKey
from hedge.book.entries import SETTLE, accrue
from hedge.book.facts import Funding, MarginCall, Mark, Settled
from hedge.book.fees import keep_fees
from hedge.book.final_price import FinalPrice, final_price, fixing_days, last_day
from hedge.book.funding import NANOS_PER_HOUR, funding_amount, rate_of
from hedge.book.lots import Position, nanos, per_lot
from hedge.book.margin import due_at_ns
from hedge.contracts.contract import DerivativeContract
from hedge.contracts.derivatives import Event, Perpetual
from hedge.errors import FixingMissing
from ledger.accounting import GlAccount, Line, lines_of
from ledger.instants import day_ns, instant
from ledger.money import Money, usd
from ledger.tables.fixings import Fixing, FixingTable

LATE_DAYS = 3
"""How long a month's last fixing is waited for before the contract's fallback takes its place."""
_LOOK_BACK = timedelta(days=31)
"""How old a fixing may be that stands in for the first of a month."""
_DAY = timedelta(days=1)


@dataclass(slots=True)
class Done:
    """What was written, in the order in which it was, and what waits for a price."""

    bills_and_expenses: int = 0
    marks: int = 0
    funding: list[Funding] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    calls: list[MarginCall] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


def settle(book: HedgeBook, until: date | None = None) -> Done:
    """All that is due before the day `until`; None: by now."""
    today = book.today
    until = today + _DAY if until is None else min(until, today + _DAY)
    fixings = FixingTable(book.sql)
    done = Done()
    keep_fees(book)
    for fill in book.holdings:
        done.bills_and_expenses += accrue(
            book, fill, bills_before=until, expenses_before=min(until, today)
        )
    for key in [key for key, _ in book.open_positions()]:
        _mark(book, fixings, key, until, done)
    for name, contract in _perpetuals(book).items():
        _fund(book, fixings, name, contract, until, done)
    for key, position in list(book.open_positions()):
        _settle(book, fixings, key, position, until, done)
    _call(book, done)
    return done


def series_of(key: PositionKey) -> str:
    """Under which name a contract's own prices are known."""
    name, month = key
    return name if month is None else f"{name} {month:%Y-%m}"


# -- marks


def _mark(book: HedgeBook, fixings: FixingTable, key: PositionKey, until: date, done: Done) -> None:
    """By the last price of each day on which there is one, since the day of the last mark."""
    position = book.positions[key]
    since = book.marked_on.get(key)
    since = instant(position.lots[0].at_ns).date() if since is None else since + _DAY
    known = fixings.known(series_of(key), book.now_ns, day_ns(since), day_ns(until))
    of_day = {instant(one.at_ns).date(): one for one in known}
    for day, one in of_day.items():
        _, lines = book.positions[key].marked(one.value, one.at_ns)
        fact = Mark(*key, one.value, one.at_ns)
        name = f"mark:{series_of(key)}:{day}"
        done.marks += book.write(name, fact, day, who=SETTLE, lines=lines)


# -- perpetuals


def _perpetuals(book: HedgeBook) -> dict[str, Perpetual]:
    """Those that were ever traded."""
    found = {fill.contract: book.contract(fill) for fill in book.fills.values()}
    return {name: one for name, one in found.items() if isinstance(one, Perpetual)}


def _fund(
    book: HedgeBook,
    fixings: FixingTable,
    name: str,
    contract: Perpetual,
    until: date,
    done: Done,
) -> None:
    """Each period that is over since the last one, by what was held at its end."""
    period_ns = contract.funding_hours * NANOS_PER_HOUR
    trades = [(one.at_ns, one.units) for one in book.fills.values() if one.contract == name]
    first_ns = min(at_ns for at_ns, _ in trades) // period_ns * period_ns
    ends_ns = book.funded_until_ns.get(name, first_ns) + period_ns
    limit_ns = min(day_ns(until), book.now_ns)
    while ends_ns <= limit_ns:
        lots = sum(units for at_ns, units in trades if at_ns <= ends_ns)
        if lots:
            try:
                mark, rate = rate_of(fixings, contract, ends_ns, period_ns, book.now_ns)
            except FixingMissing as missing:
                done.waiting.append(f"{name}: {missing}")
                return
            paid = Money(0) if rate is None else funding_amount(contract, lots, mark, rate)
            fact = Funding(name, ends_ns, rate, paid)
            moved = {GlAccount.CASH: paid, GlAccount.FUNDING: -paid}
            book.write(
                f"funding:{name}:{ends_ns}",
                fact,
                instant(ends_ns).date(),
                who=SETTLE,
                lines=lines_of(FUNDING + name, moved),
            )
            done.funding.append(fact)
        ends_ns += period_ns


# -- settlement


def _settle(
    book: HedgeBook,
    fixings: FixingTable,
    key: PositionKey,
    position: Position,
    until: date,
    done: Done,
) -> None:
    """A month that is over, once its last fixing is there, or late."""
    name, month = key
    if month is None or last_day(month) >= min(until, book.today):
        return
    contract = position.contract
    try:
        final = _final(book, fixings, contract, month)
    except FixingMissing as missing:
        done.waiting.append(f"{series_of(key)}: {missing}")
        return
    if final is None:
        done.waiting.append(
            f"{series_of(key)}: the last fixing of {contract.settlement.index} is not there yet;"
            f" from {last_day(month) + _DAY * LATE_DAYS} on the contract's fallback counts"
        )
        return
    paid_usd = paid_per_lot(contract, final.usd)
    _, lines, gain = position.traded("", -position.units, paid_usd, book.now_ns)
    fees = [
        Line(account, Money(sign * usd(contract.fees.settle) * abs(lot.units)), lot.fill)
        for lot in position.lots
        for account, sign in ((GlAccount.FEES, 1), (GlAccount.CASH, -1))
        if contract.fees.settle
    ]
    fact = Settled(
        contract=name,
        month=month,
        price_usd=final.usd,
        lots=position.units,
        gain=gain,
        fee=Money(sum(one.amount for one in fees if one.account is GlAccount.FEES)),
        fixings=final.fixings,
        fallbacks=final.fallbacks,
    )
    day = last_day(month)
    book.write(f"settlement:{series_of(key)}", fact, day, who=SETTLE, lines=(*lines, *fees))
    done.settled.append(fact)


def paid_per_lot(contract: DerivativeContract, final_usd: Decimal) -> Decimal:
    """The price at which lots are closed: of an event, what it pays."""
    if not isinstance(contract, Event):
        return final_usd
    is_above = final_usd >= contract.strike
    hits = is_above if contract.side == "above" else final_usd <= contract.strike
    return contract.payout_usd if hits else Decimal(0)


def _final(
    book: HedgeBook, fixings: FixingTable, contract: DerivativeContract, month: date
) -> FinalPrice | None:
    rule, last = contract.settlement, last_day(month)
    known = _known(fixings, rule.index, month, book.now_ns)
    needed = (fixing_days(rule, month, last) or [last])[-1]
    is_there = bool(known) and instant(known[-1].at_ns).date() >= needed
    if not is_there and book.today < last + _DAY * LATE_DAYS:
        return None
    return final_price(rule, month, last, known)


def _known(fixings: FixingTable, index: str, month: date, known_ns: int) -> list[Fixing]:
    since, until = day_ns(month - _LOOK_BACK), day_ns(last_day(month) + _DAY)
    return fixings.known(index, known_ns, since, until)


@dataclass(frozen=True, slots=True)
class Restated:
    """A settled month that would settle otherwise with what is known today. The result stands:
    this is for whoever talks to the venue. difference: what the gain would be above what it was."""

    contract: str
    month: date
    settled_usd: Decimal
    now_usd: Decimal
    difference: Money


def restated(book: HedgeBook) -> Iterator[Restated]:
    fixings = FixingTable(book.sql)
    for (name, month), was in sorted(book.settled.items()):
        position = book.positions[name, month]
        contract = position.contract
        known = _known(fixings, contract.settlement.index, month, book.now_ns)
        try:
            now = final_price(contract.settlement, month, last_day(month), known)
        except FixingMissing:
            continue  # the clock was set back: what is known by now tells nothing of it
        if now.usd != was.price_usd:
            moved = paid_per_lot(contract, now.usd) - paid_per_lot(contract, was.price_usd)
            difference = nanos(moved * per_lot(contract) * was.lots)
            yield Restated(name, month, was.price_usd, now.usd, difference)


# -- margin


def _call(book: HedgeBook, done: Done) -> None:
    """Call for what is missing today, beyond what is called for already."""
    for account in book.margin_accounts():
        open_calls = [
            one
            for one in book.calls
            if one.counterparty == account.counterparty and one.met_on is None
        ]
        level = Money(account.deposits + account.missing)
        called = max((one.level for one in open_calls), default=Money(0))
        if not account.missing or level <= called:
            continue
        missing = Money(level - max(called, account.deposits))
        fact = MarginCall(account.counterparty, missing, level, due_at_ns(book.today))
        book.write(
            f"margin_call:{account.counterparty}:{book.today}:{level}",
            fact,
            book.today,
            who=SETTLE,
        )
        done.calls.append(fact)
