"""Shares: an amount cut into parts that sum to it, to the nano-USD, by the largest remainder."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.money import Money


def shares(amount: Money, weights: Sequence[int]) -> tuple[Money, ...]:
    """An amount, above or below zero, over parts of so much weight each; the parts sum to it.

    What does not come out even goes, a nano-USD each, to the parts with the largest remainders, and
    of equal ones to the first. weights: from 0 on, and not all of them 0.
    """
    total = sum(weights)
    whole = [amount * weight // total for weight in weights]
    largest_first = sorted(
        range(len(weights)), key=lambda at: (-(amount * weights[at] % total), at)
    )
    for at in largest_first[: amount - sum(whole)]:
        whole[at] += 1
    return tuple(Money(part) for part in whole)
