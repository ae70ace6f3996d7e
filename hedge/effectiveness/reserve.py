"""Reserve: what of a hedge's gain waits in other comprehensive income (OCI), month by month.

Support for the controller's decision: amounts as they would be if hedge accounting applied.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.money import Money


@dataclass(frozen=True, slots=True)
class RollForward:
    """The reserve over the month; nano-USD, gains (credits) above zero.

    effective: what was put into it. expensed: what left it because the hedged purchases were
    expenses; failed: because they are not expected any more; both above zero where a gain left.
    """

    opening: Money
    effective: Money
    expensed: Money
    failed: Money

    @property
    def reclassified(self) -> Money:
        return Money(self.expensed + self.failed)

    @property
    def closing(self) -> Money:
        return Money(self.opening + self.effective - self.reclassified)


@dataclass(frozen=True, slots=True)
class Treatment:
    """A derivative's gain in the month, and all so far, under one standard; nano-USD, gains above
    zero.

    derivative: as the books have it (realised and unrealised); item: what the hypothetical
    derivative, which fits the purchases perfectly, would have lost: their change of value.
    ineffective: of the designated gain, what is a result at once; undesignated: the gain of lots
    and times without a designation. derivative = effective + ineffective + undesignated, always.
    """

    reserve: RollForward
    derivative: Money
    item: Money | None
    ineffective: Money
    undesignated: Money
    derivative_so_far: Money
    item_so_far: Money | None
    effective_so_far: Money
    ineffective_so_far: Money
    undesignated_so_far: Money
    says: str

    @property
    def offset_so_far(self) -> float | None:
        """Derivative over item, above zero where they offset each other; None without a change."""
        if not self.item_so_far:
            return None
        return -(self.effective_so_far + self.ineffective_so_far) / self.item_so_far
