"""HedgeAccounting: what a controller needs of the hedge for one month, in one value.

Support for the controller's decision, no claim that hedge accounting applies: see SUPPORT.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from hedge.effectiveness.changes import Change, changes
from hedge.effectiveness.disclosures import Disclosures, disclosures
from hedge.effectiveness.gains import RESULTS
from hedge.effectiveness.journals import Journals, journals
from hedge.effectiveness.liquidity import Liquidity, liquidity
from hedge.effectiveness.month_end import MonthEnd, month_end
from hedge.effectiveness.positions import Positions, positions
from hedge.effectiveness.relation import Relation
from hedge.effectiveness.relations import relations
from hedge.effectiveness.reserve import RollForward, summed
from ledger.accounting import GlAccount
from ledger.databases.sql import Sql
from ledger.instants import day_ns, instant
from ledger.money import Money

SUPPORT = (
    "These pages support the controller's decision. They do not claim that hedge accounting"
    " applies: that takes designation at inception, documentation and judgement that are the"
    " controller's. Only futures, swaps, forwards, perpetuals and event contracts are taken for"
    " derivatives; reservations are purchases still to be performed by both sides, and whether"
    " dedicated GPUs contain a lease is the controller's to test."
)


@dataclass(frozen=True, slots=True)
class Tie:
    """Two ways to the same amount. ours: as these pages have it; book: the sum of the book's lines.
    They are equal, to the nano-USD, or these pages are not to be used."""

    name: str
    ours: Money
    book: Money
    sql: str

    @property
    def difference(self) -> Money:
        return Money(self.ours - self.book)


@dataclass(frozen=True, slots=True, eq=False)
class HedgeAccounting:
    """month: its first day. until: the first day that is not in it, or of which nothing was known
    `at`. relations: by trade, designated ones first. ifrs9, asc815: the roll-forward of all.
    empty: a sentence if there is nothing to account for, with what to do."""

    month: date
    until: date
    at_ns: int
    relations: tuple[Relation, ...]
    ifrs9: RollForward
    asc815: RollForward
    positions: Positions
    journals: Journals
    liquidity: Liquidity
    disclosures: Disclosures
    changes: tuple[Change, ...]
    ties: tuple[Tie, ...]
    empty: str | None = None
    support: str = SUPPORT


def hedge_accounting(sql: Sql, month: date, at_ns: int) -> HedgeAccounting:
    """month: its first day. at_ns: the moment of the report; of a month that is over by then, all
    that its days have in the books, also what was written a few days later. Within a view."""
    end = month_end(sql, month, at_ns)
    found = tuple(relations(end))
    held = positions(end, found)
    proposals = journals(end, found)
    reserve = summed(one.ifrs9.reserve for one in found)
    return HedgeAccounting(
        month=month,
        until=end.until,
        at_ns=at_ns,
        relations=found,
        ifrs9=reserve,
        asc815=summed(one.asc815.reserve for one in found),
        positions=held,
        journals=proposals,
        liquidity=liquidity(end),
        disclosures=disclosures(end, found, reserve),
        changes=changes(end),
        ties=tuple(_ties(end, found, held, proposals)),
        empty=_empty(end),
    )


def _empty(end: MonthEnd) -> str | None:
    if day_ns(end.month) > end.at_ns:
        return (
            f"{end.month:%Y-%m} has not begun at {instant(end.at_ns):%Y-%m-%d %H:%M} UTC: ask for"
            " it when it has"
        )
    if not end.records:
        return (
            "The hedge's book is empty: `hedgerow hedge plan --save` keeps a plan, and `hedgerow"
            " hedge book` takes what was bought."
        )
    if not any(one.lines for one in end.records):
        return (
            f"Nothing was bought for the hedge until the end of {end.month:%Y-%m}: there is nothing"
            " to account for. `hedgerow hedge book` takes what was bought."
        )
    return None


# -- ties


def _ties(
    end: MonthEnd, found: tuple[Relation, ...], held: Positions, proposals: Journals
) -> Iterator[Tie]:
    gains = sum(one.ifrs9.derivative for one in found)
    yield _tie(end, "gains of derivatives in the month", gains, RESULTS, is_change=True, sign=-1)
    split = sum(
        view.reserve.effective + view.ineffective + view.undesignated
        for one in found
        for view in (one.ifrs9,)
    )
    yield _tie(end, "effective, ineffective and undesignated", split, RESULTS, True, -1)
    carried = sum(one.fair_value for one in held.derivatives)
    derivatives = (GlAccount.DERIVATIVE_ASSETS, GlAccount.DERIVATIVE_LIABILITIES)
    yield _tie(end, "fair value of derivatives", carried, derivatives)
    prepaid = sum(one.prepaid for one in held.commitments)
    yield _tie(end, "prepaid commitments", prepaid, (GlAccount.PREPAID_COMMITMENTS,))
    payable = sum(one.payable for one in held.commitments)
    yield _tie(end, "fees payable", payable, (GlAccount.COMMITMENT_PAYABLE,), False, -1)
    for line in proposals.trial:
        proposed = sum(
            one.debit - one.credit
            for entry in proposals.book
            for one in entry.lines
            if one.account == line.account
        )
        account = (GlAccount(line.account),)
        yield _tie(end, f"journals of {line.account}", proposed, account, is_change=True)


def _tie(
    end: MonthEnd,
    name: str,
    ours: int,
    accounts: tuple[GlAccount, ...],
    is_change: bool = False,
    sign: int = 1,
) -> Tie:
    """is_change: of the month alone; else the balance at its end."""
    said = ", ".join(f"'{one}'" for one in accounts)
    since = f" AND day >= '{end.month}'" if is_change else ""
    sql = (
        f"SELECT {'-' if sign < 0 else ''}coalesce(sum(amount_nanos), 0) AS nanos"
        " FROM record_lines JOIN records ON records.seq = record_lines.seq"
        f" WHERE account IN ({said}){since} AND day < '{end.until}'"
    )
    row = end.sql.execute(sql).fetchone()
    return Tie(name, Money(ours), Money(0 if row is None else int(row[0])), sql)
