"""InceptionMemo: what was documented when a derivative was designated as a hedge, and since then.

All of it is support for the controller's decision. That a memo is kept does not make hedge
accounting apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Rebalanced:
    """The hedge ratio, brought back in line with the one that is really used. ratio: index units of
    the hedge per unit of the item."""

    record: str
    day: date
    who: str
    reason: str
    old_volume: Decimal
    new_volume: Decimal
    old_ratio: Decimal
    new_ratio: Decimal


@dataclass(frozen=True, slots=True)
class Ended:
    """still_expected: whether the purchases were still expected; if not, what waits in equity is a
    result at once."""

    record: str
    day: date
    who: str
    reason: str
    still_expected: bool


@dataclass(frozen=True, slots=True)
class InceptionMemo:
    """id: of the designation, and of its hypothetical derivative. sha256: of what was documented.
    trade: the fill. plan_sha256, approved_by: of the plan that the fill is of.

    month: that the hedge settles in (its first day), None of what never expires. lots: designated,
    of the fill's `filled`; below zero: sold. index_units: lots × multiplier.

    models, providers: of the purchases that are hedged; empty: all. item_month: in which they are
    made. index: by whose fixings they are measured; None: by the price that the ledger paid for a
    million tokens. volume: of them, in `volume_unit`. beta: the part of their price's move that
    follows the index. ratio: index_units ÷ volume. probability: that so much will be bought.
    derived: what nobody stated, but follows from plan, fill and terms.
    """

    id: str
    sha256: str
    designated_by: str
    designated_at_ns: int
    trade: str
    plan: str
    plan_sha256: str
    approved_by: tuple[str, ...]
    contract: str
    kind: str
    counterparty: str
    month: date | None
    lots: int
    filled: int
    index_units: Decimal
    models: tuple[str, ...]
    providers: tuple[str, ...]
    item_month: date
    index: str | None
    volume: Decimal
    volume_unit: str
    beta: Decimal | None
    ratio: Decimal
    ratio_says: str
    method: str
    risk: str
    objective: str
    strategy: str
    sources_of_ineffectiveness: tuple[str, ...]
    probability: Decimal
    derived: tuple[str, ...]
    rebalanced: tuple[Rebalanced, ...] = ()
    ended: Ended | None = None
