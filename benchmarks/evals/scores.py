"""Score: the mean of what an offer's answers are worth, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.90
"""How often an interval has to have the truth in it."""
_Z = 1.6448536269514722
"""Of the normal distribution, for that level, two-sided."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean from 0 to 1 with its 90% interval; n: of how many prompts."""

    mean: float
    low: float
    high: float
    n: int


def interval(values: Sequence[float]) -> Interval:
    """The mean of one value from 0 to 1 for each prompt, and where it would be for other prompts of
    the same kind. Raises ValueError for none.

    For 0s and 1s it is Wilson's interval. For grades between them it is Wilson's too, with as many
    prompts as would have their variance if they were 0s and 1s: never wider, and never of no width,
    since one prompt of the largest variance is counted in.
    """
    n = len(values)
    if n == 0:
        raise ValueError("no graded answer: there is no score")
    mean = math.fsum(values) / n
    widest = mean * (1 - mean)
    variance = (math.fsum((one - mean) ** 2 for one in values) + widest) / (n + 1)
    size = n * widest / variance if variance > 0 else float(n)
    low, high = wilson(mean, size)
    return Interval(mean, min(low, mean), max(high, mean), n)


def wilson(mean: float, n: float, z: float = _Z) -> tuple[float, float]:
    """Wilson's score interval, of a share among `n`; z: of the level."""
    squared = z * z
    centre = (mean + squared / (2 * n)) / (1 + squared / n)
    half = z / (1 + squared / n) * math.sqrt(mean * (1 - mean) / n + squared / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def by_prompt(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """One value for each prompt: answers to the same one are no news of other prompts."""
    return {name: math.fsum(some) / len(some) for name, some in scores.items() if some}
