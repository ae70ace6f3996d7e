"""Agreements: fixed fees that were quoted and accepted, and what teams are billed by them.

A team with an agreement is charged its fee, and what lies beyond what is included, instead of what
was metered; what that leaves is the platform's own result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from hedge.book.book import Agreement, HedgeBook
from hedge.book.entries import SETTLE
from hedge.book.facts import AcceptedFee, BilledFee, QuotedFee
from hedge.book.plans import same_person
from hedge.errors import EntryRefused
from hedge.fixed_fee.metered import used_in
from ledger.accounting import GlAccount, lines_of
from ledger.calendar_months import months_later
from ledger.fixed_fees import Bill

VALID_DAYS = 14
LATE_DAYS = 3
"""How long after a month's end it is billed: batches and late answers end in the month that they
began in."""


@dataclass(frozen=True, slots=True)
class TeamMonth:
    """A month of a team by its agreement. is_final: it is in the book, and changes no more."""

    agreement: Agreement
    month: date
    bill: Bill
    is_final: bool


def keep_quote(book: HedgeBook, quote: QuotedFee, who: str) -> Agreement:
    """The same quote is kept once."""
    made = f"fee:{quote.fee.team}:{quote.fee.first:%Y-%m}:{book.now_ns}"
    book.write(made, quote, book.today, who=who)
    return book.agreements[made]


def accept(book: HedgeBook, quote_id: str, who: str, note: str | None) -> Agreement:
    """Raises EntryRefused for a quote that is unknown, expired or taken, for the one who made it,
    and for months that another agreement of the team covers."""
    agreed = _found(book, quote_id)
    if agreed.accepted_by is not None:
        raise EntryRefused(f"{agreed.id} was accepted by {agreed.accepted_by} already")
    if same_person(who, agreed.quoted_by):
        raise EntryRefused(f"{who} made {agreed.id}: somebody else has to accept it")
    if book.now_ns >= agreed.quote.expires_at_ns:
        raise EntryRefused(
            f"{agreed.id} has expired: make a new one, `hedgerow hedge quote --team`"
        )
    if book.today >= _ends(agreed):
        raise EntryRefused(f"{agreed.id} is of months that are over: make a new one")
    for other in book.agreements.values():
        overlap = _starts(agreed) < _ends(other) and _starts(other) < _ends(agreed)
        if other.accepted_by and other.quote.fee.team == agreed.quote.fee.team and overlap:
            raise EntryRefused(
                f"team {agreed.quote.fee.team} has {other.id} until {_ends(other)} already"
            )
    name = f"acceptance:{agreed.id}"
    book.write(name, AcceptedFee(agreed.id, note), book.today, who=who)
    return book.agreements[agreed.id]


def bill_teams(book: HedgeBook, until: date | None = None) -> list[BilledFee]:
    """Write the bill of each month that is over and was not billed, those that end by `until`."""
    limit = book.today - timedelta(days=LATE_DAYS)
    limit = limit if until is None else min(limit, until)
    written = []
    for agreed in list(book.agreements.values()):
        if agreed.accepted_by is None:
            continue
        for month in months_of(agreed):
            record_id = f"bill:{agreed.id}:{month:%Y-%m}"
            if months_later(month, 1) > limit or book.has(record_id):
                continue
            bill = agreed.quote.fee.bill(used_in(book.sql, agreed.quote, month))
            moved = {
                GlAccount.TEAMS_RECEIVABLE: bill.billed,
                GlAccount.METERED_USAGE: -bill.metered,
                GlAccount.FIXED_FEE_RESULT: -bill.result,
            }
            fact = BilledFee(agreed.id, month, bill)
            last = months_later(month, 1) - timedelta(days=1)
            lines = lines_of(agreed.id, moved)
            book.write(record_id, fact, last, who=SETTLE, lines=lines)
            written.append(fact)
    return written


def team_months(book: HedgeBook) -> Iterator[TeamMonth]:
    """Of all accepted agreements: the billed months, then the running one or those that wait, as
    they stand."""
    for agreed in book.agreements.values():
        if agreed.accepted_by is None:
            continue
        final = {one.month: one.bill for one in agreed.bills}
        for month in months_of(agreed):
            if month in final:
                yield TeamMonth(agreed, month, final[month], is_final=True)
            elif month <= book.today:
                so_far = agreed.quote.fee.bill(used_in(book.sql, agreed.quote, month))
                yield TeamMonth(agreed, month, so_far, is_final=False)


def to_come(book: HedgeBook) -> list[Agreement]:
    """The accepted agreements whose first month has not begun."""
    agreed = (one for one in book.agreements.values() if one.accepted_by is not None)
    return [one for one in agreed if _starts(one) > book.today]


def months_of(agreed: Agreement) -> list[date]:
    """Their first days."""
    fee = agreed.quote.fee
    return [months_later(fee.first, at) for at in range(fee.months)]


def _starts(agreed: Agreement) -> date:
    return agreed.quote.fee.first


def _ends(agreed: Agreement) -> date:
    """The day after its last one."""
    return months_later(agreed.quote.fee.first, agreed.quote.fee.months)


def _found(book: HedgeBook, quote_id: str) -> Agreement:
    found = [one for name, one in book.agreements.items() if name.startswith(quote_id)]
    if len(found) != 1:
        known = ", ".join(list(book.agreements)[-10:]) or "none"
        raise EntryRefused(f"{quote_id} is the id of {len(found)} quotes; there are: {known}")
    return found[0]
