"""RateCard: the one place that turns usage into money."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from ledger.errors import NotAPrice, UsageUnknown
from ledger.money import MAX_NANOS, Money
from ledger.usage import TokenUsage, Unit

CardRow: TypeAlias = tuple[str | None, ...]
"""A rate card's prices as exact text, and its unit; shorter if it is of times that knew fewer."""

NANOS_PER_TOKEN = Decimal(1000)
"""1 USD per million tokens is 1000 nano-USD per token."""
_LARGEST = Decimal(1_000_000)
MOST_DECIMALS = 15  # Decimal's arithmetic is exact up to 28 digits, and these stay below


@dataclass(frozen=True, slots=True)
class RateCard:
    """Prices in Decimal USD per million tokens, per request, and per unit of one kind.

    A card is complete: an offer whose price is unknown has no card. One that is priced by a unit
    (`per`) may have tokens for nothing: a second of audio costs, the words in it do not.

    cache_write: of what is kept for minutes. cache_write_1h: of what is kept for an hour; None
    where nobody knows a price of it. reasoning: of the tokens of a completion that are not shown;
    None where they cost what the others do.

    version: twelve hex digits that name this card in ledger rows. row: every price as exact text,
    in the order of `ledger.tables.ddl.PRICES`.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    request: Decimal
    unit: Decimal = Decimal(0)
    per: Unit | None = None
    reasoning: Decimal | None = None
    cache_write_1h: Decimal | None = None
    version: str = field(init=False, repr=False, compare=False)
    row: CardRow = field(init=False, repr=False, compare=False)
    _nanos: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _dearest: tuple[int, int] = field(init=False, repr=False, compare=False)
    _more: tuple[int, int] | None = field(init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        input: Decimal,  # noqa: A002 - the field's word
        output: Decimal,
        cache_read: Decimal | None = None,
        cache_write: Decimal | None = None,
        request: Decimal = Decimal(0),
        unit: Decimal = Decimal(0),
        per: Unit | None = None,
        reasoning: Decimal | None = None,
        cache_write_1h: Decimal | None = None,
    ) -> RateCard:
        """A card from what is known: without a cache price, cached tokens cost what others do."""
        return cls(
            input,
            output,
            input if cache_read is None else cache_read,
            input if cache_write is None else cache_write,
            request,
            unit,
            per,
            reasoning,
            cache_write_1h,
        )

    def __post_init__(self) -> None:
        for name in (*_PRICES, *_APART):
            price = getattr(self, name)
            if price is None and name in _APART:
                continue
            if not isinstance(price, Decimal) or not price.is_finite():
                raise NotAPrice(f"{name} price {price!r} is no Decimal number of USD")
            if not 0 <= price <= _LARGEST:
                raise NotAPrice(f"{name} price {price} is outside 0 to {_LARGEST} USD")
            if int(price.as_tuple().exponent) < -MOST_DECIMALS:
                raise NotAPrice(f"{name} price has more than {MOST_DECIMALS} decimals")
            object.__setattr__(self, name, abs(price))  # -0 is 0
        if self.reasoning == self.output:
            object.__setattr__(self, "reasoning", None)  # so that equal cards are the same
        if (self.per is not None) != (self.unit > 0):
            raise NotAPrice(
                f"a price of {self.unit} USD per {self.per or 'nothing'}: give a unit price above"
                " 0 together with its unit, or neither"
            )
        # Once, since every hold and every post asks for both.
        version = hashlib.sha256(self.as_text().encode()).hexdigest()[:12]
        object.__setattr__(self, "version", version)
        per = None if self.per is None else self.per.value
        apart = [getattr(self, name) for name in _APART]
        row = (
            *[str(getattr(self, name)) for name in _PRICES],
            per,
            *[None if price is None else str(price) for price in apart],
        )
        object.__setattr__(self, "row", row)
        self._count_in_nanos()

    def _count_in_nanos(self) -> None:
        """The prices as whole numbers over one denominator: a charge is integer arithmetic.

        _more: what a token of reasoning costs more than others of an output (or less), and one
        that is kept for an hour than one that is kept for minutes; None if neither does. _dearest:
        the most that a token costs, of a prompt and of a completion.
        """
        hour = self.cache_write if self.cache_write_1h is None else self.cache_write_1h
        thought = self.output if self.reasoning is None else self.reasoning
        exact = [
            self.input * NANOS_PER_TOKEN,
            self.cache_read * NANOS_PER_TOKEN,
            self.cache_write * NANOS_PER_TOKEN,
            self.output * NANOS_PER_TOKEN,
            self.request.scaleb(9),
            self.unit.scaleb(9),
            hour * NANOS_PER_TOKEN,
            thought * NANOS_PER_TOKEN,
        ]
        places = max(0, *(-int(price.as_tuple().exponent) for price in exact))
        *scaled, hourly, per_thought = [int(price.scaleb(places)) for price in exact]
        per_input, per_cached, per_write, per_output, _, _ = scaled
        dearest = max(per_input, per_cached, per_write, hourly), max(per_output, per_thought)
        more = (per_thought - per_output, hourly - per_write)
        object.__setattr__(self, "_nanos", (*scaled, 10**places))
        object.__setattr__(self, "_dearest", dearest)
        object.__setattr__(self, "_more", more if any(more) else None)

    @classmethod
    def of_row(cls, row: Sequence[str | None]) -> RateCard:
        """The card that `row` was taken of. Raises NotAPrice for what is none."""
        prices, more = row[: len(_PRICES)], row[len(_PRICES) :]
        try:
            known = {
                name: Decimal(price or "") for name, price in zip(_PRICES, prices, strict=True)
            }
            per, *apart = more
            known |= {
                name: Decimal(price)
                for name, price in zip(_APART, apart, strict=bool(apart))
                if price is not None
            }
            return cls(**known, per=None if per is None else Unit(per))
        except (InvalidOperation, ValueError) as error:
            raise NotAPrice(f"{row} is no rate card: {error}") from error

    def charge(self, usage: TokenUsage) -> Money:
        """What `usage` costs, rounded up to the next nano-USD, once, over the whole attempt.

        Unknown cached or cache-write counts are charged at the input price. Where reasoning, or
        what is kept for an hour, has a price of its own and no count, it is all or nothing of its
        whole, whatever is dearer. Raises UsageUnknown
        if the prompt or completion count is unknown, or the count of units that the card is priced
        by: an estimate is the caller's to make. On a card that is priced by a unit alone, tokens
        need not be known.
        """
        per_input, per_cached, per_write, per_output, per_request, per_unit, denominator = (
            self._nanos
        )
        units = usage.units
        if units is None:
            if per_unit:
                raise UsageUnknown(f"no count of {self.per}s: estimate it, and say so")
            units = 0
        prompt, completion = usage.prompt, usage.completion
        if prompt is None or completion is None:
            if not per_unit or any(self._dearest):
                raise UsageUnknown("no prompt or no completion count: estimate it, and say so")
            prompt = completion = 0
        cached, written = usage.cached or 0, usage.cache_write or 0
        plain = max(0, prompt - cached - written)
        exact = (
            plain * per_input
            + cached * per_cached
            + written * per_write
            + completion * per_output
            + per_request
            + units * per_unit
        )
        if self._more is not None:
            exact += self._beyond(usage, completion, written)
        return Money(min(-(-exact // denominator), MAX_NANOS))

    def counts_all(self, usage: TokenUsage) -> bool:
        """Whether all is counted that has a price apart; else a charge is an upper bound."""
        is_thought_known = self.reasoning is None or usage.reasoning is not None
        is_kept_known = self.cache_write_1h is None or usage.cache_write_1h is not None
        return (is_thought_known or not usage.completion) and (
            is_kept_known or not usage.cache_write
        )

    def _beyond(self, usage: TokenUsage, completion: int, written: int) -> int:
        """What tokens of reasoning and those kept for an hour cost beyond their kind."""
        per_thought, hourly = self._more or (0, 0)
        thought, kept = usage.reasoning, usage.cache_write_1h
        if thought is None:
            thought = completion if per_thought > 0 else 0
        if kept is None:
            kept = written if hourly > 0 else 0
        return min(thought, completion) * per_thought + min(kept, written) * hourly

    def worst_case(self, prompt_tokens: int, completion_tokens: int, units: int = 0) -> Money:
        """The most that an attempt of at most so much can cost, however its tokens are cached."""
        denominator = self._nanos[-1]
        exact = self._fixed(prompt_tokens, units) + completion_tokens * self._dearest[1]
        return Money(min(-(-exact // denominator), MAX_NANOS))

    def affordable_completion(self, left: Money, prompt_tokens: int, units: int = 0) -> int:
        """The most completion tokens with which `worst_case` still fits into `left`; may be 0.

        A free output is limited by nothing: the answer is then 2**31 - 1.
        """
        per_output, denominator = self._dearest[1], self._nanos[-1]
        room = left * denominator - self._fixed(prompt_tokens, units)
        if room < 0:
            return 0
        return min(room // per_output, 2**31 - 1) if per_output else 2**31 - 1

    def _fixed(self, prompt_tokens: int, units: int) -> int:
        """The most that all but the completion costs, over the denominator."""
        _, _, _, _, per_request, per_unit, _ = self._nanos
        return prompt_tokens * self._dearest[0] + per_request + units * per_unit

    def as_text(self) -> str:
        """Canonical text: equal cards have equal text, however their zeros were written.

        A card without a unit price does not speak of one, nor one of prices apart that it does not
        have, as before there were any: its version names it in the rows of all years.
        """
        names = _PRICES if self.per else _PRICES[:-1]
        text = " ".join(f"{name}={_plain(getattr(self, name))}" for name in names)
        if self.per:
            text += f" per={self.per}"
        for name in _APART:
            price: Decimal | None = getattr(self, name)
            if price is not None:
                text += f" {name}={_plain(price)}"
        return text


_PRICES = tuple(one.name for one in fields(RateCard)[:6])
_APART = ("reasoning", "cache_write_1h")


def _plain(price: Decimal) -> str:
    text = f"{price:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
