"""Whether the hedged purchases are still probable."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.effectiveness.relation import Every, Relation
from hedge.effectiveness.volume import Forecast, Volumes, volume_test
from ledger.databases.sql import Sql
from tests.hedge.book.contracts import at, day
from tests.hedge.effectiveness.hedged import (
    accounted,
    bought,
    designated,
    priced,
    settled,
    used,
)

MONTH, UNTIL = date(2026, 12, 1), date(2026, 12, 16)


def volumes(daily: list[int]) -> Volumes:
    """The last of them is of the day before UNTIL."""
    first = UNTIL - timedelta(days=len(daily))
    return Volumes(
        "units", {first + timedelta(days=place): Decimal(at) for place, at in enumerate(daily)}
    )


def test_a_steady_run() -> None:
    """Ten a day: 150 so far, 160 to come, without any doubt."""
    found = volume_test(Decimal(310), MONTH, volumes([10] * 28), UNTIL)
    assert found.actual == 150
    assert found.low == found.expected == found.high == 310
    assert found.forecast is Forecast.PROBABLE
    above = volume_test(Decimal(311), MONTH, volumes([10] * 28), UNTIL)
    assert above.forecast is Forecast.NOT_PROBABLE


@given(st.lists(st.integers(0, 100), min_size=7, max_size=28), st.integers(1, 4000))
def test_the_interval_holds_what_is_expected(daily: list[int], designated: int) -> None:
    """low <= expected <= high, and what is bought already is in all of them; the word follows."""
    found = volume_test(Decimal(designated), MONTH, volumes(daily), UNTIL)
    assert found.low is not None
    assert found.expected is not None
    assert found.high is not None
    assert found.actual == sum(daily[-15:])
    assert found.actual <= found.low <= found.expected <= found.high
    word = Forecast.PROBABLE if found.low >= designated else Forecast.WATCH
    assert found.forecast is (word if found.expected >= designated else Forecast.NOT_PROBABLE)


@pytest.mark.parametrize("known", [volumes([10] * 6), volumes([]), Volumes("units", None, "why")])
def test_unknown_is_unknown(known: Volumes) -> None:
    """Too few days, none, or a volume that nobody can tell: no number, and why not."""
    found = volume_test(Decimal(1), MONTH, known, UNTIL)
    assert (found.forecast, found.low, found.expected) == (Forecast.UNKNOWN, None, None)
    assert found.why_not


def test_of_an_index(sql: Sql) -> None:
    """beta × what was spent ÷ the fixing of the day: half of 600 USD at 3.00 USD is 100 units."""
    bought(sql)
    dollar = 10**9
    used(sql, {"2026-12-01": (1, 600 * dollar), "2026-12-02": (1, 300 * dollar)})
    designated(sql, beta=Decimal("0.5"), volume=Decimal(200))
    priced(sql, "SD-H100", {"2026-11-30": "3.00"})
    (one,) = accounted(sql, "2026-12", at("2026-12-04")).relations
    assert one.volume is not None
    assert one.volume.actual == 150
    assert one.volume.unit == "units of SD-H100"


def relation(sql: Sql) -> Relation:
    (one,) = accounted(sql, "2026-11").relations
    return one


def test_gaps_are_told_and_not_filled(sql: Sql) -> None:
    """A day that only one side has is in no pair; a change over it is over more days of both; weeks
    are measured by their last day that both have."""
    bought(sql)
    designated(sql)
    marks = {"2026-11-03": "2.50", "2026-11-04": "2.60", "2026-11-06": "2.90", "2026-11-20": "3.00"}
    priced(sql, "GPU1 2026-12", marks)
    index = {"2026-11-03": "2.40", "2026-11-05": "9.99", "2026-11-06": "2.70", "2026-11-20": "2.75"}
    priced(sql, "SD-H100", index)
    settled(sql, "2026-11-21")
    tests = {one.every: one for one in relation(sql).tests if one.is_since_designation}
    daily = tests[Every.DAY]
    assert daily.changes.dates == (day("2026-11-06"), day("2026-11-20"))
    assert daily.changes.hedge.tolist() == pytest.approx([2920, 730])
    assert daily.changes.item.tolist() == pytest.approx([2190, 365])
    assert daily.changes.unmatched == (day("2026-11-04"), day("2026-11-05"))
    assert day("2026-11-05") in daily.missing
    assert day("2026-11-11") not in daily.missing  # a holiday
    weekly = tests[Every.WEEK]
    assert weekly.changes.dates == (day("2026-11-20"),)
    assert weekly.missing == (day("2026-11-09"),)
    assert tests[Every.MONTH].assessment is None
    assert tests[Every.MONTH].why_not
