"""Timing: when lines that we run ourselves may run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

FIRST_LINE_S = 10.0
"""How long a line is thought to take before any was seen."""
WEIGHT = 1 / 16
"""Of the newest line in the running mean."""
MARGIN = 2.0
"""How many times the time that lines should need is kept free for them..."""
LEAST_LEFT_S = 600.0
"""...and this much besides: others may be in the way, and some lines have to come again."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Lines of a batch that wait, and the end of its window in seconds since 1970."""

    lines: int
    expires_at: float


class Timing:
    """In off-peak hours; or while prepaid capacity is idle; or as soon as the window demands it.

    parallel: how many lines run at once. is_off_peak: whether a moment is within the hours that are
    configured, or there are none. has_idle_capacity: whether capacity that is paid for lies idle.
    """

    def __init__(
        self,
        parallel: int,
        is_off_peak: Callable[[datetime], bool],
        has_idle_capacity: Callable[[], bool],
    ) -> None:
        self.parallel = parallel
        self._is_off_peak = is_off_peak
        self._has_idle_capacity = has_idle_capacity
        self.line_s = FIRST_LINE_S

    def note(self, took_s: float) -> None:
        """A line took so long."""
        self.line_s += WEIGHT * (took_s - self.line_s)

    def may_run(self, one: Waiting, every: list[Waiting], now_s: float) -> bool:
        """Whether a batch's lines may run now. every: all that wait, this one among them."""
        if self._is_off_peak(datetime.fromtimestamp(now_s, UTC)) or self._has_idle_capacity():
            return True
        # Whatever has to be done sooner is done first.
        ahead = sum(other.lines for other in every if other.expires_at <= one.expires_at)
        needed_s = ahead * self.line_s / self.parallel * MARGIN + LEAST_LEFT_S
        return one.expires_at - now_s <= needed_s
