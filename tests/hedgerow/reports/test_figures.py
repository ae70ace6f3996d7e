"""How figures are written: exact where it is kept, honest where it is shown."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow.reports.document import Figure, Unit
from hedgerow.reports.figures import UNKNOWN, exact, known, shape_of, shown, why_not
from ledger.money import MAX_NANOS, Money, as_usd

NANOS = st.integers(-MAX_NANOS, MAX_NANOS)
NUMBERS = st.floats(-1e15, 1e15, allow_nan=False)


def figure(value: Decimal | int | float | None, unit: Unit = Unit.USD) -> Figure:
    return Figure(value, unit, "S1")


@given(NANOS)
def test_an_amount_is_kept_to_the_nano_and_shown_within_half_a_cent(nanos: int) -> None:
    """The exact text is the amount; the shown one is off by less than half of its last digit, and
    is not zero unless the amount is."""
    amount = as_usd(Money(nanos))
    one = figure(amount)
    assert Decimal(exact(one)) == amount
    read = Decimal(shown(one).replace("$", "").replace(",", ""))
    assert abs(read - amount) <= Decimal("0.005")
    assert (read == 0) is (amount == 0)
    assert shown(one).startswith("-") is (amount < 0)


@given(NUMBERS, st.sampled_from([Unit.USD_PER_MTOK, Unit.USD_PER_UNIT, Unit.NUMBER, Unit.PART]))
def test_no_number_is_shown_as_zero_that_is_not(value: float, unit: Unit) -> None:
    """And none is off by more than a thousandth of itself, or half a cent, or half a percent of a
    part of the whole."""
    text = shown(figure(value, unit)).replace("$", "").replace(",", "")
    read = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    assert (read == 0) is (value == 0)
    assert math.isclose(read, value, rel_tol=1e-3, abs_tol=5e-3)
    assert float(exact(figure(value, unit))) == value


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_part_is_neither_nothing_nor_all_unless_it_is(value: float) -> None:
    text = shown(figure(value, Unit.PART))
    if 1e-9 < value < 1 - 1e-8:
        assert 0 < Decimal(text.removesuffix("%")) < 100


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (Decimal("12.345678901"), Unit.USD, "$12.35"),
        (Decimal("-0.004"), Unit.USD, "-$0.0040"),
        (Decimal("0.000000001"), Unit.USD, "$0.000000001"),
        (Decimal("-9223372036.854775807"), Unit.USD, "-$9,223,372,036.85"),
        (0, Unit.USD, "$0.00"),
        (Decimal("0.88"), Unit.USD_PER_MTOK, "$0.88"),
        (Decimal("0.075"), Unit.USD_PER_MTOK, "$0.075"),
        (Decimal("2.34567"), Unit.USD_PER_UNIT, "$2.346"),
        (Decimal("0.834"), Unit.PART, "83.4%"),
        (0.99996, Unit.PART, "99.996%"),
        (1, Unit.PART, "100.0%"),
        (-0.5, Unit.PART, "-50.0%"),
        (1_234_567, Unit.COUNT, "1,234,567"),
        (Decimal("1.5"), Unit.COUNT, "1.5"),
        (0.928112, Unit.NUMBER, "0.9281"),
        (5.97e-7, Unit.NUMBER, "5.970E-7"),
        (12345.6, Unit.NUMBER, "12,346"),
    ],
)
def test_as_people_read_it(value: Decimal | int | float, unit: Unit, text: str) -> None:
    assert shown(figure(value, unit)) == text


@pytest.mark.parametrize("value", [None, math.nan, math.inf, Decimal("NaN")])
def test_what_is_not_known_is_no_number(value: float | Decimal | None) -> None:
    """And says why."""
    one = figure(value)
    assert (known(one), exact(one), shown(one)) == (None, "", UNKNOWN)
    assert why_not(one)


def test_the_shape_of_a_value_is_that_of_its_text() -> None:
    assert shape_of(Decimal("0.0041"), Unit.USD).decimals == 4
