"""Drivers: what a month's cost is made of, and why it differs from the month before, by the books.

The baseline is the month before at its own volumes and prices, without a forecast; of a month that
still runs, as much of the month before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

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
    parts, models = attributed(level(was), level(cost), move)
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
    """The index of the month's designations, or of the derivatives that were traded, by the beta
    that they state; or why there is none."""
    found = _designated(book, now) or _traded(book, now)
    if not found:
        return "no designation, and no derivative that was traded, states a beta to an index"
    if len(found) > 1:
        told = ", ".join(
            f"{one.contract} {float(beta):g} to {index}" for (index, beta), one in found.items()
        )
        return f"several betas are stated ({told}): no one index fits"
    (((index, beta), stated),) = found.items()
    was, is_now = (_mean(book, index, one) for one in (before, now))
    if was is None or is_now is None:
        missing = before if was is None else now
        return (
            f"no fixing of {index} is known for {missing.month:%Y-%m}: import them with"
            " `hedgerow hedge settle --prices`"
        )
    return IndexMove(
        stated.contract,
        index,
        beta,
        was,
        is_now,
        models=stated.models,
        designation=stated.designation,
    )


@dataclass(frozen=True, slots=True)
class _Stated:
    """designation: None where the terms of the contract alone say it. models: none is all."""

    contract: str
    models: frozenset[str] = frozenset()
    designation: str | None = None


_Betas: TypeAlias = dict[tuple[str, Fraction], _Stated]
"""By index and beta."""


def _designated(book: HedgeBook, period: Period) -> _Betas:
    """Of the purchases of the month."""
    found: _Betas = {}
    for name, one in book.designations.items():
        fact = one.fact
        fill = book.fills.get(fact.fill)
        if fill is None or fact.item_month != period.month or not fact.index or not fact.beta:
            continue
        if one.ended is not None and one.ended.day < period.month:
            continue
        key, models = (fact.index, Fraction(fact.beta)), frozenset(fact.models)
        first = found.setdefault(key, _Stated(fill.contract, models, name))
        every = first.models | models if first.models and models else frozenset[str]()
        found[key] = replace(first, models=every)
    return found


def _traded(book: HedgeBook, period: Period) -> _Betas:
    found: _Betas = {}
    for fill in book.fills.values():
        contract = book.contract(fill)
        if isinstance(contract, Derivative) and contract.beta and fill.at_ns < period.until_ns:
            key = (contract.settlement.index, Fraction(contract.beta))
            found.setdefault(key, _Stated(contract.name))
    return found


def _mean(book: HedgeBook, index: str, period: Period) -> Decimal | None:
    """Of the fixings of a period, as they are known now."""
    fixings = FixingTable(book.sql)
    known = fixings.known(index, book.now_ns, period.since_ns, period.until_ns)
    values = [one.value for one in known]
    if not values or not sum(values):
        return None
    return sum(values, Decimal(0)) / len(values)
