"""What can go wrong with market data.

MarketError
├── FeedUnreadable       a source of prices that cannot be read; the last good prices stay
├── NotGraded            capacity whose chip, region or term nobody can compare
├── TraceInvalid         a request trace that cannot be read; names file and line
├── OutcomesInvalid      outcomes of an eval that nothing can be learned from
├── PredictorInvalid     a file that is no predictor that this version can use
└── TrainingUnavailable  scikit-learn is not installed; only training needs it
"""

from __future__ import annotations


class MarketError(Exception):
    """Anything that is wrong with what we know, or are told, about the market."""


class FeedUnreadable(MarketError):
    pass


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
