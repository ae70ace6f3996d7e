"""Economics: what a month cost, all in, and what it would have cost otherwise.

In the cost is what was paid, or fell due, to anybody outside: usage that was billed (at
pay-as-you-go, and the overage of commitments), the fees of commitments as the expense of the days
of the month, what their resale brought, the result of derivatives, and the fees of trades. Not in
it is what teams were charged: of a draw that is a rate fixed in advance, and its variance to the
fee is the platform's. Nor are margin deposits, which come back, or fees of days still to come.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hedge.effectiveness.query import Query
from ledger.money import Money


class CostKind(StrEnum):
    """The lines of which the all-in cost is the sum."""

    BILLED = "billed"
    """Usage, as providers bill it: at pay-as-you-go, and overage. Draws are billed nothing."""
    EXPENSE = "expense"
    """Fees of commitments, of the days of the month, in the books."""
    EXPENSE_TO_BOOK = "expense_to_book"
    """The same of days that are over, which `hedgerow hedge settle` has not written yet."""
    RESALE = "resale"
    """Fees of capacity that was sold on, less what it brought."""
    REALISED = "realised"
    """Of derivatives, closed or settled: a gain is below 0."""
    UNREALISED = "unrealised"
    """The change of what open lots are worth: a gain is below 0."""
    FUNDING = "funding"
    """Of perpetuals: what was received is below 0."""
    FEES = "fees"
    """Of trades and settlements, but of rolls."""
    ROLL_FEES = "roll_fees"
    """Of the trades that closed one month to open the next. What the months' prices differ by is
    no cost of its own: it is in the result of the lots."""


@dataclass(frozen=True, slots=True)
class CostLine:
    """query: gives the amount; None for what is computed, then `says` tells of what."""

    kind: CostKind
    amount: Money
    query: Query | None
    says: str


class Otherwise(StrEnum):
    """The counterfactuals that every ledger row carries. All at pay-as-you-go, draws included."""

    LIST = "list"
    """At the public prices of the offers that served."""
    FIRST_OFFER = "first_offer"
    """At the first-listed offer of each model: nobody routes, nobody hedges."""
    CHEAPEST = "cheapest"
    """At the cheapest eligible quote of each moment: routed with hindsight, nobody hedges."""


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """saved: its cost less the all-in cost; below 0, the month cost more. unmeasured_requests,
    unmeasured: rows for which it is unknown, and what they count for instead, their own cost (of a
    draw, what its team was charged); None where retention has deleted the rows, of list never
    any."""

    otherwise: Otherwise
    cost: Money
    saved: Money
    query: Query
    unmeasured_requests: int | None
    unmeasured: Money | None

    @property
    def measured_share(self) -> float | None:
        """Of its cost, what was measured; None where nobody can say, or there is none."""
        if self.unmeasured is None or not self.cost:
            return None
        return 1 - self.unmeasured / self.cost


@dataclass(frozen=True, slots=True)
class TeamCharges:
    """The other side: what teams bear. charged: what budgets counted (effective cost).
    of_draws: of that, at the rates that were fixed for commitments. fixed_fees: what teams with a
    fixed fee pay above (below 0: below) what is metered of them. variance: what teams bear above
    (below 0: below) the all-in cost; it is the platform's."""

    charged: Money
    of_draws: Money
    fixed_fees: Money
    variance: Money
    query: Query
    fixed_fees_query: Query


@dataclass(frozen=True, slots=True)
class Economics:
    """lines: of every kind, in its order; they sum to all_in. requests: charged attempts. tokens:
    prompt and completion. overage: of what was billed, the overage of commitments; None where
    retention has deleted the rows. roll_spread: what rolls paid for the new month above what the
    old one brought, without fees: beside the cost, in no line of it."""

    lines: tuple[CostLine, ...]
    all_in: Money
    requests: int
    tokens: int
    overage: Money | None
    overage_query: Query
    roll_spread: Money
    counterfactuals: tuple[Counterfactual, ...]
    teams: TeamCharges

    def line(self, kind: CostKind) -> Money:
        return next(one.amount for one in self.lines if one.kind is kind)

    def otherwise(self, what: Otherwise) -> Counterfactual:
        return next(one for one in self.counterfactuals if one.otherwise is what)
