"""Calibration: logits to probabilities that mean what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.predictor.outcomes import Floats
from benchmarks.predictor.predictor import Reliability

_STEPS = 50
_BINS = 10
_SURE = 1e-4
"""No probability of a constant is nearer to 0 or 1."""


@dataclass(frozen=True, slots=True)
class Platt:
    """P = 1 / (1 + exp(-(slope · logit + offset)))."""

    slope: float
    offset: float

    def probabilities(self, logits: Floats) -> Floats:
        return np.asarray(1 / (1 + np.exp(-(self.slope * logits + self.offset))))


def platt(logits: Floats, scores: Floats) -> Platt:
    """Slope and offset of least log loss, by Newton's method, with Platt's prior of two answers.

    A slope is never negative: logits that say the opposite of what is so say nothing.
    """
    count = len(scores)
    scores = (scores * count + 1) / (count + 2)
    slope, offset = 1.0, 0.0
    design = np.stack([logits, np.ones(count)], axis=1)
    for _ in range(_STEPS):
        said = 1 / (1 + np.exp(-np.clip(slope * logits + offset, -30, 30)))
        pull = design.T @ (scores - said)
        curvature = (design * (said * (1 - said))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, pull)
        slope, offset = slope + float(step[0]), offset + float(step[1])
        if float(np.abs(step).max()) < 1e-10:
            break
    if slope > 0 and np.isfinite(slope) and np.isfinite(offset):
        return Platt(slope, offset)
    mean = float(np.clip(scores.mean(), _SURE, 1 - _SURE))
    return Platt(0.0, float(np.log(mean / (1 - mean))))


def reliability(said: Floats, so: Floats) -> tuple[Reliability, ...]:
    """Tenths of the prompts by predicted probability, lowest first."""
    parts = np.array_split(np.argsort(said, kind="stable"), _BINS)
    return tuple(
        Reliability(len(part), float(said[part].mean()), float(so[part].mean()))
        for part in parts
        if len(part)
    )
