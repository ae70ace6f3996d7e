"""Reserve: what of a hedge's gain waits in other comprehensive income (OCI), month by month.

Support for the controller's decision: amounts as they would be if hedge accounting applied.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from hedge.cash_flow_hedge import lower_of
from ledger.money import ZERO, Money


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


@dataclass(frozen=True, slots=True)
class Passed:
    """How much of the hedged purchases has become an expense, or is not expected any more: parts of
    all of them, together at most 1."""

    expensed: Fraction
    failed: Fraction


@dataclass(frozen=True, slots=True)
class Moment:
    """A relation at the beginning of a day, all since its designation. gain: of the derivative, as
    far as it is designated; item: the change of value of the purchases, None: unknown."""

    gain: Money
    item: Money | None
    passed: Passed


NOTHING = Moment(ZERO, ZERO, Passed(Fraction(0), Fraction(0)))
"""Before it was designated."""

IFRS9_SAYS = (
    "The lower of the derivative's cumulative gain and the cumulative change of the purchases waits"
    " in the reserve; the rest is a result at once."
)
ASC815_SAYS = (
    "As it is if the hedge is highly effective: all of the derivative's change waits in other"
    " comprehensive income. If it is not, none of it does; the tests say which."
)
UNKNOWN_SAYS = " The change of the purchases is not known: nothing is put into the reserve."


def ifrs9(opening: Moment, closing: Moment) -> Treatment:
    """Over a month, from its beginning to its end."""
    says = IFRS9_SAYS + (UNKNOWN_SAYS if closing.item is None else "")
    return _treatment(opening, closing, _lower_of(opening), _lower_of(closing), says)


def asc815(opening: Moment, closing: Moment) -> Treatment:
    return _treatment(opening, closing, opening.gain, closing.gain, ASC815_SAYS)


def not_designated(opening: Money, closing: Money) -> Treatment:
    """All of it is a result. opening, closing: the cumulative gain."""
    return Treatment(
        reserve=RollForward(ZERO, ZERO, ZERO, ZERO),
        derivative=Money(closing - opening),
        item=None,
        ineffective=ZERO,
        undesignated=Money(closing - opening),
        derivative_so_far=closing,
        item_so_far=None,
        effective_so_far=ZERO,
        ineffective_so_far=ZERO,
        undesignated_so_far=closing,
        says="Nobody designated it: all of its gain is a result.",
    )


def summed(parts: Iterable[RollForward]) -> RollForward:
    found = list(parts)
    return RollForward(
        Money(sum(one.opening for one in found)),
        Money(sum(one.effective for one in found)),
        Money(sum(one.expensed for one in found)),
        Money(sum(one.failed for one in found)),
    )


def _lower_of(at: Moment) -> Money:
    return ZERO if at.item is None else lower_of(at.gain, at.item).reserve


def _treatment(
    opening: Moment, closing: Moment, before: Money, after: Money, says: str
) -> Treatment:
    """before, after: what was put into the reserve until then, before anything left it."""
    was, now = _left(before, opening.passed), _left(after, closing.passed)
    return Treatment(
        reserve=RollForward(
            opening=Money(before - sum(was)),
            effective=Money(after - before),
            expensed=Money(now[0] - was[0]),
            failed=Money(now[1] - was[1]),
        ),
        derivative=Money(closing.gain - opening.gain),
        item=(
            None
            if closing.item is None or opening.item is None
            else Money(closing.item - opening.item)
        ),
        ineffective=Money(closing.gain - opening.gain - after + before),
        undesignated=ZERO,
        derivative_so_far=closing.gain,
        item_so_far=closing.item,
        effective_so_far=after,
        ineffective_so_far=Money(closing.gain - after),
        undesignated_so_far=ZERO,
        says=says,
    )


def _left(put: Money, passed: Passed) -> tuple[Money, Money]:
    """What left the reserve: expensed, failed. Each is of all that was put into it, so that what
    comes in late leaves with what it belongs to."""
    expensed = round(put * passed.expensed)
    both = round(put * (passed.expensed + passed.failed))
    return Money(expensed), Money(both - expensed)
