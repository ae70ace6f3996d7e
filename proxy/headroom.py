"""Headroom: what an account may still ask of its provider, as the headers of answers say.

OpenAI and those that speak like it say `x-ratelimit-remaining-requests`, `-tokens` and `-reset-…`
(as 1s, 6m0s, 250ms, or seconds); Anthropic `anthropic-ratelimit-requests-remaining`, `-tokens-…`,
`-reset` (a moment).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

_STEPS = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_UNITS_S = (86_400.0, 3600.0, 60.0, 1.0, 0.001)
_COUNT = re.compile(r"[0-9]{1,18}")
LONGEST_S = 3600.0
"""A day's limit is told, too; what a provider says of tomorrow may be mended today."""
ASK_AGAIN_S = 60.0
"""While nobody asks there, nobody hears otherwise, and what was said may have been a mistake: one
request in so long tries it."""


@dataclass(frozen=True, slots=True)
class Left:
    """So many more until then, in seconds of the clock that was given. again_s: when one request
    tries whether it is still so."""

    count: int
    until_s: float
    again_s: float = field(default=math.inf, compare=False)

    def forbids(self, wanted: int, now_s: float) -> bool:
        return self.count < wanted and now_s < min(self.until_s, self.again_s)

    def less(self, by: int, now_s: float) -> Left:
        """With a request under way that takes so many."""
        again_s = self.again_s if now_s < self.again_s else now_s + ASK_AGAIN_S
        return Left(max(0, self.count - by), self.until_s, again_s)


@dataclass(frozen=True, slots=True)
class Headroom:
    """None: not told."""

    requests: Left | None
    tokens: Left | None


def headroom_in(headers: Mapping[str, str], now_ns: int, now_s: float) -> Headroom | None:
    """None where an answer says nothing of it. now_ns: since 1970; now_s: monotonic."""
    requests = _left(headers, "requests", now_ns, now_s)
    tokens = _left(headers, "tokens", now_ns, now_s)
    return None if requests is None and tokens is None else Headroom(requests, tokens)


def _left(headers: Mapping[str, str], what: str, now_ns: int, now_s: float) -> Left | None:
    count = headers.get(f"x-ratelimit-remaining-{what}")
    if count is not None:
        reset_s = _seconds(headers.get(f"x-ratelimit-reset-{what}", ""))
    else:
        count = headers.get(f"anthropic-ratelimit-{what}-remaining")
        if count is None:
            return None
        reset_s = _seconds_until(headers.get(f"anthropic-ratelimit-{what}-reset", ""), now_ns)
    if reset_s is None or not _COUNT.fullmatch(count):
        return None
    return Left(int(count), now_s + min(reset_s, LONGEST_S), now_s + ASK_AGAIN_S)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        found = _STEPS.fullmatch(text)
        if found is None or not text:
            return None
        parts = zip(found.groups(), _UNITS_S, strict=True)
        seconds = sum(float(part) * unit for part, unit in parts if part is not None)
    return seconds if 0 <= seconds < 86_400 * 31 else None  # a moment, or NaN


def _seconds_until(text: str, now_ns: int) -> float | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if at.tzinfo is None else max(0.0, at.timestamp() - now_ns / 1e9)
