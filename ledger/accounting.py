"""Accounting: what the hedge did, as records of double entry.

A record is a fact (a plan that was kept, an approval, a fill, a day's expense) with the lines that
it moves. Lines sum to zero: a positive amount is a debit, a negative one a credit. A record is
never changed; what was wrong is reversed by another one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from ledger.errors import NotBalanced
from ledger.money import ZERO, Money, usd_text


class Side(StrEnum):
    """Where an account stands in the statements."""

    ASSET = "asset"
    LIABILITY = "liability"
    RESULT = "result"


class GlAccount(StrEnum):
    """The accounts of the general ledger that the hedge moves.

    `cash` is what it took of the treasury's cash: it begins at zero, and is below it by what was
    paid. Gains and losses are credits and debits of the same account.
    """

    CASH = "cash"
    PREPAID_COMMITMENTS = "prepaid_commitments"
    """Fees that are billed or paid, of days that have not come yet."""
    MARGIN_DEPOSITS = "margin_deposits"
    DERIVATIVE_ASSETS = "derivative_assets"
    DERIVATIVE_LIABILITIES = "derivative_liabilities"
    COMMITMENT_PAYABLE = "commitment_payable"
    """Fees that are due to providers, and not paid."""
    COMMITMENT_EXPENSE = "commitment_expense"
    FEES = "fees"
    """Of trades and settlements."""
    REALISED_RESULT = "realised_result"
    UNREALISED_RESULT = "unrealised_result"
    FUNDING = "funding"
    """Of perpetuals."""
    TEAMS_RECEIVABLE = "teams_receivable"
    """Fixed fees and their overage, charged to teams."""
    METERED_USAGE = "metered_usage"
    """What the usage of teams with a fixed fee cost: it is not charged to them as metered."""
    FIXED_FEE_RESULT = "fixed_fee_result"
    """What teams with a fixed fee were charged above (a credit) or below what they used."""
    RESALE_RESULT = "resale_result"
    """What a resale of capacity brought, less the fees of what was sold."""

    @property
    def side(self) -> Side:
        return _SIDES.get(self, Side.RESULT)


_SIDES = {
    GlAccount.CASH: Side.ASSET,
    GlAccount.PREPAID_COMMITMENTS: Side.ASSET,
    GlAccount.MARGIN_DEPOSITS: Side.ASSET,
    GlAccount.TEAMS_RECEIVABLE: Side.ASSET,
    GlAccount.DERIVATIVE_ASSETS: Side.ASSET,
    GlAccount.DERIVATIVE_LIABILITIES: Side.LIABILITY,
    GlAccount.COMMITMENT_PAYABLE: Side.LIABILITY,
}


@dataclass(frozen=True, slots=True)
class Line:
    """What a record moves on one account. about: the fill or the counterparty that it is of."""

    account: GlAccount
    amount: Money
    about: str


@dataclass(frozen=True, slots=True)
class Record:
    """A fact. id: what it is of, so that the same fact is written once. day: of the books, UTC.
    at_ns: when it was written. who: entered it, or `settle`. body: the fact as JSON, which those
    understand that wrote it."""

    id: str
    kind: str
    day: date
    at_ns: int
    who: str
    body: str
    lines: tuple[Line, ...] = ()

    def check(self) -> None:
        """Raises NotBalanced."""
        if total := sum(line.amount for line in self.lines):
            raise NotBalanced(
                f"the lines of {self.id} sum to {usd_text(Money(total))} USD, not to 0;"
                " this is a fault in Hedgerow"
            )


def lines_of(about: str, amounts: Mapping[GlAccount, int]) -> tuple[Line, ...]:
    """Lines about one thing; accounts that do not move have none."""
    return tuple(
        Line(account, Money(amount), about) for account, amount in amounts.items() if amount
    )


Balances = Mapping[tuple[GlAccount, str], Money]
"""By account and what it is about; zero where there is none."""


def balances_of(lines: Iterable[Line]) -> dict[tuple[GlAccount, str], Money]:
    """The sums of lines, those of zero left out."""
    sums: defaultdict[tuple[GlAccount, str], int] = defaultdict(int)
    for line in lines:
        sums[line.account, line.about] += line.amount
    return {key: Money(amount) for key, amount in sums.items() if amount}


def by_account(balances: Balances) -> dict[GlAccount, Money]:
    """The trial balance: every account, in the order of the statements. Sums to zero."""
    sums = dict.fromkeys(GlAccount, ZERO)
    for (account, _), amount in balances.items():
        sums[account] = Money(sums[account] + amount)
    return sums


def reversed_lines(balances: Balances) -> tuple[Line, ...]:
    """What brings these balances to zero."""
    return tuple(
        Line(account, Money(-amount), about) for (account, about), amount in balances.items()
    )
