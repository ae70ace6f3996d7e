"""Meters: a charge taken apart is the charge again."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given

from ledger.charges import ChargeRow
from ledger.meters import Meter, metering, price_at
from ledger.money import as_usd
from ledger.rates import RateCard
from ledger.usage import TokenUsage, Unit
from tests.ledger.charges import charge_row, charges

NANO = Decimal("0.000000001")


@given(charges())
def test_the_parts_are_the_whole(row: ChargeRow) -> None:
    """Each of the four amounts is the sum of its parts and their rounding, to the last digit; each
    part is its price times its quantity; and an attempt is never without a part."""
    parts = metering(row)
    assert parts.meters
    for name in ("billed", "effective", "contracted", "list"):
        amounts = [getattr(one, name) for one in parts.meters]
        for one, part in zip(parts.meters, amounts, strict=True):
            assert part.cost * one.meter.per == part.price * one.quantity
            assert one.quantity > 0
            assert part.price >= 0
        rounding = getattr(parts.rounding, name)
        assert sum(part.cost for part in amounts) + rounding == as_usd(getattr(row, name))


@given(charges())
def test_at_the_prices_of_the_card(row: ChargeRow) -> None:
    """A charge that is the card's own has the card's prices, and rounds up by less than a nano."""
    try:
        own = row.rates.charge(row.usage)
    except ValueError:
        return
    parts = metering(row)
    if row.billed == own:
        assert 0 <= parts.rounding.billed < NANO
        for one in parts.meters:
            assert one.billed.price == _price_of(one.meter, row)


def _price_of(meter: Meter, row: ChargeRow) -> Decimal | None:
    """That of the meter; where nobody has counted a part of it that is dearer, that part's."""
    rates, usage = row.rates, row.usage
    if meter is Meter.OUTPUT and usage.reasoning is None:
        return max(rates.output, rates.reasoning or rates.output)
    if meter is Meter.CACHE_WRITE and usage.cache_write_1h is None:
        return max(rates.cache_write, rates.cache_write_1h or rates.cache_write)
    return price_at(meter, rates)


@given(charges())
def test_counts_are_those_of_the_usage(row: ChargeRow) -> None:
    """Every token is counted by one meter; cached ones that exceed the prompt are believed."""
    usage, found = row.usage, {one.meter: one.quantity for one in metering(row).meters}
    if Meter.UNMETERED in found:
        assert list(found) == [Meter.UNMETERED]
        assert not usage.is_known or usage.units is None
        return
    cached = (usage.cached or 0) + (usage.cache_write or 0)
    outs = (Meter.OUTPUT, Meter.REASONING)
    assert sum(found.get(one, 0) for one in outs) == (usage.completion or 0)
    ins = (Meter.INPUT, Meter.CACHED_INPUT, Meter.CACHE_WRITE, Meter.CACHE_WRITE_1H)
    assert sum(found.get(one, 0) for one in ins) == max(usage.prompt or 0, cached)


def test_what_has_no_tokens() -> None:
    """A card that is priced by the second needs no tokens; without seconds nothing is known."""
    rates = RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.0001"), per=Unit.SECOND)
    (one,) = metering(charge_row(rates=rates, usage=TokenUsage(None, None, units=61))).meters
    assert (one.meter, one.quantity, one.billed.cost) == (Meter.SECOND, 61, Decimal("0.0061"))
    unknown = charge_row(rates=rates, usage=TokenUsage(None, None), cost=7)
    (one,) = metering(unknown).meters
    assert (one.meter, one.quantity, one.billed.cost) == (Meter.UNMETERED, 1, 7 * NANO)
