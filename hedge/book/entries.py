"""Entries beside fills: payments, margin, notice, resale, corrections."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from hedge.book.book import MARGIN, HedgeBook, Holding
from hedge.book.facts import Bill, Correction, Deposit, Expense, Fill, Notice, Payment, Resale
from hedge.book.fees import fees_of, fees_taken_back
from hedge.book.fills import same_again
from hedge.contracts.capacity import PrepaidQuota
from hedge.errors import EntryRefused
from ledger.accounting import GlAccount, balances_of, lines_of, reversed_lines
from ledger.instants import day_ns, instant
from ledger.money import Money, usd_text
from ledger.tables.commitment_fees import FeeTable
from ledger.tables.commitments import CommitmentTable

_DAY = timedelta(days=1)

SETTLE = "settle"
"""Who writes what follows from the terms alone."""


def enter_payment(book: HedgeBook, record_id: str, fact: Payment, day: date, who: str) -> bool:
    """Raises EntryRefused for more than is payable."""
    if book.has(record_id):
        same_again(book, record_id, fact)
        return False
    _check_day(book, day)
    holding = _holding(book, fact.fill)
    accrue(book, holding.fill, bills_before=day + _DAY, expenses_before=day)
    payable = Money(-book.balance(GlAccount.COMMITMENT_PAYABLE, fact.fill))
    if not 0 < fact.amount <= payable:
        raise EntryRefused(
            f"{fact.fill} has {usd_text(payable)} USD payable by {day}: a payment of"
            f" {usd_text(fact.amount)} USD is none of it"
        )
    moved = {GlAccount.COMMITMENT_PAYABLE: fact.amount, GlAccount.CASH: -fact.amount}
    return book.write(record_id, fact, day, who=who, lines=lines_of(fact.fill, moved))


def enter_deposit(book: HedgeBook, record_id: str, fact: Deposit, day: date, who: str) -> bool:
    """Margin put down, or taken back (an amount below zero). Raises EntryRefused for more than is
    free, and for a counterparty that nobody trades with."""
    if book.has(record_id):
        same_again(book, record_id, fact)
        return False
    _check_day(book, day)
    known = {one.owed_by for plan in book.plans.values() for one in plan.contracts.values()}
    if fact.counterparty not in known:
        raise EntryRefused(
            f"no contract of any plan is with {fact.counterparty}; there are:"
            f" {', '.join(sorted(known)) or 'none'}"
        )
    if not fact.amount:
        raise EntryRefused("a deposit of 0 USD is none: leave it out")
    accounts = {one.counterparty: one for one in book.margin_accounts()}
    account = accounts.get(fact.counterparty)
    free = Money(0) if account is None else account.free
    if fact.amount < -free:
        raise EntryRefused(
            f"{usd_text(free)} USD are free with {fact.counterparty}:"
            f" {usd_text(Money(-fact.amount))} USD cannot be taken back"
        )
    moved = {GlAccount.MARGIN_DEPOSITS: fact.amount, GlAccount.CASH: -fact.amount}
    lines = lines_of(MARGIN + fact.counterparty, moved)
    return book.write(record_id, fact, day, who=who, lines=lines)


def enter_notice(book: HedgeBook, record_id: str, fact: Notice, day: date, who: str) -> bool:
    """Raises EntryRefused for what does not renew itself, and for one that comes too late."""
    if book.has(record_id):
        same_again(book, record_id, fact)
        return False
    _check_day(book, day)
    holding = _holding(book, fact.fill)
    if not holding.contract.auto_renew:
        raise EntryRefused(f"{holding.contract.name} does not renew itself: it needs no notice")
    bought = instant(book.fills[fact.fill].at_ns).date()
    if day < bought:
        raise EntryRefused(f"{fact.fill} was bought on {bought}: no notice was given before, {day}")
    last = notice_by(holding)
    if day > last:
        raise EntryRefused(
            f"notice for {fact.fill} had to be given by {last}: it renews on {holding.ends}"
        )
    return book.write(record_id, fact, day, who=who)


def enter_resale(book: HedgeBook, record_id: str, fact: Resale, day: date, who: str) -> bool:
    """Units that were sold on, from `day` on. What is not expensed of their fee is the cost of
    what was sold; of it, what is not billed yet stays payable. Raises EntryRefused."""
    if book.has(record_id):
        same_again(book, record_id, fact)
        return False
    _check_day(book, day)
    holding = _holding(book, fact.fill)
    resale = holding.contract.resale
    if resale is None:
        raise EntryRefused(f"{holding.contract.name} cannot be sold on, by its terms")
    if not 0 < fact.units <= holding.units or fact.units % resale.min_lot:
        raise EntryRefused(
            f"{fact.fill} has {holding.units} units, sold on in lots of {resale.min_lot}:"
            f" {fact.units} are none of them"
        )
    bought = instant(book.fills[fact.fill].at_ns).date()
    if day < bought:
        raise EntryRefused(f"{fact.fill} was bought on {bought}: it was not sold on before, {day}")
    if day >= holding.ends:
        raise EntryRefused(f"{fact.fill} ended before {holding.ends}: nothing of it is left")
    if isinstance(holding.contract, PrepaidQuota):
        raise EntryRefused(
            f"{fact.fill} is a quota of its whole term, used by the token: no units of it are sold"
            " on"
        )
    if fact.proceeds < 0:
        raise EntryRefused("a resale brings nothing less than 0 USD: write what was received")
    if is_accrued_beyond(book, holding, day):
        raise EntryRefused(
            f"{fact.fill} is in the books beyond {day} already: enter the resale as of {book.today}"
        )
    accrue(book, fact.fill, bills_before=day + _DAY, expenses_before=day)
    before = holding.schedule
    after = before.kept(day, holding.units - fact.units, holding.units)
    expenses = sum(before.expenses) - sum(after.expenses)
    unbilled = sum(amount for _, amount in before.bills) - sum(amount for _, amount in after.bills)
    moved = {
        GlAccount.CASH: fact.proceeds,
        GlAccount.PREPAID_COMMITMENTS: unbilled - expenses,
        GlAccount.COMMITMENT_PAYABLE: -unbilled,
        GlAccount.RESALE_RESULT: expenses - fact.proceeds,
    }
    book.write(record_id, fact, day, who=who, lines=lines_of(fact.fill, moved))
    _give_up(book, holding, day)
    return True


def _give_up(book: HedgeBook, holding: Holding, day: date) -> None:
    """End what the router draws on, and let it draw on the units that are kept."""
    kept = book.holdings[holding.fill]
    commitments = CommitmentTable(book.sql)
    was = commitments.one(holding.commitment)
    if was is None:
        raise EntryRefused(
            f"commitment {holding.commitment} is not in the books: `hedgerow ledger verify` checks"
            " them"
        )
    at_ns = max(day_ns(day), was.starts_ns)
    later = sum(amount for _, amount in holding.schedule.days(day, holding.ends))
    fees = fees_of(book, kept)
    commitments.end(was.id, at_ns, Money(was.fee - later))
    FeeTable(book.sql).keep(was.id, fees[was.id], book.now_ns)
    if kept.units:
        fee = Money(sum(amount for _, amount in kept.schedule.days(day, kept.ends)))
        new = replace(was, id=kept.commitment, units=kept.units, starts_ns=at_ns, fee=fee)
        commitments.add(new, fees[new.id], book.now_ns)


def enter_correction(book: HedgeBook, fact: Correction, day: date, who: str) -> bool:
    """Reverse a record, once, on the day on which it is found to be wrong. Raises EntryRefused."""
    record_id = f"correction:{fact.of}"
    if book.has(record_id):
        same_again(book, record_id, fact)
        return False
    _check_day(book, day)
    wrong = book.fact(fact.of)
    if isinstance(wrong, Fill):
        holding = book.holdings.get(fact.of)
        if holding is not None and holding.units != wrong.units:
            raise EntryRefused(f"{fact.of} was sold on in part: it cannot be taken back")
        if holding is None and not book.is_whole(fact.of):
            raise EntryRefused(
                f"{fact.of} has closed lots, or was closed, settled or funded: enter a fill that"
                " goes the other way"
            )
        if holding is not None:
            _take_back(book, holding, day)
        lines = reversed_lines(book.balances_about(fact.of))
    elif isinstance(wrong, Payment | Deposit):
        if isinstance(wrong, Payment) and wrong.fill not in book.fills:
            raise EntryRefused(f"{fact.of} was reversed with its fill, {wrong.fill}")
        if isinstance(wrong, Deposit) and wrong.amount > book.deposits(wrong.counterparty):
            raise EntryRefused(f"of {fact.of} some was taken back: correct that first")
        lines = reversed_lines(balances_of(book.lines(fact.of)))
    elif wrong is None:
        raise EntryRefused(f"there is no record {fact.of}: `hedgerow hedge book` shows them")
    else:
        raise EntryRefused(f"{fact.of} cannot be corrected: fills, payments and deposits can")
    return book.write(record_id, fact, day, who=who, lines=lines)


def _take_back(book: HedgeBook, holding: Holding, day: date) -> None:
    drawn = book.sql.execute(
        "SELECT count(*) FROM entries WHERE commitment = ?", (holding.commitment,)
    ).fetchone()
    if drawn is not None and drawn[0]:
        raise EntryRefused(
            f"{drawn[0]} requests have drawn on {holding.fill}: it was there, so that it cannot be"
            " taken back"
        )
    CommitmentTable(book.sql).end(holding.commitment, day_ns(holding.starts), Money(0))
    fees = fees_taken_back(book, holding, day)
    FeeTable(book.sql).keep(holding.commitment, fees, book.now_ns)


# -- what follows from the terms


def accrue(book: HedgeBook, fill: str, *, bills_before: date, expenses_before: date) -> int:
    """Write the bills and the expenses of a holding that have come due; how many were new."""
    holding = book.holdings[fill]
    written = 0
    for day, amount in holding.schedule.bills:
        if day < bills_before and amount:
            moved = {GlAccount.PREPAID_COMMITMENTS: amount, GlAccount.COMMITMENT_PAYABLE: -amount}
            lines = lines_of(fill, moved)
            written += book.write(f"bill:{fill}:{day}", Bill(fill), day, who=SETTLE, lines=lines)
    for day, amount in holding.schedule.days(holding.starts, expenses_before):
        record_id = f"expense:{fill}:{day}"
        if amount and not book.has(record_id):
            moved = {GlAccount.COMMITMENT_EXPENSE: amount, GlAccount.PREPAID_COMMITMENTS: -amount}
            lines = lines_of(fill, moved)
            written += book.write(record_id, Expense(fill), day, who=SETTLE, lines=lines)
    return written


def is_accrued_beyond(book: HedgeBook, holding: Holding, day: date) -> bool:
    """Whether the expense of this day, or a bill or an expense of a later one, is written."""
    schedule, fill = holding.schedule, holding.fill
    return any(
        book.has(f"expense:{fill}:{later}") for later, _ in schedule.days(day, schedule.ends)
    ) or any(book.has(f"bill:{fill}:{later}") for later, _ in schedule.bills if later > day)


def notice_by(holding: Holding) -> date:
    """The last day on which a renewal can be stopped."""
    return holding.ends - _DAY * max(1, holding.contract.notice_days)


def _holding(book: HedgeBook, fill: str) -> Holding:
    found = book.holdings.get(fill)
    if found is None:
        raise EntryRefused(
            f"{fill} is no fill of capacity in this book: `hedgerow hedge book` shows them"
        )
    return found


def _check_day(book: HedgeBook, day: date) -> None:
    if day > book.today:
        raise EntryRefused(f"{day} is still to come: enter it then")
