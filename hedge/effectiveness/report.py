"""EffectivenessReport: what finance reads after a month, as values; whoever renders adds none."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hedge.effectiveness.attribution import Attribution
from hedge.effectiveness.coverage import Coverage
from hedge.effectiveness.economics import Economics
from hedge.effectiveness.history import History
from hedge.effectiveness.period import Period
from hedge.effectiveness.regret import Regrets
from ledger.money import Money


@dataclass(frozen=True, slots=True)
class PlannedMonth:
    """The month as the last plan saw it that was approved before it began. *_usd: estimates, to
    the cent. p_within_cap: on fresh scenarios. covers_month: whether it is one of the plan's
    months; the expectations are None where it is not."""

    plan: str
    approved_by: tuple[str, ...]
    approved_at_ns: int
    confidence: float
    cap_usd: Decimal
    expected_usd: Decimal | None
    fees_usd: Decimal | None
    p_within_cap: float | None

    @property
    def covers_month(self) -> bool:
        return self.expected_usd is not None


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
    None, and plan_why_not, without an approved one. attribution: None, and attribution_why_not,
    without a month before. is_empty: neither usage nor records: `notes` say so, and what to do.
    notes: what a reader has to know of all of it."""

    period: Period
    cap: Money | None
    plan: PlannedMonth | None
    plan_why_not: str | None
    economics: Economics
    premium: Premium
    attribution: Attribution | None
    attribution_why_not: str | None
    coverage: Coverage
    regrets: Regrets
    history: History
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
