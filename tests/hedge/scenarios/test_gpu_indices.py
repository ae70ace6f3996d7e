"""Index paths settle as contracts say, and move as it is believed."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from hedge.scenarios.calendar import month_spans
from hedge.scenarios.demand import shocks
from hedge.scenarios.gpu_indices import index_paths
from hedge.scenarios.outlook import Basis, IndexOutlook, Outlook, Scarcity
from ledger.business_days import is_business_day

TODAY, FIRST = date(2026, 11, 20), date(2026, 12, 1)
NO_SCARCITY = Scarcity(begins=0)


def test_fixings_are_means_over_business_days() -> None:
    """An index that doubles over a month of drift alone settles at the mean of its levels on that
    month's business days; margin is looked at once a week, on a business day."""
    drift = 30.4375 * 0.01
    outlook = Outlook(
        indices=(IndexOutlook("X", 2.0, **_calm(drift_per_month=drift)),), scarcity=NO_SCARCITY
    )
    spans = month_spans(FIRST, 3)
    paths = index_paths(outlook, TODAY, spans, shocks(NO_SCARCITY, 3, seed=1, count=2), seed=1)
    one = paths["X"]

    def level(day: date) -> float:
        return float(2.0 * np.exp(0.01 * ((day - TODAY).days + 1)))

    for month, span in enumerate(spans):
        days = (span.first + timedelta(days=day) for day in range(span.days))
        mean = np.mean([level(day) for day in days if is_business_day(day)])
        assert one.fixing_usd[0, month] == pytest.approx(mean)
    assert all(map(is_business_day, one.check_days))
    weeks = [day.isocalendar()[:2] for day in one.check_days]
    assert len(set(weeks)) == len(weeks)
    assert one.level_usd[1] == pytest.approx([level(day) for day in one.check_days])


def _calm(**changed: float) -> dict[str, float]:
    still = {
        "swing_sd": 0.0,
        "walk_sd": 0.0,
        "drift_per_month": 0.0,
        "launches_per_month": 0.0,
        "spikes_per_month": 0.0,
    }
    return still | changed


def test_what_lies_above_comes_back() -> None:
    """A gap closes by its reversion, spikes only rise and die away, launches only cut."""
    spans = month_spans(FIRST, 12)
    both = shocks(NO_SCARCITY, 12, seed=1, count=400)

    def last(**changed: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        one = IndexOutlook("X", 2.0, **_calm(**changed))
        outlook = Outlook(indices=(one,), scarcity=NO_SCARCITY)
        return index_paths(outlook, TODAY, spans, both, seed=1)["X"].fixing_usd[:, -1]

    assert last(gap=0.3) == pytest.approx(2.0 * np.exp(-0.3), rel=0.01)
    assert last() == pytest.approx(2.0)
    assert (last(spikes_per_month=1.0) >= 2.0 - 1e-9).all()
    launched = last(launches_per_month=0.1)
    assert launched.mean() < 2.0 * np.exp(-0.22 * 0.1 * 12) * 1.1
    assert np.isclose(launched, 2.0).mean() == pytest.approx(np.exp(-0.1 * 376 / 30.44), abs=0.08)


def test_variance_is_that_of_the_walk() -> None:
    """What the copula and other indices share is taken out of an index's own walk, not added."""
    spans = month_spans(FIRST, 6)
    one = IndexOutlook("X", 2.0, **_calm(walk_sd=0.02))
    outlook = Outlook(indices=(one,), scarcity=Scarcity(begins=0, dependence=0.6))
    both = shocks(outlook.scarcity, 6, seed=2, count=4000)
    path = index_paths(outlook, TODAY, spans, both, seed=2)["X"]
    days = (path.check_days[-1] - TODAY).days + 1
    logs = np.log(path.level_usd[:, -1] / 2.0)
    assert logs.std() == pytest.approx(0.02 * np.sqrt(days), rel=0.05)
    assert np.corrcoef(logs, both.common.sum(axis=1))[0, 1] > 0.4


def test_a_basis_is_a_factor_of_its_own() -> None:
    """A provider's price is the index times a factor that does not follow the index."""
    outlook = Outlook(
        indices=(IndexOutlook("H100", 2.8),), bases=(Basis("lambda", "H100", mean=0.1, today=0.1),)
    )
    spans = month_spans(FIRST, 3)
    paths = index_paths(outlook, TODAY, spans, shocks(NO_SCARCITY, 3, seed=1, count=2000), seed=1)
    factor = np.log(paths["H100@lambda"].level_usd / paths["H100"].level_usd)
    assert factor.mean() == pytest.approx(0.1, abs=0.01)
    moves, index = np.diff(factor[:, [0, -1]])[:, 0], np.log(paths["H100"].level_usd[:, -1])
    assert abs(np.corrcoef(moves, index)[0, 1]) < 0.06
