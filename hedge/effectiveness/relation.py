"""Relation: a derivative and what it is held against, tested and accounted for, by trade.

Support for the controller's decision. A relation that nobody designated is shown all the same,
since it is economic; all of its gains are results.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from hedge.effectiveness.designation import InceptionMemo
from hedge.effectiveness.requirements import Requirement
from hedge.effectiveness.reserve import Treatment
from hedge.effectiveness.volume import VolumeTest

if TYPE_CHECKING:
    from hedge.effectiveness.assessment import Assessment
    from hedge.effectiveness.series import Changes


class Every(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class State(StrEnum):
    DESIGNATED = "designated"
    ENDED = "de-designated"
    NOT_DESIGNATED = "not designated"


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """Changes of item and hedge, every day, week or month: USD, of the item what it got dearer, of
    the hedge what it gained. is_since_designation: else all that is known, before it too.

    missing: periods between the first and the last that are in no pair: a gap, and not filled.
    assessment: at the ratio of 1, since both are of the volumes as held; None: why_not says why.
    """

    every: Every
    is_since_designation: bool
    changes: Changes
    missing: tuple[date, ...]
    assessment: Assessment | None
    why_not: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """trade: the fill, and its month where it has many. hypothetical: the id of the hypothetical
    derivative, None if not designated. month: that it settles in. lots: of this relation. tests: of
    each `every`, first since the designation. volume: None if nothing is designated. ifrs9, asc815:
    both views of the same month, side by side; only one of them can be applied. item_says,
    hedge_says: what is measured."""

    trade: str
    fill: str
    hypothetical: str | None
    contract: str
    month: date | None
    state: State
    lots: int
    volume_hedged: Decimal
    volume_unit: str
    ratio: Decimal
    item_says: str
    hedge_says: str
    memo: InceptionMemo | None
    tests: tuple[Tested, ...]
    volume: VolumeTest | None
    ifrs9: Treatment
    asc815: Treatment
    ifrs9_requirements: tuple[Requirement, ...]
    asc815_requirements: tuple[Requirement, ...]
