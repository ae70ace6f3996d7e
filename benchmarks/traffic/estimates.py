"""Estimates: from counts of what happened to the chance of what will happen next.

An offer's share of good attempts moves within minutes and comes back to its own mean of the day;
so a `Chance` remembers twice: a fast memory that says how it is now, and a slow one that the fast
one leans on as it fades. What no half hour of luck explains, an outage or the end of one, empties
the fast memory at once. Where both are empty, a prior speaks: what a feed says, or what the other
offers of the model do. A chance is a few numbers, however much it has counted. Traffic tells it
single attempts, other workers tell their minutes, the replay tells half hours: the same code.

Times are seconds on any one clock. What comes late, or from a clock that was set back, counts as
of now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

from benchmarks.stats import Stats

SPAN_S, SPAN_ATTEMPTS = 60.0, 20
"""Single attempts are counted together for so long, or so many: enough to see an outage by."""
STREAK_NATS = 12.0
"""Bad ones in a row are no luck if they are so much less likely by what was expected: a factor of
160,000, since a streak may begin at any attempt."""
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class Decayed:
    """Counts of which each half life leaves half: good ones, and all."""

    __slots__ = ("_at_s", "_count", "_good", "_half_life_s")

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._at_s = 0.0
        self._good = 0.0
        self._count = 0.0

    def add(self, at_s: float, good: float, count: float) -> None:
        left = _left(at_s - self._at_s, self._half_life_s)
        self._good = self._good * left + good
        self._count = self._count * left + count
        self._at_s = max(self._at_s, at_s)

    def forget(self) -> None:
        self._good = self._count = 0.0

    def read(self, at_s: float) -> tuple[float, float]:
        """(good, all), as they have decayed by then."""
        left = _left(at_s - self._at_s, self._half_life_s)
        return self._good * left, self._count * left


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed before anything is counted: a chance, worth so many attempts."""

    chance: float
    worth: float


@dataclass(frozen=True, slots=True)
class Memory:
    """How a chance remembers.

    lean: the slow memory's mean weighs as much as this many attempts in the fast memory.
    evidence_per_s: attempts close together share their luck, so that time bounds what they prove:
    of `count` in t seconds, less than evidence_per_s · t; half of that if there are just as many.
    surprise: a share this far from what was expected, and `surprise_nats` less likely by that than
    by itself (a factor of 3000), is news: it proves all that a half life could.
    """

    half_life_s: float = 0.5 * HOUR_S
    slow_half_life_s: float = DAY_S
    lean: float = 30.0
    evidence_per_s: float = 200 / HOUR_S
    surprise: float = 0.25
    surprise_nats: float = 8.0


ON_TIME = Memory()
"""For shares of first tokens within a limit."""
SUCCESS = Memory(lean=100.0, evidence_per_s=600 / HOUR_S)
"""For shares of attempts that are answered: rarer to fail, so it takes more to know."""


@dataclass(frozen=True, slots=True)
class Belief:
    """A Beta distribution over a chance: `good` and `bad` attempts' worth, both above zero.

    Its mean orders offers.
    """

    good: float
    bad: float

    @property
    def mean(self) -> float:
        return self.good / (self.good + self.bad)


LIKELY_ON_TIME = 0.7
LIKELY_ANSWERED = 0.93
DERANKED_ANSWERED = 0.75
"""What offers do on the mean: those that a feed calls normal, and those that it puts behind."""


class Chance:
    """The chance of one kind of good outcome at one offer."""

    __slots__ = ("_bad", "_bad_since_s", "_fast", "_memory", "_running", "_slow")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._fast = Decayed(memory.half_life_s)
        self._slow = Decayed(memory.slow_half_life_s)
        self._running = _Span(0.0, SPAN_S)
        self._bad, self._bad_since_s = 0.0, 0.0

    def update(self, at_s: float, good: float, count: float) -> None:
        """`count` attempts around `at_s`, of which `good` were good: they add up, in any order.

        A sketch knows only about how many were good: they need not be whole. Raises ValueError for
        counts that cannot be.
        """
        if at_s >= self._running.began_s + SPAN_S or self._running.count >= SPAN_ATTEMPTS:
            self._close(at_s)
        self._running.add(good, count)
        self._follow_streak(at_s, good, count)

    def window(self, at_s: float, good: float, count: float, span_s: float) -> None:
        """The same of all attempts of a whole window that ends at `at_s`, as a feed tells them."""
        self._close(at_s)
        window = _Span(at_s, span_s)
        window.add(good, count)
        self._keep(window)

    def belief(self, at_s: float, prior: Prior) -> Belief:
        """What is believed at a time not before the last update."""
        memory, running = self._memory, self._running
        more, is_news = self._proven(running)
        good, slow = self._slow.read(at_s)
        left = more * _left(at_s - running.began_s, memory.slow_half_life_s)
        good, slow = good + left * running.share, slow + left
        usual = (good + prior.worth * prior.chance) / (slow + prior.worth)
        good, count = (0.0, 0.0) if is_news else self._fast.read(at_s)
        left = more * _left(at_s - running.began_s, memory.half_life_s)
        good, count = good + left * running.share, count + left
        # A new offer's slow memory is not worth its whole weight yet.
        lean = min(memory.lean, slow + prior.worth)
        return Belief(good + lean * usual, count - good + lean * (1 - usual))

    def probability(self, at_s: float, prior: Prior) -> float:
        return self.belief(at_s, prior).mean

    def counted(self, at_s: float) -> tuple[float, float]:
        """(good, all) of the last days, as far as they prove something: for `pooled`, and to say
        what an estimate stands on."""
        good, count = self._slow.read(at_s)
        more, _ = self._proven(self._running)
        left = more * _left(at_s - self._running.began_s, self._memory.slow_half_life_s)
        return good + left * self._running.share, count + left

    def _follow_streak(self, at_s: float, good: float, count: float) -> None:
        """Bad ones in a row that luck does not explain are a span of their own: what was good
        before them, in the same minute, says nothing of now."""
        if good or not self._bad:
            self._bad, self._bad_since_s = 0.0, at_s
        if good:
            return
        self._bad += count
        running, began_s = self._running, self._bad_since_s
        if not running.good or self._bad >= running.count:
            return
        if self._bad * _divergence(0.0, self._expected(running.began_s)) > STREAK_NATS:
            running.count -= self._bad
            self._close(began_s)
            self._running.add(0.0, self._bad)

    def _close(self, at_s: float) -> None:
        running = self._running
        if running.count:
            running.span_s = max(0.0, min(SPAN_S, at_s - running.began_s))
            self._keep(running)
        self._running = _Span(at_s, SPAN_S)

    def _keep(self, span: _Span) -> None:
        proves, is_news = self._proven(span)
        if is_news:
            self._fast.forget()
        self._fast.add(span.began_s, proves * span.share, proves)
        self._slow.add(span.began_s, proves * span.share, proves)

    def _proven(self, span: _Span) -> tuple[float, bool]:
        """(how many attempts' worth a span proves, whether it is news)."""
        if not span.count:
            return 0.0, False
        memory = self._memory
        if self._is_news(span):
            return memory.evidence_per_s * max(span.span_s, memory.half_life_s), True
        most = memory.evidence_per_s * span.span_s
        return span.count * most / (span.count + most), False

    def _expected(self, at_s: float) -> float:
        """The share of good ones that a span would have by what is remembered."""
        good, slow = self._slow.read(at_s)
        usual = (good + 1) / (slow + 2)
        good, count = self._fast.read(at_s)
        return (good + self._memory.lean * usual) / (count + self._memory.lean)

    def _is_news(self, span: _Span) -> bool:
        """Whether it cannot be the luck of what was expected when it began."""
        memory = self._memory
        expected = self._expected(span.began_s)
        if abs(span.share - expected) < memory.surprise:
            return False
        return span.count * _divergence(span.share, expected) > memory.surprise_nats


@dataclass(slots=True)
class _Span:
    """What was counted together."""

    began_s: float
    span_s: float
    good: float = 0.0
    count: float = 0.0

    def add(self, good: float, count: float) -> None:
        if not 0 <= good <= count < math.inf:
            raise ValueError(f"{good} good ones of {count} cannot be")
        self.good += good
        self.count += count

    @property
    def share(self) -> float:
        return self.good / self.count if self.count else 0.0


def _left(age_s: float, half_life_s: float) -> float:
    return math.exp2(-max(0.0, age_s) / half_life_s)


CERTAIN = 0.03
"""No expectation is nearer to 0 or to 1: two failures in a row may still be luck, three are not."""


def _divergence(share: float, expected: float) -> float:
    """Kullback and Leibler's: how much less likely `expected` makes a good `share` than the share
    itself, in nats per attempt."""
    expected = min(max(expected, CERTAIN), 1 - CERTAIN)
    return sum(
        part * math.log(part / whole)
        for part, whole in ((share, expected), (1 - share, 1 - expected))
        if part > 0
    )


def pooled(chances: Iterable[Chance], at_s: float, else_: Prior) -> Prior:
    """A prior for an offer from what all offers of its model do, of the same worth as `else_`."""
    good, count = else_.worth * else_.chance, else_.worth
    for chance in chances:
        some, of = chance.counted(at_s)
        good, count = good + some, count + of
    return Prior(good / count, else_.worth)


def success_prior(stats: Stats | None, worth: float = 20.0) -> Prior:
    """Of an answer, from what a feed counts; else from its uptimes; else from its status."""
    if stats is None:
        return Prior(LIKELY_ANSWERED, worth)
    if stats.success is not None:
        # What a feed counts is many, but a few may be all: two of the usual kind beside them.
        count = stats.success + (stats.failed or 0) + (stats.rate_limited or 0)
        return Prior((stats.success + 2 * LIKELY_ANSWERED) / (count + 2), worth)
    for uptime in (stats.uptime_5m, stats.uptime_30m, stats.uptime_1d):
        if uptime is not None:
            return Prior(uptime, worth)
    is_deranked = stats.status is not None and stats.status < 0
    return Prior(DERANKED_ANSWERED if is_deranked else LIKELY_ANSWERED, worth)


def on_time_prior(stats: Stats | None, limit_ms: float, worth: float = 20.0) -> Prior:
    """Of a first token within the limit, from a feed's percentiles."""
    points = [] if stats is None else stats.ttft_ms.points()
    return Prior(share_within(limit_ms, points) if points else LIKELY_ON_TIME, worth)


_NORMAL = NormalDist()
_USUAL_SIGMA = 0.7
"""Of the logarithm, where a single percentile does not say it: the median over many offers."""
_LEAST_SIGMA = 1e-3


def share_within(limit: float, points: Sequence[tuple[float, float]]) -> float:
    """The share of values at most `limit`, from percentiles: (share, value), ascending.

    Between two of them, and beyond the outermost, the logarithm of the value is taken as normal:
    latencies are nearly so. Raises ValueError for what is no distribution of positive values.
    """
    if not points or limit <= 0:
        raise ValueError(f"{len(points)} percentiles, limit {limit}: one at least, and above 0")
    if not all(0 < share < 1 and 0 < value < math.inf for share, value in points) or not all(
        one[0] < two[0] and one[1] <= two[1] for one, two in pairwise(points)
    ):
        raise ValueError(f"{points} are percentiles of no distribution of positive values")
    curve = [(_NORMAL.inv_cdf(share), math.log(value)) for share, value in points]
    if len(curve) == 1:
        z, middle = curve[0]
        curve.append((z + 1, middle + _USUAL_SIGMA))
    x = math.log(limit)
    last = next((at for at in range(1, len(curve)) if x < curve[at][1]), len(curve) - 1)
    (z0, x0), (z1, x1) = curve[last - 1], curve[last]
    # Equal percentiles stand a little apart: a step, not a division by zero.
    sigma = max((x1 - x0) / (z1 - z0), _LEAST_SIGMA)
    return _NORMAL.cdf(z0 + (x - x0) / sigma)
