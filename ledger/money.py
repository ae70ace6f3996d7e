"""Money: whole nano-USD (1e-9 USD) in an int. Never a float; an int64 reaches 9.2 billion USD."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import NewType

from ledger.errors import NotMoney

Money = NewType("Money", int)
"""An amount in nano-USD. Sums and differences of Money are Money; nothing else is."""

NANOS_PER_USD = 1_000_000_000
MAX_NANOS = 2**63 - 1
ZERO = Money(0)
_LARGEST_EXPONENT = 9


def usd(amount: str | int | Decimal) -> Money:
    """USD as written by a person (`"12.5"`, `20000`) to Money, exactly.

    Raises NotMoney for a float, for what is no number, for more than nine decimals and for what an
    int64 cannot hold: an amount is never rounded silently.
    """
    if isinstance(amount, bool) or not isinstance(amount, str | int | Decimal):
        raise NotMoney(
            f"{amount!r} is no amount of USD: write it as text or a Decimal, not a float"
        )
    try:
        exact = Decimal(amount)
    except InvalidOperation:
        raise NotMoney(f"{amount!r} is no amount of USD: write digits, as in 12.50") from None
    if not exact.is_finite():
        raise NotMoney(f"{amount} is no amount of USD: write digits, as in 12.50")
    sign, digits, exponent = exact.as_tuple()
    places = int(exponent) + 9
    if exact.is_zero():
        return ZERO
    if exact.adjusted() > _LARGEST_EXPONENT:
        raise NotMoney(f"{amount} USD is more than the books can hold (9.2 billion USD)")
    # Digit by digit: Decimal's own arithmetic would round to its context without a word.
    whole_digits = digits if places >= 0 else digits[:places]
    if places < 0 and any(digits[places:]):
        raise NotMoney(f"{amount} USD has more than nine decimals: nano-USD is the smallest unit")
    nanos = int("".join(map(str, whole_digits)) or "0") * 10 ** max(0, places)
    if nanos > MAX_NANOS:
        raise NotMoney(f"{amount} USD is more than the books can hold (9.2 billion USD)")
    return Money(-nanos if sign else nanos)


def as_usd(money: Money) -> Decimal:
    """Money as Decimal USD, exactly, without trailing zeros (at least `0`)."""
    sign = "-" if money < 0 else ""
    whole, nanos = divmod(abs(money), NANOS_PER_USD)
    text = f"{sign}{whole}.{nanos:09d}".rstrip("0").rstrip(".")
    return Decimal(text)


def usd_text(money: Money, places: int | None = None) -> str:
    """Money for people: `1.5`, or with `places=2` `1.50`. Only here is anything rounded."""
    amount = as_usd(money)
    if places is None:
        return f"{amount:f}"
    return f"{amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN):,f}"
