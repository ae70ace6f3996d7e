"""Drift: an offer that has become worse is found, and one that has not is left alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.evals.drift import (
    ALPHA,
    LIMIT,
    Against,
    Comparison,
    Measured,
    compare,
    cusum,
    holm,
    look,
    trend,
)

BEGAN = datetime(2026, 8, 1, tzinfo=UTC)


def measured(rng: np.random.Generator, right: Sequence[float], day: int) -> Measured:
    """A run in which each prompt is right with its own probability."""
    scores = {str(n): [float(rng.random() < p)] for n, p in enumerate(right)}
    return Measured(BEGAN + timedelta(days=day), scores)


def alone(_: str) -> list[str]:
    return []


def pairs(worse: int, better: int, same: int) -> tuple[dict[str, list[float]], ...]:
    """Scores of prompts, before and now, of which so many became worse and better."""
    changes = [(1.0, 0.0)] * worse + [(0.0, 1.0)] * better + [(1.0, 1.0)] * same
    before = {str(n): [old] for n, (old, _) in enumerate(changes)}
    return before, {str(n): [new] for n, (_, new) in enumerate(changes)}


@given(worse=st.integers(0, 40), better=st.integers(0, 40), same=st.integers(8, 30))
def test_of_single_answers_it_is_mcnemar(worse: int, better: int, same: int) -> None:
    """One answer before and one now: the binomial distribution of those that changed decides."""
    before, now = pairs(worse, better, same)
    found = compare("a", Against.ITS_PAST, before, now, np.random.default_rng(1))
    assert found is not None
    changed = worse + better
    tail = sum(math.comb(changed, count) for count in range(worse, changed + 1))
    assert found.p == pytest.approx(tail / 2**changed, rel=1e-9)
    assert (found.worse, found.better, found.prompts) == (worse, better, changed + same)
    assert found.drop == pytest.approx((worse - better) / (changed + same))


def test_mcnemar_as_published() -> None:
    """Agresti, Categorical Data Analysis, 10.1.4: approval before and after, 150 and 86 changed:
    z = 4.17, one-sided by the normal distribution 1.5e-5."""
    before, now = pairs(150, 86, 1364)
    found = compare("a", Against.ITS_PAST, before, now, np.random.default_rng(1))
    assert found is not None
    assert found.p == pytest.approx(1.7e-5, rel=0.2)


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=2),
            st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=2),
        ),
        min_size=8,
        max_size=8,
    ),
    st.booleans(),
)
def test_orders_are_those_there_are(
    prompts: list[tuple[list[float], list[float]]], is_binary: bool
) -> None:
    """Against every order of every prompt's scores, in which any may have been the new ones: by a
    convolution over prompts. Grades are drawn, rights and wrongs exact."""
    if is_binary:
        prompts = [([round(a) for a in old], [round(b) for b in new]) for old, new in prompts]
    before = {str(n): old for n, (old, _) in enumerate(prompts)}
    now = {str(n): new for n, (_, new) in enumerate(prompts)}
    found = compare("a", Against.ITS_PAST, before, now, np.random.default_rng(1))
    assert found is not None
    exact: dict[float, float] = {0.0: 1.0}
    seen = 0.0
    for old, new in prompts:
        scores = old + new
        seen += sum(new) / len(new) - sum(old) / len(old)
        ways = list(combinations(range(len(scores)), len(new)))
        after: dict[float, float] = {}
        for total, chance in exact.items():
            for way in ways:
                some = sum(scores[one] for one in way)
                step = some / len(new) - (sum(scores) - some) / len(old)
                key = round(total + step, 9)
                after[key] = after.get(key, 0.0) + chance / len(ways)
        exact = after
    p = sum(chance for total, chance in exact.items() if total <= seen + 1e-6)
    assert found.p == pytest.approx(p, abs=1e-6 if is_binary else 0.05)


def test_holm_by_hand() -> None:
    """Holm 1979: the smallest times their number, the next times one less, never falling."""
    ps = [0.01, 0.04, 0.03, 0.005]
    found = [Comparison("a", Against.ITS_PAST, 9, 1, 1, 0, 0, 0, 0, p) for p in ps]
    assert [one.p_adjusted for one in holm(found)] == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_no_change_hardly_ever_alarms() -> None:
    """250 looks at three offers that stay as they are, each with three runs: in at most 1% there is
    any alarm, however many comparisons there are (and a few by luck). Prompts differ in how hard
    they are, and that alarms nobody."""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(250):
        right = rng.beta(4, 1, 40).tolist()
        runs = {name: [measured(rng, right, day) for day in range(3)] for name in "abc"}
        alarms += bool(look(runs, lambda _: list("abc"), rng).alarms)
    assert alarms / 250 <= ALPHA + 3 * math.sqrt(ALPHA / 250)


def test_a_drop_is_found_by_the_next_run() -> None:
    """From about 80% to about 60% on 200 prompts: within one run nearly always; and it is that
    offer which is named, against its past and against the others of its model."""
    rng = np.random.default_rng(8)
    found = 0
    for _ in range(40):
        right = rng.beta(8, 2, 200)
        worse = np.clip(right - 0.2, 0, 1)
        easy = right.tolist()
        runs = {name: [measured(rng, easy, day) for day in range(3)] for name in "abc"}
        runs["b"][-1] = measured(rng, worse.tolist(), 2)
        seen = look(runs, lambda _: list("abc"), rng)
        assert {one.offer for one in seen.alarms} <= {"b"}
        named = {one.against for one in seen.alarms}
        found += {Against.ITS_PAST, Against.OTHERS} <= named
        for one in seen.comparisons:
            if one.offer == "b":
                assert one.low <= one.drop <= one.high
    assert found >= 38


def test_what_was_always_worse_shows_beside_the_others() -> None:
    """An offer that was quantized before we first looked differs from no past, but from others."""
    rng = np.random.default_rng(9)
    right = rng.beta(8, 2, 150)
    worse = np.clip(right - 0.25, 0, 1)
    runs = {
        "a": [measured(rng, right.tolist(), 0)],
        "b": [measured(rng, right.tolist(), 0)],
        "c": [measured(rng, worse.tolist(), 0)],
    }
    seen = look(runs, lambda _: list("abc"), rng)
    assert {(one.offer, one.against) for one in seen.alarms} == {("c", Against.OTHERS)}
    assert not look(runs, alone, rng).alarms


def test_a_creeping_drop_adds_up() -> None:
    """Eight points on 150 prompts: hardly ever enough for one run, nearly always within ten; and
    where nothing changes, the CUSUM stays below its limit through 40 runs, but for a few."""
    rng = np.random.default_rng(10)
    found = at_once = false = 0
    for _ in range(60):
        right = rng.beta(8, 2, 150)
        worse = np.clip(right - 0.08, 0, 1).tolist()
        steady = [measured(rng, right.tolist(), day) for day in range(40)]
        down = steady[:8] + [measured(rng, worse, day) for day in range(8, 18)]
        path = [value or 0.0 for value in cusum([one.scores for one in down])]
        found += max(path[8:]) > LIMIT
        at_once += path[8] > LIMIT
        false += max(value or 0.0 for value in cusum([one.scores for one in steady])) > LIMIT
    assert found >= 54
    assert at_once <= 12
    assert false <= 6


def test_a_trend_is_an_alarm() -> None:
    """With since when, and by how much; and it is over when the offer is as before."""
    rng = np.random.default_rng(11)
    right = rng.beta(8, 2, 200)
    worse = np.clip(right - 0.12, 0, 1).tolist()
    runs = [measured(rng, right.tolist(), day) for day in range(6)]
    runs += [measured(rng, worse, day) for day in range(6, 12)]
    alarms = look({"a": runs}, alone, rng).alarms
    (alarm,) = [one for one in alarms if one.against is Against.TREND]
    assert 0.05 < alarm.size < 0.2
    found = trend("a", runs)
    assert found is not None
    assert found.since is not None
    assert BEGAN + timedelta(days=5) <= found.since <= BEGAN + timedelta(days=7)
    runs += [measured(rng, right.tolist(), day) for day in range(12, 24)]
    assert Against.TREND not in {one.against for one in look({"a": runs}, alone, rng).alarms}


def test_other_prompts_are_not_compared() -> None:
    """A run of other prompts, or of too few of the same, says nothing of a drop."""
    before = Measured(BEGAN, {str(n): [1.0] for n in range(50)})
    others = Measured(BEGAN + timedelta(days=1), {f"x{n}": [0.0] for n in range(50)})
    few = Measured(BEGAN + timedelta(days=2), {str(n): [0.0] for n in range(7)})
    for newest in (others, few):
        seen = look({"a": [before, newest]}, alone, np.random.default_rng(1))
        assert (seen.comparisons, seen.trends, seen.alarms) == ((), (), ())
