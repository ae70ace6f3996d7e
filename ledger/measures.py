"""Measure: what a budget counts."""

from __future__ import annotations

from enum import StrEnum


class Measure(StrEnum):
    """What a cap is a number of. Amounts are whole numbers of its unit.

    USD: effective cost. TOKENS: prompt and completion. REQUESTS: those that were answered, or may
    have been billed. PARALLEL: attempts under way at once; nothing of them stays counted.
    """

    USD = "usd"
    TOKENS = "tokens"
    REQUESTS = "requests"
    PARALLEL = "parallel"

    @property
    def unit(self) -> str:
        """As messages name it."""
        return "nano-USD" if self is Measure.USD else _UNITS[self]


_UNITS = {
    Measure.TOKENS: "tokens",
    Measure.REQUESTS: "requests",
    Measure.PARALLEL: "requests at once",
}
