"""Economics: what a month cost, all in, and what it would have cost otherwise.

In the cost is what was paid, or fell due, to anybody outside: usage that was billed (at
pay-as-you-go, and the overage of commitments), the fees of commitments as the expense of the days
of the month, what their resale brought, the result of derivatives, and the fees of trades. Not in
it is what teams were charged: of a draw that is a rate fixed in advance, and its variance to the
fee is the platform's. Nor are margin deposits, which come back, or fees of days still to come.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from hedge.book.book import HedgeBook
from hedge.book.fills import roll_cost, trade_fee
from hedge.contracts.derivatives import Derivative
from hedge.effectiveness.period import Period
from hedge.effectiveness.query import Query, one_of
from hedge.effectiveness.usage import Drawn, Usage, posted_in, total_query
from ledger.accounting import GlAccount
from ledger.money import ZERO, Money


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
    draw, what its team was charged), and the query for both; None where retention has deleted the
    rows. Of the list price no row is ever unmeasured."""

    otherwise: Otherwise
    cost: Money
    saved: Money
    query: Query
    unmeasured_requests: int | None
    unmeasured: Money | None
    unmeasured_query: Query

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
    """lines: of every kind, in its order; they sum to all_in. usage: by model, and its query.
    overage: of what was billed, the overage of commitments; None where retention has deleted the
    rows. roll_spread: what the rolls of the month paid for the new months above what the old ones
    brought, without fees: beside the cost, in no line of it."""

    lines: tuple[CostLine, ...]
    all_in: Money
    usage: Usage
    overage: Money | None
    overage_query: Query
    roll_spread: Money
    roll_query: Query
    counterfactuals: tuple[Counterfactual, ...]
    teams: TeamCharges

    def line(self, kind: CostKind) -> Money:
        return next(one.amount for one in self.lines if one.kind is kind)

    def otherwise(self, what: Otherwise) -> Counterfactual:
        return next(one for one in self.counterfactuals if one.otherwise is what)


_RESULTS = {
    CostKind.RESALE: (
        GlAccount.RESALE_RESULT,
        "fees of capacity that was sold on, less what it brought",
    ),
    CostKind.REALISED: (GlAccount.REALISED_RESULT, "derivatives closed or settled; a gain below 0"),
    CostKind.UNREALISED: (
        GlAccount.UNREALISED_RESULT,
        "change of what open derivatives are worth; a gain below 0",
    ),
    CostKind.FUNDING: (GlAccount.FUNDING, "funding of perpetuals; received below 0"),
}
"""Kinds that are one account each: a debit costs."""


def economics(book: HedgeBook, period: Period, used: Usage, drawn: Drawn) -> Economics:
    """used, drawn: of the period. To be read within one `view`."""
    lines = tuple(_line(book, period, used, kind) for kind in CostKind)
    all_in = Money(sum(one.amount for one in lines))
    span = (used.since_ns, used.until_ns)
    rolls, spread = _rolled(book, period)
    overage = None
    if drawn.by is not None:
        overage = Money(sum(one.billed for name, one in drawn.by.items() if name is not None))
    return Economics(
        lines=lines,
        all_in=all_in,
        usage=used,
        overage=overage,
        overage_query=Query(
            "overage",
            "overage of commitments, as it was billed",
            "SELECT coalesce(sum(billed_nanos), 0) FROM entries"
            f" WHERE commitment IS NOT NULL AND {posted_in(*span)}",
        ),
        roll_spread=spread,
        roll_query=Query(
            "rolls",
            "fills of rolls: their lots and prices are in the body",
            f"SELECT record_id, body FROM records WHERE record_id IN {one_of(rolls)} ORDER BY seq",
        ),
        counterfactuals=tuple(_otherwise(book, used, drawn, all_in, what) for what in Otherwise),
        teams=_teams(book, period, used, all_in),
    )


def _line(book: HedgeBook, period: Period, used: Usage, kind: CostKind) -> CostLine:
    match kind:
        case CostKind.BILLED:
            says = "usage as billed by providers: pay-as-you-go, and overage of commitments"
            span = (used.since_ns, used.until_ns)
            query = total_query(book.sql, kind.value, says, "billed_nanos", *span)
            return CostLine(kind, used.total.billed, query, says)
        case CostKind.EXPENSE:
            says = "fees of commitments, of the days of the month, as booked"
            query = _records(period, kind, says, f"account = '{GlAccount.COMMITMENT_EXPENSE}'")
        case CostKind.EXPENSE_TO_BOOK:
            says = "fees of days that are over, not booked yet: `hedgerow hedge settle` books them"
            return CostLine(kind, _to_book(book, period), None, says)
        case CostKind.FEES:
            says = "fees of trades and settlements, rolls left out"
            query = _records(period, kind, says, f"{_FEES} AND NOT {_of_rolls(book)}")
        case CostKind.ROLL_FEES:
            says = "fees of the trades of rolls"
            query = _records(period, kind, says, f"{_FEES} AND {_of_rolls(book)}")
        case _:
            account, says = _RESULTS[kind]
            query = _records(period, kind, says, f"account = '{account}'")
    return CostLine(kind, query.amount(book.sql), query, says)


_FEES = f"account = '{GlAccount.FEES}'"


def _of_rolls(book: HedgeBook) -> str:
    """Of the trades alone: what lots pay when they settle they would have paid in any month."""
    rolls = [name for name, one in book.fills.items() if one.roll is not None]
    return f"(kind = 'fill' AND about IN {one_of(rolls)})"


def _records(period: Period, name: str, says: str, where: str) -> Query:
    return Query(
        name,
        says,
        "SELECT coalesce(sum(amount_nanos), 0) FROM record_lines"
        " JOIN records ON records.seq = record_lines.seq"
        f" WHERE {where} AND day >= '{period.month}' AND day <= '{period.last_day}'",
    )


def _to_book(book: HedgeBook, period: Period) -> Money:
    return Money(sum(amount for _, amount in unbooked(book, period.month, period.whole_until)))


def unbooked(book: HedgeBook, since: date, until: date) -> Iterator[tuple[date, Money]]:
    """Expenses of days that are not in the book, by day."""
    for holding in book.holdings.values():
        for day, amount in holding.schedule.days(since, until):
            if amount and not book.has(f"expense:{holding.fill}:{day}"):
                yield day, amount


def _rolled(book: HedgeBook, period: Period) -> tuple[list[str], Money]:
    """The fills of rolls of which one was traded in the period, and what they paid above what they
    brought."""
    inside = {
        one.roll
        for one in book.fills.values()
        if one.roll is not None and period.since_ns <= one.at_ns < period.until_ns
    }
    fills = {name: one for name, one in book.fills.items() if one.roll in inside}
    fees = 0
    for fill in fills.values():
        contract = book.contract(fill)
        if isinstance(contract, Derivative):
            fees += trade_fee(contract, fill)
    cost = sum(roll_cost(book, roll) for roll in inside if roll is not None)
    return list(fills), Money(cost - fees)


_SAYS = {
    Otherwise.LIST: "usage at the public prices of the offers that served it",
    Otherwise.FIRST_OFFER: "usage at the first-listed offer of its model, at pay-as-you-go",
    Otherwise.CHEAPEST: "usage at the cheapest eligible quote of each moment",
}


def _unknown(drawn: Drawn, what: Otherwise) -> tuple[int, Money] | tuple[None, None]:
    if what is Otherwise.LIST:
        return 0, ZERO
    if drawn.by is None:
        return None, None
    is_first, rows = what is Otherwise.FIRST_OFFER, drawn.by.values()
    return (
        sum(one.first_offer_unknown if is_first else one.cheapest_unknown for one in rows),
        Money(sum(one.first_offer_own if is_first else one.cheapest_own for one in rows)),
    )


def _otherwise(
    book: HedgeBook, used: Usage, drawn: Drawn, all_in: Money, what: Otherwise
) -> Counterfactual:
    span, column, total = (used.since_ns, used.until_ns), f"{what}_nanos", used.total
    costs = {
        Otherwise.LIST: total.list,
        Otherwise.FIRST_OFFER: total.first_offer,
        Otherwise.CHEAPEST: total.cheapest,
    }
    cost, says = costs[what], _SAYS[what]
    requests, own = _unknown(drawn, what)
    return Counterfactual(
        otherwise=what,
        cost=cost,
        saved=Money(cost - all_in),
        query=total_query(book.sql, f"{what}_cost", says, column, *span),
        unmeasured_requests=requests,
        unmeasured=own,
        unmeasured_query=Query(
            f"{what}_unmeasured",
            "rows for which that is unknown, and what they cost themselves",
            "SELECT count(*), coalesce(sum(effective_nanos), 0) FROM entries"
            f" WHERE {column} IS NULL AND {posted_in(*span)}",
        ),
    )


def _teams(book: HedgeBook, period: Period, used: Usage, all_in: Money) -> TeamCharges:
    total, span = used.total, (used.since_ns, used.until_ns)
    says = "what teams with a fixed fee pay above what is metered of them, with its sign turned"
    account = f"account = '{GlAccount.FIXED_FEE_RESULT}'"
    fixed_query = _records(period, "fixed_fees", says, account)
    fixed = Money(-fixed_query.amount(book.sql))
    charged = total.effective
    says = "what teams were charged, as budgets count it"
    return TeamCharges(
        charged=charged,
        of_draws=Money(charged - total.billed),
        fixed_fees=fixed,
        variance=Money(charged + fixed - all_in),
        query=total_query(book.sql, "charged", says, "effective_nanos", *span),
        fixed_fees_query=fixed_query,
    )
