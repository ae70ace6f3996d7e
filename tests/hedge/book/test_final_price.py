"""Final prices, by each contract's rule, beside their definitions in fractions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.book.final_price import final_price, last_day
from hedge.contracts.derivatives import Settlement
from hedge.errors import FixingMissing
from ledger.business_days import business_days
from ledger.instants import day_ns
from ledger.tables.fixings import Fixing

MONTH = date(2026, 12, 1)
LAST = last_day(MONTH)
DAY = timedelta(days=1)
HOUR_NS = 3_600_000_000_000
VALUES = st.decimals(Decimal("0.01"), 9, places=2)


def rule(averaging: str, **more: object) -> Settlement:
    return Settlement.model_validate({"index": "I", "averaging": averaging, **more})


def fixing(day: date, value: str | Decimal, hour: int = 20) -> Fixing:
    at_ns = day_ns(day) + hour * HOUR_NS
    return Fixing("I", at_ns, Decimal(value), at_ns, "test")


def near(price: Decimal, exact: Fraction) -> bool:
    return abs(Fraction(price) - exact) <= Fraction(1, 2 * 10**12)


Pick = Callable[[dict[date, Decimal]], list[date]]
PICKS: list[tuple[str, str, Pick]] = [
    ("arith_bd", "us", lambda of: [day for day in of if day in business_days(MONTH, LAST + DAY)]),
    ("arith_bd", "all", list),
    ("arith_cal", "us", list),
    ("last", "us", lambda of: [max(day for day in of if day in business_days(MONTH, LAST + DAY))]),
    ("last", "all", lambda of: [max(of)]),
]


@pytest.mark.parametrize(("averaging", "calendar", "pick"), PICKS)
@given(values=st.lists(VALUES, min_size=31, max_size=31))
def test_a_whole_month(averaging: str, calendar: str, pick: Pick, values: list[Decimal]) -> None:
    """The mean of the days that count; others do not matter, nor does what comes after."""
    days = [MONTH + DAY * at for at in range(31)]
    of_day = dict(zip(days, values, strict=True))
    known = [fixing(day, value) for day, value in of_day.items()]
    found = final_price(
        rule(averaging, calendar=calendar), MONTH, LAST, [*known, fixing(LAST + DAY, "99")]
    )
    counted = pick(of_day)
    exact = sum((Fraction(of_day[day]) for day in counted), Fraction()) / len(counted)
    assert near(found.usd, exact)
    assert [one.day for one in found.fixings] == sorted(counted)
    assert found.fallbacks == ()


@given(st.dictionaries(st.integers(0, 31 * 24 - 1), VALUES, min_size=1, max_size=40))
def test_weighed_by_time(by_hour: dict[int, Decimal]) -> None:
    """TWAP: hour by hour the latest fixing counts, before the first one that of the month before;
    the mean of all hours is the price."""
    before = fixing(MONTH - DAY, "5", hour=1)
    known = [
        before,
        *(fixing(MONTH + DAY * (at // 24), by_hour[at], at % 24) for at in sorted(by_hour)),
    ]
    found = final_price(rule("twap"), MONTH, LAST, known)
    latest, total = before.value, Fraction()
    for hour in range(31 * 24):
        latest = by_hour.get(hour, latest)
        total += Fraction(latest)
    assert near(found.usd, total / (31 * 24))
    assert len(found.fallbacks) == (0 not in by_hour)


def test_a_missing_fixing() -> None:
    """The contract's fallback, told in a sentence: the one before, which may be of the month
    before; the day left out; or no price until somebody decides."""
    first, second, *rest = business_days(MONTH, LAST + DAY)
    known = [fixing(MONTH - DAY, "4"), *(fixing(day, "2") for day in (second, *rest[:-1]))]
    count = 2 + len(rest)
    previous = final_price(rule("arith_bd"), MONTH, LAST, known)
    assert near(previous.usd, Fraction(4 + 2 * (count - 1), count))
    assert previous.fallbacks == (
        f"{first} has no fixing of I: that of 2026-11-30 counts",
        f"{LAST} has no fixing of I: that of 2026-12-30 counts",
    )
    skipped = final_price(rule("arith_bd", fallback="skip"), MONTH, LAST, known)
    assert (skipped.usd, len(skipped.fixings)) == (Decimal(2), count - 2)
    assert skipped.fallbacks[0] == f"{first} has no fixing of I: left out"
    with pytest.raises(FixingMissing, match=f"on {first}, and the contract says nothing"):
        final_price(rule("arith_bd", fallback="refuse"), MONTH, LAST, known)
    with pytest.raises(FixingMissing, match=f"on {first}, and none before it"):
        final_price(rule("arith_bd"), MONTH, LAST, known[1:])


@pytest.mark.parametrize("fallback", ["previous", "skip", "refuse"])
@pytest.mark.parametrize("averaging", ["arith_bd", "arith_cal", "twap", "last"])
def test_a_month_without_fixings(averaging: str, fallback: str) -> None:
    """A price from long before is none, whatever the fallback."""
    with pytest.raises(FixingMissing, match="I has no fixing from 2026-12-01 to 2026-12-31"):
        final_price(rule(averaging, fallback=fallback), MONTH, LAST, [fixing(MONTH - DAY, "4")])


@pytest.mark.parametrize(
    ("decimals", "value", "expected"),
    [(2, "2.805", "2.81"), (2, "2.8", "2.80"), (0, "2.5", "3"), (None, "2.50", "2.5")],
)
def test_rounding(decimals: int | None, value: str, expected: str) -> None:
    """Half up, to the contract's decimals; without any the price is as it is."""
    known = [fixing(LAST, value)]
    found = final_price(rule("last", decimals=decimals, calendar="all"), MONTH, LAST, known)
    assert str(found.usd) == expected
