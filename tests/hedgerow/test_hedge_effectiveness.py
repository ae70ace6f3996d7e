from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.hedgerow.beside import said, told

FUTURES = [21, 35, -46, 1, 44, -29, -26, -29, 48, -6, -36, -11, 19, -27, 29]
SPOT = [29, 20, -44, 8, 26, -19, -10, -7, 43, 11, -36, -18, 9, -32, 23]


def written(path: Path, column: str, numbers: list[int]) -> Path:
    rows = [f"{date(2026, 1, 1) + timedelta(at)},{one}e-3" for at, one in enumerate(numbers)]
    path.write_text("\n".join([f"date,{column}", *rows]))
    return path


def test_hulls_example_from_two_files(tmp_path: Path) -> None:
    """Hull's example 3.5 as a command that needs no configuration; values in the place of changes,
    with a zero before them, give the same."""
    item = written(tmp_path / "item.csv", "change", SPOT)
    hedge = written(tmp_path / "hedge.csv", "change", FUTURES)
    found = told("hedge", "effectiveness", "--item", item, "--hedge", hedge)
    assert (found["n"], round(found["slope"], 4), round(found["r2"], 3)) == (15, 0.7777, 0.862)
    assert (round(found["t"], 3), round(found["f"], 2)) == (9.007, 81.12)
    assert found["p"] == pytest.approx(5.97e-7, rel=1e-3)
    assert found["min_variance_ratio"] == found["ratio"] == found["slope"]
    assert found["variance_reduction"] == pytest.approx(found["r2"])
    offset = found["dollar_offset"]
    ratio = found["ratio"]
    assert offset["cumulative"] == pytest.approx(ratio * sum(FUTURES) / sum(SPOT))
    by_hand = [ratio * y / x for x, y in zip(SPOT, FUTURES, strict=True)]
    assert offset["periods"] == pytest.approx(by_hand)
    assert offset["in_band"] == sum(0.8 <= one <= 1.25 for one in by_hand)
    assert [flag.split(":")[0] for flag in found["flags"]] == [
        "n_below_30",
        "ratio_fitted",
        "small_sum",
    ]
    assert not found["pass"]["n"]
    assert found["pass"]["r2"]

    levels = {"item": SPOT, "hedge": FUTURES}
    for name, numbers in levels.items():
        sums = [sum(numbers[:at]) for at in range(len(numbers) + 1)]
        written(tmp_path / f"{name}.csv", "value", sums)
    again = told("hedge", "effectiveness", "--item", item, "--hedge", hedge)
    assert (again["n"], again["slope"]) == (15, pytest.approx(found["slope"]))
    assert again["p"] == pytest.approx(found["p"])


def test_at_the_ratio_that_is_held(tmp_path: Path) -> None:
    """--ratio scales the hedge in offset and variance; the regression stays as it is."""
    item = written(tmp_path / "item.csv", "change", SPOT)
    hedge = written(tmp_path / "hedge.csv", "change", FUTURES)
    found = told("hedge", "effectiveness", "--item", item, "--hedge", hedge, "--ratio", "0.5")
    assert round(found["slope"], 4) == 0.7777
    assert found["dollar_offset"]["cumulative"] == pytest.approx(0.5 * sum(FUTURES) / sum(SPOT))
    assert found["slope_as_held"] == pytest.approx(found["slope"] / 0.5)
    assert found["variance_reduction"] < found["r2"]


def test_people_read_a_table(tmp_path: Path) -> None:
    """Every test with what was measured and whether it passed; lines fit on a terminal."""
    item = written(tmp_path / "item.csv", "change", SPOT)
    hedge = written(tmp_path / "hedge.csv", "change", FUTURES)
    done = said("hedge", "effectiveness", "--item", item, "--hedge", hedge)
    assert done.exit_code == 0
    assert "t 9.007, F 81.12, p 5.97e-07  pass" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize("ratio", ["nan", "inf", "much"])
def test_what_is_wrong_is_one_line(tmp_path: Path, ratio: str) -> None:
    """A file that is not there, a hedge that never moved, a ratio that is none: no traceback."""
    item = written(tmp_path / "item.csv", "change", SPOT)
    still = written(tmp_path / "still.csv", "change", [0] * 15)
    done = said("hedge", "effectiveness", "--item", item, "--hedge", still)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the hedge changed by 0 in every period" in done.stderr
    done = said("hedge", "effectiveness", "--item", item, "--hedge", tmp_path / "none.csv")
    assert (done.exit_code, "cannot read" in done.stderr) == (1, True)
    done = said("hedge", "effectiveness", "--item", item, "--hedge", item, "--ratio", ratio)
    assert (done.exit_code, "--ratio" in done.stderr) == (2, True)
