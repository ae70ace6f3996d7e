from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.effectiveness.assessment import assessed
from hedge.effectiveness.offset import dollar_offset
from hedge.effectiveness.regression import regressed
from hedge.effectiveness.series import Changes, Series, joined, read_series
from hedge.errors import SeriesUnreadable
from hedge.risk import Floats

FIRST = date(2026, 1, 1)
numbers = st.floats(-5, 5).map(lambda one: round(one, 3))


def changes(item: Floats, hedge: Floats) -> Changes:
    return Changes(tuple(FIRST + timedelta(at) for at in range(len(item))), item, hedge)


def moves(seed: int, n: int, noise: float) -> Changes:
    draws = np.random.default_rng(seed)
    hedge = draws.standard_normal(n)
    return changes(0.8 * hedge + noise * draws.standard_normal(n), hedge)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30), st.floats(-2, 2))
def test_dollar_offset_counts_every_period(pairs: list[tuple[float, float]], ratio: float) -> None:
    """Period by period by hand: none is dropped, not even small ones; none is divided by zero."""
    item, hedge = (np.array(side) for side in zip(*pairs, strict=True))
    found = dollar_offset(item, hedge, ratio)
    by_hand = [ratio * y / x if x else None for x, y in pairs]
    assert found.periods == pytest.approx(by_hand)
    assert found.in_band == sum(one is not None and 0.8 <= one <= 1.25 for one in by_hand)
    total = float(np.cumsum(item)[-1])
    assert found.cumulative == (
        None if total == 0 else pytest.approx(ratio * float(np.cumsum(hedge)[-1]) / total)
    )
    assert found.is_small == tuple(abs(x) < 0.1 * np.sqrt(np.mean(item**2)) for x in item)


@given(st.integers(0, 500), st.integers(5, 80), st.floats(0.05, 1))
def test_no_ratio_reduces_variance_more(seed: int, n: int, noise: float) -> None:
    """At the fitted ratio the reduction is R², and no other ratio's is above it."""
    found = assessed(moves(seed, n, noise))
    assert found.variance_reduction == pytest.approx(found.regression.r2)
    for ratio in (0.0, 0.5 * found.ratio, 1.3 * found.ratio, -1.0):
        other = assessed(found.changes, ratio)
        assert other.variance_reduction <= found.variance_reduction + 1e-12
    assert assessed(found.changes, 0.0).variance_reduction == pytest.approx(0)


@given(st.integers(0, 300), st.integers(6, 40))
def test_sensitivity_is_by_leaving_out(seed: int, n: int) -> None:
    """Slopes without any one pair, and the lookbacks, are those of regressions run anew."""
    found = assessed(moves(seed, n, 0.5))
    pairs = found.changes
    anew = [regressed(one.item, one.hedge) for one in map(pairs.without, range(n))]
    slopes = [one.slope for one in anew]
    assert found.leave_one_out == pytest.approx((min(slopes), max(slopes)))
    worst = int(np.argmax(found.regression.cooks_distances))
    assert found.outlier is not None
    assert found.outlier.name == f"without {pairs.dates[worst]}"
    assert found.outlier.slope == pytest.approx(slopes[worst])
    for part in found.lookbacks:
        few = regressed(pairs.item[-part.n :], pairs.hedge[-part.n :])
        assert (part.slope, part.r2) == (few.slope, few.r2)


def test_flags_say_what_a_reader_must_know() -> None:
    """Few pairs, a fitted ratio, a sum that cancels, a wrong sign, an outlier: each is flagged."""
    hedge = np.array([1.0, -1.0, 1.2, -1.1, 0.9, -1.0, 0.001])
    item = np.array([1.0, -1.0, 1.2, -1.1, 0.9, -1.0, 0.001])
    codes = {flag.code for flag in assessed(changes(item, hedge)).flags}
    assert codes == {"n_below_30", "ratio_fitted", "small_change", "small_sum", "perfect_fit"}
    codes = {flag.code for flag in assessed(changes(item, -hedge), -1.0).flags}
    assert "against" in codes
    assert "ratio_fitted" not in codes
    spoiled = item.copy()
    spoiled[2] = -6.0
    found = assessed(changes(spoiled, hedge), 1.0)
    assert "outlier" in {flag.code for flag in found.flags}
    assert not found.passes.r2
    assert found.outlier is not None
    assert found.outlier.r2 > 0.99


def test_a_hedge_that_passes_and_its_slope() -> None:
    """Forty pairs at the ratio that is held pass all; held twice over, or unsaid where the slope is
    a half, the slope test fails."""
    draws = np.random.default_rng(1)
    hedge = draws.standard_normal(40) + 0.3
    item = 0.5 * hedge + 0.02 * draws.standard_normal(40)
    assert assessed(changes(item, hedge), 0.5).passes.all
    twice = assessed(changes(item, hedge), 1.0)
    assert (twice.passes.slope, twice.passes.dollar_offset) == (False, False)
    assert twice.slope_as_held == pytest.approx(0.5, abs=0.02)
    unsaid = assessed(changes(item, hedge))
    assert (unsaid.passes.slope, unsaid.passes.dollar_offset) == (False, True)
    assert assessed(changes(item, hedge), 0.0).slope_as_held is None


# -- two files, joined


days = st.dictionaries(
    st.integers(0, 25).map(lambda at: FIRST + timedelta(at)), numbers, min_size=2, max_size=20
)


@given(days, days, st.booleans(), st.booleans())
def test_pairs_are_over_the_same_periods(
    item: dict[date, float], hedge: dict[date, float], item_levels: bool, hedge_levels: bool
) -> None:
    """Each pair is of one period: by a judge that looks for its start day by day. Every date is in
    a pair, begins one, or is told as unmatched."""
    found = joined(
        Series("i", dict(sorted(item.items())), item_levels),
        Series("h", dict(sorted(hedge.items())), hedge_levels),
    )
    both = item.keys() & hedge.keys()

    def before(day: date, of: set[date]) -> date | None:
        earlier = [one for one in of if one < day]
        return max(earlier) if earlier else None

    wanted: dict[date, tuple[float, float]] = {}
    for day in sorted(both):
        if item_levels and hedge_levels:
            start = before(day, both)
            if start is not None:
                wanted[day] = (item[day] - item[start], hedge[day] - hedge[start])
        elif not item_levels and not hedge_levels:
            wanted[day] = (item[day], hedge[day])
        else:
            levels, given = (item, hedge) if item_levels else (hedge, item)
            start, other = before(day, set(levels)), before(day, set(given))
            if start is not None and other in (None, start):
                moved = levels[day] - levels[start]
                wanted[day] = (moved, hedge[day]) if item_levels else (item[day], moved)
    pairs = zip(found.item, found.hedge, strict=True)
    assert dict(zip(found.dates, pairs, strict=True)) == wanted
    begins = {min(both)} if item_levels and hedge_levels and both else set()
    if item_levels != hedge_levels:
        begins = {min(item if item_levels else hedge)}
    assert {*found.unmatched, *found.dates} | begins == item.keys() | hedge.keys()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "1: the columns are date,change or date,value; there are: none"),
        ("day,change\n", "1: the columns are"),
        ("date,change,value\n", "1: the columns are"),
        ("date,change\n2026-01-01,1\n2026-01-01,2\n", "3: 2026-01-01 is there twice"),
        ("date,change\n01.02.2026,1\n", "2: date: '01.02.2026' is none"),
        ("date,value\n2026-01-01,one\n", "2: 'one' is no number"),
        ("date,value\n2026-01-01,nan\n", "2: 'nan' is no number"),
        ("date,value\n2026-01-01,inf\n", "2: 'inf' is no number"),
        ("date,value\n2026-01-01\n", "2: 1 cells under 2 columns"),
        ('date,value\n2026-01-01,"1\n', "is no CSV"),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, text: str, says: str) -> None:
    """File, line, what is wrong and what to write."""
    file = tmp_path / "item.csv"
    file.write_text(text)
    with pytest.raises(SeriesUnreadable, match=f"{file.name}.*{says}"):
        read_series(file)
    with pytest.raises(SeriesUnreadable, match="cannot read"):
        read_series(tmp_path / "none.csv")


def test_a_file_as_spreadsheets_write_it(tmp_path: Path) -> None:
    """A byte order mark, capitals, spaces, empty lines, and months in the place of days."""
    file = tmp_path / "item.csv"
    file.write_text("\ufeffDate, Value\n2026-02, 3\n\n2026-01, 1.5\n", encoding="utf-8")
    found = read_series(file)
    assert list(found.by_date.items()) == [(date(2026, 1, 1), 1.5), (date(2026, 2, 1), 3.0)]
    assert found.is_levels
