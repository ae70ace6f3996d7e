"""Money is exact, or it is refused."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import NotMoney
from ledger.money import MAX_NANOS, Money, as_usd, usd, usd_text

nanos = st.integers(-MAX_NANOS, MAX_NANOS).map(Money)


@given(nanos)
def test_text_comes_back_as_the_same_money(money: Money) -> None:
    """Writing an amount for people and reading it back loses nothing."""
    assert usd(usd_text(money)) == money
    assert usd(as_usd(money)) == money


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_an_amount_is_exact_or_refused(amount: Decimal) -> None:
    """Any Decimal either becomes exactly its value in nano-USD, or NotMoney is raised."""
    try:
        money = usd(amount)
    except NotMoney:
        exact = Fraction(amount) * 10**9 if amount.is_finite() else None
        assert exact is None or exact.denominator != 1 or abs(exact) > MAX_NANOS
    else:
        assert Fraction(money) == Fraction(amount) * 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.5", 12_500_000_000),
        ("20000", 20_000_000_000_000),
        ("-0.000000001", -1),
        ("1.000000000000000000000000000000000000000", 10**9),
        ("1e3", 10**12),
        ("0e99999", 0),
        ("9223372036.854775807", MAX_NANOS),
    ],
)
def test_what_people_write(text: str, expected: int) -> None:
    """Zeros and exponents do not matter; the whole of an int64 can be written."""
    assert usd(text) == expected


@pytest.mark.parametrize(
    "amount",
    [
        0.1,
        True,
        None,
        "",
        "1,5",
        "one",
        "NaN",
        "sNaN",
        "-Infinity",
        "0.0000000001",
        "1.00000000000000000000000000000000000001",
        "1e-9999999",
        "1e9999999",
        "9223372036.854775808",
        "-9223372036.854775808",
    ],
)
def test_what_is_no_money(amount: object) -> None:
    """Floats, nonsense, too many decimals and too much are refused, never rounded."""
    with pytest.raises(NotMoney):
        usd(amount)  # type: ignore[arg-type]


def test_only_text_for_people_is_rounded() -> None:
    """With a number of places, the text is rounded half to even and has thousands marked."""
    assert usd_text(usd("1234.565"), places=2) == "1,234.56"
    assert usd_text(usd("1234.575"), places=2) == "1,234.58"
    assert usd_text(usd("0.1")) == "0.1"
    assert str(as_usd(usd("100"))) == "100"
