"""TokenUsage: what one attempt used, as the provider counted it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """What work is sold by that is not sold by tokens alone."""

    IMAGE = "image"
    CHARACTER = "character"
    SECOND = "second"
    """Of audio, begun ones counted whole."""
    SEARCH = "search"
    """A rerank query; a provider may count a long one as several."""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one attempt. Every count is inclusive; None means unknown, which is not zero.

    prompt: all input tokens, those read from and written to a cache included.
    cached: the part of `prompt` read from the provider's cache.
    cache_write: the part of `prompt` written to it at its own price.
    cache_write_1h: the part of `cache_write` that is kept for an hour.
    completion: all output tokens, reasoning included.
    reasoning: the part of `completion` that was not shown.
    units: how many of the unit that its rate card is priced by (`RateCard.per`), if it is.
    """

    prompt: int | None
    completion: int | None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    units: int | None = None
    cache_write_1h: int | None = None

    @property
    def is_known(self) -> bool:
        """True when both counts without which no tokens can be charged are there."""
        return self.prompt is not None and self.completion is not None
