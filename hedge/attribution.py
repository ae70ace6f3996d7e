"""Attribution: why a cost differs from its budget, in parts that sum to the whole, exactly.

With budget volume V0 at price P0 and actual volume V1 at price P1 = P0 + ΣΔ, where each Δ is a part
of the price's change with a cause of its own (index, basis, mix):

    V1 P1 - V0 P0  =  (V1 - V0) P0  +  Σ V0 Δ  +  (V1 - V0) ΣΔ
                      volume           causes      cross

The cross term belongs to volume and price together and is shown, not shared out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from types import MappingProxyType

from hedge.errors import AttributionOpen

_DIGITS = 60
"""Products of amounts are kept whole: nothing is rounded, so nothing is left over."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """USD, each with its sign: above 0 it cost more. causes: of the price's change, by name."""

    volume: Decimal
    causes: Mapping[str, Decimal]
    cross: Decimal

    @property
    def total(self) -> Decimal:
        with localcontext(prec=_DIGITS):
            return self.volume + sum(self.causes.values(), Decimal(0)) + self.cross


def attribute(
    budget_volume: Decimal,
    budget_price: Decimal,
    actual_volume: Decimal,
    actual_price: Decimal,
    price_changes: Mapping[str, Decimal],
) -> Attribution:
    """Volumes in one unit, prices in USD per unit of it; price_changes by cause, USD per unit.

    Raises AttributionOpen if the causes do not explain the whole change of the price: a rest is
    named as a cause of its own or it is not accounted for.
    """
    with localcontext(prec=_DIGITS):
        moved = actual_price - budget_price
        told = sum(price_changes.values(), Decimal(0))
        if told != moved:
            raise AttributionOpen(
                f"the price moved by {moved} USD and its causes explain {told} USD:"
                f" name the other {moved - told} USD as a cause, too"
            )
        more = actual_volume - budget_volume
        causes = {name: budget_volume * change for name, change in price_changes.items()}
        return Attribution(more * budget_price, MappingProxyType(causes), more * moved)
