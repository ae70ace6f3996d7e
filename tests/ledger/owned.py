"""Commitments for tests: a unit is a token, until something else is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ledger.allowances import allowance
from ledger.bid_prices import BidPrice
from ledger.commitments import Commitment, CommitmentKind, Covered
from ledger.money import Money, usd
from tests.ledger.entries import NOW_NS

DAY_NS = 86_400 * 1_000_000_000

FLAT = Commitment(
    id="flat",
    contract="flat-plan",
    provider="acme",
    kind=CommitmentKind.QUOTA,
    covers=(Covered("acme", None),),
    units=1,
    capacity_units=1_000_000,
    micro_units_per_prompt=1_000_000,
    micro_units_per_cached=1_000_000,
    micro_units_per_completion=1_000_000,
    micro_units_per_request=0,
    starts_ns=NOW_NS - 400 * DAY_NS,
    ends_ns=NOW_NS + 400 * DAY_NS,
    is_monthly=False,
    fee=usd("100"),
    team_rate=usd("0.4"),
)


def commitment(**changes: Any) -> Commitment:
    return replace(FLAT, **changes)


def bid_price(
    one: Commitment = FLAT, *, rate: int = 0, units_left: int | None = None, at_ns: int = NOW_NS
) -> BidPrice:
    """rate: nano-USD of a million units. units_left: None is all of them."""
    its = allowance(one, at_ns)
    left = its.micro_units if units_left is None else units_left * 1_000_000
    return BidPrice(its, lambda: left, Money(rate))
