"""Whatever passes for a history gives months, or a sentence: never a number that is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.errors import DemandInvalid
from hedge.scenarios.calibration import calibrated
from hedge.scenarios.draw import draw
from hedge.scenarios.history import MAX_HOUR_TOKENS, DemandHistory, Used
from hedge.scenarios.other import other
from hedge.scenarios.validation import validated
from hedge.scenarios.workload import Workload
from ledger.money import Money

SINCE = datetime(2026, 9, 9, tzinfo=UTC)
tokens = st.sampled_from([0, 1, 10**6, MAX_HOUR_TOKENS // 100])
used = st.tuples(
    st.integers(0, 41 * 24 * 12),
    st.sampled_from("abc"),
    tokens,
    tokens,
    tokens,
    st.sampled_from([0, 1, 10**9, 10**13]),
)


@settings(max_examples=25)
@given(
    days=st.integers(3, 41),
    rows=st.lists(used, min_size=1, max_size=40),
    every_day=st.booleans(),
)
def test_sparse_and_absurd_histories(
    days: int, rows: list[tuple[int, str, int, int, int, int]], *, every_day: bool
) -> None:
    """Idle weeks, one request in all, days a million times another, work without tokens: months
    are finite and not negative, or they are refused."""
    workloads = (Workload("x", ("a",)), Workload("y", ("b", "c")))
    end = days * 24 * 12
    told = [
        Used(SINCE + timedelta(minutes=5 * (at % end)), model, p, c, q, Money(cost))
        for at, model, p, c, q, cost in rows
    ]
    if every_day:
        told += [
            Used(SINCE + timedelta(days=day, hours=9), "a", 100, 0, 10, Money(10**6))
            for day in range(days)
        ]
    try:
        history = DemandHistory.of(workloads, told, SINCE, SINCE + timedelta(days=days))
    except DemandInvalid:
        assert not every_day or max(cost for *_, cost in rows) > 10**9
        return
    outlook = calibrated(history)
    for months in (
        draw(history, outlook, seed=1, count=8, months=2, blocks=6),
        other(history, seed=1, count=3, months=1, blocks=6),
    ):
        for array in (months.amounts, months.list_usd):
            assert np.isfinite(array).all()
            assert (array >= 0).all()
    told_of = validated(history, seed=1)
    assert (told_of is None) == (days < 21)
    assert told_of is None or np.isfinite(told_of.energy_score)
