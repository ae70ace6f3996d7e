"""How an attempt ended, and what it took: what an entry of the books says, for good."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ledger.budgets import AccountKey


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
