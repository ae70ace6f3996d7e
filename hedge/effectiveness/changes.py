"""Changes: what was decided, corrected and restated in the month: who, when, what, old and new."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """at_ns: when it was written, or known. what: as `approval`, `withdrawal`, `correction`,
    `resale`, `notice`, `restatement`, `roll`, `plan`, `terms`, `override`, `designation`,
    `rebalancing`, `dedesignation`. record: of the book; None of a fixing, which has none."""

    at_ns: int
    who: str
    what: str
    subject: str
    old: str | None
    new: str | None
    why: str | None
    record: str | None
