"""Bill: what one answer costs beside the tokens that it writes, in counts, not in money."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Unit = Literal["image", "character", "second", "search"]
"""What is sold other than tokens: images, characters read aloud, seconds heard, searches."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Known when an answer begins. cached and cache_write tokens are parts of the prompt's."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    units: int = 0
    unit: Unit | None = None


@dataclass(slots=True)
class Billed:
    """Sums over many answers."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    completion_tokens: int = 0
    units: Counter[str] = field(default_factory=Counter)

    def add(self, bill: Bill) -> None:
        self.requests += 1
        self.prompt_tokens += bill.prompt_tokens
        self.cached_tokens += bill.cached_tokens
        self.cache_write_tokens += bill.cache_write_tokens
        if bill.unit is not None:
            self.units[bill.unit] += bill.units
