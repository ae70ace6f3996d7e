"""RateCard: the one place that turns usage into money."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal

from ledger.errors import NotAPrice, UsageUnknown
from ledger.money import MAX_NANOS, Money
from ledger.usage import TokenUsage

NANOS_PER_TOKEN = Decimal(1000)
"""1 USD per million tokens is 1000 nano-USD per token."""
_LARGEST = Decimal(1_000_000)
MOST_DECIMALS = 15  # Decimal's arithmetic is exact up to 28 digits, and these stay below


@dataclass(frozen=True, slots=True)
class RateCard:
    """Prices in Decimal USD per million tokens, and USD per request.

    A card is complete: an offer whose price is unknown has no card.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    request: Decimal
    _nanos: tuple[int, ...] = field(init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        input: Decimal,  # noqa: A002 - the field's word
        output: Decimal,
        cache_read: Decimal | None = None,
        cache_write: Decimal | None = None,
        request: Decimal = Decimal(0),
    ) -> RateCard:
        """A card from what is known: without a cache price, cached tokens cost what others do."""
        return cls(
            input,
            output,
            input if cache_read is None else cache_read,
            input if cache_write is None else cache_write,
            request,
        )

    def __post_init__(self) -> None:
        for one in fields(self)[:5]:
            price = getattr(self, one.name)
            if not isinstance(price, Decimal) or not price.is_finite():
                raise NotAPrice(f"{one.name} price {price!r} is no Decimal number of USD")
            if not 0 <= price <= _LARGEST:
                raise NotAPrice(f"{one.name} price {price} is outside 0 to {_LARGEST} USD")
            if int(price.as_tuple().exponent) < -MOST_DECIMALS:
                raise NotAPrice(f"{one.name} price has more than {MOST_DECIMALS} decimals")
            object.__setattr__(self, one.name, abs(price))  # -0 is 0
        object.__setattr__(self, "_nanos", self._in_nanos())

    def _in_nanos(self) -> tuple[int, ...]:
        """The five prices as whole numbers over one denominator: a charge is integer arithmetic."""
        exact = [
            self.input * NANOS_PER_TOKEN,
            self.cache_read * NANOS_PER_TOKEN,
            self.cache_write * NANOS_PER_TOKEN,
            self.output * NANOS_PER_TOKEN,
            self.request.scaleb(9),
        ]
        places = max(0, *(-int(price.as_tuple().exponent) for price in exact))
        scaled = [int(price.scaleb(places)) for price in exact]
        return (*scaled, 10**places)

    @classmethod
    def of_row(cls, prices: Sequence[str]) -> RateCard:
        """The card that `as_row` was taken of."""
        return cls(*(Decimal(price) for price in prices))

    def as_row(self) -> tuple[str, str, str, str, str]:
        """Input, output, cache_read, cache_write, request, as exact text."""
        return (
            str(self.input),
            str(self.output),
            str(self.cache_read),
            str(self.cache_write),
            str(self.request),
        )

    def charge(self, usage: TokenUsage) -> Money:
        """What `usage` costs, rounded up to the next nano-USD, once, over the whole attempt.

        Unknown cached or cache-write counts are charged at the input price. Raises UsageUnknown
        if the prompt or completion count is unknown: an estimate is the caller's to make.
        """
        if usage.prompt is None or usage.completion is None:
            raise UsageUnknown("no prompt or no completion count: estimate it, and say so")
        per_input, per_cached, per_write, per_output, per_request, denominator = self._nanos
        cached, written = usage.cached or 0, usage.cache_write or 0
        plain = max(0, usage.prompt - cached - written)
        exact = (
            plain * per_input
            + cached * per_cached
            + written * per_write
            + usage.completion * per_output
            + per_request
        )
        return Money(min(-(-exact // denominator), MAX_NANOS))

    def worst_case(self, prompt_tokens: int, completion_tokens: int) -> Money:
        """The most that an attempt of at most so many tokens can cost, however they are cached."""
        per_input, per_cached, per_write, per_output, per_request, denominator = self._nanos
        exact = (
            prompt_tokens * max(per_input, per_cached, per_write)
            + completion_tokens * per_output
            + per_request
        )
        return Money(min(-(-exact // denominator), MAX_NANOS))

    def affordable_completion(self, left: Money, prompt_tokens: int) -> int:
        """The most completion tokens with which `worst_case` still fits into `left`; may be 0.

        A free output is limited by nothing: the answer is then 2**31 - 1.
        """
        per_input, per_cached, per_write, per_output, per_request, denominator = self._nanos
        fixed = prompt_tokens * max(per_input, per_cached, per_write) + per_request
        room = left * denominator - fixed
        if room < 0:
            return 0
        return min(room // per_output, 2**31 - 1) if per_output else 2**31 - 1

    def as_text(self) -> str:
        """Canonical text: equal cards have equal text, however their zeros were written."""
        return " ".join(f"{one.name}={_plain(getattr(self, one.name))}" for one in fields(self)[:5])

    @property
    def version(self) -> str:
        """Twelve hex digits that name this card in ledger rows."""
        return hashlib.sha256(self.as_text().encode()).hexdigest()[:12]


def _plain(price: Decimal) -> str:
    text = f"{price:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
