"""Quality: how well an offer, or the model that it sells, does a kind of work, and how sure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Quality:
    """A score from 0 to 1, with its 90% interval.

    benchmark: what was measured; `ours` is our own evals. low, high: equal to the score where its
    source names no interval. n: prompts that were graded; None where the source does not say.
    source: who says so, as `eval 2026-08-01T10:00Z`, or a feed's name and version.
    """

    benchmark: str
    score: float
    low: float
    high: float
    n: int | None
    as_of: datetime
    source: str
