"""Observations: honest percentiles of the last minutes, in bounded memory, known to all workers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stats import Percentiles, Stats
from benchmarks.traffic.chances import Luck
from benchmarks.traffic.observations import (
    MINUTE_S,
    RECENT_MINUTES,
    SKETCH_K,
    UNSEEN,
    Observation,
    Observations,
    Outcome,
)

SPAN_S = RECENT_MINUTES * MINUTE_S
times = st.floats(0, 1e6, allow_nan=False, width=32)
notes = st.lists(
    st.builds(
        Observation,
        st.floats(0, 2 * SPAN_S),
        st.sampled_from(Outcome),
        st.none() | times,
        st.none() | times,
    ),
    max_size=40,
).map(lambda found: sorted(found, key=lambda one: one.at_s))


def naive_quantile(values: list[float], share: float) -> float | None:
    """The smallest value that at least such a share of all values does not exceed, by counting."""
    enough = [
        one for one in values if sum(other <= one for other in values) >= share * len(values) - 1e-9
    ]
    return min(enough, default=None)


@given(notes, st.floats(0, 3 * SPAN_S))
def test_what_was_seen_lately(found: list[Observation], later_s: float) -> None:
    """Rates and percentiles of the attempts of the last minutes, and None without any. A sketch
    that has not been shortened yet is exact."""
    observations = Observations()
    for one in found:
        observations.note("a", one)
    now_s = max((one.at_s for one in found), default=0.0) + later_s
    oldest = now_s // MINUTE_S - RECENT_MINUTES
    recent = [one for one in found if one.at_s // MINUTE_S > oldest]
    seen = observations.seen("a", now_s)
    if not recent:
        assert seen == UNSEEN
        return
    ttft = [one.ttft_ms for one in recent if one.ttft_ms is not None]
    gaps = [one.inter_token_ms for one in recent if one.inter_token_ms is not None]
    assert seen.attempts == len(recent)
    assert seen.ttft_ms_p50 == naive_quantile(ttft, 0.50)
    assert seen.ttft_ms_p90 == naive_quantile(ttft, 0.90)
    assert seen.ttft_ms_p99 == naive_quantile(ttft, 0.99)
    assert seen.inter_token_ms_p75 == naive_quantile(gaps, 0.75)
    assert seen.inter_token_ms_p95 == naive_quantile(gaps, 0.95)
    outcomes = [one.outcome for one in recent]
    broke = outcomes.count(Outcome.TRUNCATED)
    assert seen.error_rate == (outcomes.count(Outcome.FAILED) + broke) / len(recent)
    assert seen.rate_limited_rate == outcomes.count(Outcome.RATE_LIMITED) / len(recent)
    assert seen.truncated_rate == broke / len(recent)


@given(notes, notes, st.lists(st.booleans(), max_size=12))
def test_workers_see_what_all_of_them_see(
    ours: list[Observation], theirs: list[Observation], told_between: list[bool]
) -> None:
    """What two workers tell each other, however often, is what one would have seen of both."""
    one, other, both = Observations(), Observations(), Observations()
    for number, note in enumerate(sorted((*ours, *theirs), key=lambda found: found.at_s)):
        both.note("a", note)
        (one if any(note is own for own in ours) else other).note("a", note)
        if number < len(told_between) and told_between[number]:
            for told in other.published():
                one.absorb("other", told)
    for told in other.published():
        one.absorb("other", told)
    now_s = max((found.at_s for found in (*ours, *theirs)), default=0.0)
    assert one.seen("a", now_s) == both.seen("a", now_s)


def test_memory_is_bounded_however_much_is_seen() -> None:
    """A hundred thousand attempts in one minute, and minutes without end, keep some kilobytes; the
    ranks of what is told stay right to two percent."""
    observations = Observations()
    for number in range(100_000):
        observations.note("a", Observation(0.0, Outcome.ANSWERED, float(number % 10_000)))
    seen = observations.seen("a", 0.0)
    assert seen.attempts == 100_000
    assert seen.ttft_ms_p50 is not None
    assert seen.ttft_ms_p99 is not None
    assert abs(seen.ttft_ms_p50 - 5000) < 200
    assert abs(seen.ttft_ms_p99 - 9900) < 200
    for minute in range(1000):
        observations.note("a", Observation(minute * 60.0, Outcome.ANSWERED, 1.0))
    told = observations.published()
    assert len(told) <= RECENT_MINUTES
    assert all(len(one.ttft_ms) < 20 * SKETCH_K for one in told)


def test_a_clock_that_is_set_back() -> None:
    """What is seen then counts in the newest minute: nothing is lost, nothing raises."""
    observations = Observations()
    observations.note("a", Observation(600.0, Outcome.ANSWERED, 5.0))
    observations.note("a", Observation(0.0, Outcome.FAILED))
    assert observations.seen("a", 600.0).attempts == 2


def test_what_was_summed_up_holds_until_there_is_news() -> None:
    """Within a minute, of an offer of which nothing new is heard, nothing is worked out again; an
    attempt of ours, another worker's, or the next minute, counts at once."""
    observations, others = Observations(), Observations()
    for one in (observations, others):
        one.note("a", Observation(0.0, Outcome.ANSWERED, 100.0))
    first = observations.seen("a", 1.0)
    assert observations.seen("a", 59.0) is first
    observations.note("a", Observation(59.0, Outcome.FAILED))
    assert observations.seen("a", 59.0).attempts == 2
    (told,) = others.published()
    observations.absorb("another", told)
    assert observations.seen("a", 59.0).attempts == 3
    assert observations.seen("a", 60.0 + SPAN_S).attempts == 0


@given(st.none() | st.floats(0, 1), st.none() | st.floats(1, 1e5), st.floats(1, 1e5))
def test_nobody_asked(uptime: float | None, ttft_ms: float | None, limit_ms: float) -> None:
    """Of an offer that nobody has asked just what would be believed of one without attempts."""
    told = Stats(datetime(2026, 11, 20, tzinfo=UTC), "x", Percentiles(ttft_ms), uptime_1d=uptime)
    for stats in (None, told):
        one = Observations().chances("a", limit_ms, 60.0, stats)
        other = Luck(limit_ms).chances(60.0, stats)
        assert one.success == pytest.approx(other.success)
        assert one.on_time == pytest.approx(other.on_time)
        assert (one.weight, one.lately_good) == (other.weight, other.lately_good) == (0, 0)


def test_chances_follow_what_is_seen() -> None:
    """Nobody seen: likely. Failures and late ones lower them within a minute; each limit on time
    has chances of its own."""
    observations = Observations({"a": [100.0, 1000.0]})
    before = observations.chances("a", 100.0, 0.0)
    assert before.success > 0.9
    assert before.on_time > 0.95
    assert before.weight == 0
    for at_s in range(60):
        observations.note("a", Observation(float(at_s), Outcome.ANSWERED, 500.0))
        observations.note("a", Observation(float(at_s), Outcome.FAILED))
        observations.note("a", Observation(float(at_s), Outcome.OVERTAKEN, 50.0))
    strict, lenient = (observations.chances("a", limit, 60.0) for limit in (100.0, 1000.0))
    assert strict.on_time < 0.5 < 0.95 < lenient.on_time
    assert strict.success == lenient.success < 0.75
    assert strict.weight > 5


@given(st.lists(st.floats(0.0, 3.0), max_size=200))
def test_what_is_paid_of_a_price(ratios: list[float]) -> None:
    """Between the least and the most that answers cost of what was expected, and 1; the more
    answers, the nearer to their mean. One odd answer counts as twice the price at most."""
    observations = Observations()
    assert observations.price_ratio("a", 0.0) == 1.0
    for ratio in ratios:
        observations.note_cost("a", 0.0, ratio)
    bounded = [min(one, 2.0) for one in ratios]
    found = observations.price_ratio("a", 0.0)
    assert found == pytest.approx((sum(bounded) + 10) / (len(bounded) + 10))
    other = Observations()
    for told in observations.published():
        other.absorb("one", told)
    assert other.price_ratio("a", 0.0) == pytest.approx(found)
