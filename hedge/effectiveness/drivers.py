"""Drivers: what a month's cost is made of, and why it differs from the month before, by the books.

The baseline is the month before at its own volumes and prices, without a forecast; of a month that
still runs, as much of the month before.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from hedge.book.book import HedgeBook
from hedge.contracts.derivatives import Derivative
from hedge.effectiveness.attribution import (
    Attribution,
    IndexMove,
    Level,
    Work,
    attributed,
)
from hedge.effectiveness.economics import CostKind, Economics, economics
from hedge.effectiveness.period import Period
from hedge.effectiveness.usage import drawn, usage
from ledger.money import Money
from ledger.tables.fixings import FixingTable


@dataclass(frozen=True, slots=True)
class NotAttributed:
    why: str


def level(cost: Economics) -> Level:
    """The same amounts by what moves them. Their sum is the all-in cost."""
    total = cost.usage.total
    usual_of_draws = total.contracted - total.billed
    fees = sum(map(cost.line, (CostKind.EXPENSE, CostKind.EXPENSE_TO_BOOK, CostKind.RESALE)))
    results = (CostKind.REALISED, CostKind.UNREALISED, CostKind.FUNDING)
    return Level(
        works={
            model: Work(one.requests, one.tokens, one.first_offer)
            for model, one in cost.usage.models.items()
        },
        routing=Money(total.contracted - total.first_offer),
        commitments=Money(fees - usual_of_draws),
        derivatives=Money(sum(map(cost.line, results))),
        roll=cost.line(CostKind.ROLL_FEES),
        fees=cost.line(CostKind.FEES),
    )


def attribution(book: HedgeBook, period: Period, cost: Economics) -> Attribution | NotAttributed:
    """cost: of the period. To be read within one `view`."""
    before = period.before()
    used = usage(book.sql, before.since_ns, before.until_ns, "usage_before")
    was = economics(book, before, used, drawn(book.sql, before.since_ns, before.until_ns))
    if not used.models and not was.all_in:
        return NotAttributed(
            f"the books have nothing of {before.month:%Y-%m}: there is no month before to hold"
            f" {period.month:%Y-%m} against"
        )
    index = _index(book, before, period)
    move = index if isinstance(index, IndexMove) else None
    parts, models = attributed(level(was), level(cost), None if move is None else move.change)
    return Attribution(
        before=was.all_in,
        now=cost.all_in,
        parts=parts,
        models=models,
        index=move,
        index_why_not=None if isinstance(index, IndexMove) else index,
        query_before=used.query,
        query_now=cost.usage.query,
        lines_before=was.lines,
    )


def _index(book: HedgeBook, before: Period, now: Period) -> IndexMove | str:
    """The index that the derivatives of the book settle on, by the beta that they state; or why
    there is none."""
    found: dict[tuple[str, Fraction], str] = {}
    for fill in book.fills.values():
        contract = book.contract(fill)
        if isinstance(contract, Derivative) and contract.beta and fill.at_ns < now.until_ns:
            key = (contract.settlement.index, Fraction(contract.beta))
            found.setdefault(key, contract.name)
    if not found:
        return "no derivative that was traded states a beta to a settlement index"
    if len(found) > 1:
        told = ", ".join(f"{name} {float(beta):g} to {at}" for (at, beta), name in found.items())
        return f"the derivatives that were traded state several betas ({told}): no one index fits"
    (((index, beta), contract_name),) = found.items()
    means = [_mean(book, index, one) for one in (before, now)]
    if means[0] is None or means[1] is None:
        missing = before if means[0] is None else now
        return (
            f"no fixing of {index} is known for {missing.month:%Y-%m}: import them with"
            " `hedgerow hedge settle --prices`"
        )
    return IndexMove(contract_name, index, beta, means[0], means[1])


def _mean(book: HedgeBook, index: str, period: Period) -> Decimal | None:
    """Of the fixings of a period, as they are known now."""
    fixings = FixingTable(book.sql)
    known = fixings.known(index, book.now_ns, period.since_ns, period.until_ns)
    values = [one.value for one in known]
    if not values or not sum(values):
        return None
    return sum(values, Decimal(0)) / len(values)
