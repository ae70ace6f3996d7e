"""Units: what a line of an invoice counts, from the words it says it with."""

from __future__ import annotations

import re
from decimal import Decimal

from ledger.meters import Meter

TOKENS_OF_ANY_KIND = None
"""In place of a meter."""

_COUNT = re.compile(r"(?:per\s+)?(\d[\d,_]*)?\s*(k|m|thousand|million)?\b[\s-]*(.*)", re.DOTALL)
_TIMES = {"k": 1000, "thousand": 1000, "m": 1_000_000, "million": 1_000_000}
_WORDS: tuple[tuple[str, Meter | None], ...] = (
    (
        r"cache[\s_-]*(write|creation).*\b1[\s_-]*h|\b1[\s_-]*h.*cache[\s_-]*(write|creation)",
        Meter.CACHE_WRITE_1H,
    ),
    (r"cache[\s_-]*(write|creation)", Meter.CACHE_WRITE),
    (r"cached|cache[\s_-]*(read|hit)", Meter.CACHED_INPUT),
    (r"output|completion", Meter.OUTPUT),
    (r"input|prompt", Meter.INPUT),
    (r"token", TOKENS_OF_ANY_KIND),
    (r"image", Meter.IMAGE),
    (r"char", Meter.CHARACTER),
    (r"second", Meter.SECOND),
    (r"search", Meter.SEARCH),
    (r"request", Meter.REQUEST),
)


def unit_of(text: str) -> tuple[Meter | None, Decimal] | None:
    """What `1K input tokens` counts, and how many one of it is; None if the words are unknown.

    A meter of None is tokens of any kind.
    """
    found = _COUNT.match(text.strip().lower())
    if found is None:
        return None
    digits, times, words = found.groups()
    many = Decimal(re.sub(r"[,_]", "", digits or "1")) * _TIMES.get(times or "", 1)
    for pattern, meter in _WORDS:
        if re.search(pattern, words):
            return meter, many
    return None
