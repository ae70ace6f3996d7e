"""Chances: how likely an offer is to answer, and to begin in time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.stats import Stats
from benchmarks.traffic.estimates import (
    ON_TIME,
    SUCCESS,
    Chance,
    Decayed,
    Prior,
    on_time_prior,
    success_prior,
)

if TYPE_CHECKING:
    from benchmarks.traffic.observations import Minute


@dataclass(frozen=True, slots=True)
class Chances:
    """success: that an attempt is answered. on_time: that, if it is, its first token comes within
    the limit. weight: the attempts of our own in the last minutes; 0: there were none, and how it
    is now is an assumption, whatever it was before. lately_good: of these, those
    that were good, answered and in time, after the last one that was not."""

    success: float
    on_time: float
    weight: float
    lately_good: float = 0.0


ASSUMED_SUCCESS, ASSUMED_ON_TIME = Prior(0.99, 20.0), Prior(0.98, 5.0)
"""Of an offer of which nobody says anything: the unknown is no reason against it, so that it is
tried, and known."""
ASSUMED = Chances(ASSUMED_SUCCESS.chance, ASSUMED_ON_TIME.chance, 0.0)


LATELY_S = 60.0
"""The half life of what is known of an offer's now: one that was left for its failures, or because
it was slow, is unknown again after some minutes, so that it is tried, and can come back."""


@dataclass(slots=True)
class Luck:
    """What became of the attempts at one offer, with one limit on the time to the first token."""

    limit_ms: float
    _answered: Chance = field(default_factory=lambda: Chance(SUCCESS))
    _in_time: Chance = field(default_factory=lambda: Chance(ON_TIME))
    _lately: Decayed = field(default_factory=lambda: Decayed(LATELY_S))
    _good_again: Decayed = field(default_factory=lambda: Decayed(LATELY_S))

    def note(self, at_s: float, *, answered: bool, ttft_ms: float | None) -> None:
        self._answered.update(at_s, float(answered), 1.0)
        is_good = answered and (ttft_ms is None or ttft_ms <= self.limit_ms)
        self._tried(at_s, float(is_good), 1.0)
        if ttft_ms is not None:
            self._in_time.update(at_s, float(ttft_ms <= self.limit_ms), 1.0)

    def _tried(self, at_s: float, good: float, count: float) -> None:
        self._lately.add(at_s, good, count)
        if good < count:
            self._good_again.forget()
        else:
            self._good_again.add(at_s, good, count)

    def was_silent(self, at_s: float, waited_ms: float | None) -> None:
        """Nobody heard it out: it says something only if it was late by then."""
        if waited_ms is not None and waited_ms > self.limit_ms:
            self._in_time.update(at_s, 0.0, 1.0)

    def absorb(self, at_s: float, now: Minute, before: Minute | None) -> None:
        """What another worker has seen since it last told of that minute."""
        answered, attempts, in_time, timed = self._of(now)
        if before is not None:
            known = self._of(before)
            answered, attempts = answered - known[0], attempts - known[1]
            in_time, timed = in_time - known[2], timed - known[3]
        if attempts > 0:
            self._answered.update(at_s, min(max(0, answered), attempts), attempts)
            late = max(0.0, timed - in_time)
            self._tried(at_s, max(0.0, min(answered, attempts) - late), attempts)
        if timed > 0:  # a sketch knows ranks but about
            self._in_time.update(at_s, min(max(0.0, in_time), timed), timed)

    def _of(self, minute: Minute) -> tuple[int, int, float, int]:
        timed = int(minute.ttft_ms.n)
        share = minute.ttft_ms.get_rank(self.limit_ms, inclusive=True) if timed else 0.0
        return minute.answered, minute.judged, share * timed, timed

    def chances(self, now_s: float, stats: Stats | None) -> Chances:
        """stats: what a feed says; it counts for as much as a prior does."""
        success, on_time = _priors(stats, self.limit_ms)
        return Chances(
            self._answered.probability(now_s, success),
            self._in_time.probability(now_s, on_time),
            self._lately.read(now_s)[1],
            self._good_again.read(now_s)[1],
        )


def untried(limit_ms: float, stats: Stats | None) -> Chances:
    """Of an offer that nobody has asked: what is believed before anything is counted."""
    success, on_time = _priors(stats, limit_ms)
    return Chances(success.chance, on_time.chance, 0.0)


def _priors(stats: Stats | None, limit_ms: float) -> tuple[Prior, Prior]:
    """That it answers, and in time."""
    if stats is None:
        return ASSUMED_SUCCESS, ASSUMED_ON_TIME
    success = success_prior(stats) if stats.says_success else ASSUMED_SUCCESS
    says_times = bool(stats.ttft_ms.points())
    return success, on_time_prior(stats, limit_ms) if says_times else ASSUMED_ON_TIME
