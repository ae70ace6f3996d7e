"""Cascade: ask a model, check its answer, and ask the next one only if the check fails.

Pays where answers can be checked: tests of a patch, a schema, a judge. Which models, in which
order, is chosen from outcomes; nothing is learned from prompts. For offline use in evals.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LONGEST = 6
_BEAM = 24
_WORTHS = 48


@dataclass(frozen=True, slots=True)
class Verifier:
    """What checks an answer, how often it errs (independently each time), and what a check costs.

    cost: in the unit of the models' costs.
    """

    false_accept: float = 0.0
    false_reject: float = 0.0
    cost: float = 0.0

    def accepts(self, scores: Floats) -> Floats:
        """The chance that it lets an answer of this score (its chance to be right) pass."""
        return scores * (1 - self.false_reject) + (1 - scores) * self.false_accept


@dataclass(frozen=True, slots=True)
class Cascade:
    """Models by column, in the order in which they are asked.

    If no answer passes, the one of `fallback` is given, the most accurate of them.
    """

    models: tuple[int, ...]
    fallback: int


@dataclass(frozen=True, slots=True)
class Expectation:
    """Of a cascade, by prompt: the chance that the given answer is right, and the cost."""

    qualities: Floats
    costs: Floats


def expectation(cascade: Cascade, scores: Floats, costs: Floats, verifier: Verifier) -> Expectation:
    """Exact over the verifier's errors. Scores and costs are prompts × models."""
    reach = np.ones(len(scores))
    quality = np.zeros(len(scores))
    cost = np.zeros(len(scores))
    for model in cascade.models:
        score = scores[:, model]
        cost += reach * (costs[:, model] + verifier.cost)
        quality += reach * score * (1 - verifier.false_reject)
        reach = reach * (1 - verifier.accepts(score))
    # What was rejected may still be right: given back is the answer of the most accurate model.
    rejected = scores[:, cascade.fallback] * verifier.false_reject
    others = np.ones(len(scores))
    for model in cascade.models:
        if model != cascade.fallback:
            others = others * (1 - verifier.accepts(scores[:, model]))
    return Expectation(quality + others * rejected, cost)


def frontier(
    scores: Floats, costs: Floats, verifier: Verifier, longest: int = LONGEST
) -> tuple[Cascade, ...]:
    """Cascades such that none is both cheaper and better, cheapest first.

    A beam search for each worth of a right answer: exact for cascades of one model, near to it for
    longer ones. Without a useful verifier, cascades of one model are what is left.
    """
    accuracy = scores.mean(0)
    found: set[Cascade] = set()
    beam = [Cascade((one,), one) for one in range(scores.shape[1])]
    found.update(beam)
    worths = _worths(costs)
    for _ in range(longest - 1):
        longer = list(
            {
                Cascade(
                    (*one.models, model),
                    one.fallback if accuracy[one.fallback] >= accuracy[model] else model,
                )
                for one in beam
                for model in range(scores.shape[1])
                if model not in one.models
            }
        )
        if not longer:
            break
        longer.sort(key=lambda one: one.models)
        means = np.array([_means(one, scores, costs, verifier) for one in longer])
        best: set[int] = set()
        for worth in worths:
            net = worth * means[:, 1] - means[:, 0]
            best.update(int(one) for one in np.argsort(-net, kind="stable")[:_BEAM])
        beam = [longer[one] for one in sorted(best)]
        found.update(beam)
    return _undominated(found, scores, costs, verifier)


def _worths(costs: Floats) -> Floats:
    mean = costs.mean(0)
    return np.geomspace(max(float(mean.min()), 1e-12) / 10, float(mean.max()) * 100, _WORTHS)


def _means(
    cascade: Cascade, scores: Floats, costs: Floats, verifier: Verifier
) -> tuple[float, float]:
    of = expectation(cascade, scores, costs, verifier)
    return float(of.costs.mean()), float(of.qualities.mean())


def _undominated(
    cascades: Iterable[Cascade], scores: Floats, costs: Floats, verifier: Verifier
) -> tuple[Cascade, ...]:
    judged = sorted(
        ((*_means(one, scores, costs, verifier), one) for one in cascades),
        key=lambda it: (it[0], -it[1], it[2].models),
    )
    kept: list[Cascade] = []
    best = -1.0
    for _, quality, one in judged:
        if quality > best:
            kept.append(one)
            best = quality
    return tuple(kept)
