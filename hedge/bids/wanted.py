"""Wanted: a request that a commitment could serve, and what it would cost elsewhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """at_s: when it came, in seconds since 1970. units: the capacity units that it takes, drawn or
    not; above 0. alternative_nanos: what it costs at the cheapest offer that is not owned, an
    estimate in nano-USD; 0 where one serves it for nothing."""

    at_s: float
    units: float
    alternative_nanos: float

    @property
    def nanos_per_unit(self) -> float:
        return self.alternative_nanos / self.units
