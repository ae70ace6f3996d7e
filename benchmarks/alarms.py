"""Alarm: something in a feed that is not believed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AlarmName(StrEnum):
    """What is wrong. The first group is of one entry, the second of a whole document."""

    ZERO = "zero_price"
    NEGATIVE = "negative_price"
    NOT_A_NUMBER = "not_a_number"
    MISSING = "missing_price"
    IMPLAUSIBLE = "implausible"
    """Outside of what anybody has ever asked."""
    UNIT_ERROR = "unit_error"
    """A thousand or a million times the last good value, or one part of it."""
    JUMP = "price_jump"
    DISAGREES = "feeds_disagree"
    DUPLICATE = "duplicate_entry"
    GONE = "entry_gone"
    """The feed has named it before, and does not any more."""

    HTML = "html_instead_of_data"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    TOO_FEW = "too_few_entries"
    STALE = "stale"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is not believed, and what stands in its place.

    feed: the document, as `openrouter openai/gpt-oss-120b`. what: the entry, or "" for all of it.
    value: what it says; last_good: what counts instead, with its age; "" where there is nothing.
    """

    name: AlarmName
    feed: str
    what: str
    value: str
    last_good: str
    advice: str

    def __str__(self) -> str:
        about = f"{self.feed}: {self.what}" if self.what else self.feed
        kept = f"; kept: {self.last_good}" if self.last_good else "; nothing good is known"
        return f"{about}: {self.name}: {self.value}{kept}; {self.advice}"
