"""What can go wrong on the way to a plan.

HedgeError
├── ContractInvalid        terms that contradict each other, or are no terms
├── DemandInvalid          usage that is no history: outside its window, without time zone, empty
├── DemandTooShort         too few days to draw a month from
├── MenuInvalid            limits that not even holding nothing keeps, or numbers that are none
├── ConfidenceOutOfRange   a confidence that so many scenarios cannot speak about
├── QuotesUnreadable       a file of venues' prices in which anything is wrong: none of it is used
├── QuoteRefused           a venue's price that no plan may use: stale, expired, crossed
├── NothingToQuote         a fixed fee for a team without usage
├── NothingToRegress       too few changes, or some that are all alike
├── SeriesUnreadable       a file of changes or values in which anything is wrong
├── SolverFailed           the solver gave no answer; carries every attempt
├── PlanDoesNotVerify      plain arithmetic does not arrive at the plan's numbers
└── BookRefused            what the hedge's book does not take
    ├── PlanUnknown        no plan of that name is kept
    ├── ApprovalRefused    an approval that is none: of one's own plan, doubled, or of nothing
    ├── FillRefused        a fill of what was not approved, or that its contract does not know
    ├── EntryRefused       another entry that the book does not agree with
    ├── StatementRefused   a file that cannot be read, or a line of it that cannot be entered
    └── FixingMissing      a settlement or a funding without the prices that it needs
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hedge.program.attempt import Attempt


class HedgeError(Exception):
    """Anything that stands between the books and a plan."""


class NothingToRegress(HedgeError, ValueError):
    pass


class SeriesUnreadable(HedgeError):
    pass


class ContractInvalid(HedgeError, ValueError):
    pass


class MenuInvalid(HedgeError, ValueError):
    pass


class DemandInvalid(HedgeError, ValueError):
    pass


@dataclass(eq=False)
class DemandTooShort(HedgeError):
    """A history with fewer whole days than a month can be drawn from."""

    days: int
    needed: int

    def __str__(self) -> str:
        return (
            f"the history has {self.days} whole days, a plan needs {self.needed}: "
            "wait, or take a longer period"
        )


@dataclass(eq=False)
class ConfidenceOutOfRange(HedgeError, ValueError):
    """Outside 50% to the point where the tail would hold too few scenarios to average."""

    confidence: float
    highest: float

    def __str__(self) -> str:
        return (
            f"confidence {self.confidence:g} is outside 0.5 to {self.highest:g}: "
            "beyond it the tail holds too few scenarios to average"
        )


class QuotesUnreadable(HedgeError, ValueError):
    pass


class QuoteRefused(HedgeError):
    pass


class NothingToQuote(HedgeError, ValueError):
    pass


@dataclass(eq=False)
class SolverFailed(HedgeError):
    """What every attempt came to, the last one last."""

    reason: str
    attempts: tuple[Attempt, ...]

    def __str__(self) -> str:
        return (
            f"the solver gave no plan after {len(self.attempts)} attempts: {self.reason}; "
            "try fewer contracts, or another cap"
        )


class PlanDoesNotVerify(HedgeError):
    pass


class BookRefused(HedgeError):
    pass


class PlanUnknown(BookRefused):
    pass


class ApprovalRefused(BookRefused):
    pass


class FillRefused(BookRefused):
    pass


class EntryRefused(BookRefused):
    pass


class StatementRefused(BookRefused):
    pass


class FixingMissing(BookRefused):
    pass
