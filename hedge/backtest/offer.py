"""Offer: a throughput reservation as it can be bought on a day, at all its term lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.money import Money


@dataclass(frozen=True, slots=True)
class Offer:
    """fees: nano-USD per unit and month of the term, by term length in months.

    slice_tokens: what a unit serves in five minutes. min_units, step: of one purchase; max_units:
    held at any time.
    """

    fees: Mapping[int, Money]
    slice_tokens: int
    min_units: int
    step: int
    max_units: int

    def sold(self, units: float, held: int) -> int:
        """The nearest size that is sold, beside what is held already."""
        if units < self.min_units / 2 or self.max_units - held < self.min_units:
            return 0
        most = (self.max_units - held - self.min_units) // self.step
        return self.min_units + self.step * min(
            max(0, round((units - self.min_units) / self.step)), most
        )
