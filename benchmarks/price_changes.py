"""Price changes that are known in advance: hours of the day, and the end of a quote."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.quotes import Quote
from ledger.instants import as_ns
from ledger.rates import RateCard


@dataclass(frozen=True, slots=True)
class PriceChange:
    """rates: None where from then on nobody knows the price."""

    at: datetime
    rates: RateCard | None


def next_change(quote: Quote, prompt_tokens: int, at: datetime) -> PriceChange | None:
    """When a request with so many prompt tokens next has another price than one that begins `at`;
    None while it stays as it is."""
    if quote.has_lapsed(as_ns(at)):
        return None
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = {
        minute
        for one in quote.overrides
        if one.hours is not None
        for minute in (one.hours.start_minute, one.hours.end_minute)
    }
    moments = {midnight + timedelta(days=day, minutes=m) for day in (0, 1) for m in minutes}
    if quote.valid_until is not None:
        moments.add(quote.valid_until)
    now = quote.card(prompt_tokens, as_ns(at))
    for moment in sorted(one for one in moments if one > at):
        if quote.has_lapsed(as_ns(moment)):
            return PriceChange(moment, None)
        then = quote.card(prompt_tokens, as_ns(moment))
        if then != now:
            return PriceChange(moment, then)
    return None
