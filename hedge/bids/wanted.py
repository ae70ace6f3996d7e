"""Wanted: requests that a commitment could serve, and what they would cost elsewhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request, or `count` of them that are alike.

    at_s: when it came, in seconds since 1970. units: the capacity units that all of them take,
    drawn or not; above 0. alternative_nanos: what all of them cost at the cheapest offer that is
    not owned, an estimate in nano-USD; 0 where one serves them for nothing.
    """

    at_s: float
    units: float
    alternative_nanos: float
    count: float = 1.0

    @property
    def nanos_per_unit(self) -> float:
        return self.alternative_nanos / self.units
