"""Sample: a bundled history and its contracts, so that a newcomer sees a plan without a ledger.

Simulated, and labelled so: see data/sample.yaml for what is real in it and what is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from benchmarks.trace import azure_conversation
from hedge.contracts.contract import Contract, contracts_of
from hedge.risk import Floats
from hedge.scenarios.history import DAY_SLICES, HOURS, KINDS, SLICES, DemandHistory
from hedge.scenarios.outlook import MONTH_DAYS
from hedge.scenarios.workload import Workload
from ledger.money import Money, usd


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _ListPrice(_Part):
    """USD per million tokens."""

    input: Decimal
    cached: Decimal
    output: Decimal

    def nanos_per_token(self) -> tuple[int, int, int]:
        return usd(self.input) // 10**6, usd(self.cached) // 10**6, usd(self.output) // 10**6


class _Workload(_Part):
    """One workload of data/sample.yaml, where its fields are told."""

    name: str
    model: str
    list_usd_per_mtok: _ListPrice
    level: float
    prompt: float
    completion: float
    cached: float
    growth: float
    day_level_sd: float
    hour_of_day: tuple[float, ...]
    day_of_week: tuple[float, ...]


class _Assumed(_Part):
    """data/sample.yaml, but for the contracts."""

    label: str
    since: date
    days: int
    seed: int
    cap_usd: Decimal
    workloads: tuple[_Workload, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """label says that it is simulated; whatever shows the sample shows the label. cap: of each
    month, unless somebody says otherwise."""

    label: str
    history: DemandHistory
    contracts: tuple[Contract, ...]
    cap: Money


def sample() -> Sample:
    """The bundled one. The same on every call."""
    text = (resources.files("hedge.planning") / "data" / "sample.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    contracts = contracts_of(raw.pop("contracts"), "sample.yaml")
    assumed = _Assumed.model_validate(raw)
    return Sample(assumed.label, _simulated(assumed), contracts, usd(assumed.cap_usd))


def _simulated(assumed: _Assumed) -> DemandHistory:
    """Each five minutes are five of the trace's in a row, drawn anew, times the level of their
    hour and day."""
    rng = np.random.default_rng(assumed.seed)
    since = datetime.combine(assumed.since, datetime.min.time(), UTC)
    trace = _trace_windows()
    width = len(assumed.workloads)
    amounts = np.zeros((assumed.days, DAY_SLICES, width, KINDS), dtype=np.int64)
    nanos = np.zeros((assumed.days, DAY_SLICES, width), dtype=np.int64)
    for w, one in enumerate(assumed.workloads):
        drawn = trace[rng.integers(0, len(trace), assumed.days * DAY_SLICES)]
        drawn *= _level(one, assumed.days, since.weekday(), rng)[:, None]
        prompt, completion = drawn[:, 0] * one.prompt, drawn[:, 1] * one.completion
        kinds = (prompt * (1 - one.cached), prompt * one.cached, completion, drawn[:, 2])
        counts = np.rint(np.stack(kinds, axis=1)).astype(np.int64)
        amounts[:, :, w] = counts.reshape(assumed.days, DAY_SLICES, KINDS)
        nanos[:, :, w] = amounts[:, :, w, :3] @ np.array(one.list_usd_per_mtok.nanos_per_token())
    workloads = [Workload(one.name, (one.model,)) for one in assumed.workloads]
    return DemandHistory.of_slices(workloads, amounts, nanos, since)


def _level(one: _Workload, days: int, first_weekday: int, rng: np.random.Generator) -> Floats:
    """Over the trace's, of each slice [days × 288]."""
    weekday = (first_weekday + np.arange(days)) % 7
    by_day = np.array(one.day_of_week)[weekday]
    by_day *= np.exp(rng.normal(0.0, one.day_level_sd, days))
    by_day *= np.exp(one.growth * (np.arange(days) - days) / MONTH_DAYS)
    by_hour = one.level * by_day[:, None] * np.array(one.hour_of_day).reshape(1, HOURS)
    return np.repeat(by_hour.ravel(), SLICES)


def _trace_windows() -> NDArray[np.float64]:
    """Prompt tokens, completion tokens and requests of any five minutes in a row [windows, 3]."""
    rows = azure_conversation()
    minutes = np.zeros((int(rows[-1].t_seconds // 60), 3))
    for row in rows:
        minute = int(row.t_seconds // 60)
        if minute < len(minutes):
            minutes[minute] += (row.input_tokens, row.output_tokens, 1)
    windows = np.lib.stride_tricks.sliding_window_view(minutes, 5, axis=0)
    return np.asarray(windows.sum(axis=2))
