"""HedgeAccounting: what a controller needs of the hedge for one month, in one value.

Support for the controller's decision, no claim that hedge accounting applies: see SUPPORT.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from hedge.effectiveness.changes import Change
from hedge.effectiveness.disclosures import Disclosures
from hedge.effectiveness.journals import Journals
from hedge.effectiveness.liquidity import Liquidity
from hedge.effectiveness.positions import Positions
from hedge.effectiveness.relation import Relation
from hedge.effectiveness.reserve import RollForward
from ledger.money import Money

SUPPORT = (
    "These pages support the controller's decision. They do not claim that hedge accounting"
    " applies: that takes designation at inception, documentation and judgement that are the"
    " controller's. Only futures, swaps, forwards, perpetuals and event contracts are taken for"
    " derivatives; reservations are purchases still to be performed by both sides, and whether"
    " dedicated GPUs contain a lease is the controller's to test."
)


@dataclass(frozen=True, slots=True)
class Tie:
    """Two ways to the same amount. ours: as these pages have it; book: the sum of the book's lines.
    They are equal, to the nano-USD, or these pages are not to be used."""

    name: str
    ours: Money
    book: Money
    sql: str

    @property
    def difference(self) -> Money:
        return Money(self.ours - self.book)


@dataclass(frozen=True, slots=True, eq=False)
class HedgeAccounting:
    """month: its first day. until: the first day that is not in it, or of which nothing was known
    `at`. relations: by trade, designated ones first. ifrs9, asc815: the roll-forward of all.
    empty: a sentence if there is nothing to account for, with what to do."""

    month: date
    until: date
    at_ns: int
    relations: tuple[Relation, ...]
    ifrs9: RollForward
    asc815: RollForward
    positions: Positions
    journals: Journals
    liquidity: Liquidity
    disclosures: Disclosures
    changes: tuple[Change, ...]
    ties: tuple[Tie, ...]
    empty: str | None = None
    support: str = SUPPORT
