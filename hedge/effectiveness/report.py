"""EffectivenessReport: what finance reads after a month, as values; whoever renders adds none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import msgspec

from hedge.book.book import HedgeBook
from hedge.effectiveness.accounting import HedgeAccounting, hedge_accounting
from hedge.effectiveness.attribution import Attribution
from hedge.effectiveness.coverage import Coverage, coverage
from hedge.effectiveness.drivers import attribution
from hedge.effectiveness.economics import CostKind, Economics, Otherwise, economics
from hedge.effectiveness.exceedances import Exceedances
from hedge.effectiveness.history import History, history
from hedge.effectiveness.period import Period
from hedge.effectiveness.regret import Regrets, regrets
from hedge.effectiveness.usage import drawn, usage
from ledger.money import Money, usd, usd_text


@dataclass(frozen=True, slots=True)
class PlannedMonth:
    """The month as the last plan saw it that was approved by its end. is_ahead: approved before it
    began. confidence, cap_usd: with which it was to keep which cap. *_usd: estimates, to the cent.
    p_within_cap: on fresh scenarios. None: the plan does not say, or has not this month among
    its own."""

    plan: str
    approved_by: str
    approved_at_ns: int
    is_ahead: bool
    confidence: float | None
    cap_usd: Decimal | None
    expected_usd: Decimal | None
    fees_usd: Decimal | None
    p_within_cap: float | None


@dataclass(frozen=True, slots=True)
class AgainstPlan:
    """A month that is over, held against what the plan expected of it. fees: what commitments cost
    above (below 0: below) their planned fees. rest: all else, usage and derivatives: a plan keeps
    what a month is expected to cost, not its volumes and prices by model."""

    expected: Money
    fees: Money
    rest: Money

    @property
    def total(self) -> Money:
        """What the month cost above what was expected."""
        return Money(self.fees + self.rest)


@dataclass(frozen=True, slots=True)
class Premium:
    """What certainty has cost: what was paid for commitments above what their draws would have
    cost at the cheapest quotes, and what derivatives and their fees took. total: None where one of
    them is not known. Below 0 the hedge has paid."""

    commitments: Money | None
    derivatives: Money
    fees: Money

    @property
    def total(self) -> Money | None:
        if self.commitments is None:
            return None
        return Money(self.commitments + self.derivatives + self.fees)


@dataclass(frozen=True, slots=True)
class EffectivenessReport:
    """cap: the lowest USD budget of a month on everything, as it is now; None without one. plan:
    None without an approved one. against_plan: None, and why, where no plan says what the month
    was expected to cost. attribution: against the month before; None, and why, without one.
    exceedances: None without a cap. accounting: tests by relation, reserve, journals, disclosures,
    changes. is_empty: neither usage nor cost: `notes` say so, and what to do. notes: what a reader
    has to know of all of it."""

    period: Period
    cap: Money | None
    plan: PlannedMonth | None
    economics: Economics
    premium: Premium
    against_plan: AgainstPlan | None
    against_plan_why_not: str | None
    attribution: Attribution | None
    attribution_why_not: str | None
    coverage: Coverage
    regrets: Regrets
    history: History
    exceedances: Exceedances | None
    accounting: HedgeAccounting
    is_empty: bool
    notes: tuple[str, ...]

    @property
    def realised(self) -> Money:
        """What the month has cost, all in."""
        return self.economics.all_in

    @property
    def headroom(self) -> Money | None:
        """The cap less the cost; below 0 the month is above it."""
        return None if self.cap is None else Money(self.cap - self.realised)

    @property
    def confidence(self) -> float | None:
        """With which the plan was to keep the cap."""
        return None if self.plan is None else self.plan.confidence


@dataclass(frozen=True, slots=True)
class _Month:
    month: date
    expected_usd: Decimal
    fees_usd: Decimal
    p_within_cap: float


@dataclass(frozen=True, slots=True)
class _Promise:
    """What this report reads of a plan's JSON."""

    cap_usd: Decimal | None = None
    confidence: float | None = None
    months: tuple[_Month, ...] = ()


def effectiveness_report(book: HedgeBook, month: date, cap: Money | None) -> EffectivenessReport:
    """Of a month as of `book.now_ns`. cap: of a calendar month on everything, None without one.

    To be read within one `view` of `book.sql`, in which the book was, too.
    """
    period = Period.of(month, book.now_ns)
    used = usage(book.sql, period.since_ns, period.until_ns)
    drew = drawn(book.sql, period.since_ns, period.until_ns)
    cost = economics(book, period, used, drew)
    covered = coverage(book, period, used, drew)
    why = attribution(book, period, cost)
    past = history(book, period, cost)
    plan = _plan(book, period)
    against = _against(period, plan, cost)
    promised = None if plan is None else plan.confidence
    is_empty = not used.models and not any(one.amount for one in cost.lines)
    is_empty = is_empty and not covered.uses
    return EffectivenessReport(
        period=period,
        cap=cap,
        plan=plan,
        economics=cost,
        premium=_premium(cost, covered),
        against_plan=against if isinstance(against, AgainstPlan) else None,
        against_plan_why_not=None if isinstance(against, AgainstPlan) else against,
        attribution=why if isinstance(why, Attribution) else None,
        attribution_why_not=None if isinstance(why, Attribution) else why.why,
        coverage=covered,
        regrets=regrets(book, period, covered),
        history=past,
        accounting=hedge_accounting(book.sql, period.month, book.now_ns),
        exceedances=None if cap is None else past.exceedances(cap, promised),
        is_empty=is_empty,
        notes=tuple(_notes(period, cap, cost, past, is_empty=is_empty)),
    )


def _premium(cost: Economics, covered: Coverage) -> Premium:
    results = (CostKind.REALISED, CostKind.UNREALISED, CostKind.FUNDING)
    fees = (CostKind.FEES, CostKind.ROLL_FEES)
    return Premium(
        commitments=covered.certainty,
        derivatives=Money(sum(map(cost.line, results))),
        fees=Money(sum(map(cost.line, fees))),
    )


def _plan(book: HedgeBook, period: Period) -> PlannedMonth | None:
    approvals = [
        (one.at_ns, plan.id, one.who)
        for plan in book.plans.values()
        for one in plan.approvals
        if one.at_ns < period.until_ns
    ]
    if not approvals:
        return None
    at_ns, plan_id, who = max(approvals)
    said = msgspec.json.decode(book.plans[plan_id].text, type=_Promise)
    its = next((one for one in said.months if one.month == period.month), None)
    return PlannedMonth(
        plan=plan_id,
        approved_by=who,
        approved_at_ns=at_ns,
        is_ahead=at_ns <= period.since_ns,
        confidence=said.confidence,
        cap_usd=said.cap_usd,
        expected_usd=None if its is None else its.expected_usd,
        fees_usd=None if its is None else its.fees_usd,
        p_within_cap=None if its is None else its.p_within_cap,
    )


def _against(period: Period, plan: PlannedMonth | None, cost: Economics) -> AgainstPlan | str:
    if plan is None:
        return "no plan was approved by the end of the month"
    if not plan.is_ahead:
        return f"{plan.plan} was approved when the month had begun"
    if plan.expected_usd is None or plan.fees_usd is None:
        return f"{plan.plan} does not say what it expects of {period.month:%Y-%m}"
    if not period.is_over:
        return "the month is not over, and the plan speaks of all of it"
    expected, fees = usd(plan.expected_usd), usd(plan.fees_usd)
    paid = Money(cost.line(CostKind.EXPENSE) + cost.line(CostKind.EXPENSE_TO_BOOK))
    more = Money(paid - fees)
    return AgainstPlan(expected, more, Money(cost.all_in - expected - more))


def _notes(
    period: Period, cap: Money | None, cost: Economics, past: History, *, is_empty: bool
) -> Iterator[str]:
    name = f"{period.month:%Y-%m}"
    if not period.has_begun:
        yield f"{name} has not begun: there is nothing to report of it; ask for an earlier month."
        return
    if is_empty:
        yield (
            f"The books have no usage and no cost of {name}: send requests through the proxy, or"
            " ask for a month that had some."
        )
        return
    if not period.is_over:
        yield (
            f"{name} is running: everything is to date, usage to the minute and fees of"
            " commitments to the end of the last day."
        )
    if cap is None:
        yield (
            "No budget caps everything in a month: write one with scope {}, window month and"
            " cap_usd, and the report holds the cost against it."
        )
    if due := cost.line(CostKind.EXPENSE_TO_BOOK):
        yield (
            f"{usd_text(due, 2)} USD of fees of days that are over are not in the book: run"
            " `hedgerow hedge settle`."
        )
    if past.begins is not None and past.begins > period.before().month and past.begins.day > 1:
        yield (
            f"The books begin on {past.begins}: the month of that day is not a whole one, and what"
            " is held against it looks larger than it is."
        )
    yield from _unmeasured(cost)


def _unmeasured(cost: Economics) -> Iterator[str]:
    for one in cost.counterfactuals:
        if one.unmeasured_requests is None:
            yield (
                "Retention has deleted rows of this month: how much of what it would have cost"
                " otherwise was measured, and what drew on commitments, is not known any more."
            )
            return
        if one.unmeasured_requests:
            what = "at the first-listed offer"
            what = "at the cheapest quote" if one.otherwise is Otherwise.CHEAPEST else what
            yield (
                f"For {one.unmeasured_requests:,} of {cost.usage.total.requests:,} requests nobody"
                f" knows what they would have cost {what}: they count there at their own cost."
            )
