"""Risk: what equally likely costs say about a cap."""

from __future__ import annotations

from collections.abc import Callable
from math import log, log1p

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TAIL_SCENARIOS = 5
"""A mean over fewer bad months than this is an anecdote."""


def highest_confidence(scenarios: int) -> float:
    """The confidence at which the tail still holds TAIL_SCENARIOS of them."""
    return 1 - TAIL_SCENARIOS / scenarios


def scenarios_for(confidence: float, at_least: int, at_most: int) -> int:
    """How many it takes until the tail beyond `confidence` holds TAIL_SCENARIOS, within bounds."""
    if confidence >= highest_confidence(at_most):
        return at_most
    return max(at_least, int(np.ceil(round(TAIL_SCENARIOS / (1 - confidence), 6))))


def tail_weights(costs: Floats, confidence: float) -> Floats:
    """Weights, summing to 1, whose mean of `costs` is their CVaR: the worst 1 - confidence of them.

    The scenario at the edge of the tail counts in part (Rockafellar and Uryasev 2002), so that the
    weights maximise the weighted mean and are a subgradient of CVaR.
    """
    tail = len(costs) * (1 - confidence)
    worst_first = np.argsort(-costs, kind="stable")
    weights = np.zeros(len(costs))
    weights[worst_first] = np.clip(tail - np.arange(len(costs)), 0, 1) / tail
    return weights


def cvar(costs: Floats, confidence: float) -> float:
    """The mean of the worst 1 - confidence of `costs`."""
    return float(tail_weights(costs, confidence) @ costs)


def clopper_pearson(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a chance, `hits` in `trials` seen (Clopper and Pearson 1934)."""
    alpha = (1 - confidence) / 2
    ways = _log_ways(trials)
    low = 0.0 if hits == 0 else _where(lambda p: 1 - _at_most(hits - 1, ways, p) < alpha)
    high = 1.0 if hits == trials else _where(lambda p: _at_most(hits, ways, p) > alpha)
    return low, high


def _where(below: Callable[[float], bool]) -> float:
    """The chance up to which `below` holds, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


def _log_ways(trials: int) -> Floats:
    """Logs of the binomial coefficients, for every number of hits."""
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    return np.asarray(factorial[-1] - factorial - factorial[::-1])


def _at_most(hits: int, log_ways: Floats, chance: float) -> float:
    """P(Binomial <= hits), for a chance strictly between 0 and 1."""
    trials = len(log_ways) - 1
    k = np.arange(hits + 1)
    return float(np.exp(log_ways[k] + k * log(chance) + (trials - k) * log1p(-chance)).sum())
