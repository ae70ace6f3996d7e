"""Features: what the predictor reads of a prompt, in training and for every request alike."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from benchmarks.predictor.outcomes import Floats, Ints

READ_CHARS = 1_000
"""So much of a long prompt's beginning is read, and so much of its end: a bound on the time."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_DIGIT = re.compile(r"\d")
_NUMBERS_WEIGHT = 0.2
_TASK_WEIGHT = 0.5
"""Terms have unit length together; these keep the other features from outweighing them."""


def read(text: str) -> str:
    """The part of a prompt that is read."""
    if len(text) <= 2 * READ_CHARS:
        return text
    return f"{text[:READ_CHARS]}\n{text[-READ_CHARS:]}"


def terms(text: str) -> Counter[str]:
    """Words and signs, pairs of them, and the shapes of numbers (`00.0` for 12.5)."""
    tokens = _TOKEN.findall(read(text).lower())
    shapes = [_DIGIT.sub("0", one) if one[0].isdigit() else one for one in tokens]
    found = Counter(tokens)
    found.update(map(" ".join, pairwise(shapes)))
    found.update(one for one in shapes if one[0] == "0")
    return found


def numbers(text: str) -> tuple[float, ...]:
    """Length in characters and lines (logarithms), and what the part that is read is made of."""
    part = read(text)
    length = max(1, len(part))
    words = part.split()
    digits = sum(map(part.count, "0123456789"))
    signs = sum(map(part.count, "$\\^_=+*/<>%{}"))
    return (
        math.log1p(len(text)),
        math.log1p(part.count("\n")),
        digits / length,
        math.log1p(signs),
        sum(map(len, words)) / max(1, len(words)),
    )


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Turns a prompt into places and values of a sparse vector: TF-IDF of the terms that it knows
    (unit length), its numbers (standardised), and its task.

    rarity: the inverse document frequency of each term. means, spreads: of the numbers in training.
    """

    terms: tuple[str, ...]
    rarity: Floats
    means: Floats
    spreads: Floats
    tasks: tuple[str, ...]
    _place: dict[str, int] = field(init=False, repr=False, compare=False)
    _task: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_place", {one: at for at, one in enumerate(self.terms)})
        object.__setattr__(self, "_task", {one: at for at, one in enumerate(self.tasks)})

    @property
    def size(self) -> int:
        return len(self.terms) + len(self.means) + len(self.tasks)

    def vector(
        self, of: Counter[str], measured: Sequence[float], task: str | None
    ) -> tuple[Ints, Floats]:
        """Places and values of a prompt, given its `terms` and `numbers`."""
        place = self._place
        known = [(place[one], count) for one, count in of.items() if one in place]
        places = np.array([at for at, _ in known], np.int64)
        counts = np.array([count for _, count in known], np.float64)
        weights = (1.0 + np.log(counts)) * self.rarity[places]
        length = math.sqrt(float(weights @ weights))
        if length > 0:
            weights /= length
        standard = (np.asarray(measured) - self.means) / self.spreads * _NUMBERS_WEIGHT
        first = len(self.terms)
        after = np.arange(first, first + len(standard))
        if task is None or task not in self._task:
            return np.concatenate([places, after]), np.concatenate([weights, standard])
        where = first + len(standard) + self._task[task]
        return (
            np.concatenate([places, after, [where]]),
            np.concatenate([weights, standard, [_TASK_WEIGHT]]),
        )


def vocabulary(
    of: Sequence[Counter[str]],
    measured: Sequence[Sequence[float]],
    tasks: Iterable[str | None],
    most_terms: int,
) -> Vocabulary:
    """The terms that are in most of these prompts (two at least), and how the others compare."""
    documents: Counter[str] = Counter()
    for one in of:
        documents.update(one.keys())
    kept = sorted(
        (one for one, seen in documents.items() if seen > 1),
        key=lambda one: (-documents[one], one),
    )[:most_terms]
    seen = np.array([documents[one] for one in kept], np.float64)
    spreads = np.std(np.array(measured), axis=0)
    return Vocabulary(
        terms=tuple(kept),
        rarity=np.log((1 + len(of)) / (1 + seen)) + 1.0,
        means=np.mean(np.array(measured), axis=0),
        spreads=np.where(spreads > 0, spreads, 1.0),
        tasks=tuple(sorted({one for one in tasks if one is not None})),
    )
