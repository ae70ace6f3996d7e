"""Values: capacity units by what they are worth, on a grid of logarithms.

A value is what a unit's alternative costs, in nano-USD per capacity unit. Bins are 1/16 of an
octave wide: values in one bin are one class, that is served in full or not at all.
"""

from __future__ import annotations

import math

import numpy as np

from hedge.risk import Floats

BINS_PER_OCTAVE = 16
LOWEST_OCTAVE, OCTAVES = -12, 52
"""Of nano-USD per unit: from 0.0002 (a tiny model's cached token) to 1,000 USD."""
BINS = 1 + BINS_PER_OCTAVE * OCTAVES
"""The first one is for what costs nothing elsewhere: it is worth nothing here."""
_JUST_BELOW = 1 - 1e-6
"""A value at its bin's lower edge is worth more than the price that lets the bin in."""

PRICES: Floats = np.concatenate(
    ([0.0], _JUST_BELOW * 2.0 ** (LOWEST_OCTAVE + np.arange(BINS - 1) / BINS_PER_OCTAVE))
)
"""By bin: the highest price at which all that is in it is still served."""


def bin_of(nanos_per_unit: float) -> int:
    """Where a value belongs; the last bin holds all that is beyond it."""
    if nanos_per_unit < PRICES[1]:
        return 0
    at = math.floor((math.log2(nanos_per_unit) - LOWEST_OCTAVE) * BINS_PER_OCTAVE + 1e-9)
    return min(at + 1, BINS - 1)
