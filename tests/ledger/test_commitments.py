"""Commitments in FOCUS: the invariants of the specification, for any use of any commitment."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import CommitmentOverdrawn
from ledger.exports.commitments import (
    CommitmentCategory,
    CommitmentRow,
    CommitmentUse,
    commitment_rows,
)
from ledger.money import Money, as_usd
from tests.ledger.charges import DAY_NS
from tests.ledger.entries import NOW_NS


def commitment(category: CommitmentCategory, fee: int, quantity: int) -> CommitmentRow:
    return CommitmentRow(
        id="c1",
        name="Reserved",
        type="Provisioned Throughput",
        category=category,
        provider="acme",
        fee=Money(fee),
        start_ns=NOW_NS,
        end_ns=NOW_NS + 7 * DAY_NS,
        quantity=Decimal(quantity),
        unit="Tokens",
    )


def use(number: int, effective: int, quantity: int) -> CommitmentUse:
    return CommitmentUse(
        start_ns=NOW_NS + number,
        end_ns=NOW_NS + number,
        upstream_model="m",
        effective=Money(effective),
        contracted=Money(2 * effective),
        list=Money(3 * effective),
        quantity=Decimal(quantity),
        tokens=quantity,
        team="research",
        attempt_id=f"a{number}",
    )


amounts = st.integers(0, 10**10)


@given(
    st.sampled_from(CommitmentCategory),
    st.lists(st.tuples(amounts, amounts), max_size=5),
    amounts,
    amounts,
)
def test_the_effective_cost_of_its_usage_is_its_fee(
    category: CommitmentCategory, uses: list[tuple[int, int]], unused: int, idle: int
) -> None:
    """The purchase is billed and costs nothing; its usage is billed nothing and costs the fee, used
    and unused together; quantities likewise; and each row has what its kind must have."""
    fee = sum(one for one, _ in uses) + unused
    quantity = sum(one for _, one in uses) + idle
    one = commitment(category, fee, quantity)
    rows = list(commitment_rows(one, [use(n, *some) for n, some in enumerate(uses)]))
    purchase, *usage = rows
    assert (purchase.charge_category, purchase.effective_cost) == ("Purchase", Decimal(0))
    assert purchase.billed_cost == as_usd(one.fee)
    assert purchase.consumed_quantity is None
    assert sum(row.effective_cost for row in usage) == purchase.billed_cost
    assert sum(row.billed_cost for row in usage) == 0
    quantities = [row.commitment_discount_quantity for row in usage]
    assert sum(each for each in quantities if each is not None) == quantity
    for row in rows:
        assert row.commitment_discount_id == "c1"
        assert row.commitment_discount_quantity is not None
        assert row.commitment_discount_category == category.value
        assert row.pricing_quantity == 1
        assert row.list_unit_price == row.list_cost
        assert row.contracted_unit_price == row.contracted_cost
        assert row.charge_period_start < row.charge_period_end
    for row in usage:
        assert row.pricing_category == "Committed"
        is_unused = row.commitment_discount_status == "Unused"
        assert (row.consumed_quantity is None) == is_unused
    statuses = [row.commitment_discount_status for row in usage]
    assert statuses == ["Used"] * len(uses) + ["Unused"] * bool(unused or idle)


@pytest.mark.parametrize(("effective", "quantity"), [(11, 1), (1, 11)])
def test_uses_that_take_too_much(effective: int, quantity: int) -> None:
    """Their sums would be wrong: refused, with the attempt."""
    one = commitment(CommitmentCategory.USAGE, 10, 10)
    with pytest.raises(CommitmentOverdrawn, match="attempt a1, take more"):
        list(commitment_rows(one, [use(0, 0, 0), use(1, effective, quantity)]))
