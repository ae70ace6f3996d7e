"""The prices of an offer as they are written: what overrides the feeds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from benchmarks.quotes import DAY_MINUTES, Override, UtcHours
from hedgerow.files.config_errors import wrong
from hedgerow.files.settings import Count, Hours, Part, Price, WhenLocal
from ledger.rates import MOST_DECIMALS, RateCard
from ledger.usage import Unit

Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class _OtherPrices(Part):
    """Prices in place of an offer's own."""

    input: Price = Field(description="USD per million input tokens", examples=["0.44"])
    output: Price = Field(description="USD per million output tokens", examples=["0.44"])
    cache_read: Price | None = Field(
        None,
        description="USD per million tokens read from the provider's cache; when not given, the"
        " input price here",
        examples=["0.22"],
    )
    cache_write: Price | None = Field(
        None,
        description="USD per million tokens written to it; when not given, the input price here",
        examples=["0.55"],
    )
    cache_write_1h: Price | None = Field(
        None,
        description="USD per million tokens written to it that are kept for an hour; when not"
        " given, the offer serves no request that asks for it",
        examples=["0.88"],
    )
    reasoning: Price | None = Field(
        None,
        description="USD per million tokens of reasoning; when not given, that of the offer, or"
        " the output price here if that is more",
        examples=["0.88"],
    )


class OffPeakSpec(_OtherPrices):
    """Prices at some hours of the day. What counts is when a request is sent."""

    hours: Hours = Field(
        description="From when until before when, UTC, over midnight if it ends before it begins",
        examples=['"16:30-00:30"'],
    )
    weekdays: Annotated[frozenset[Weekday], Field(min_length=1)] | None = Field(
        None,
        description="On which days they begin, UTC; on all of them if not given",
        examples=["[sat, sun]"],
    )

    def utc_hours(self) -> UtcHours:
        days = None
        if self.weekdays is not None:
            days = frozenset(_WEEK.index(one) + 1 for one in self.weekdays)
        return UtcHours(
            self.hours.begin_minute % DAY_MINUTES, self.hours.end_minute or DAY_MINUTES, days
        )


class AboveSpec(_OtherPrices):
    """Prices of the whole request once its prompt is long."""

    prompt_tokens: Count = Field(
        description="They hold for prompts of more tokens than this", examples=["200000"]
    )


class BatchPriceSpec(_OtherPrices):
    """Prices of the provider's batch API."""


class PriceSpec(Part):
    """Prices that override the feeds."""

    input: Price = Field(
        description="USD per million input tokens; beside a price `per_…`, 0 when not given",
        examples=["0.88"],
    )
    output: Price = Field(
        description="USD per million output tokens; beside a price `per_…`, 0 when not given",
        examples=["0.88"],
    )
    cache_read: Price | None = Field(
        None,
        description="USD per million tokens read from the provider's cache;"
        " when not given, the input price",
        examples=["0.44"],
    )
    cache_write: Price | None = Field(
        None,
        description="USD per million tokens written to it; when not given, the input price",
        examples=["1.10"],
    )
    cache_write_1h: Price | None = Field(
        None,
        description="USD per million tokens written to it that are kept for an hour; when not"
        " given, the offer serves no request that asks for it",
        examples=["1.76"],
    )
    reasoning: Price | None = Field(
        None,
        description="USD per million tokens of reasoning, which are part of the output; when not"
        " given, the output price",
        examples=["1.76"],
    )
    request: Price = Field(
        Decimal(0), description="USD per request, besides tokens", examples=["0.001"]
    )
    per_image: Price | None = Field(
        None, description="USD per image that it makes", examples=["0.04"]
    )
    per_million_characters: Price | None = Field(
        None, description="USD per million characters that it reads out", examples=["15"]
    )
    per_audio_minute: Price | None = Field(
        None,
        description="USD per minute of audio that it transcribes; charged by the second, at a"
        " sixtieth, rounded up in its 15th decimal",
        examples=["0.006"],
    )
    per_thousand_searches: Price | None = Field(
        None, description="USD per thousand searches that it ranks", examples=["2"]
    )
    batch: BatchPriceSpec | None = Field(
        None,
        description="Prices of the provider's batch API; without them, batches are not sent there",
        examples=["{input: 0.44, output: 0.44}"],
    )
    off_peak: tuple[OffPeakSpec, ...] = Field(
        (),
        description="Prices at some hours; where they overlap, the last counts",
        examples=['[{hours: "16:30-00:30", input: 0.44, output: 0.44}]'],
    )
    above: tuple[AboveSpec, ...] = Field(
        (),
        description="Prices of long prompts, at all hours",
        examples=["[{prompt_tokens: 200000, input: 1.76, output: 1.76}]"],
    )
    valid_until: WhenLocal | None = Field(
        None,
        description="From when on these prices are none, and the offer gets no requests; in UTC"
        " unless it says otherwise",
        examples=["2026-12-31"],
    )

    @model_validator(mode="before")
    @classmethod
    def _tokens_come_along(cls, written: object) -> object:
        if isinstance(written, dict) and any(str(key).startswith("per_") for key in written):
            return {"input": "0", "output": "0", **written}
        return written

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if len(given := [key for key in _UNITS if getattr(self, key) is not None]) > 1:
            raise wrong(f"has {' and '.join(given)}", "keep one: an offer is priced by one of them")
        return self

    @model_validator(mode="after")
    def _one_price_above(self) -> Self:
        given = [one.prompt_tokens for one in self.above]
        if twice := next((one for one in given if given.count(one) > 1), None):
            raise wrong(f"has two prices above {twice} tokens", "keep one")
        return self

    def rate_card(self) -> RateCard:
        """The prices as the ledger charges them."""
        return self._card(self)

    def batch_card(self) -> RateCard | None:
        """Those of the provider's batch API; what they do not name costs what it does elsewhere."""
        return None if self.batch is None else self._card(self.batch)

    def overrides(self) -> tuple[Override, ...]:
        """Those of hours, and of long prompts, which hold whatever the hour."""
        by_hour = [Override(self._card(one), hours=one.utc_hours()) for one in self.off_peak]
        longer = sorted(self.above, key=lambda one: one.prompt_tokens)
        return (*by_hour, *[Override(self._card(one), one.prompt_tokens) for one in longer])

    def ends_at(self) -> datetime | None:
        """valid_until, in a time zone."""
        until = self.valid_until
        return until if until is None or until.tzinfo else until.replace(tzinfo=UTC)

    def _card(self, of: PriceSpec | _OtherPrices) -> RateCard:
        unit, per = Decimal(0), None
        for key, (one, count) in _UNITS.items():
            if price := getattr(self, key):
                # To the last decimal that a card holds, and never less than was written.
                exact = (price / count).quantize(_LAST_DECIMAL, ROUND_CEILING)
                unit, per = exact.normalize(), one
        reasoning = of.reasoning
        if reasoning is None and self.reasoning is not None:
            reasoning = max(self.reasoning, of.output)
        return RateCard.of(
            of.input,
            of.output,
            of.cache_read,
            of.cache_write,
            self.request,
            unit,
            per,
            reasoning,
            of.cache_write_1h,
        )


_UNITS = {
    "per_image": (Unit.IMAGE, 1),
    "per_million_characters": (Unit.CHARACTER, 1_000_000),
    "per_audio_minute": (Unit.SECOND, 60),
    "per_thousand_searches": (Unit.SEARCH, 1000),
}
_LAST_DECIMAL = Decimal(1).scaleb(-MOST_DECIMALS)
