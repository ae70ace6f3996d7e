"""Quotes as text, for the history: every price exactly, and nothing of what is not said.

Equal quotes have equal text, however their zeros were written. Source and time are not in it: they
are the fact's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from benchmarks.quotes import Override, Quote, UtcHours
from ledger.rates import RateCard
from ledger.tables.ddl import PRICES
from ledger.usage import Unit

_NAMES = PRICES.split(", ")


def quote_text(quote: Quote) -> str:
    said: dict[str, object] = {"rates": _card(quote.rates)}
    if quote.list_rates is not None:
        said["list_rates"] = _card(quote.list_rates)
    if quote.overrides:
        said["overrides"] = [_override(one) for one in quote.overrides]
    if quote.batch_rates is not None:
        said["batch_rates"] = _card(quote.batch_rates)
    if quote.batch_overrides:
        said["batch_overrides"] = [_override(one) for one in quote.batch_overrides]
    if quote.valid_until is not None:
        said["valid_until"] = quote.valid_until.astimezone(UTC).isoformat()
    return msgspec.json.encode(said).decode()


def quote_of(text: str, source: str, as_of: datetime) -> Quote:
    """The quote that a text was made of."""
    said: dict[str, Any] = msgspec.json.decode(text)
    listed, batch, until = (said.get(name) for name in ("list_rates", "batch_rates", "valid_until"))
    return Quote(
        _card_of(said["rates"]),
        None if listed is None else _card_of(listed),
        tuple(_override_of(one) for one in said.get("overrides", ())),
        source,
        as_of,
        None if batch is None else _card_of(batch),
        tuple(_override_of(one) for one in said.get("batch_overrides", ())),
        None if until is None else datetime.fromisoformat(until),
    )


def _card(card: RateCard) -> dict[str, str]:
    found = {name: price for name, price in zip(_NAMES, card.row, strict=True) if price is not None}
    if card.per is None:
        del found["unit"]
    return {
        name: text if name == "per" else f"{Decimal(text).normalize():f}"
        for name, text in found.items()
    }


def _card_of(said: Mapping[str, str]) -> RateCard:
    prices = {name: Decimal(price) for name, price in said.items() if name != "per"}
    return RateCard.of(**prices, per=Unit(said["per"]) if "per" in said else None)


def _override(one: Override) -> dict[str, object]:
    said: dict[str, object] = {"rates": _card(one.rates)}
    if one.above_prompt_tokens:
        said["above_prompt_tokens"] = one.above_prompt_tokens
    if one.hours is not None:
        said["minutes"] = [one.hours.start_minute, one.hours.end_minute]
        if one.hours.weekdays is not None:
            said["weekdays"] = sorted(one.hours.weekdays)
    return said


def _override_of(said: Mapping[str, Any]) -> Override:
    minutes, days = said.get("minutes"), said.get("weekdays")
    return Override(
        _card_of(said["rates"]),
        said.get("above_prompt_tokens", 0),
        None if minutes is None else UtcHours(minutes[0], minutes[1], _days_of(days)),
    )


def _days_of(said: Sequence[int] | None) -> frozenset[int] | None:
    return None if said is None else frozenset(said)
