"""Cascades on SWE-bench: chosen on training folds, judged on the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.predictor.gain import Curve, Gain, curve, hull, picks, share_closed
from benchmarks.predictor.outcomes import Floats, OutcomeTable
from ledger.money import NANOS_PER_USD
from tests.evaluate.cascade import Cascade, Verifier, expectation, frontier

FOLDS = 5
FROM_USD, TO_USD = 0.05, 0.30
_BUDGETS_USD = np.linspace(0.02, 0.45, 87)
_DRAWS = 400


@dataclass(frozen=True, slots=True)
class CascadeResult:
    """gain: of the area between mixture and oracle from FROM_USD to TO_USD a task."""

    verifier: Verifier
    gain: Gain
    mixture: Curve
    choice: Curve
    oracle: Curve
    at_ten_cents: tuple[str, ...]


def judged(table: OutcomeTable, verifier: Verifier, seed: int = 0) -> CascadeResult:
    """For each budget the mixture of two cascades that is best on the training folds."""
    scores, costs = table.scores, table.costs / NANOS_PER_USD
    folds = np.random.default_rng(seed).permutation(len(scores)) % FOLDS
    qualities = np.empty((len(scores), len(_BUDGETS_USD)))
    paid = np.empty_like(qualities)
    named: tuple[str, ...] = ()
    for fold in range(FOLDS):
        known, rest = folds != fold, folds == fold
        cascades = frontier(scores[known], costs[known], verifier)
        learned = [expectation(one, scores[known], costs[known], verifier) for one in cascades]
        means = np.array([float(one.costs.mean()) for one in learned])
        best = hull(means, np.array([float(one.qualities.mean()) for one in learned]))
        kept = [cascades[int(np.flatnonzero(means == cost)[0])] for cost in best.costs]
        mixing = _mixing(best.costs)
        true = [expectation(one, scores[rest], costs[rest], verifier) for one in kept]
        qualities[rest] = np.stack([one.qualities for one in true], axis=1) @ mixing
        paid[rest] = np.stack([one.costs for one in true], axis=1) @ mixing
        if fold == 0:
            named = _named(kept[int(np.searchsorted(best.costs, 0.10)) - 1], table)
    rows = np.arange(len(scores))[:, None]
    taken = picks(scores, costs)
    most, least = scores[rows, taken], costs[rows, taken]

    def curves(weights: Floats) -> tuple[Curve, Curve, Curve]:
        return (
            hull(weights @ costs, weights @ scores),
            curve(weights @ paid, weights @ qualities),
            curve(weights @ least, weights @ most),
        )

    chance = np.random.default_rng(seed)
    count = len(scores)
    drawn = chance.multinomial(count, np.full(count, 1 / count), size=_DRAWS) / count
    between = (FROM_USD, TO_USD)
    shares = [share_closed(*curves(one), between) for one in drawn]
    mixture, choice, oracle = curves(np.full(count, 1 / count))
    low, high = np.quantile(shares, [0.05, 0.95])
    closed = share_closed(mixture, choice, oracle, between)
    return CascadeResult(
        verifier, Gain(closed, float(low), float(high)), mixture, choice, oracle, named
    )


def _mixing(costs: Floats) -> Floats:
    """How much of each cascade (rows) is in the mixture for each budget (columns)."""
    return np.stack([np.interp(_BUDGETS_USD, costs, one) for one in np.eye(len(costs))])


def _named(cascade: Cascade, table: OutcomeTable) -> tuple[str, ...]:
    return tuple(table.models[one] for one in cascade.models)
