"""Forecasts on real totals: what the page on scenarios says of them. Needs the offline data."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from hedge.scenarios.history import DemandHistory, ModelSpend
from hedge.scenarios.validation import Validation, validated
from hedge.scenarios.workload import Workload
from ledger.money import Money

DAILY = Path(__file__).parents[4] / "shared" / "data" / "demand_openrouter_daily.csv.gz"
VENDORS = 12


def vendors() -> list[DemandHistory]:
    """The largest vendors' prompt tokens by day, spread evenly over its hours; the last day, which
    is a part of one, left out."""
    tokens: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    with gzip.open(DAILY, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            vendor = row["permaslug"].split("/")[0]
            tokens[vendor][row["date"]] += float(row["prompt_tokens"] or 0) / 1e6
    days = sorted({day for by_day in tokens.values() for day in by_day})[:-1]
    since = datetime.fromisoformat(days[0]).replace(tzinfo=UTC)
    largest = sorted(tokens, key=lambda vendor: -sum(tokens[vendor].values()))[:VENDORS]
    found = []
    for vendor in largest:
        daily = np.array([tokens[vendor][day] for day in days])
        amounts = np.zeros((len(days), 24, 1, 4), dtype=np.int64)
        amounts[:, :, 0, 0] = (daily / 24)[:, None]
        nanos = amounts[..., 0] * 600 + 1
        spend = [ModelSpend(vendor, Money(int(nanos.sum())))]
        workload = [Workload(vendor, (vendor,))]
        found.append(
            DemandHistory.of_hours(workload, amounts, nanos, since, np.ones((1, 12)), spend=spend)
        )
    return found


@pytest.mark.skipif(not DAILY.exists(), reason="the offline data are not here")
def test_vendors_weeks() -> None:
    """Six weeks of public totals of twelve vendors: most forecasts beat the latest weeks taken
    again; intervals of 95% hold clearly less than that, as the page says."""
    told: list[Validation] = []
    for history in vendors():
        one = validated(history, seed=3)
        assert one is not None
        told.append(one)
    better = sum(one.energy_score < one.naive_score for one in told)
    hits = sum(one.week[2].hits for one in told)
    weeks = sum(one.weeks for one in told)
    assert better >= 9
    assert 0.6 < hits / weeks < 0.95
