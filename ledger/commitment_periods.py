"""Period: a month of a commitment, and what it leaves: capacity that nobody used, and the variance.

A fee is split twice. What was drawn is charged to teams at a rate that was fixed in advance; what
nobody drew has its part of the fee; the rest of what the month costs is the variance: what teams
were charged less than that, or (below zero) more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ledger.calendar_months import month_after
from ledger.commitment_fees import Fees, capacity_between
from ledger.commitments import Commitment, CommitmentKind
from ledger.databases.sql import Sql
from ledger.instants import day_ns
from ledger.money import ZERO, Money
from ledger.tables.commitment_fees import FeeTable
from ledger.tables.commitments import CommitmentTable

_NONE = Fees((), ())
"""Of what was taken back before the ledger kept fees."""


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar month (UTC) of a commitment's term, half-open, or the part of one that it has.

    fee: what it costs of the fee. micro_units: what could be used in the window that it lies in,
    which begins at window_start_ns and costs window_fee of the fee: the period itself, but of a
    quota of the whole term all of that. is_last: what is left then of the window perishes.
    """

    commitment: Commitment
    start_ns: int
    end_ns: int
    fee: Money
    micro_units: int
    window_start_ns: int
    window_fee: Money
    is_last: bool = True

    def left_over(self, taken_micro: int, charged: Money) -> LeftOver:
        """What is left when it is over. taken_micro: drawn in its window until then, what was not
        there to use among it. charged: to teams in the period."""
        used = min(self.micro_units, taken_micro)
        left, unused = (self.micro_units - used, ZERO) if self.is_last else (0, ZERO)
        if left:
            used_fee = self.window_fee * used // self.micro_units
            unused = Money(self.window_fee - used_fee)
        return LeftOver(left, unused, Money(self.fee - charged - unused))


@dataclass(frozen=True, slots=True)
class LeftOver:
    """micro_units: that perished unused. unused: their part of the fee. variance: what is then left
    of the period's fee; below zero, teams were charged more."""

    micro_units: int
    unused: Money
    variance: Money


def periods(one: Commitment, fees: Fees) -> Iterator[Period]:
    """Of its term, without a gap. Their fees are what its months cost."""
    is_whole = one.kind is not CommitmentKind.THROUGHPUT and not one.is_monthly
    term_fee = Money(sum(cost.amount for cost in fees.costs))
    for cost in fees.costs:
        start_ns = max(one.starts_ns, day_ns(cost.month))
        end_ns = min(one.ends_ns, day_ns(month_after(cost.month)))
        if is_whole:
            window = (one.micro_units, one.starts_ns, term_fee, end_ns == one.ends_ns)
        else:
            window = (capacity_between(one, start_ns, end_ns), start_ns, cost.amount, True)
        yield Period(one, start_ns, end_ns, cost.amount, *window)


@dataclass(frozen=True, slots=True)
class Bought:
    """A commitment as it was bought, and its fees; `held`: as long as it was ours, and without any
    capacity where it never was: taken back, or sold on before it began."""

    as_bought: Commitment
    held: Commitment
    fees: Fees
    is_due_once: bool

    def periods(self) -> Iterator[Period]:
        return periods(self.held, self.fees)


def bought(sql: Sql) -> Iterator[Bought]:
    """All of them, the first to start first."""
    commitments, table = CommitmentTable(sql), FeeTable(sql)
    held = {one.id: one for one in commitments.all()}
    first, now = table.first(), table.all()
    for one in commitments.bought():
        its = held.get(one.id) or replace(one, units=0)
        fees = now.get(one.id, _NONE)
        yield Bought(one, its, fees, len(first.get(one.id, _NONE).dues) <= 1)


def taken(sql: Sql, commitment_id: str, since_ns: int, until_ns: int) -> int:
    """The micro-units that were drawn in a span, those that were not there to use among them."""
    if since_ns >= until_ns:
        return 0
    row = sql.execute(
        "SELECT coalesce(sum(micro_units), 0) FROM entries WHERE commitment = ?"
        " AND at_ns >= ? AND at_ns < ? AND kind = 'posted' AND overage_micro_units = 0",
        (commitment_id, since_ns, until_ns),
    ).fetchone()
    return 0 if row is None else int(row[0])
