"""Arithmetic of contracts: to the nano-USD, nothing lost and nothing made."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.contracts.arithmetic import break_even, dues, prorated, term_fee
from hedge.errors import ContractInvalid
from ledger.money import Money, usd

MONEY = st.integers(0, 10**15).map(Money)
SHARE = st.decimals(0, 1, places=6)


@given(MONEY, st.lists(st.integers(0, 10**6), min_size=1, max_size=40).filter(any))
def test_prorated_by_largest_remainder(amount: Money, weights: list[int]) -> None:
    """The parts sum to the amount; each is within a nano-USD of its exact share; no part with a
    smaller remainder is rounded up before one with a larger; more weight is never less."""
    parts = prorated(amount, weights)
    exact = [Fraction(amount * weight, sum(weights)) for weight in weights]
    assert sum(parts) == amount
    assert all(abs(part - share) < 1 for part, share in zip(parts, exact, strict=True))
    raised = [share % 1 for part, share in zip(parts, exact, strict=True) if part > share]
    lowered = [share % 1 for part, share in zip(parts, exact, strict=True) if part < share]
    assert max(lowered, default=Fraction(0)) <= min(raised, default=Fraction(1))
    assert [part for _, part in sorted(zip(weights, parts, strict=True))] == sorted(parts)


def test_nothing_is_spread_over_nothing() -> None:
    """An amount over parts without length has nowhere to go."""
    for weights in ([], [0, 0], [2, -1]):
        with pytest.raises(ContractInvalid, match="spread over nothing"):
            prorated(Money(5), weights)


@given(st.decimals(0, 10**5, places=9), st.integers(1, 60), SHARE)
def test_dues_sum_to_the_term_fee(fee: Decimal, months: int, upfront: Decimal) -> None:
    """The first month holds the upfront share, the rest is even to a nano-USD."""
    found = dues(fee, months, upfront)
    assert len(found) == months
    assert sum(found) == term_fee(fee, months, 1) == usd(fee) * months
    assert max(found[1:], default=0) - min(found[1:], default=0) <= 1
    assert found[0] >= int(upfront * usd(fee) * months)


USD = st.decimals("0.01", 10**6, places=2)


@given(USD, USD)
def test_break_even_is_where_both_cost_the_same(fee: Decimal, full: Decimal) -> None:
    """At it the contract is not the dearer one, a hundredth of a percent below it is."""
    share = break_even(fee, full)
    assert share is not None
    assert share * full >= fee
    assert (share - Decimal("0.0001")) * full < fee


def test_against_what_costs_nothing_there_is_no_break_even() -> None:
    """Free tokens leave nothing to save."""
    assert break_even(Decimal(1), Decimal(0)) is None
