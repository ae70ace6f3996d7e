"""Sample: a bundled month and two contracts, so that a newcomer sees a plan without a ledger.

Simulated, and labelled so: see data/sample.yaml for what is real in it and what is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import resources

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict

from benchmarks.trace import azure_conversation
from hedge.month.contracts import Contract, contracts_of
from hedge.month.demand import HOURS, MINUTES, DemandHistory, Used
from hedge.month.plan import HedgePlan
from hedge.month.planning import plan_month
from ledger.money import Money, usd
from ledger.rates import RateCard
from ledger.usage import TokenUsage


class _ListPrice(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Decimal
    output: Decimal


class _Assumed(BaseModel):
    """data/sample.yaml, but for the contracts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    model: str
    since: date
    days: int
    seed: int
    cap_usd: Decimal
    list_usd_per_mtok: _ListPrice
    level: float
    day_level_sd: float
    hour_of_day: tuple[float, ...]
    day_of_week: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """label says that it is simulated; whatever shows the sample shows the label."""

    label: str
    history: DemandHistory
    contracts: tuple[Contract, ...]
    cap: Money


def sample() -> Sample:
    """The bundled month. The same on every call."""
    text = (resources.files("hedge.month") / "data" / "sample.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    contracts = contracts_of(raw.pop("contracts"), "sample.yaml")
    assumed = _Assumed.model_validate(raw)
    return Sample(assumed.label, _simulated(assumed), contracts, usd(assumed.cap_usd))


def demo_plan(cap: Money | None, confidence: float, seed: int) -> HedgePlan:
    """The plan for the month after the sample, under the sample's own cap if `cap` is None.

    Raises what `plan_month` raises: CapUnreachable and ConfidenceOutOfRange for odd wishes.
    """
    bundled = sample()
    return plan_month(
        bundled.history,
        bundled.contracts,
        bundled.cap if cap is None else cap,
        confidence=confidence,
        seed=seed,
    )


def _simulated(assumed: _Assumed) -> DemandHistory:
    """Each minute is one of the trace's, drawn anew, times the level of its hour and day."""
    rng = np.random.default_rng(assumed.seed)
    trace = _trace_minutes()
    since = datetime(assumed.since.year, assumed.since.month, assumed.since.day, tzinfo=UTC)
    weekday = (since.weekday() + np.arange(assumed.days)) % 7
    by_day = np.array(assumed.day_of_week)[weekday]
    by_day *= np.exp(rng.normal(0.0, assumed.day_level_sd, assumed.days))
    level = assumed.level * by_day[:, None] * np.array(assumed.hour_of_day)[None, :]
    drawn = trace[rng.integers(0, len(trace), assumed.days * HOURS * MINUTES)]
    tokens = np.rint(drawn * np.repeat(level.ravel(), MINUTES)[:, None]).astype(np.int64)
    price = assumed.list_usd_per_mtok
    card = RateCard.of(price.input, price.output)
    rows = (
        Used(
            since + timedelta(minutes=minute),
            prompt,
            completion,
            card.charge(TokenUsage(prompt, completion)),
        )
        for minute, (prompt, completion) in enumerate(tokens.tolist())
    )
    return DemandHistory.of(assumed.model, rows, since, since + timedelta(days=assumed.days))


def _trace_minutes() -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Prompt and completion tokens of the trace's whole minutes [minutes, 2]."""
    rows = azure_conversation()
    minutes = np.zeros((int(rows[-1].t_seconds // MINUTES), 2), dtype=np.int64)
    for row in rows:
        minute = int(row.t_seconds // MINUTES)
        if minute < len(minutes):
            minutes[minute] += (row.input_tokens, row.output_tokens)
    return minutes
