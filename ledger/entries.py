"""Entry: how an attempt ended. It is written once, and never edited."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ledger.attempts import Attempt, Settlement
from ledger.budgets import AccountKey
from ledger.measures import Measure


class Kind(StrEnum):
    POSTED = "posted"
    """Charged."""
    VOIDED = "voided"
    """Released: its provider cannot have billed."""
    EXPIRED = "expired"
    """Released: it was never sent."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What an attempt took of one account: held while it was under way, spent for good.

    uncovered: how much of what is spent no slice of its writer had room for: what a provider billed
    above a hold, or what was let through while the books could not be reached.
    """

    account: AccountKey
    held: int
    spent: int
    uncovered: int = 0

    @property
    def measure(self) -> Measure:
        return Measure(self.account[1])


@dataclass(frozen=True, slots=True)
class Entry:
    """An attempt that has ended. settlement: what it cost; None unless it was posted.

    ended_at_ns: by the clock of whoever ended it. reason: why nothing was charged, or an estimate.
    """

    attempt: Attempt
    kind: Kind
    ended_at_ns: int
    reason: str
    settlement: Settlement | None
    drawn: tuple[Drawn, ...]
