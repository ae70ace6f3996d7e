"""Arithmetic of contracts, exact: nothing is lost or made by rounding, to the nano-USD.

Where an amount has to be cut, the parts sum to it: what does not come out even goes, a nano-USD
each, to the parts with the largest remainders.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from hedge.errors import ContractInvalid
from ledger.money import Money, usd
from ledger.shares import shares

HOURS_PER_MONTH = 730
"""Of a standard month, by which contracts are compared: 365 days over twelve."""
MINUTES_PER_MONTH = HOURS_PER_MONTH * 60
MTOK = 1_000_000


def prorated(amount: Money, weights: Sequence[int]) -> tuple[Money, ...]:
    """An amount over parts of so much weight each; the parts sum to it.

    Raises ContractInvalid for negative weights, and where there is none at all.
    """
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ContractInvalid("an amount cannot be spread over nothing: give each part its length")
    return shares(amount, weights)


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


def break_even(fee_usd: Decimal, pay_as_you_go_usd: Decimal) -> Decimal | None:
    """The utilisation from which a fee is the cheaper one: the fee over what full use would cost at
    pay-as-you-go, rounded up to a hundredth of a percent. Above 1 it never is; None where
    pay-as-you-go costs nothing."""
    if pay_as_you_go_usd <= 0:
        return None
    return (fee_usd / pay_as_you_go_usd).quantize(Decimal("0.0001"), ROUND_CEILING)
