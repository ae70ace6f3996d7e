"""Training: fit a predictor to outcomes, and judge by cross-validation whether it is of use.

Needs scikit-learn (`pip install 'hedgerow[train]'`); nothing else here does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import permutations

import numpy as np

from benchmarks.errors import OutcomesInvalid
from benchmarks.predictor.calibration import Platt, platt, reliability
from benchmarks.predictor.features import Vocabulary, numbers, terms, vocabulary
from benchmarks.predictor.gain import gain
from benchmarks.predictor.logistic import Logistics, fit_logistics
from benchmarks.predictor.outcomes import Floats, Ints, OutcomeTable
from benchmarks.predictor.predictor import (
    Evidence,
    Fit,
    Predictor,
    Slack,
    SlackTable,
    Verdict,
)
from ledger.money import NANOS_PER_USD

FOLDS = 10
FEWEST_PROMPTS = 100
"""With fewer distinct prompts nothing is learned."""
MOST_NUMBERS = 60_000
"""In an artefact: terms times models. Keeps the file below 2 MB."""
MOST_TERMS = 16_000
_SLACKS = tuple(round(0.025 * step, 3) for step in range(41))
_MOST_ORDERED = 4
"""Up to so many models, every order of costs has its table."""
_LOW_90 = 1.645
_LEAST_COST = 0.1
"""An expected cost never falls below this share of the model's mean, however short the prompt."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Of every prompt, as said by a predictor that has seen neither it nor its duplicates.

    Prompts × models; the probabilities are calibrated on yet other folds.
    """

    logits: Floats
    probabilities: Floats


@dataclass(frozen=True, slots=True)
class _Read:
    """What the features read of each prompt of a table."""

    terms: Sequence[Counter[str]]
    numbers: Sequence[tuple[float, ...]]


def train(table: OutcomeTable, benchmark: str, trained_on: date, seed: int = 0) -> Predictor:
    """A predictor for the models of the table, with its verdict on itself.

    Raises OutcomesInvalid if there are too few prompts for any verdict.
    """
    distinct = int(table.groups.max()) + 1
    if distinct < FEWEST_PROMPTS:
        raise OutcomesInvalid(
            f"there are {distinct} distinct prompts that all models answered:"
            f" {FEWEST_PROMPTS} or more are needed to learn from"
        )
    read = _read(table)
    judged = _cross_validated(table, read, seed)
    everyone = np.arange(len(table.prompts))
    words, fitted = _fitted(table, read, everyone)
    calibrations = [
        platt(judged.logits[:, at], table.scores[:, at]) for at in range(len(table.models))
    ]
    return Predictor(
        evidence=Evidence(
            benchmark=benchmark,
            trained_on=trained_on.isoformat(),
            prompts=len(table.prompts),
            distinct=distinct,
            incomplete=table.incomplete,
            folds=FOLDS,
            verdict=_verdict(table, judged, seed),
            fits=tuple(
                _fit(table, judged, at, calibration) for at, calibration in enumerate(calibrations)
            ),
            tables=tuple(_slack_table(table, judged, order) for order in _orders(table)),
        ),
        vocabulary=words,
        weights=fitted.weights,
        intercepts=fitted.intercepts,
    )


def cross_validated(table: OutcomeTable, seed: int = 0) -> Judged:
    """What the predictor says of each prompt when it was learned from the others."""
    return _cross_validated(table, _read(table), seed)


def expected_costs(table: OutcomeTable, seed: int = 0) -> Floats:
    """What each answer may be expected to cost in nano-USD, learned from the other folds.

    A line through cost over characters for each model: the price of the prompt, and the rest.
    """
    folds = _folds(table.groups, seed)
    design = np.stack([np.ones(len(folds)), [len(one) for one in table.prompts]], axis=1)
    expected = np.empty_like(table.costs)
    for fold in range(FOLDS):
        known, judged = folds != fold, folds == fold
        lines, *_ = np.linalg.lstsq(design[known], table.costs[known], rcond=None)
        least = _LEAST_COST * table.costs[known].mean(0)
        expected[judged] = np.maximum(design[judged] @ lines, least)
    return expected


def _read(table: OutcomeTable) -> _Read:
    return _Read([terms(one) for one in table.prompts], [numbers(one) for one in table.prompts])


def _cross_validated(table: OutcomeTable, read: _Read, seed: int) -> Judged:
    folds = _folds(table.groups, seed)
    logits = np.empty_like(table.scores)
    for fold in range(FOLDS):
        known, judged = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        words, fitted = _fitted(table, read, known)
        logits[judged] = fitted.logits(_vectors(words, table, read, judged))
    probabilities = np.empty_like(logits)
    for fold in range(FOLDS):
        known, judged = folds != fold, folds == fold
        for at in range(len(table.models)):
            calibration = platt(logits[known, at], table.scores[known, at])
            probabilities[judged, at] = calibration.probabilities(logits[judged, at])
    return Judged(logits, probabilities)


def _folds(groups: Ints, seed: int) -> Ints:
    """The fold of each prompt; duplicates are in the same."""
    dealt = np.random.default_rng(seed).permutation(int(groups.max()) + 1)
    return np.asarray(dealt[groups] % FOLDS, np.int64)


def _fitted(table: OutcomeTable, read: _Read, known: Ints) -> tuple[Vocabulary, Logistics]:
    words = _vocabulary(table, read, known)
    vectors = _vectors(words, table, read, known)
    return words, fit_logistics(vectors, table.scores[known], words.size)


def _vocabulary(table: OutcomeTable, read: _Read, rows: Ints) -> Vocabulary:
    return vocabulary(
        [read.terms[row] for row in rows],
        [read.numbers[row] for row in rows],
        [table.tasks[row] for row in rows],
        min(MOST_TERMS, MOST_NUMBERS // (len(table.models) + 1)),
    )


def _vectors(
    words: Vocabulary, table: OutcomeTable, read: _Read, rows: Ints
) -> list[tuple[Ints, Floats]]:
    return [words.vector(read.terms[row], read.numbers[row], table.tasks[row]) for row in rows]


def _verdict(table: OutcomeTable, judged: Judged, seed: int) -> Verdict:
    if not any(one.strip() for one in table.prompts):
        return Verdict(False, "no prompt has a text: there is nothing to choose by")
    cheapest = int(np.argmin(table.costs.mean(0)))
    if cheapest == int(np.argmax(table.scores.mean(0))):
        return Verdict(False, f"{table.models[cheapest]} is the cheapest and the best: take it")
    expected = expected_costs(table, seed)
    found = gain(judged.probabilities, expected, table.scores, table.costs, table.groups)
    how = (
        f"it closes {found.closed:.1%} (90%: {found.low:.1%} to {found.high:.1%}) of the area"
        " between the best random mixture and the oracle"
    )
    return Verdict(
        is_on=found.is_sure,
        reason=how if found.is_sure else f"that it gains anything is not sure: {how}",
        closed=found.closed,
        closed_low=found.low,
        closed_high=found.high,
    )


def _fit(table: OutcomeTable, judged: Judged, at: int, calibration: Platt) -> Fit:
    said, so = judged.probabilities[:, at], table.scores[:, at]
    mean = float(so.mean())
    return Fit(
        model=table.models[at],
        accuracy=mean,
        mean_cost_usd=float(table.costs[:, at].mean()) / NANOS_PER_USD,
        log_loss=_log_loss(said, so),
        log_loss_of_mean=_log_loss(np.full_like(said, mean), so),
        slope=calibration.slope,
        offset=calibration.offset,
        reliability=reliability(said, so),
    )


def _log_loss(said: Floats, so: Floats) -> float:
    sure = np.clip(said, 1e-12, 1 - 1e-12)
    return float(-np.mean(so * np.log(sure) + (1 - so) * np.log(1 - sure)))


def _orders(table: OutcomeTable) -> list[tuple[int, ...]]:
    """Of models, cheapest first: all, or that of the outcomes if there are many models."""
    columns = range(len(table.models))
    if len(table.models) <= _MOST_ORDERED:
        return list(permutations(columns))
    return [tuple(int(one) for one in np.argsort(table.costs.mean(0), kind="stable"))]


def _slack_table(table: OutcomeTable, judged: Judged, order: tuple[int, ...]) -> SlackTable:
    said, so = judged.probabilities[:, order], table.scores[:, order]
    below = said.max(1, keepdims=True) - said
    slacks = []
    for slack in _SLACKS:
        taken = np.argmax(below <= slack, axis=1)
        scores = so[np.arange(len(so)), taken]
        mean = float(scores.mean())
        shares = np.bincount(taken, minlength=len(order)) / len(taken)
        slacks.append(
            Slack(
                slack=slack,
                quality=mean,
                quality_low=mean - _LOW_90 * _standard_error(scores, table.groups),
                shares=tuple(float(one) for one in shares),
            )
        )
    return SlackTable(tuple(table.models[one] for one in order), tuple(slacks))


def _standard_error(scores: Floats, groups: Ints) -> float:
    """Of the mean; duplicates vary together."""
    sums = np.bincount(groups, weights=scores - scores.mean())
    return float(np.sqrt(np.sum(sums**2)) / len(scores))
