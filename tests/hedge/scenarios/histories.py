"""Histories for tests: made of chances, with three workloads of different clocks."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from hedge.scenarios.history import DAY_SLICES, DemandHistory
from hedge.scenarios.workload import Workload

SINCE = datetime(2026, 9, 7, tzinfo=UTC)
"""A Monday."""
NANOS_PER_TOKEN = np.array([600, 60, 800, 0])


def made(
    days: int = 56,
    workloads: int = 3,
    seed: int = 1,
    *,
    growth_per_day: float = 0.0,
    day_sd: float = 0.1,
) -> DemandHistory:
    """Workload `w0` of model `m0`, and so on: busy at different hours, quiet at weekends."""
    rng = np.random.default_rng(seed)
    hours = np.arange(24)[:, None] - 3 * np.arange(workloads)
    clock = 1 + 0.8 * np.sin((hours - 8) / 24 * 2 * np.pi)
    week = np.array([1, 1, 1, 1, 0.95, 0.5, 0.45])[np.arange(days) % 7]
    level = np.exp(rng.normal(0, day_sd, (days, workloads))) * week[:, None]
    level *= np.exp(growth_per_day * np.arange(days))[:, None]
    load = level[:, None, None] * clock[:, None] * np.exp(rng.normal(0, 0.3, (days, 24, 12, 1)))
    amounts = np.stack([load * 1e5, load * 2e4, load * 2e4, load * 50], axis=-1).astype(np.int64)
    amounts = amounts.reshape(days, DAY_SLICES, workloads, 4)
    named = [Workload(f"w{w}", (f"m{w}",)) for w in range(workloads)]
    return DemandHistory.of_slices(named, amounts, amounts @ NANOS_PER_TOKEN, SINCE)
