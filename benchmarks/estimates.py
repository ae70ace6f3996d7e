"""Estimates: from counts of what happened to the chance of what will happen next.

An offer's share of good attempts moves within minutes and comes back to its own mean of the day;
so a `Chance` remembers twice: a fast memory that says how it is now, and a slow one that the fast
one leans on as it fades. Where both are empty, a prior speaks: what a feed says, or what the other
offers of the model do. Times are seconds on any one clock that never goes back. Two pairs of
numbers per chance, however much is counted; the market feeds it from traffic, minute by minute, and
the replay from half-hour windows: the same code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class Decayed:
    """Counts of which each half life leaves half: good ones, and all."""

    __slots__ = ("_all", "_at_s", "_good", "_half_life_s")

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._at_s: float | None = None
        self._good = 0.0
        self._all = 0.0

    def add(self, at_s: float, good: float, count: float) -> None:
        """Raises ValueError for a time before the last one, and for more good ones than all."""
        left = self._left(at_s)
        self._good = self._good * left + good
        self._all = self._all * left + count
        self._at_s = at_s

    def read(self, at_s: float) -> tuple[float, float]:
        """(good, all), as they have decayed by then."""
        left = self._left(at_s)
        return self._good * left, self._all * left

    def _left(self, at_s: float) -> float:
        if self._at_s is None:
            return 1.0
        if at_s < self._at_s:
            raise ValueError(f"{at_s} s is before {self._at_s} s, which is counted already")
        return float(0.5 ** ((at_s - self._at_s) / self._half_life_s))


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
    of `count` in t seconds, at most evidence_per_s · t; half of that if there are just as many.
    longest_s: a longer silence before them proves no more than this.
    """

    half_life_s: float = 0.5 * HOUR_S
    slow_half_life_s: float = DAY_S
    lean: float = 30.0
    evidence_per_s: float = 200 / HOUR_S
    longest_s: float = 0.5 * HOUR_S


ON_TIME = Memory()
"""For shares of first tokens within a limit."""
SUCCESS = Memory(lean=100.0, evidence_per_s=600 / HOUR_S)
"""For shares of attempts that are answered: rarer to fail, so it takes more to know."""


@dataclass(frozen=True, slots=True)
class Belief:
    """A Beta distribution over a chance: `good` and `bad` attempts' worth, both above zero.

    Its mean orders offers; its spread says where an exploring request may find something new.
    """

    good: float
    bad: float

    @property
    def mean(self) -> float:
        return self.good / (self.good + self.bad)


LIKELY_ON_TIME = Prior(0.7, 20.0)
LIKELY_ANSWERED = Prior(0.93, 20.0)
"""What offers do on the mean that a feed calls normal."""
DERANKED = Prior(0.75, 20.0)
"""The same of those that a feed has put behind the others."""


class Chance:
    """The chance of one kind of good outcome at one offer."""

    __slots__ = ("_at_s", "_fast", "_memory", "_slow")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._fast = Decayed(memory.half_life_s)
        self._slow = Decayed(memory.slow_half_life_s)
        self._at_s: float | None = None

    def update(self, at_s: float, good: float, count: float) -> None:
        """`count` attempts since the last update, of which `good` were good. A feed may know only
        about how many, so neither need be whole. If nothing happened, it is as if never called; a
        second update at one moment proves nothing: count by buckets of time, and tell each once.

        Raises ValueError for a time before the last one, and for counts that cannot be.
        """
        if not 0 <= good <= count or not math.isfinite(count):
            raise ValueError(f"{good} good ones of {count} cannot be")
        if count == 0:
            return
        memory = self._memory
        silent_s = memory.longest_s if self._at_s is None else at_s - self._at_s
        most = memory.evidence_per_s * min(silent_s, memory.longest_s)
        proves = count * most / (count + most)
        self._fast.add(at_s, proves * good / count, proves)
        self._slow.add(at_s, proves * good / count, proves)
        self._at_s = at_s

    def belief(self, at_s: float, prior: Prior) -> Belief:
        """What is believed at a time not before the last update."""
        good, slow = self._slow.read(at_s)
        usual = (good + prior.worth * prior.chance) / (slow + prior.worth)
        good, count = self._fast.read(at_s)
        # A new offer's slow memory is not worth its whole weight yet.
        lean = min(self._memory.lean, slow + prior.worth)
        return Belief(good + lean * usual, count - good + lean * (1 - usual))

    def probability(self, at_s: float, prior: Prior) -> float:
        return self.belief(at_s, prior).mean

    def counted(self, at_s: float) -> tuple[float, float]:
        """(good, all) of the slow memory: what `pooled` makes other offers' prior of."""
        return self._slow.read(at_s)


def pooled(chances: Iterable[Chance], at_s: float, else_: Prior) -> Prior:
    """A prior for an offer from what all offers of its model do, of the same worth as `else_`."""
    good, count = else_.worth * else_.chance, else_.worth
    for chance in chances:
        some, of = chance.counted(at_s)
        good, count = good + some, count + of
    return Prior(good / count, else_.worth)


class PriceRatio:
    """Effective price over list price of one offer: what cache hits and the like leave of it.

    Its memory halves each day: a provider's hit rate moves with its routing and our own prompts.
    """

    __slots__ = ("_decayed",)

    def __init__(self, half_life_s: float = DAY_S) -> None:
        self._decayed = Decayed(half_life_s)

    def update(self, at_s: float, effective: float, listed: float) -> None:
        """What was paid, and what the list says for the same; any unit, the same for both.

        Raises ValueError for what is no price: a ratio of nothing would order offers wrongly.
        """
        if not (0 < effective < math.inf and 0 < listed < math.inf):
            raise ValueError(f"{effective} paid for what lists at {listed}: both must be above 0")
        self._decayed.add(at_s, effective, listed)

    def ratio(self, at_s: float) -> float | None:
        """None before the first update."""
        effective, listed = self._decayed.read(at_s)
        return effective / listed if listed > 0 else None


@dataclass(frozen=True, slots=True)
class Percentile:
    """`share` of all values are at most `value`."""

    share: float
    value: float


_NORMAL = NormalDist()
_LEAST_STEP = 1e-3


def share_within(limit: float, percentiles: Sequence[Percentile]) -> float:
    """The share of values at most `limit`, from percentiles in ascending order (two or more).

    Between two of them, and beyond the outermost, the logarithm of the value is taken as normal:
    latencies are nearly so. Raises ValueError for what is not a distribution of positive values.
    """
    if len(percentiles) < 2 or limit <= 0:
        raise ValueError(f"{len(percentiles)} percentiles, limit {limit}: two, and a limit above 0")
    for one, next_ in pairwise(percentiles):
        if not (0 < one.share < next_.share < 1 and 0 < one.value <= next_.value < math.inf):
            raise ValueError(f"{one} and then {next_} are of no distribution of positive values")
    known = next((one for one in percentiles[1:] if limit < one.value), percentiles[-1])
    before = percentiles[percentiles.index(known) - 1]
    low, high = _NORMAL.inv_cdf(before.share), _NORMAL.inv_cdf(known.share)
    # Percentiles that are equal stand a thousandth apart: a step, not a division by zero.
    width = max(math.log(known.value / before.value), _LEAST_STEP)
    z = low + (high - low) * math.log(limit / before.value) / width
    return _NORMAL.cdf(z)
