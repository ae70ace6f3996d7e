"""Measure: what a budget counts."""

from __future__ import annotations

from enum import StrEnum


class Measure(StrEnum):
    """What a cap is a number of. Amounts are whole numbers of its unit.

    USD: effective cost. TOKENS: prompt and completion. REQUESTS: those that were answered, or may
    have been billed. PARALLEL: attempts under way at once; nothing of them stays counted. UNITS:
    millionths of a commitment's capacity units; no budget counts these.
    """

    USD = "usd"
    TOKENS = "tokens"
    REQUESTS = "requests"
    PARALLEL = "parallel"
    UNITS = "units"

    @property
    def unit(self) -> str:
        """As messages name it."""
        return "nano-USD" if self is Measure.USD else _UNITS[self]


_UNITS = {
    Measure.TOKENS: "tokens",
    Measure.REQUESTS: "requests",
    Measure.PARALLEL: "requests at once",
    Measure.UNITS: "millionths of a capacity unit",
}
