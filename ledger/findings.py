"""Findings: where the books do not agree with themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

FINDINGS_KEPT = 1_000
"""Of one audit, the first ones: an edit of what much hangs on would name every row of the books."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement: which rows, and what is wrong with them."""

    where: str
    what: str


@dataclass(slots=True)
class Findings:
    """Those of one audit, as they are found. `count`: all of them, also those not kept."""

    kept: list[Finding] = field(default_factory=list)
    count: int = 0

    def add(self, where: str, what: str) -> None:
        self.count += 1
        if len(self.kept) < FINDINGS_KEPT:
            self.kept.append(Finding(where, what))
