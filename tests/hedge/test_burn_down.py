"""The rest of a window: against all paths there are, on days that were held back, and its edges."""

from __future__ import annotations

import csv
import gzip
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.burn_down import (
    BLOCK_DAYS,
    HALF_LIFE_DAYS,
    PARTS,
    Ahead,
    BurnDown,
    NoForecast,
    Past,
    burn_down,
)
from ledger.money import Money

MONDAY = date(2026, 3, 2)
WEEK = (100, 110, 120, 115, 90, 20, 10)
WIDEST = log(1.1) * 6.314 / 1.645
"""A week that was a tenth more, by Student's t with one degree of freedom."""


def _past(*nanos: int, last: date) -> Past:
    return Past(last, tuple(map(Money, nanos)))


def _forecast(past: Past, ahead: Ahead, cap: int | None = None, **more: int) -> BurnDown:
    paths = more.get("paths", 2_000)
    cap_nanos = None if cap is None else Money(cap)
    found = burn_down(
        past, Money(more.get("spent", 0)), ahead, cap_nanos, more.get("seed", 1), paths
    )
    assert isinstance(found, BurnDown)
    return found


def _paths(
    past: Past, ahead: Ahead, place: int, before: int | None
) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Every way in which days can be drawn, with its chance: told again, a tree in plain words."""
    if place == len(ahead.parts):
        yield 1.0, ()
        return
    count = len(past.spent_nanos)

    def is_workday(day: date) -> bool:
        return day.weekday() < 5

    def day_of(index: int) -> date:
        return past.last - timedelta(days=count - 1 - index)

    wanted = is_workday(ahead.first + timedelta(days=place))
    following = None if before is None or place % BLOCK_DAYS == 0 else before + 1
    if following is not None and following < count and is_workday(day_of(following)) == wanted:
        chances = {following: 1.0}
    else:
        weights = {
            index: 0.5 ** ((count - 1 - index) / HALF_LIFE_DAYS)
            for index in range(count)
            if is_workday(day_of(index)) == wanted
        }
        chances = {index: one / sum(weights.values()) for index, one in weights.items()}
    for index, chance in chances.items():
        for rest_chance, rest in _paths(past, ahead, place + 1, index):
            yield chance * rest_chance, (index, *rest)


@pytest.mark.parametrize("weeks", [1, 2])
def test_the_fan_is_that_of_all_paths_there_are(weeks: int) -> None:
    """The chance to go over the cap, the mean and the lines of the fan are those of every path with
    its chance; with two weeks, each at the level of either week's move."""
    spent = [one * (10 + week) for week in range(weeks) for one in WEEK]
    past = _past(*spent, last=MONDAY - timedelta(days=1))
    ahead = Ahead(MONDAY + timedelta(days=2), (0.5, 1.0, 1.0, 1.0, 0.25))
    levels = [1.0] if weeks == 1 else [exp(move) for move in (WIDEST, -WIDEST)]
    totals: dict[float, float] = defaultdict(float)
    for chance, path in _paths(past, ahead, 0, None):
        for level in levels:
            total = 7 + level * sum(
                part * spent[index] for part, index in zip(ahead.parts, path, strict=True)
            )
            totals[round(total, 6)] += chance / len(levels)
    cap = 3_200
    found = _forecast(past, ahead, cap, spent=7, paths=40_000)
    assert found.breach == pytest.approx(
        sum(chance for total, chance in totals.items() if total > cap), abs=0.01
    )
    assert found.expected == pytest.approx(
        sum(total * chance for total, chance in totals.items()), rel=0.01
    )
    for part in PARTS:
        reached = found.fan(part).nanos[-1]
        below = sum(chance for total, chance in totals.items() if total < reached - 5)
        upto = sum(chance for total, chance in totals.items() if total <= reached + 5)
        assert below - 0.01 <= part <= upto + 0.01


@given(
    st.lists(st.integers(0, 10**15), min_size=7, max_size=60),
    st.integers(1, 40),
    st.integers(0, 10**15),
    st.integers(0, 10**16),
)
@settings(max_examples=60, deadline=None)
def test_a_fan_only_rises_and_its_lines_keep_their_order(
    spent: list[int], days: int, before: int, cap: int
) -> None:
    """Nothing is spent back; each line is at least the one below it, and what was spent. Somebody
    goes over the cap exactly if there is a day by which."""
    past = _past(*spent, last=MONDAY)
    found = _forecast(past, Ahead(MONDAY, (0.3, *[1.0] * days)), cap, spent=before, paths=50)
    lines = [found.fan(part).nanos for part in PARTS]
    for line in lines:
        assert list(line) == sorted(line)
        assert line[0] >= before
    for lower, upper in pairwise(lines):
        assert all(one <= other for one, other in zip(lower, upper, strict=True))
    assert found.breach is not None
    assert (found.breach > 0) == (found.likely is not None)


def test_what_is_the_same_each_week_goes_on_so() -> None:
    """From four equal weeks on each day is that of its weekday, and nothing is uncertain."""
    past = _past(*WEEK * 4, last=MONDAY - timedelta(days=1))
    found = _forecast(past, Ahead(MONDAY, (1.0,) * 9), cap=600)
    upto = np.cumsum([*WEEK, *WEEK[:2]])
    for part in PARTS:
        assert found.fan(part).nanos == tuple(upto)
    assert found.breach == 1.0
    assert found.likely == MONDAY + timedelta(days=int(np.argmax(upto > 600)))
    assert found.basis == "from 28 days; each day to come is drawn from those of its weekday"


def test_too_few_days_are_no_forecast() -> None:
    """Six days that are over give a sentence, and so does a window that is over; seven give a fan
    that says what it does not know."""
    ahead = Ahead(MONDAY, (1.0,))
    six = burn_down(_past(*WEEK[:6], last=MONDAY), Money(0), ahead, None, 1)
    assert isinstance(six, NoForecast)
    assert "6 days" in six.why
    assert "it takes 7" in six.why
    over = burn_down(_past(*WEEK, last=MONDAY), Money(0), Ahead(MONDAY, ()), None, 1)
    assert isinstance(over, NoForecast)
    seven = _forecast(_past(*WEEK, last=MONDAY), ahead)
    assert "not known yet" in seven.basis
    assert seven.breach is None
    assert seven.likely is None


def test_growth_is_no_promise() -> None:
    """After five weeks that doubled, half of all paths go down: the middle stays near the last
    week, and its doubling stays within the fan."""
    spent = [int(one * 1000 * 2**week) for week in range(5) for one in WEEK]
    past = _past(*spent, last=MONDAY - timedelta(days=1))
    found = _forecast(past, Ahead(MONDAY, (1.0,) * 7))
    last = sum(spent[-7:])
    assert found.fan(0.5).nanos[-1] < 1.5 * last
    assert found.fan(0.95).nanos[-1] > 1.5 * last


def _histories(draw: np.random.Generator, drift: float) -> Iterator[tuple[list[int], int]]:
    """Eight weeks whose level moves by chance, and what the twenty days after them came to."""
    for _ in range(120):
        days = 56 + 20
        level = np.cumsum(draw.normal(0, drift, days))
        noise = draw.normal(0, 0.25, days)
        weekday = np.resize(WEEK, days)
        spent = [int(one) for one in 1e9 * weekday * np.exp(level + noise)]
        yield spent[:56], sum(spent[56:])


@pytest.mark.parametrize("drift", [0.0, 0.03])
def test_days_that_were_held_back_fall_into_the_fan(drift: float) -> None:
    """Nine in ten months end between its outer lines, or more; about half of them above the middle
    line, or below."""
    inside = above = count = 0
    for spent, came in _histories(np.random.default_rng(5), drift):
        past = _past(*spent, last=MONDAY - timedelta(days=1))
        found = _forecast(past, Ahead(MONDAY, (1.0,) * 20), paths=400)
        inside += found.fan(0.05).nanos[-1] <= came <= found.fan(0.95).nanos[-1]
        above += came > found.fan(0.5).nanos[-1]
        count += 1
    assert inside / count >= 0.88
    assert 0.3 <= above / count <= 0.7


def test_it_is_the_same_each_time_and_takes_little() -> None:
    """One seed, one fan; a month of two thousand paths within 20 ms of this thread's time."""
    past = _past(*[one * 1000 for one in WEEK] * 8, last=MONDAY)
    ahead = Ahead(MONDAY + timedelta(days=1), (0.4, *[1.0] * 30))
    assert _forecast(past, ahead, 10**6) == _forecast(past, ahead, 10**6)
    took = []
    for _ in range(3):
        began = time.thread_time()
        _forecast(past, ahead, 10**6)
        took.append(time.thread_time() - began)
    assert min(took) <= 0.020


DAILY = Path(__file__).parents[3] / "shared" / "data" / "demand_openrouter_daily.csv.gz"


@pytest.mark.skipif(not DAILY.exists(), reason="the offline data is not beside this checkout")
def test_real_days_that_were_held_back_fall_into_the_fan() -> None:
    """Of what was really asked of 40 vendors' models, 28 days before, ten after: vendors come into
    fashion and go out of it as no company's spend does, and still two thirds lie within the outer
    lines, and the middle line is in the middle."""
    tokens: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    with gzip.open(DAILY, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            vendor = row["permaslug"].split("/")[0]
            tokens[vendor][row["date"]] += int(float(row["prompt_tokens"] or 0))
    days = sorted({day for by_day in tokens.values() for day in by_day})[:-1]
    largest = sorted(tokens, key=lambda one: -sum(tokens[one].values()))[:40]
    inside, above, held = 0, 0, 10
    last = date.fromisoformat(days[-1 - held])
    for vendor in largest:
        series = [tokens[vendor].get(day, 0) for day in days[-28 - held :]]
        past, came = _past(*series[:28], last=last), sum(series[28:])
        found = _forecast(past, Ahead(last + timedelta(days=1), (1.0,) * held), paths=500)
        inside += found.fan(0.05).nanos[-1] <= came <= found.fan(0.95).nanos[-1]
        above += came > found.fan(0.5).nanos[-1]
    assert inside >= 0.65 * len(largest)
    assert 0.3 * len(largest) <= above <= 0.7 * len(largest)
