"""Chances: each source of chance has a stream of its own, found by its name.

So equal seeds give equal draws, changing one belief leaves the other draws as they were (common
random numbers), and the first scenarios of a larger set are those of a smaller one.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *name: str) -> np.random.Generator:
    """The stream of a name. To be asked once, with the scenarios as the first axis."""
    digest = hashlib.sha256("\0".join(name).encode()).digest()
    words = [int.from_bytes(digest[at : at + 4], "little") for at in range(0, 16, 4)]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
