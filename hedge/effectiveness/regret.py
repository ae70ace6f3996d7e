"""Regret: what other sizes of what was bought would have cost, by the month that really came.

All that the offers of a commitment served is billed anew for each size that is sold, from nothing
to twice what was held: minute by minute for throughput, over its window for a quota. What fits is
paid for with the fee; of what does not, the same part of every request at what it costs at
pay-as-you-go there. Routing stays as it was: requests that went elsewhere, or drew on another
commitment, do so again. So hindsight is a bound on what a better size could have saved, not on what
another router would.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hedge.book.book import HedgeBook, Holding
from hedge.closed_forms import SkiRental
from hedge.contracts.terms import Size
from hedge.effectiveness.coverage import Coverage, fee_in
from hedge.effectiveness.period import Period
from hedge.effectiveness.query import Query, literal
from hedge.effectiveness.usage import has_rows, posted_in, served_by
from hedge.risk import Floats
from ledger.allowances import capacity_in
from ledger.commitments import NANOS_PER_MICRO_USD, Commitment, CommitmentKind
from ledger.databases.sql import Sql
from ledger.instants import day_ns, instant
from ledger.money import Money
from ledger.tables.commitments import CommitmentTable
from ledger.windows import Span

MOST_SIZES = 500
"""More sizes than that are thinned out evenly: the best of those is near the best of all."""
_NANOS_PER_MINUTE = 60_000_000_000

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SizeCost:
    """The month with so many units: fee, and what is left to pay as it goes."""

    units: int
    fee: Money
    pay_as_you_go: Money

    @property
    def cost(self) -> Money:
        return Money(self.fee + self.pay_as_you_go)


@dataclass(frozen=True, slots=True)
class Regret:
    """Of one commitment, in its month or (a quota of the whole term) its term. sizes: those that
    were tried, ascending; the first is 0. held, best, never: three of them; of equal ones the best
    is the smallest. break_even: of who pays as they go until another lot of units would have paid
    for itself, and buys it then, for a whole fee."""

    commitment: str
    contract: str
    sizes: tuple[SizeCost, ...]
    held: SizeCost
    best: SizeCost
    break_even: Money
    query: Query

    @property
    def never(self) -> SizeCost:
        return self.sizes[0]

    @property
    def against_hindsight(self) -> Money:
        """What was held cost so much more than the best size; never below 0."""
        return Money(self.held.cost - self.best.cost)

    @property
    def against_never(self) -> Money:
        """Below 0, what was held was worth it."""
        return Money(self.held.cost - self.never.cost)

    @property
    def against_break_even(self) -> Money:
        """Below 0, buying ahead was better than waiting until it pays."""
        return Money(self.held.cost - self.break_even)


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A commitment without a regret, and why."""

    commitment: str
    contract: str
    why: str


@dataclass(frozen=True, slots=True)
class Regrets:
    judged: tuple[Regret, ...]
    not_judged: tuple[NotJudged, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the offers of a commitment served, window by window: the capacity that it takes, in
    micro-units, and what it costs at pay-as-you-go, in nano-USD."""

    micro_units: Floats
    cost: Ints

    def left(self, capacity: int) -> Money:
        """What is left to pay as it goes with so much capacity in each window: of each that does
        not fit, the same part of all that it asked for, to the nano-USD."""
        if not capacity:
            return Money(int(self.cost.sum()))
        over = 1 - capacity / np.maximum(self.micro_units, capacity)
        left: Ints = np.rint(self.cost * over).astype(np.int64)
        return Money(int(left.sum()))


def regrets(book: HedgeBook, period: Period, covered: Coverage) -> Regrets:
    """covered: of the period. To be read within one `view`."""
    table = CommitmentTable(book.sql)
    judged, not_judged = list[Regret](), list[NotJudged]()
    holdings = {
        name: one for one in book.holdings.values() for name in (*one.earlier, one.commitment)
    }
    for use in covered.uses:
        commitment = table.one(use.commitment)
        if commitment is None:
            continue
        found = _regret(book, period, holdings[use.commitment], commitment)
        if isinstance(found, Regret):
            judged.append(found)
        else:
            not_judged.append(NotJudged(use.commitment, use.contract, found))
    return Regrets(tuple(judged), tuple(not_judged))


def _regret(
    book: HedgeBook, period: Period, holding: Holding, commitment: Commitment
) -> Regret | str:
    since_ns = max(period.since_ns, commitment.starts_ns)
    until_ns = min(day_ns(period.whole_until), commitment.ends_ns)  # as the fee
    fee = fee_in(holding, commitment, period)
    is_quota = commitment.kind is not CommitmentKind.THROUGHPUT
    if is_quota and not commitment.is_monthly:
        if commitment.ends_ns > period.until_ns:
            ends = instant(commitment.ends_ns).date()
            return (
                f"its quota is of its whole term: the month in which that ends, {ends}, judges it"
            )
        since_ns = commitment.starts_ns
        days = holding.schedule.days(instant(since_ns).date(), instant(until_ns).date())
        fee = Money(sum(amount for _, amount in days))
    elif is_quota and not period.is_over:
        return "its quota is of the month, which is not over"
    if not commitment.covers:
        return "it covers no offer: nothing can draw on it"
    if not has_rows(book.sql, since_ns):
        return "retention has deleted rows of its time: keep them longer with retention.entries"
    if not fee:
        return "nothing of its fee is an expense yet: no day of it is over, or it costs nothing"
    query = _query(commitment, since_ns, until_ns)
    asked = _asked(book.sql, query)
    held = commitment.units
    sold = _sold(holding.contract.size, held)
    sizes = size_costs(asked, fee, _capacity(commitment, period), held, sold)
    return Regret(
        commitment=commitment.id,
        contract=commitment.contract,
        sizes=sizes,
        held=next(one for one in sizes if one.units == held),
        best=min(sizes, key=lambda one: (one.cost, one.units)),
        break_even=break_even(sizes),
        query=query,
    )


def size_costs(
    asked: Asked, fee: Money, capacity: int, held: int, sizes: Iterable[int]
) -> tuple[SizeCost, ...]:
    """What each size would have cost. fee, capacity: of the units that were held, in each window;
    that of others is in proportion."""
    return tuple(
        SizeCost(units, Money(fee * units // held), asked.left(capacity * units // held))
        for units in sorted({0, held, *sizes})
    )


def break_even(sizes: tuple[SizeCost, ...]) -> Money:
    """Lot by lot, by the ski rental's rule: what a lot would have saved is paid as it goes up to
    the lot's fee, and then the fee."""
    cost = sizes[-1].pay_as_you_go
    for less, more in pairwise(sizes):
        saved = less.pay_as_you_go - more.pay_as_you_go
        lot = SkiRental(on_demand=1.0, upfront=float(more.fee - less.fee), discounted=0.0)
        cost = Money(cost + round(lot.cost(float(saved), lot.break_even)))
    return cost


def _sold(size: Size, held: int) -> Sequence[int]:
    offered = range(size.min, min(size.max, 2 * held) + 1, size.step)
    return offered[:: -(-len(offered) // MOST_SIZES) or 1]


def _capacity(commitment: Commitment, period: Period) -> int:
    """In each window."""
    if commitment.kind is CommitmentKind.THROUGHPUT or not commitment.is_monthly:
        return commitment.micro_units
    start, end = instant(period.since_ns), instant(day_ns(period.ends))
    return capacity_in(commitment, Span(start, end, start))


def _asked(sql: Sql, query: Query) -> Asked:
    rows = [(float(units), int(cost)) for _, units, cost in query.rows(sql)]
    return Asked(
        np.array([units for units, _ in rows], dtype=np.float64),
        np.array([cost for _, cost in rows], dtype=np.int64),
    )


def _query(commitment: Commitment, since_ns: int, until_ns: int) -> Query:
    """Of requests of its offers that drew on it, or on nothing: those of other commitments are
    theirs, and batches are billed apart."""
    is_throughput = commitment.kind is CommitmentKind.THROUGHPUT
    window = f"at_ns / {_NANOS_PER_MINUTE}" if is_throughput else "0"
    name = literal(commitment.id)
    return Query(
        f"asked_{commitment.id}",
        "by minute (of a quota: in all) the micro-units that the requests take which it could"
        " serve, and what they cost at pay-as-you-go",
        f"SELECT {window} AS part, sum(CASE WHEN commitment = {name}"
        f" THEN micro_units + overage_micro_units ELSE {_takes(commitment)} END) AS micro_units,"
        " sum(contracted_nanos) AS contracted_nanos FROM entries"
        f" JOIN subjects ON subjects.id = subject_id WHERE {posted_in(since_ns, until_ns)}"
        f" AND (commitment = {name} OR commitment IS NULL) AND batch IS NULL"
        f" AND {served_by(commitment)}"
        " GROUP BY 1 ORDER BY 1",
    )


def _takes(one: Commitment) -> str:
    """As `Commitment.takes`, of what nobody counted nothing."""
    if one.kind is CommitmentKind.SPEND:
        return f"(contracted_nanos + {NANOS_PER_MICRO_USD - 1}) / {NANOS_PER_MICRO_USD}"
    prompt, cached = "coalesce(prompt_tokens, 0)", "coalesce(cached_tokens, 0)"
    cached = f"(CASE WHEN {cached} < {prompt} THEN {cached} ELSE {prompt} END)"
    more = one.micro_units_per_cached - one.micro_units_per_prompt
    return (
        f"{prompt} * {one.micro_units_per_prompt} + {cached} * ({more})"
        f" + coalesce(completion_tokens, 0) * {one.micro_units_per_completion}"
        f" + {one.micro_units_per_request}"
    )
