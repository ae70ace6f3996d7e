"""Observations: what traffic saw of each offer, in bounded memory.

Minutes are kept, not attempts: counts, and a quantile sketch (KLL, of Apache DataSketches) of each
time. What one worker saw in a minute can be added to what the others saw in it, so that all of them
know the market that they see together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from datasketches import kll_floats_sketch

from benchmarks.stats import Stats
from benchmarks.traffic.chances import Chances, Luck, untried
from benchmarks.traffic.estimates import DAY_S, Decayed

MINUTE_S = 60
RECENT_MINUTES = 5
"""Percentiles and rates are over so many, the running one among them."""
SKETCH_K = 160
"""Of a sketch: ranks are right to 1.5%, in about a kilobyte."""
SHARES = (0.50, 0.75, 0.90, 0.95, 0.99)
WORKERS_KNOWN = 256
RATIO_WORTH = 10.0
"""Answers that the ratio of 1 counts as."""
MOST_RATIO = 2.0
"""One odd answer says no more."""
LIMITS_OF_AN_OFFER = 8
"""It may be in several models, each with a limit of its own."""

Sketch: TypeAlias = kll_floats_sketch


class Outcome(StrEnum):
    ANSWERED = "answered"
    RATE_LIMITED = "rate_limited"
    FAILED = "failed"
    TRUNCATED = "truncated"
    """It had begun, and broke off in the middle."""
    OVERTAKEN = "overtaken"
    """Given up before it had begun its answer, since another offer had. Its `ttft_ms` is what had
    passed by then: its own time would have been longer, nobody knows how much."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One attempt. at_s: its end, in seconds since 1970. A time that was not seen is None."""

    at_s: float
    outcome: Outcome
    ttft_ms: float | None = None
    inter_token_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The last few minutes of one offer. Percentiles and rates are None without any attempt.

    error_rate: of all attempts, those that failed, truncated ones among them; without those that
    were rate limited, which say more of our account than of the offer.
    """

    attempts: int
    ttft_ms_p50: float | None = None
    ttft_ms_p75: float | None = None
    ttft_ms_p90: float | None = None
    ttft_ms_p95: float | None = None
    ttft_ms_p99: float | None = None
    inter_token_ms_p50: float | None = None
    inter_token_ms_p75: float | None = None
    inter_token_ms_p90: float | None = None
    inter_token_ms_p95: float | None = None
    inter_token_ms_p99: float | None = None
    error_rate: float | None = None
    rate_limited_rate: float | None = None
    truncated_rate: float | None = None


UNSEEN = Seen(0)


@dataclass(slots=True)
class Minute:
    """What was seen of one offer in one minute. number: since 1970.

    paid, priced: what answers cost, and what they were expected to by their sizes, in shares of
    that: each counts the same, whatever it costs.
    """

    number: int
    answered: int = 0
    failed: int = 0
    rate_limited: int = 0
    truncated: int = 0
    overtaken: int = 0
    paid: float = 0.0
    priced: float = 0.0
    ttft_ms: Sketch = field(default_factory=lambda: Sketch(SKETCH_K))
    inter_token_ms: Sketch = field(default_factory=lambda: Sketch(SKETCH_K))

    def merge(self, other: Minute) -> None:
        """Have what was seen in another one in this one, too."""
        self.answered += other.answered
        self.failed += other.failed
        self.rate_limited += other.rate_limited
        self.truncated += other.truncated
        self.overtaken += other.overtaken
        self.paid += other.paid
        self.priced += other.priced
        self.ttft_ms.merge(other.ttft_ms)
        self.inter_token_ms.merge(other.inter_token_ms)

    @property
    def judged(self) -> int:
        """Those of which it is known whether they were answered."""
        return self.answered + self.failed + self.rate_limited + self.truncated

    @property
    def attempts(self) -> int:
        return self.judged + self.overtaken

    def add(self, one: Observation) -> None:
        match one.outcome:
            case Outcome.ANSWERED:
                self.answered += 1
            case Outcome.FAILED:
                self.failed += 1
            case Outcome.RATE_LIMITED:
                self.rate_limited += 1
            case Outcome.TRUNCATED:
                self.truncated += 1
            case Outcome.OVERTAKEN:
                self.overtaken += 1
        if one.ttft_ms is not None:
            self.ttft_ms.update(one.ttft_ms)
        if one.inter_token_ms is not None:
            self.inter_token_ms.update(one.inter_token_ms)


@dataclass(frozen=True, slots=True)
class Published:
    """A worker's minute of an offer, as it tells others: sketches in their own binary form."""

    offer_id: str
    minute: int
    answered: int
    failed: int
    rate_limited: int
    truncated: int
    overtaken: int
    paid: float
    priced: float
    ttft_ms: bytes
    inter_token_ms: bytes

    @property
    def attempts(self) -> int:
        known = self.answered + self.failed + self.rate_limited + self.truncated
        return known + self.overtaken


@dataclass(slots=True)
class _Log:
    """Of one offer. own: the minutes of this worker, the newest last. others: by worker.

    summed: the last minutes as they were summed up in a minute, for as long as nothing is added.
    """

    own: deque[Minute] = field(default_factory=lambda: deque(maxlen=RECENT_MINUTES))
    others: dict[str, deque[Minute]] = field(default_factory=dict)
    lucks: dict[float, Luck] = field(default_factory=dict)
    price: Decayed = field(default_factory=lambda: Decayed(DAY_S))
    unpublished: set[int] = field(default_factory=set)
    summed: tuple[int, Seen] | None = None

    def luck(self, limit_ms: float) -> Luck:
        if limit_ms not in self.lucks:
            if len(self.lucks) >= LIMITS_OF_AN_OFFER:
                self.lucks.pop(next(iter(self.lucks)))
            self.lucks[limit_ms] = Luck(limit_ms)
        return self.lucks[limit_ms]

    def recent(self, now_minute: int) -> list[Minute]:
        since = now_minute - RECENT_MINUTES
        every = (self.own, *self.others.values())
        return [one for minutes in every for one in minutes if one.number > since]


class Observations:
    """What was seen of all offers. ttft_limits_ms: of each offer, those that it is held to."""

    def __init__(self, ttft_limits_ms: Mapping[str, Iterable[float]] | None = None) -> None:
        self._limits: dict[str, tuple[float, ...]] = {}
        self._logs: dict[str, _Log] = {}
        self._changed: set[str] = set()
        self.hold_to(ttft_limits_ms or {})

    def hold_to(self, ttft_limits_ms: Mapping[str, Iterable[float]]) -> None:
        """Other limits; what was seen of offers stays, and what was seen of limits that stay."""
        self._limits = {key: tuple(each) for key, each in ttft_limits_ms.items()}

    def changed(self) -> set[str]:
        """The offers of which something was seen since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def note(self, offer_id: str, one: Observation) -> None:
        log = self._log(offer_id)
        self._minute(log, one.at_s).add(one)
        log.summed = None
        self._changed.add(offer_id)
        for luck in log.lucks.values():
            if one.outcome is Outcome.OVERTAKEN:
                luck.was_silent(one.at_s, one.ttft_ms)
            else:
                luck.note(one.at_s, answered=one.outcome is Outcome.ANSWERED, ttft_ms=one.ttft_ms)

    def note_cost(self, offer_id: str, at_s: float, ratio: float) -> None:
        """An answer cost so much of what it was expected to by its sizes."""
        log, ratio = self._log(offer_id), min(ratio, MOST_RATIO)
        log.price.add(at_s, ratio, 1.0)
        minute = self._minute(log, at_s)
        minute.paid += ratio
        minute.priced += 1.0
        self._changed.add(offer_id)

    def price_ratio(self, offer_id: str, now_s: float) -> float:
        """What answers cost lately, of what they were expected to by their sizes: what caches that
        nobody foresaw leave of a price. Drawn to 1 where few are known."""
        log = self._logs.get(offer_id)
        paid, priced = (0.0, 0.0) if log is None else log.price.read(now_s)
        return (paid + RATIO_WORTH) / (priced + RATIO_WORTH)

    def seen(self, offer_id: str, now_s: float) -> Seen:
        log = self._logs.get(offer_id)
        if log is None:
            return UNSEEN
        minute = int(now_s // MINUTE_S)
        if log.summed is None or log.summed[0] != minute:
            log.summed = minute, summed(log.recent(minute))
        return log.summed[1]

    def chances(
        self, offer_id: str, limit_ms: float, now_s: float, stats: Stats | None = None
    ) -> Chances:
        """How likely it is to answer, and in time. stats: what a feed says of it."""
        log = self._logs.get(offer_id)
        if log is None:
            return untried(limit_ms, stats)
        return log.luck(limit_ms).chances(now_s, stats)

    # -- between workers

    def published(self) -> list[Published]:
        """The minutes in which something was seen since the last call."""
        told = [
            published(offer_id, one)
            for offer_id, log in self._logs.items()
            for one in log.own
            if one.number in log.unpublished
        ]
        for log in self._logs.values():
            log.unpublished.clear()
        return told

    def absorb(self, worker: str, told: Published) -> None:
        """A minute that another worker has seen, or has seen more of since."""
        log = self._log(told.offer_id)
        if worker not in log.others and len(log.others) >= WORKERS_KNOWN:
            log.others.pop(next(iter(log.others)))
        minutes = log.others.setdefault(worker, deque(maxlen=RECENT_MINUTES))
        before = next((one for one in minutes if one.number == told.minute), None)
        if before is not None and (before.attempts, before.priced) == (told.attempts, told.priced):
            return
        now = minute_of(told)
        if before is not None:
            minutes.remove(before)
        minutes.append(now)
        log.summed = None
        self._changed.add(told.offer_id)
        at_s = float(now.number * MINUTE_S)
        for luck in log.lucks.values():
            luck.absorb(at_s, now, before)
        paid, priced = (0.0, 0.0) if before is None else (before.paid, before.priced)
        if now.priced > priced:
            log.price.add(at_s, now.paid - paid, now.priced - priced)

    def _minute(self, log: _Log, at_s: float) -> Minute:
        """Where something that is seen then counts; it is to be told."""
        number, own = int(at_s // MINUTE_S), log.own
        if not own or own[-1].number < number:  # a clock that is set back goes on in its last one
            own.append(Minute(number))
        log.unpublished.add(own[-1].number)
        return own[-1]

    def _log(self, offer_id: str) -> _Log:
        log = self._logs.get(offer_id)
        if log is None:
            log = self._logs[offer_id] = _Log()
            for limit_ms in self._limits.get(offer_id, ()):
                log.luck(limit_ms)
        return log


Five: TypeAlias = tuple[float | None, float | None, float | None, float | None, float | None]


def published(offer_id: str, one: Minute) -> Published:
    return Published(
        *(offer_id, one.number, one.answered, one.failed, one.rate_limited),
        *(one.truncated, one.overtaken, one.paid, one.priced),
        one.ttft_ms.serialize(),
        one.inter_token_ms.serialize(),
    )


def minute_of(told: Published) -> Minute:
    return Minute(
        *(told.minute, told.answered, told.failed, told.rate_limited),
        *(told.truncated, told.overtaken, told.paid, told.priced),
        Sketch.deserialize(told.ttft_ms),
        Sketch.deserialize(told.inter_token_ms),
    )


def summed(minutes: Sequence[Minute]) -> Seen:
    """What was seen in all of them together."""
    attempts = sum(one.attempts for one in minutes)
    if not attempts:
        return UNSEEN
    ttft, gaps = Sketch(SKETCH_K), Sketch(SKETCH_K)
    for one in minutes:
        ttft.merge(one.ttft_ms)
        gaps.merge(one.inter_token_ms)
    truncated = sum(one.truncated for one in minutes)
    failed = truncated + sum(one.failed for one in minutes)
    limited = sum(one.rate_limited for one in minutes)
    rates = (failed / attempts, limited / attempts, truncated / attempts)
    return Seen(attempts, *_quantiles(ttft), *_quantiles(gaps), *rates)


def _quantiles(sketch: Sketch) -> Five:
    if sketch.is_empty():
        return (None, None, None, None, None)
    p50, p75, p90, p95, p99 = [
        float(one) for one in sketch.get_quantiles(list(SHARES), inclusive=True)
    ]
    return p50, p75, p90, p95, p99
