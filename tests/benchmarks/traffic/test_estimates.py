"""Estimates: what is remembered in a few numbers is what all events together say."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from statistics import NormalDist

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.stats import Percentiles, Stats
from benchmarks.traffic.estimates import (
    DAY_S,
    DERANKED_ANSWERED,
    HOUR_S,
    LIKELY_ANSWERED,
    LIKELY_ON_TIME,
    ON_TIME,
    SPAN_S,
    SUCCESS,
    Belief,
    Chance,
    Decayed,
    Memory,
    Prior,
    on_time_prior,
    pooled,
    share_within,
    success_prior,
)

EVEN = Prior(0.5, 20.0)
CALM = replace(ON_TIME, surprise=1.1)
"""Never surprised: what it believes is sums alone."""
windows = st.lists(
    st.tuples(st.floats(1, 2 * DAY_S), st.floats(0, 1), st.integers(1, 10**6), st.floats(1, DAY_S)),
    min_size=1,
    max_size=12,
)
"""(seconds since the last, share of good ones, count, seconds that it covers)"""
Window = tuple[float, float, int, float]
priors = st.builds(Prior, st.floats(0, 1), st.floats(0.1, 100))
memories = st.builds(
    Memory,
    half_life_s=st.floats(60, DAY_S),
    slow_half_life_s=st.floats(60, 7 * DAY_S),
    lean=st.floats(0.1, 1000),
    evidence_per_s=st.floats(0.001, 10),
    surprise=st.just(1.1),
)


def told(chance: Chance, events: list[Window]) -> float:
    now_s = 0.0
    for wait_s, share, count, span_s in events:
        now_s += wait_s
        chance.window(now_s, share * count, count, span_s)
    return now_s


def naive_chance(memory: Memory, events: list[Window], at_s: float, prior: Prior) -> float:
    """From the list of all events, each weighed by its age."""
    now_s, known = 0.0, list[tuple[float, float, float]]()
    for wait_s, share, count, span_s in events:
        now_s += wait_s
        known.append((now_s, share, 1 / (1 / count + 1 / (memory.evidence_per_s * span_s))))

    def sums(half_life_s: float) -> tuple[float, float]:
        weights = [proves * 0.5 ** ((at_s - then) / half_life_s) for then, _, proves in known]
        good = [weight * share for weight, (_, share, _) in zip(weights, known, strict=True)]
        return math.fsum(good), math.fsum(weights)

    good, slow = sums(memory.slow_half_life_s)
    usual = (good + prior.worth * prior.chance) / (slow + prior.worth)
    good, fast = sums(memory.half_life_s)
    lean = min(memory.lean, slow + prior.worth)
    return (good + lean * usual) / (fast + lean)


@given(memories, windows, st.floats(0, 3 * DAY_S), priors)
def test_a_chance_is_what_all_events_say(
    memory: Memory, events: list[Window], later_s: float, prior: Prior
) -> None:
    """Remembering a few numbers loses nothing against the list of all events."""
    chance = Chance(memory)
    at_s = told(chance, events) + later_s
    expected = naive_chance(memory, events, at_s, prior)
    assert chance.probability(at_s, prior) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(windows, st.floats(0, 3 * DAY_S), priors)
def test_a_chance_lies_among_what_was_seen(
    events: list[Window], later_s: float, prior: Prior
) -> None:
    """No estimate is better than the best or worse than the worst of what it is made of."""
    chance = Chance(ON_TIME)
    at_s = told(chance, events) + later_s
    seen = [prior.chance, *(share for _, share, _, _ in events)]
    found = chance.probability(at_s, prior)
    assert min(seen) - 1e-9 <= found <= max(seen) + 1e-9


@given(st.lists(st.tuples(st.floats(0, SPAN_S - 1), st.booleans()), min_size=1, max_size=15))
def test_attempts_of_a_minute_add_up(attempts: list[tuple[float, bool]]) -> None:
    """One by one in any order, or all at once: the same, for what other workers tell comes late."""
    one_by_one, at_once = Chance(CALM), Chance(CALM)
    one_by_one.update(1000.0, 1, 1)
    for after_s, is_good in attempts:
        one_by_one.update(1000.0 + after_s, is_good, 1)
    at_once.update(1000.0, 1 + sum(is_good for _, is_good in attempts), 1 + len(attempts))
    assert one_by_one.probability(1100, EVEN) == pytest.approx(at_once.probability(1100, EVEN))


@given(priors, st.floats(0, 1e9))
def test_without_any_event_the_prior_speaks(prior: Prior, at_s: float) -> None:
    """Nothing counted: the prior's chance, with the prior's worth and no more."""
    belief = Chance(ON_TIME).belief(at_s, prior)
    assert belief.mean == pytest.approx(prior.chance, abs=1e-12)
    assert belief.good + belief.bad == pytest.approx(min(prior.worth, ON_TIME.lean))


def test_the_fast_memory_leads_and_then_fades() -> None:
    """A good day and a bad half hour: now it is bad, six hours later it is as on other days."""
    chance, now_s = Chance(ON_TIME), 0.0
    for share in [0.9] * 48 + [0.1]:
        now_s += HOUR_S / 2
        chance.window(now_s, 1000 * share, 1000, HOUR_S / 2)
    assert chance.probability(now_s, EVEN) < 0.4
    assert chance.probability(now_s + 6 * HOUR_S, EVEN) > 0.8


def test_an_outage_is_seen_at_once_and_so_is_its_end() -> None:
    """After an hour of good minutes, three failures in a row are news; so are as many answers."""
    chance = Chance(SUCCESS)
    for second in range(3600):
        chance.update(second, 1, 1)
    before = chance.probability(3600, EVEN)
    found = []
    for second in range(3700, 3706):
        chance.update(second, 0, 1)
        found.append(chance.probability(second, EVEN))
    assert before > 0.97
    assert found[1] > 0.9
    assert found[2] < 0.4
    for second in range(3800, 3810):
        chance.update(second, 1, 1)
    assert chance.probability(3810, EVEN) > 0.9


def test_news_of_a_busy_offer_comes_within_its_next_attempts() -> None:
    """Twenty attempts a second: an outage in the middle of one is plain within two seconds."""
    chance = Chance(SUCCESS)
    for tick in range(20 * 600 + 10):
        chance.update(tick / 20, 1, 1)
    for tick in range(20 * 600 + 10, 20 * 602):
        chance.update(tick / 20, 0, 1)
    assert chance.probability(602, EVEN) < 0.4


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.98))
@settings(max_examples=10)
def test_luck_is_no_news(seed: int, share: float) -> None:
    """A constant share with nothing but chance in it is estimated within what chance leaves."""
    draws, chance = Random(seed), Chance(SUCCESS)
    for minute in range(6 * 60):
        good = sum(draws.random() < share for _ in range(15))
        chance.update(60.0 * minute, good, 15)
    assert chance.probability(6 * HOUR_S, EVEN) == pytest.approx(share, abs=0.12)


def test_minutes_and_half_hours_say_the_same() -> None:
    """The same steady traffic by the minute or by the half hour makes nearly the same estimate."""
    by_minute, by_half_hour = Chance(CALM), Chance(CALM)
    for minute in range(1, 24 * 60 + 1):
        share = 0.9 if minute <= 22 * 60 else 0.4
        by_minute.update(60.0 * minute, share * 100, 100)
        if minute % 30 == 0:
            by_half_hour.window(60.0 * minute, share * 3000, 3000, 1800)
    found = [one.probability(24 * HOUR_S, EVEN) for one in (by_minute, by_half_hour)]
    assert found[0] == pytest.approx(found[1], abs=0.02)


@given(st.floats(1, HOUR_S), st.integers(1, 10**9))
def test_time_bounds_what_a_burst_proves(span_s: float, count: int) -> None:
    """However many attempts share one moment's luck, they weigh no more than their time allows."""
    chance = Chance(CALM)
    chance.window(0, count, count, span_s)
    assert chance.counted(0)[1] <= CALM.evidence_per_s * span_s + 1e-9


@given(st.lists(windows, max_size=4), priors)
def test_the_pool_is_the_mean_of_what_offers_do(offers: list[list[Window]], else_: Prior) -> None:
    """The prior for a new offer: all counts of the model's offers together, and the default's."""
    chances = [Chance(ON_TIME) for _ in offers]
    at_s = max((told(one, events) for one, events in zip(chances, offers, strict=True)), default=0)
    sums = [one.counted(at_s) for one in chances]
    good = else_.worth * else_.chance + sum(good for good, _ in sums)
    count = else_.worth + sum(count for _, count in sums)
    found = pooled(chances, at_s, else_)
    assert found.chance == pytest.approx(good / count)
    assert found.worth == else_.worth


@given(st.floats(0.01, 1000), st.floats(0.01, 1000))
def test_the_mean_of_a_belief(good: float, bad: float) -> None:
    """The mean of a Beta distribution is the good share of its counts."""
    assert Belief(good, bad).mean == pytest.approx(good / (good + bad))


@pytest.mark.parametrize(("good", "count"), [(2, 1), (-1, 1), (math.nan, 1), (math.inf, math.inf)])
def test_counts_that_cannot_be_are_refused(good: float, count: float) -> None:
    """More good ones than all, fewer than none, and what is no number, change nothing."""
    chance = Chance(ON_TIME)
    with pytest.raises(ValueError, match="cannot be"):
        chance.update(1, good, count)
    with pytest.raises(ValueError, match="cannot be"):
        chance.window(1, good, count, 60)
    assert chance.counted(1) == (0, 0)


def test_a_clock_that_is_set_back_counts_as_now() -> None:
    """An event from before the last one is not lost, and nothing grows by going back."""
    decayed = Decayed(60)
    decayed.add(100, 1, 2)
    decayed.add(40, 1, 2)
    assert decayed.read(100) == (2, 4)
    assert decayed.read(0) == (2, 4)
    assert decayed.read(160) == pytest.approx((1, 2))


@given(st.lists(st.tuples(st.floats(0, DAY_S), st.floats(0.01, 100), st.floats(0.01, 100))))
def test_what_decays_is_sums(bills: list[tuple[float, float, float]]) -> None:
    """What was paid, and what was expected, both weighed by age: not a mean of ratios."""
    decayed, now_s, then = Decayed(DAY_S), 0.0, list[float]()
    for wait_s, paid, priced in bills:
        now_s += wait_s
        then.append(now_s)
        decayed.add(now_s, paid, priced)
    weights = [0.5 ** ((now_s - at_s) / DAY_S) for at_s in then]
    sums = [sum(w * bill[n] for w, bill in zip(weights, bills, strict=True)) for n in (1, 2)]
    assert decayed.read(now_s) == pytest.approx(tuple(sums))


@given(st.floats(1, 1e5), st.floats(0.05, 3), st.floats(1, 1e6))
@example(1000.0, 1.0, 1000.0)
def test_a_lognormal_is_read_exactly(median: float, sigma: float, limit: float) -> None:
    """From three percentiles of a lognormal distribution its whole curve comes back."""
    normal = NormalDist()
    known = [
        (share, median * math.exp(sigma * normal.inv_cdf(share))) for share in (0.5, 0.9, 0.99)
    ]
    expected = normal.cdf(math.log(limit / median) / sigma)
    assert share_within(limit, known) == pytest.approx(expected, abs=1e-9)


@given(
    st.lists(st.floats(1, 1e6), min_size=1, max_size=3).map(sorted),
    st.lists(st.floats(1, 1e6), min_size=2, max_size=8).map(sorted),
)
def test_a_longer_limit_never_keeps_less(values: list[float], limits: list[float]) -> None:
    """The share rises with the limit, whatever the percentiles, and passes through each of them."""
    shares = (0.5, 0.9, 0.99)
    known = list(zip(shares, values, strict=False))
    found = [share_within(limit, known) for limit in limits]
    assert all(0 <= one <= after + 1e-12 for one, after in pairwise(found))
    if all(one * 1.01 < after for one, after in pairwise(values)):
        expected = shares[: len(values)]
        assert [share_within(value, known) for value in values] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("limit", "known"),
    [
        (1.0, []),
        (0.0, [(0.5, 1.0), (0.9, 2.0)]),
        (1.0, [(0.9, 1.0), (0.5, 2.0)]),
        (1.0, [(0.5, 2.0), (0.9, 1.0)]),
        (1.0, [(0.5, 0.0), (0.9, 1.0)]),
        (1.0, [(0.5, 1.0), (0.9, math.nan)]),
    ],
)
def test_what_is_no_distribution_is_refused(limit: float, known: list[tuple[float, float]]) -> None:
    """A feed's nonsense is an error, not a chance."""
    with pytest.raises(ValueError, match=r"percentiles|distribution"):
        share_within(limit, known)


NOON = datetime(2026, 7, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stats", "chance"),
    [
        (None, LIKELY_ANSWERED),
        (Stats(NOON, "feed"), LIKELY_ANSWERED),
        (Stats(NOON, "feed", status=0), LIKELY_ANSWERED),
        (Stats(NOON, "feed", status=-2), DERANKED_ANSWERED),
        (Stats(NOON, "feed", status=-2, uptime_30m=0.99), 0.99),
        (Stats(NOON, "feed", uptime_1d=0.5, uptime_5m=0.9), 0.9),
        (Stats(NOON, "feed", uptime_5m=1.0, success=60, failed=20, rate_limited=20), 0.6),
        (Stats(NOON, "feed", success=0, failed=0, rate_limited=0), LIKELY_ANSWERED),
    ],
)
def test_a_prior_of_success(stats: Stats | None, chance: float) -> None:
    """What a feed counts comes before its uptimes, and these before its status."""
    assert success_prior(stats).chance == pytest.approx(chance, abs=0.01)


def test_a_prior_of_being_on_time() -> None:
    """A feed's percentiles are read at the limit; without any, offers are as they usually are."""
    told = Stats(NOON, "feed", ttft_ms=Percentiles(p50=400.0, p90=1000.0))
    assert on_time_prior(told, 400.0).chance == pytest.approx(0.5)
    assert on_time_prior(told, 1000.0).chance == pytest.approx(0.9)
    assert on_time_prior(None, 400.0).chance == LIKELY_ON_TIME
    assert on_time_prior(Stats(NOON, "feed"), 400.0).chance == LIKELY_ON_TIME


def test_bad_ones_in_a_row_are_believed_though_the_minute_began_well() -> None:
    """Five late answers after fifteen in time, all within one minute, are news; the same five
    spread over the minute are not."""
    prior = Prior(0.98, 5.0)
    streak, spread = Chance(ON_TIME), Chance(ON_TIME)
    for second in range(3600):
        for chance in (streak, spread):
            chance.update(float(second), 1.0, 1.0)
    for number in range(20):
        at_s = 3600.0 + 2.0 * number
        streak.update(at_s, float(number < 15), 1.0)
        spread.update(at_s, float(number % 4 != 3), 1.0)
    assert streak.probability(3640.0, prior) < 0.25
    assert spread.probability(3640.0, prior) > 0.6
