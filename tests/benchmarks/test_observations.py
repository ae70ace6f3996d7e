"""Observations: honest percentiles of the last minutes, in bounded memory."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.observations import (
    RECENT_S,
    UNSEEN,
    WINDOW,
    Observation,
    Observations,
    Outcome,
    quantile,
)

times = st.floats(0, 1e6, allow_nan=False)
notes = st.lists(
    st.builds(
        Observation,
        st.floats(0, 2 * RECENT_S),
        st.sampled_from(Outcome),
        st.none() | times,
        st.none() | times,
    ),
    max_size=40,
)


def naive_quantile(values: list[float], percent: int) -> float | None:
    """The smallest value that at least so many percent of all values do not exceed, by counting."""
    enough = [
        one
        for one in values
        if Fraction(sum(other <= one for other in values), len(values)) >= Fraction(percent, 100)
    ]
    return min(enough, default=None)


@given(st.lists(times, max_size=60), st.integers(1, 100))
def test_quantiles_against_counting(values: list[float], percent: int) -> None:
    """A percentile is one of the values seen, found by its definition."""
    assert quantile(sorted(values), percent / 100) == naive_quantile(values, percent)


def test_quantiles_at_exact_ranks() -> None:
    """Where a share is exactly a rank, rounding in floats does not push it to the next value."""
    for size in range(1, WINDOW + 1):
        values = [float(one) for one in range(size)]
        for percent in (1, 5, 50, 90, 95, 99, 100):
            assert quantile(values, percent / 100) == -(-size * percent // 100) - 1


@given(notes, st.floats(0, 3 * RECENT_S))
def test_what_was_seen_lately(found: list[Observation], now_s: float) -> None:
    """Rates and percentiles of the attempts of the last minutes, and None without any."""
    observations = Observations()
    for one in found:
        observations.note("a", one)
    recent = [one for one in found if now_s - one.at_s <= RECENT_S]
    seen = observations.seen("a", now_s)
    if not recent:
        assert seen == UNSEEN
        return
    ttft = [one.ttft_ms for one in recent if one.ttft_ms is not None]
    gaps = [one.inter_token_ms for one in recent if one.inter_token_ms is not None]
    assert seen.attempts == len(recent)
    assert seen.ttft_ms_p50 == naive_quantile(ttft, 50)
    assert seen.ttft_ms_p95 == naive_quantile(ttft, 95)
    assert seen.inter_token_ms_p50 == naive_quantile(gaps, 50)
    assert seen.inter_token_ms_p95 == naive_quantile(gaps, 95)
    outcomes = [one.outcome for one in recent]
    assert seen.error_rate == outcomes.count(Outcome.FAILED) / len(recent)
    assert seen.rate_limited_rate == outcomes.count(Outcome.RATE_LIMITED) / len(recent)


def test_memory_is_bounded_and_the_newest_count() -> None:
    """Of many attempts only the last are remembered."""
    observations = Observations()
    for number in range(3 * WINDOW):
        outcome = Outcome.FAILED if number < 2 * WINDOW else Outcome.ANSWERED
        observations.note("a", Observation(0.0, outcome, float(number)))
    seen = observations.seen("a", 0.0)
    assert (seen.attempts, seen.error_rate) == (WINDOW, 0.0)
    assert seen.ttft_ms_p50 is not None
    assert seen.ttft_ms_p50 >= 2 * WINDOW


def test_old_attempts_are_forgotten() -> None:
    """What is older than the window of time says nothing, to the second."""
    observations = Observations()
    observations.note("a", Observation(0.0, Outcome.FAILED))
    assert observations.seen("a", RECENT_S).attempts == 1
    assert observations.seen("a", RECENT_S + 0.001) == UNSEEN
    assert observations.seen("b", 0.0) == UNSEEN
