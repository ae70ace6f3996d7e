"""Estimates: what is remembered in four numbers is what all events together say."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.estimates import (
    DAY_S,
    HOUR_S,
    ON_TIME,
    Belief,
    Chance,
    Decayed,
    Memory,
    Percentile,
    PriceRatio,
    Prior,
    pooled,
    share_within,
)

EVEN = Prior(0.5, 20.0)
steps = st.lists(
    st.tuples(st.floats(1, 2 * DAY_S), st.floats(0, 1), st.integers(1, 10**6)),
    min_size=1,
    max_size=12,
)
"""(seconds since the last, share of good ones, count)"""
priors = st.builds(Prior, st.floats(0, 1), st.floats(0.1, 100))
memories = st.builds(
    Memory,
    st.floats(60, DAY_S),
    st.floats(60, 7 * DAY_S),
    st.floats(0.1, 1000),
    st.floats(0.001, 10),
    st.floats(60, HOUR_S),
)


def told(chance: Chance, events: list[tuple[float, float, int]]) -> float:
    now_s = 0.0
    for wait_s, share, count in events:
        now_s += wait_s
        chance.update(now_s, share * count, count)
    return now_s


def naive_chance(
    memory: Memory, events: list[tuple[float, float, int]], at_s: float, prior: Prior
) -> float:
    """From the list of all events, each weighed by its age."""
    now_s, known = 0.0, list[tuple[float, float, float]]()
    for wait_s, share, count in events:
        silent_s = min(wait_s if known else memory.longest_s, memory.longest_s)
        now_s += wait_s
        known.append((now_s, share, 1 / (1 / count + 1 / (memory.evidence_per_s * silent_s))))

    def sums(half_life_s: float) -> tuple[float, float]:
        weights = [proves * 0.5 ** ((at_s - then) / half_life_s) for then, _, proves in known]
        good = [weight * share for weight, (_, share, _) in zip(weights, known, strict=True)]
        return math.fsum(good), math.fsum(weights)

    good, slow = sums(memory.slow_half_life_s)
    usual = (good + prior.worth * prior.chance) / (slow + prior.worth)
    good, fast = sums(memory.half_life_s)
    lean = min(memory.lean, slow + prior.worth)
    return (good + lean * usual) / (fast + lean)


@given(memories, steps, st.floats(0, 3 * DAY_S), priors)
def test_a_chance_is_what_all_events_say(
    memory: Memory, events: list[tuple[float, float, int]], later_s: float, prior: Prior
) -> None:
    """Remembering four numbers loses nothing against the list of all events."""
    chance = Chance(memory)
    at_s = told(chance, events) + later_s
    expected = naive_chance(memory, events, at_s, prior)
    assert chance.probability(at_s, prior) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(steps, st.floats(0, 3 * DAY_S), priors)
def test_a_chance_lies_among_what_was_seen(
    events: list[tuple[float, float, int]], later_s: float, prior: Prior
) -> None:
    """No estimate is better than the best or worse than the worst of what it is made of."""
    chance = Chance(ON_TIME)
    at_s = told(chance, events) + later_s
    seen = [prior.chance, *(share for _, share, _ in events)]
    found = chance.probability(at_s, prior)
    assert min(seen) - 1e-9 <= found <= max(seen) + 1e-9


@given(priors, st.floats(0, 1e9))
def test_without_any_event_the_prior_speaks(prior: Prior, at_s: float) -> None:
    """Nothing counted: the prior's chance, with the prior's worth and no more."""
    belief = Chance(ON_TIME).belief(at_s, prior)
    assert belief.mean == pytest.approx(prior.chance, abs=1e-12)
    assert belief.good + belief.bad == pytest.approx(min(prior.worth, ON_TIME.lean))


def test_the_fast_memory_leads_and_then_fades() -> None:
    """A good day and a bad half hour: now it is bad, six hours later it is as on other days."""
    chance, now_s = Chance(ON_TIME), 0.0
    for _ in range(48):
        now_s += HOUR_S / 2
        chance.update(now_s, 900, 1000)
    now_s += HOUR_S / 2
    chance.update(now_s, 100, 1000)
    assert chance.probability(now_s, EVEN) < 0.6
    assert chance.probability(now_s + 6 * HOUR_S, EVEN) > 0.8


def test_minutes_and_half_hours_say_the_same() -> None:
    """The same steady traffic by the minute or by the half hour makes nearly the same estimate."""
    found = []
    for step_s in (60, 1800):
        chance = Chance(ON_TIME)
        for at_s in range(step_s, 24 * 3600 + 1, step_s):
            share = 0.9 if at_s <= 22 * 3600 else 0.4
            chance.update(at_s, share * step_s, step_s)
        found.append(chance.probability(24 * HOUR_S, EVEN))
    assert found[0] == pytest.approx(found[1], abs=0.02)


@given(st.floats(1, HOUR_S), st.integers(1, 10**9))
def test_time_bounds_what_a_burst_proves(silent_s: float, count: int) -> None:
    """However many attempts share one moment's luck, they weigh no more than their time allows."""
    chance = Chance(ON_TIME)
    chance.update(0, 0, 1)
    before = chance.counted(silent_s)[1]
    chance.update(silent_s, count, count)
    assert chance.counted(silent_s)[1] - before <= ON_TIME.evidence_per_s * silent_s + 1e-9


@given(st.lists(steps, max_size=4), priors)
def test_the_pool_is_the_mean_of_what_offers_do(
    offers: list[list[tuple[float, float, int]]], else_: Prior
) -> None:
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
    assert chance.counted(1) == (0, 0)


def test_time_does_not_go_back() -> None:
    """An event before the last one is refused: it would be weighed as if it were new."""
    decayed = Decayed(60)
    decayed.add(10, 1, 1)
    with pytest.raises(ValueError, match="before"):
        decayed.add(9, 1, 1)
    with pytest.raises(ValueError, match="before"):
        decayed.read(9)


@given(
    st.lists(
        st.tuples(st.floats(0, DAY_S), st.floats(0.01, 100), st.floats(0.01, 100)),
        min_size=1,
        max_size=10,
    )
)
def test_a_price_ratio_is_of_sums(bills: list[tuple[float, float, float]]) -> None:
    """What was paid over what the list says, both weighed by age: not a mean of ratios."""
    ratio, now_s, then = PriceRatio(), 0.0, list[float]()
    for wait_s, effective, listed in bills:
        now_s += wait_s
        then.append(now_s)
        ratio.update(now_s, effective, listed)
    weights = [0.5 ** ((now_s - at_s) / DAY_S) for at_s in then]
    paid = sum(w * bill[1] for w, bill in zip(weights, bills, strict=True))
    lists = sum(w * bill[2] for w, bill in zip(weights, bills, strict=True))
    assert ratio.ratio(now_s) == pytest.approx(paid / lists)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_no_ratio_of_what_is_no_price(wrong: float) -> None:
    """Nothing known is None; zero, negative and infinite prices never become a ratio."""
    ratio = PriceRatio()
    assert ratio.ratio(0) is None
    for effective, listed in ((wrong, 1.0), (1.0, wrong)):
        with pytest.raises(ValueError, match="must be above 0"):
            ratio.update(0, effective, listed)
    assert ratio.ratio(0) is None


@given(st.floats(1, 1e5), st.floats(0.05, 3), st.floats(1, 1e6))
@example(1000.0, 1.0, 1000.0)
def test_a_lognormal_is_read_exactly(median: float, sigma: float, limit: float) -> None:
    """From three percentiles of a lognormal distribution its whole curve comes back."""
    normal = NormalDist()
    known = [
        Percentile(share, median * math.exp(sigma * normal.inv_cdf(share)))
        for share in (0.5, 0.9, 0.99)
    ]
    expected = normal.cdf(math.log(limit / median) / sigma)
    assert share_within(limit, known) == pytest.approx(expected, abs=1e-9)


@given(
    st.lists(st.floats(1, 1e6), min_size=3, max_size=3).map(sorted),
    st.lists(st.floats(1, 1e6), min_size=2, max_size=8).map(sorted),
)
def test_a_longer_limit_is_never_kept_less(values: list[float], limits: list[float]) -> None:
    """The share rises with the limit, whatever the percentiles, and passes through each of them."""
    shares = (0.5, 0.9, 0.99)
    known = [Percentile(*pair) for pair in zip(shares, values, strict=True)]
    found = [share_within(limit, known) for limit in limits]
    assert all(0 <= one <= after + 1e-12 for one, after in pairwise(found))
    if values[0] * 1.01 < values[1] and values[1] * 1.01 < values[2]:
        assert [share_within(value, known) for value in values] == pytest.approx(shares)


@pytest.mark.parametrize(
    ("limit", "known"),
    [
        (1.0, [Percentile(0.5, 1.0)]),
        (0.0, [Percentile(0.5, 1.0), Percentile(0.9, 2.0)]),
        (1.0, [Percentile(0.9, 1.0), Percentile(0.5, 2.0)]),
        (1.0, [Percentile(0.5, 2.0), Percentile(0.9, 1.0)]),
        (1.0, [Percentile(0.5, 0.0), Percentile(0.9, 1.0)]),
        (1.0, [Percentile(0.5, 1.0), Percentile(0.9, math.nan)]),
    ],
)
def test_what_is_no_distribution_is_refused(limit: float, known: list[Percentile]) -> None:
    """A feed's nonsense is an error, not a chance."""
    with pytest.raises(ValueError, match=r"percentiles|distribution"):
        share_within(limit, known)
