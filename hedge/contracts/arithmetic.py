"""Arithmetic of contracts, exact: nothing is lost or made by rounding, to the nano-USD.

Where an amount has to be cut, the parts sum to it: what does not come out even goes, a nano-USD
each, to the parts with the largest remainders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from hedge.errors import ContractInvalid
from ledger.money import NANOS_PER_USD, Money, usd

HOURS_PER_MONTH = 730
"""Of a standard month, by which contracts are compared: 365 days over twelve."""
MINUTES_PER_MONTH = HOURS_PER_MONTH * 60
MTOK = 1_000_000


@dataclass(frozen=True, slots=True)
class Utilisation:
    """A commitment and what became of it: used + unused = committed, exactly."""

    committed: Money
    used: Money
    unused: Money
    overage_units: int


def utilisation(committed: Money, capacity_units: int, drawn_units: int) -> Utilisation:
    """The part of a fee that was used. drawn_units: all that was drawn, overage included.

    Raises ContractInvalid for amounts below zero, or a fee for no capacity.
    """
    if committed < 0 or capacity_units < 1 or drawn_units < 0:
        raise ContractInvalid(
            f"{drawn_units} of {capacity_units} units for {committed} nano-USD is no use of a"
            " contract: amounts are 0 or more, and there is capacity"
        )
    within = min(drawn_units, capacity_units)
    used = Money(committed * within // capacity_units)
    return Utilisation(committed, used, Money(committed - used), drawn_units - within)


def overage_charge(overage_units: int, usd_per_unit: Decimal) -> Money:
    """What units beyond the quota cost, rounded up once, as sellers do."""
    nanos = Fraction(usd_per_unit) * overage_units * NANOS_PER_USD
    return Money(-(-nanos.numerator // nanos.denominator))


def prorated(amount: Money, weights: Sequence[int]) -> tuple[Money, ...]:
    """An amount over parts of so much weight each; the parts sum to it.

    Raises ContractInvalid for negative weights, and where there is none at all.
    """
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ContractInvalid("an amount cannot be spread over nothing: give each part its length")
    whole = [amount * weight // total for weight in weights]
    largest_first = sorted(
        range(len(weights)), key=lambda at: (-(amount * weights[at] % total), at)
    )
    for at in largest_first[: amount - sum(whole)]:
        whole[at] += 1
    return tuple(Money(part) for part in whole)


def term_fee(usd_per_month: Decimal, months: int, units: int) -> Money:
    """The whole term's fee of all units."""
    return Money(usd(usd_per_month) * months * units)


def dues(usd_per_month: Decimal, months: int, upfront: Decimal) -> tuple[Money, ...]:
    """What one unit costs in each month of its term: the upfront share in the first, the rest even.
    They sum to the term's fee."""
    fee = term_fee(usd_per_month, months, 1)
    first = Money(int((Fraction(upfront) * fee).__floor__()))
    later = prorated(Money(fee - first), [1] * months)
    return (Money(first + later[0]), *later[1:])


@dataclass(frozen=True, slots=True)
class Resold:
    """What came of commitment that was sold on: proceeds + haircut = fee, exactly."""

    fee: Money
    proceeds: Money
    haircut: Money


def resold(fee: Money, haircut: Decimal) -> Resold:
    """fee: of what is sold, for the time that is left. haircut: the share that is lost."""
    lost = Fraction(haircut) * fee
    rounded = Money(-(-lost.numerator // lost.denominator))
    return Resold(fee, Money(fee - rounded), rounded)


def break_even(fee_usd: Decimal, pay_as_you_go_usd: Decimal) -> Decimal | None:
    """The utilisation from which a fee is the cheaper one: the fee over what full use would cost at
    pay-as-you-go, rounded up to a hundredth of a percent. Above 1 it never is; None where
    pay-as-you-go costs nothing."""
    if pay_as_you_go_usd <= 0:
        return None
    return (fee_usd / pay_as_you_go_usd).quantize(Decimal("0.0001"), ROUND_CEILING)
