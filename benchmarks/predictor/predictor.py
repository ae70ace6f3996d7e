"""Predictor: P(right answer | prompt, model), and what it is known to be good for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.errors import PredictorInvalid
from benchmarks.predictor.features import Vocabulary, numbers, terms
from benchmarks.predictor.outcomes import Floats

FORMAT = 1
MOST_WEIGHT = 1e6
"""Of a term: what is learned is far below, and sums of it stay numbers."""
MOST_BYTES = 8_000_000
"""A larger file is not read."""
_DIGITS = 12
"""Of a weight in the file: a probability's error stays below 1e-9."""


class Reliability(msgspec.Struct, frozen=True):
    """Prompts of about the same predicted probability: what was predicted, and what was so."""

    prompts: int
    predicted: float
    observed: float


class Fit(msgspec.Struct, frozen=True):
    """How well the probabilities of one model fit, on prompts that they were not learned from.

    accuracy: its mean score. log_loss_of_mean: of always saying the accuracy (in nats).
    slope, offset: the calibration, of the logit.
    """

    model: str
    accuracy: float
    mean_cost_usd: float
    log_loss: float
    log_loss_of_mean: float
    slope: float
    offset: float
    reliability: tuple[Reliability, ...]


class Slack(msgspec.Struct, frozen=True):
    """Taking the cheapest model whose probability is at most `slack` below the highest.

    quality: the mean score that this gave, on prompts that it was not learned from; quality_low is
    its lower 90% bound. shares: how often each model was taken, in the order of `SlackTable`.
    """

    slack: float
    quality: float
    quality_low: float
    shares: tuple[float, ...]


class SlackTable(msgspec.Struct, frozen=True):
    """What each slack gives while the models cost more in this order."""

    cheapest_first: tuple[str, ...]
    slacks: tuple[Slack, ...]


class Verdict(msgspec.Struct, frozen=True):
    """Whether to use it, and why. The shares are `gain.Gain`; None where nothing was judged."""

    is_on: bool
    reason: str
    closed: float | None = None
    closed_low: float | None = None
    closed_high: float | None = None


class Evidence(msgspec.Struct, frozen=True):
    """What it was learned from, and what cross-validation says of it."""

    benchmark: str
    trained_on: str
    prompts: int
    distinct: int
    incomplete: int
    folds: int
    verdict: Verdict
    fits: tuple[Fit, ...]
    tables: tuple[SlackTable, ...]


class _File(msgspec.Struct, frozen=True):
    format: int
    evidence: Evidence
    terms: tuple[str, ...]
    rarity: tuple[float, ...]
    means: tuple[float, ...]
    spreads: tuple[float, ...]
    tasks: tuple[str, ...]
    weights: dict[str, tuple[float, ...]]
    intercepts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Predictor:
    """One calibrated logistic per model over the features of a prompt.

    weights: places of the vocabulary × models; intercepts, slopes, offsets: by model.
    """

    evidence: Evidence
    vocabulary: Vocabulary
    weights: Floats
    intercepts: Floats

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(one.model for one in self.evidence.fits)

    def probabilities(self, prompt: str, task: str | None = None) -> dict[str, float]:
        """How likely each model is to answer rightly. Time is bounded: see `features.READ_CHARS`.

        task: as in the outcomes; one that was never seen, or None, says nothing.
        """
        places, values = self.vocabulary.vector(terms(prompt), numbers(prompt), task)
        logits = values @ self.weights[places] + self.intercepts
        return {
            fit.model: expit(fit.slope * float(logit) + fit.offset)
            for fit, logit in zip(self.evidence.fits, logits, strict=True)
        }

    def save(self, path: Path) -> None:
        """As one JSON file."""
        words = self.vocabulary
        path.write_bytes(
            msgspec.json.encode(
                _File(
                    format=FORMAT,
                    evidence=self.evidence,
                    terms=words.terms,
                    rarity=_rounded(words.rarity),
                    means=_rounded(words.means),
                    spreads=_rounded(words.spreads),
                    tasks=words.tasks,
                    weights={
                        one: _rounded(self.weights[:, at]) for at, one in enumerate(self.models)
                    },
                    intercepts=dict(zip(self.models, _rounded(self.intercepts), strict=True)),
                )
            )
            + b"\n"
        )


def load_predictor(path: Path) -> Predictor:
    """What `save` wrote. Raises PredictorInvalid for a file that is no predictor of this format."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PredictorInvalid(f"{path}: is larger than any predictor: train it anew")
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise PredictorInvalid(
            f"{path}: cannot be read ({error.strerror}): check the path"
        ) from None
    except msgspec.DecodeError as error:
        raise PredictorInvalid(f"{path}: is no predictor ({error}): train it anew") from None
    if file.format != FORMAT:
        raise PredictorInvalid(
            f"{path}: has format {file.format}, this version reads {FORMAT}: train it anew"
        )
    vocabulary = Vocabulary(
        terms=file.terms,
        rarity=np.array(file.rarity, np.float64),
        means=np.array(file.means, np.float64),
        spreads=np.array(file.spreads, np.float64),
        tasks=file.tasks,
    )
    models = [one.model for one in file.evidence.fits]
    is_whole = (
        len(file.terms) == len(file.rarity)
        and len(file.means) == len(file.spreads) == len(numbers(""))
        and all(one > 0 for one in file.spreads)
        and set(models) == set(file.weights) == set(file.intercepts)
        and all(len(each) == vocabulary.size for each in file.weights.values())
        and all(abs(one) <= MOST_WEIGHT for each in file.weights.values() for one in each)
    )
    if not is_whole:
        raise PredictorInvalid(f"{path}: its parts do not fit together: train it anew")
    return Predictor(
        evidence=file.evidence,
        vocabulary=vocabulary,
        weights=np.array([file.weights[one] for one in models], np.float64).T.copy(),
        intercepts=np.array([file.intercepts[one] for one in models], np.float64),
    )


def expit(logit: float) -> float:
    """The probability of a logit, without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    return math.exp(logit) / (1.0 + math.exp(logit))


def _rounded(values: Floats | Sequence[float]) -> tuple[float, ...]:
    return tuple(float(f"{one:.{_DIGITS}g}") for one in values)
