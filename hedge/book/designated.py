"""Designated: a designation as it stands, with all that was said of it since."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from hedge.book.facts import Dedesignation, Designation, Rebalancing
from ledger.accounting import Record


@dataclass(frozen=True, slots=True)
class Said:
    """Something that was recorded of it later."""

    record: str
    day: date
    who: str
    fact: Rebalancing | Dedesignation


@dataclass(frozen=True, slots=True)
class Designated:
    """sha256: of the memo, as it was written. later: oldest first."""

    id: str
    fact: Designation
    who: str
    at_ns: int
    day: date
    sha256: str
    later: tuple[Said, ...] = ()

    @classmethod
    def of(cls, record: Record, fact: Designation) -> Designated:
        sha256 = hashlib.sha256(record.body.encode()).hexdigest()
        return cls(record.id, fact, record.who, record.at_ns, record.day, sha256)

    def after(self, record: Record, fact: Rebalancing | Dedesignation) -> Designated:
        return replace(self, later=(*self.later, Said(record.id, record.day, record.who, fact)))

    @property
    def ended(self) -> Said | None:
        return next((one for one in self.later if isinstance(one.fact, Dedesignation)), None)

    @property
    def volume(self) -> Decimal:
        """As last rebalanced."""
        volumes = [one.fact.volume for one in self.later if isinstance(one.fact, Rebalancing)]
        return volumes[-1] if volumes else self.fact.volume

    @property
    def is_live(self) -> bool:
        return self.ended is None
