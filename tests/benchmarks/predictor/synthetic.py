"""Outcomes with known probabilities: an easy kind of prompt that both models can, and a hard one
that only the strong can."""

from __future__ import annotations

import numpy as np

from benchmarks.predictor.outcomes import Outcome
from ledger.money import Money

WEAK, STRONG = "weak", "strong"
TRUE = {
    "easy": {WEAK: 0.9, STRONG: 0.92},
    "hard": {WEAK: 0.2, STRONG: 0.85},
}
COSTS = {WEAK: Money(100_000), STRONG: Money(1_000_000)}
_WORDS = {
    "easy": ["list", "name", "colour", "fruit", "please", "say", "hello", "short", "friendly"],
    "hard": ["prove", "theorem", "integral", "3x^2", "bound", "lemma", "matrix", "rank"],
}


def outcomes(count: int, seed: int, *, is_noise: bool = False) -> list[Outcome]:
    """is_noise: the words say nothing about the answers."""
    chance = np.random.default_rng(seed)
    found = []
    for number in range(count):
        kind = "hard" if chance.random() < 0.5 else "easy"
        told = ("hard" if chance.random() < 0.5 else "easy") if is_noise else kind
        prompt = " ".join(chance.choice(_WORDS[told], 12)) + f" w{chance.integers(400)}"
        for model, likely in TRUE[kind].items():
            score = float(chance.random() < likely)
            found.append(Outcome(f"p{number}", prompt, None, model, score, COSTS[model]))
    return found
