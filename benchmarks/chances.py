"""Chances: how likely an offer is to answer, and to begin in time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.stats import Stats

if TYPE_CHECKING:
    from benchmarks.observations import Minute

FAST_S = 1800.0
SLOW_S = 86_400.0
"""Half-lives: of what is believed of now, and of what that is drawn to where little is known."""


@dataclass(frozen=True, slots=True)
class Chances:
    """success: that an attempt is answered. on_time: that, if it is, its first token comes within
    the limit. weight: the attempts that this stands on, as of now; 0: it is an assumption."""

    success: float
    on_time: float
    weight: float


ASSUMED = Chances(1.0, 1.0, 0.0)


@dataclass(slots=True)
class Decayed:
    """Counts that halve in `half_life_s`."""

    half_life_s: float
    hits: float = 0.0
    count: float = 0.0
    at_s: float = 0.0

    def add(self, at_s: float, hits: float, count: float) -> None:
        self._age(at_s)
        self.hits += hits
        self.count += count

    def read(self, now_s: float) -> tuple[float, float]:
        fade = self._fade(now_s)
        return self.hits * fade, self.count * fade

    def _age(self, at_s: float) -> None:
        fade = self._fade(at_s)
        self.hits, self.count = self.hits * fade, self.count * fade
        self.at_s = max(self.at_s, at_s)

    def _fade(self, now_s: float) -> float:
        return math.exp2(-max(0.0, now_s - self.at_s) / self.half_life_s)


@dataclass(slots=True)
class Luck:
    """The luck of one offer with one limit."""

    limit_ms: float
    success: Decayed = field(default_factory=lambda: Decayed(FAST_S))
    success_day: Decayed = field(default_factory=lambda: Decayed(SLOW_S))
    in_time: Decayed = field(default_factory=lambda: Decayed(FAST_S))
    in_time_day: Decayed = field(default_factory=lambda: Decayed(SLOW_S))

    def note(self, at_s: float, answered: bool, ttft_ms: float | None) -> None:
        self._add(at_s, float(answered), 1.0)
        if ttft_ms is not None:
            self._add_timed(at_s, float(ttft_ms <= self.limit_ms), 1.0)

    def absorb(self, at_s: float, now: Minute, before: Minute | None) -> None:
        """What another worker has seen since it last told of that minute."""
        known = (0, 0, 0.0, 0) if before is None else self._of(before)
        answered, attempts, hits, timed = self._of(now)
        self._add(at_s, answered - known[0], attempts - known[1])
        self._add_timed(at_s, max(0.0, hits - known[2]), timed - known[3])

    def _of(self, minute: Minute) -> tuple[int, int, float, int]:
        timed = minute.ttft_ms.n
        hits = 0.0 if not timed else minute.ttft_ms.get_rank(self.limit_ms, inclusive=True) * timed
        return minute.answered, minute.attempts, hits, timed

    def _add(self, at_s: float, hits: float, count: float) -> None:
        self.success.add(at_s, hits, count)
        self.success_day.add(at_s, hits, count)

    def _add_timed(self, at_s: float, hits: float, count: float) -> None:
        self.in_time.add(at_s, hits, count)
        self.in_time_day.add(at_s, hits, count)

    def chances(self, now_s: float, stats: Stats | None) -> Chances:
        return Chances(1.0, 1.0, self.success.read(now_s)[1])
