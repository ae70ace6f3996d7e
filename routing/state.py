"""State: what the router has learned of the last minutes and of this request's past."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.snapshot import MarketSnapshot
from ledger.bid_prices import BidPrice
from ledger.money import Money
from routing.breaker import Breakers
from routing.limits import Limits
from routing.table import Table

TABLES_KEPT = 10_000
PURSE_HOLDS = Money(1_000_000_000)
"""Nano-USD: what is saved for exploring while nothing is worth it."""


class Tables:
    """Tables of one worker: made anew where the market has changed."""

    def __init__(self) -> None:
        self._tables: OrderedDict[tuple[str, Limits], Table] = OrderedDict()

    def of(self, snapshot: MarketSnapshot, model: str, limits: Limits, at_ns: int) -> Table:
        """Raises KeyError for a model that the snapshot does not have."""
        listings = snapshot.models[model]
        found = self._tables.get((model, limits))
        if found is None or found.listings is not listings or at_ns >= found.until_ns:
            found = self._tables[model, limits] = Table(listings, limits, at_ns)
            if len(self._tables) > TABLES_KEPT:
                self._tables.popitem(last=False)
        return found


@dataclass(slots=True)
class Purse:
    """What may be spent on trying offers that are not known well: a share of all that is spent."""

    left: float = 0.0

    def spend(self, exploring_cost: Money) -> None:
        """A request is about to be made, which is expected to cost so much more than it had to."""
        self.left -= exploring_cost

    def earn(self, share: float, cost: Money) -> None:
        """A request has cost so much. One that was refused earns nothing: its client could have
        written any number into it."""
        self.left = min(self.left + share * cost, float(PURSE_HOLDS))


@dataclass(slots=True)
class State:
    """Of one worker. owned: what the capacity is worth that we own, by offer; of several that would
    serve it, the one that is to be drawn first at the same cost comes first."""

    breakers: Breakers = field(default_factory=Breakers)
    tables: Tables = field(default_factory=Tables)
    purse: Purse = field(default_factory=Purse)
    owned: Mapping[str, Sequence[BidPrice]] = field(default_factory=dict)
