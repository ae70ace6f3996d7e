"""Logistics: one logistic regression per model. The only module that needs scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.errors import TrainingUnavailable
from benchmarks.predictor.outcomes import Floats, Ints

_MOST_STEPS = 500


@dataclass(frozen=True, slots=True)
class Logistics:
    """weights: places × models; intercepts: by model."""

    weights: Floats
    intercepts: Floats

    def logits(self, vectors: Sequence[tuple[Ints, Floats]]) -> Floats:
        """Prompts × models."""
        return np.stack([values @ self.weights[places] for places, values in vectors]) + (
            self.intercepts
        )


def fit_logistics(vectors: Sequence[tuple[Ints, Floats]], scores: Floats, size: int) -> Logistics:
    """Least log loss with an L2 penalty, of the strength that is scikit-learn's default.

    A score between 0 and 1 counts as that much of a right answer and the rest of a wrong one. A
    model that always scores the same gets that as its intercept. Raises TrainingUnavailable if
    scikit-learn is not installed.
    """
    try:
        from scipy.sparse import csr_matrix, vstack
        from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
    except ImportError:
        raise TrainingUnavailable(
            "training needs scikit-learn: pip install 'hedgerow[train]'"
        ) from None
    rows = csr_matrix(
        (
            np.concatenate([values for _, values in vectors]),
            np.concatenate([places for places, _ in vectors]),
            np.cumsum([0, *(len(places) for places, _ in vectors)]),
        ),
        shape=(len(vectors), size),
    )
    weights = np.zeros((size, scores.shape[1]))
    intercepts = np.zeros(scores.shape[1])
    for at, so in enumerate(scores.T):
        right, wrong = np.flatnonzero(so > 0), np.flatnonzero(so < 1)
        if not len(right) or not len(wrong):
            mean = (so.sum() + 1) / (len(so) + 2)
            intercepts[at] = np.log(mean / (1 - mean))
            continue
        model = LogisticRegression(solver="liblinear", max_iter=_MOST_STEPS)
        model.fit(
            vstack([rows[right], rows[wrong]]),
            np.repeat([1, 0], [len(right), len(wrong)]),
            sample_weight=np.concatenate([so[right], 1 - so[wrong]]),
        )
        weights[:, at] = model.coef_[0]
        intercepts[at] = model.intercept_[0]
    return Logistics(weights, intercepts)
