"""Delivery: whether what was bought is there, drawn for each counterparty.

A counterparty that fails in a month delivers nothing from it on, on any of its contracts; one that
falls short in a month does so on all of them.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedge.contracts.counterparty import Counterparty
from hedge.risk import Floats

MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """fails_in: the month from which nothing is delivered, that after the last one for never
    [scenarios]. delivered: the part that is there, 0 to 1 [scenarios, months]."""

    fails_in: NDArray[np.int64]
    delivered: Floats
    recovery: float

    @property
    def can_fail(self) -> bool:
        return bool((self.fails_in < self.delivered.shape[1]).any())


def drawn(counterparty: Counterparty, scenarios: int, months: int, seed: int) -> Delivery:
    """Its draws. Equal seeds give equal ones, whatever other counterparties there are."""
    rng = np.random.default_rng([seed, zlib.crc32(counterparty.name.encode()), scenarios])
    per_month = 1 - (1 - float(counterparty.default_per_year)) ** (1 / MONTHS_PER_YEAR)
    fails = rng.random((scenarios, months)) < per_month
    fails_in = np.where(fails.any(axis=1), fails.argmax(axis=1), months)
    short = rng.random((scenarios, months)) < float(counterparty.shortfall_chance)
    alive = np.arange(months) < fails_in[:, None]
    delivered = alive * (1 - float(counterparty.shortfall) * short)
    return Delivery(fails_in, delivered, float(counterparty.recovery))
