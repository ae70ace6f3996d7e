"""TokenUsage: the tokens of one attempt, as the provider counted them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one attempt. Every count is inclusive; None means unknown, which is not zero.

    prompt: all input tokens, those read from and written to a cache included.
    cached: the part of `prompt` read from the provider's cache.
    cache_write: the part of `prompt` written to it at its own price.
    completion: all output tokens, reasoning included.
    reasoning: the part of `completion` that was not shown.
    """

    prompt: int | None
    completion: int | None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None

    @property
    def is_known(self) -> bool:
        """True when the two counts without which nothing can be charged are there."""
        return self.prompt is not None and self.completion is not None
