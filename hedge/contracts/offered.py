"""Offered: all that a plan is made of beside the months to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from hedge.contracts.contract import CapacityContract, Contract, DerivativeContract
from hedge.contracts.counterparty import Counterparty
from hedge.contracts.limits import HedgeLimits
from hedge.scenarios.workload import Workload
from hedge.venues.executable import Executable
from ledger.commitments import Commitment


@dataclass(frozen=True, slots=True)
class Owned:
    """A commitment that we have. left_units: capacity units that are left of a quota for its whole
    term; None is all of it."""

    commitment: Commitment
    left_units: float | None = None


@dataclass(frozen=True, slots=True)
class HeldLots:
    """Lots of a derivative that we hold; negative ones were sold. month: its first day; None for
    what has no expiry. since_usd: the price that gains count from: the last mark that was paid, or
    the entry."""

    contract: str
    month: date | None
    lots: int
    since_usd: Decimal


@dataclass(frozen=True, slots=True)
class Offered:
    """What can be bought, for what and from whom, and what is there already.

    workloads: those that are told; any other is made of the one model that it is called after.
    books: what can be executed at venues, usable ones only. refused: why others are not.
    """

    contracts: Sequence[Contract]
    workloads: Sequence[Workload] = ()
    counterparties: Sequence[Counterparty] = ()
    books: Sequence[Executable] = ()
    owned: Sequence[Owned] = ()
    held: Sequence[HeldLots] = ()
    limits: HedgeLimits = field(default_factory=HedgeLimits)
    refused: tuple[str, ...] = ()

    @property
    def capacity(self) -> tuple[CapacityContract, ...]:
        return tuple(one for one in self.contracts if not isinstance(one, DerivativeContract))

    @property
    def derivatives(self) -> tuple[DerivativeContract, ...]:
        return tuple(one for one in self.contracts if isinstance(one, DerivativeContract))

    def workload(self, name: str) -> Workload:
        known = next((one for one in self.workloads if one.name == name), None)
        return known or Workload(name, (name,))

    def counterparty(self, name: str) -> Counterparty | None:
        return next((one for one in self.counterparties if one.name == name), None)
