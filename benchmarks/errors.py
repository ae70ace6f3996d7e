"""What can go wrong with market data.

MarketError
├── FeedUnreadable       a source of prices that cannot be read; the last good prices stay
│   └── FeedRefused      a document of a feed that is not believed, with the name of its alarm
├── NotGraded            capacity whose chip, region or term nobody can compare
├── TraceInvalid         a request trace that cannot be read; names file and line
├── OutcomesInvalid      outcomes of an eval that nothing can be learned from
├── PredictorInvalid     a file that is no predictor that this version can use
├── TrainingUnavailable  scikit-learn is not installed; only training needs it
├── PromptsInvalid       a file of prompts that cannot be used; names file and line
├── CapReached           the next call of an eval might cost more than is left of its cap
└── NotAnswered          our own API has not answered a probe or an eval
    └── BudgetSpent      the same, because a budget refused it
"""

from __future__ import annotations

from datetime import datetime

from benchmarks.alarms import AlarmName


class MarketError(Exception):
    """Anything that is wrong with what we know, or are told, about the market."""


class FeedUnreadable(MarketError):
    pass


class FeedRefused(FeedUnreadable):
    """`name`: what is wrong. `value`: what it says instead of what it should."""

    def __init__(self, name: AlarmName, value: str) -> None:
        super().__init__(f"{name}: {value}")
        self.name = name
        self.value = value


class NotGraded(MarketError, ValueError):
    pass


class TraceInvalid(MarketError, ValueError):
    pass


class OutcomesInvalid(MarketError, ValueError):
    pass


class PredictorInvalid(MarketError, ValueError):
    pass


class TrainingUnavailable(MarketError):
    pass


class PromptsInvalid(MarketError, ValueError):
    pass


class CapReached(MarketError):
    pass


class NotAnswered(MarketError):
    """status: of the answer; None if there was none. code: of the error, where it has one.

    retry_after_s: what was asked for, None if nothing.
    """

    def __init__(
        self,
        why: str,
        status: int | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(why)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def is_uncharged(self) -> bool:
        """Whether it has certainly cost nothing: it was refused, not tried."""
        return self.status is not None and 400 <= self.status < 500


class BudgetSpent(NotAnswered):
    """resets_at: when the budget's window is over; None if that is never, or was not said."""

    def __init__(self, why: str, status: int, code: str | None, resets_at: datetime | None) -> None:
        super().__init__(why, status, code)
        self.resets_at = resets_at
