"""The replay's arithmetic: sums by brute force, nobody beats the clairvoyant, nothing leaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.histories import (
    WINDOW_S,
    Endpoint,
    Floats,
    History,
    Prices,
    Size,
    Windows,
)
from tests.evaluate.knowledge import expected_costs, learn
from tests.evaluate.ours import clairvoyant, ordered, stakes_of
from tests.evaluate.own_traffic import Setup, Trying
from tests.evaluate.own_traffic import run as run_own
from tests.evaluate.replay import NOBODY, Cells, cells, facts, on_time, play
from tests.evaluate.rules import RULES, market
from tests.evaluate.scores import Book

NOON_S = datetime(2026, 7, 20, 12, tzinfo=UTC).timestamp()
MODELS = {"elm": Size(1000.0, 200.0), "oak": Size(50_000.0, 900.0)}
seeds = st.integers(0, 2**32 - 1)


def history(seed: int, windows: int = 8, offers: int = 3) -> History:
    """Two models, each with some offers, seen for some half hours with a few gaps."""
    draws = np.random.default_rng(seed)
    endpoints = tuple(
        Endpoint(model, "standard", f"provider-{number}", is_free=False)
        for model in MODELS
        for number in range(offers)
    )
    shape = (windows, len(endpoints))
    middle = draws.lognormal(6.5, 0.5, shape)
    answered = draws.integers(20, 2000, shape).astype(float)
    prices = Prices(draws.lognormal(0, 0.5, shape), draws.lognormal(1, 0.5, shape))
    ends_s = NOON_S + np.cumsum(draws.choice([WINDOW_S, 2 * WINDOW_S], windows))
    days = tuple(datetime.fromtimestamp(end_s, UTC).date() for end_s in ends_s.tolist())
    return History(
        endpoints=endpoints,
        sizes=MODELS,
        ends_s=ends_s,
        days=days,
        seen=Windows(
            ttft_ms_p50=middle,
            ttft_ms_p90=middle * draws.uniform(1, 3, shape),
            ttft_ms_p99=middle * draws.uniform(3, 9, shape),
            tokens_per_s=draws.uniform(5, 90, shape),
            requests=answered,
            answered=answered,
            failed=draws.integers(0, 200, shape).astype(float),
            rate_limited=draws.integers(0, 600, shape).astype(float),
        ),
        before=prices,
        charged=prices,
        status_before=draws.choice([0.0, -2.0], shape),
        effective_since=date(2026, 7, 17),
        effective=draws.uniform(0.2, 1.0, (6, len(endpoints))),
    )


def judged(known: History, *, is_effective: bool = False) -> Cells:
    return cells(known, facts(known, on_time(known), is_effective))


@given(seeds)
@settings(max_examples=20)
def test_play_is_the_sum_over_outcomes(seed: int) -> None:
    """Cost, answers and answers in time of a row, by walking through every outcome of it."""
    each = judged(history(seed))
    draws = np.random.default_rng(seed)
    rows = np.array([draws.permutation([0, 1, NOBODY])[: each.there.sum()] for _ in each.windows])
    rows = np.where(rows == NOBODY, 2, rows)
    tally = play(each, rows)
    for cell, row in enumerate(rows.tolist()):
        cost = answered = in_time = 0.0
        for outcomes in product([True, False], repeat=len(row)):
            chance = 1.0
            for column, is_good in zip(row, outcomes, strict=True):
                success = each.success[cell, column]
                chance *= success if is_good else 1 - success
            if any(outcomes):
                first = row[outcomes.index(True)]
                answered += chance
                cost += chance * each.costs[cell, first] / each.units[cell]
                in_time += chance * each.on_time[cell, first]
        found = (tally.costs[cell], tally.answered[cell], tally.in_time[cell])
        expected = [each.weights[cell] * part for part in (cost, answered, in_time)]
        assert found == pytest.approx(expected)


def naive_j(each: Cells, rows: Sequence[Sequence[int]], miss_weight: float) -> float:
    """J in words: per model all costs over all answers, by requests, plus the misses."""
    tally, total, j = play(each, np.array(rows)), each.weights.sum(), 0.0
    for model in set(each.models):
        of = [at for at, one in enumerate(each.models) if one == model]
        requests = each.weights[of].sum()
        j += requests / total * tally.costs[of].sum() / tally.answered[of].sum()
        j += miss_weight * (requests - tally.in_time[of].sum()) / total
    return j


@given(seeds, st.sampled_from([0.0, 0.5, 1.0, 10.0]))
@settings(max_examples=6)
def test_the_clairvoyant_is_the_best_of_all(seed: int, miss_weight: float) -> None:
    """Of all that could be done in two windows of two models, nothing has a lower J."""
    each = judged(history(seed, windows=2))
    ways = list(permutations(range(3)))
    best = min(naive_j(each, rows, miss_weight) for rows in product(ways, repeat=len(each.windows)))
    found = Book(each).score(clairvoyant(each, miss_weight)).j(miss_weight)
    assert found == pytest.approx(best, rel=1e-5)


@given(seeds, st.booleans())
@settings(max_examples=10)
def test_no_rule_beats_the_clairvoyant(seed: int, is_effective: bool) -> None:
    """In expectation: not ours, not any other, at any weight of a miss."""
    known = history(seed, windows=20, offers=5)
    each, knowledge = judged(known, is_effective=is_effective), learn(known, on_time(known))
    book = Book(each)
    costs = each.take(expected_costs(known, is_effective))
    beside = market(known, knowledge, each)
    for weight in (0.0, 1.0, 10.0):
        ideal = book.score(clairvoyant(each, weight)).j(weight)
        success, in_time = each.take(knowledge.success), each.take(knowledge.on_time)
        rows = ordered(each, costs, success, in_time, stakes_of(each, weight))
        for tally in (play(each, rows), *(rule.play(beside) for rule in RULES)):
            assert book.score(tally).j(weight) >= ideal - 1e-5


def later_changed(known: History, window: int, seed: int) -> History:
    """The same up to the window's start; all that is seen, charged or paid later is otherwise."""
    draws = np.random.default_rng(seed)
    start_s = known.ends_s[window] - WINDOW_S
    is_later = known.ends_s > start_s

    def otherwise(values: Floats, rows: np.ndarray) -> Floats:
        changed = values.copy()
        changed[rows] *= draws.uniform(0.2, 5, changed[rows].shape)
        return changed

    after = np.arange(len(known.ends_s)) > window
    today = (known.days[window] - known.effective_since).days
    is_unpaid = np.arange(len(known.effective)) >= today
    windows = {
        each.name: otherwise(getattr(known.seen, each.name), is_later) for each in fields(Windows)
    }
    return replace(
        known,
        seen=Windows(**windows),
        before=Prices(
            *(otherwise(each, after) for each in (known.before.input, known.before.output))
        ),
        charged=Prices(
            *(otherwise(each, is_later) for each in (known.charged.input, known.charged.output))
        ),
        status_before=otherwise(known.status_before, after),
        effective=otherwise(known.effective, is_unpaid),
    )


@given(seeds, st.integers(2, 19), st.booleans())
@settings(max_examples=15)
def test_knowledge_ends_where_the_window_begins(seed: int, window: int, is_effective: bool) -> None:
    """Whatever happens from then on, nothing that a choice is made of is different."""
    known = history(seed, windows=20)
    other = later_changed(known, window, seed + 1)
    # The limit is part of the question, not of the answer: it stays that of the first history.
    shares = on_time(known)
    other_shares = shares.copy()
    other_shares[known.ends_s > known.ends_s[window] - WINDOW_S] *= 0.5
    each = judged(known)
    here = each.windows == window
    one, two = learn(known, shares), learn(other, other_shares)
    for part in ("success", "on_time", "last"):
        assert np.array_equal(getattr(one, part)[window], getattr(two, part)[window])
    costs = [expected_costs(each, is_effective)[window] for each in (known, other)]
    assert np.array_equal(*costs)
    markets = (market(known, one, each), market(other, two, each))
    for field in fields(markets[0]):
        if field.name != "cells":
            assert np.array_equal(*(getattr(each, field.name)[here] for each in markets))


@given(seeds)
@settings(max_examples=10)
def test_knowledge_moves_with_what_has_ended(seed: int) -> None:
    """What happened just before the window does change what is known: the test above can fail."""
    known = history(seed, windows=20)
    shares = on_time(known)
    other = shares.copy()
    other[:10] *= 0.5
    window = 10 + int(np.searchsorted(known.ends_s[10:] - WINDOW_S, known.ends_s[9]))
    one, two = learn(known, shares), learn(known, other)
    assert (one.on_time[window] > two.on_time[window]).all()


@pytest.mark.parametrize("trying", Trying)
def test_own_traffic_learns(trying: Trying) -> None:
    """One offer of three always answers in time for the same price: after some hours of requests
    of our own, and no feed, nearly all go to it."""
    known = history(1, windows=60)
    shares = np.full(known.seen.requests.shape, 0.4)
    shares[:, [1, 4]] = 1.0
    same = Prices(*(np.ones_like(each) for each in (known.charged.input, known.charged.output)))
    seen = replace(
        known.seen,
        failed=np.zeros_like(shares),
        rate_limited=np.zeros_like(shares),
        answered=known.seen.requests,
    )
    known = replace(known, before=same, charged=same, seen=seen)
    truth = facts(known, shares, is_effective=False)
    each = cells(known, truth)
    costs = each.take(known.cost(known.before))
    tally = run_own(
        Setup(200, 0, trying), known, truth, learn(known, shares), each, costs, miss_weight=1.0
    )
    late = each.windows >= 50
    in_time = tally.in_time[late].sum() / tally.requests[late].sum()
    assert in_time > 0.95


def test_intervals_hold_what_they_are_of() -> None:
    """Of one day there is nothing to draw: the interval is the value; of more, it lies around."""
    each = judged(history(3))
    book, tally = Book(each), play(each, np.zeros((len(each), 1), dtype=np.intp))
    value = book.score(tally).misses
    low, high = book.interval([tally], lambda scores: scores[0].misses)
    assert low - 1e-12 <= value <= high + 1e-12
    if len(book.days) == 1:
        assert low == pytest.approx(high)
