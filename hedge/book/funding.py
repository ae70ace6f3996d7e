"""Funding: what longs and shorts of a perpetual pay each other at the end of each period.

Per lot: multiplier × mark × clamp((mark - underlying) / underlying, -cap, cap); longs pay where the
mark is above the underlying.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

from hedge.book.lots import nanos
from hedge.contracts.derivatives import Perpetual
from hedge.errors import FixingMissing
from ledger.instants import instant
from ledger.money import Money
from ledger.tables.fixings import Fixing, FixingTable

NANOS_PER_HOUR = 3_600_000_000_000
_RATES = Context(prec=28, rounding=ROUND_HALF_EVEN)
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_PERIODS_BACK = 7
"""How many periods old a price may be that stands in for one that is missing."""


def rate_of(
    fixings: FixingTable, contract: Perpetual, ends_ns: int, period_ns: int, known_ns: int
) -> tuple[Decimal, Decimal | None]:
    """The mark at the end of a period, and how far it lies above the underlying, as a part of that;
    None where the contract leaves a period without prices out.

    Both prices are the last ones of the period. Raises FixingMissing.
    """
    found = []
    for series in (contract.name, contract.settlement.index):
        since_ns = ends_ns - period_ns * _PERIODS_BACK
        known = fixings.known(series, known_ns, since_ns, ends_ns + 1)
        price = _last(known, contract, series, ends_ns, period_ns)
        if price is None:
            return Decimal(0), None
        found.append(price)
    mark, underlying = found
    return mark, _RATES.divide(_RATES.subtract(mark, underlying), underlying)


def _last(
    known: list[Fixing], contract: Perpetual, series: str, ends_ns: int, period_ns: int
) -> Decimal | None:
    last = known[-1] if known else None
    if last is not None and last.at_ns > ends_ns - period_ns:
        return last.value
    fallback = contract.settlement.fallback
    if fallback == "skip":
        return None
    if fallback == "previous" and last is not None:
        return last.value
    raise FixingMissing(
        f"{series} has no price in the {contract.funding_hours} hours to"
        f" {instant(ends_ns):%Y-%m-%d %H:%M} UTC: import one with --prices"
    )


def funding_amount(contract: Perpetual, lots: int, mark: Decimal, rate: Decimal) -> Money:
    """What we receive for lots (negative ones were sold); below zero: what we pay."""
    clamped = max(-contract.funding_cap, min(contract.funding_cap, rate))
    per_lot = _WIDE.multiply(contract.multiplier, _WIDE.multiply(mark, clamped))
    return nanos(_WIDE.multiply(per_lot, Decimal(-lots)))
