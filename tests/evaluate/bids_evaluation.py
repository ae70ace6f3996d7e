"""What bid prices save, by event simulation: traffic, alternatives and holdings, many seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hedge.bids.demand import Demand
from tests.evaluate.owned_draws import Costs, quota_costs, throughput_costs
from tests.evaluate.owned_traffic import (
    ALIKE,
    DAY_S,
    EQUAL,
    FOUR,
    HOUR_S,
    MONDAY_S,
    NARROW,
    TWO,
    Arrivals,
    Models,
    Requests,
    of_windows,
    poisson,
    priced,
    steady,
    traced,
    week_profile,
)

SEEDS = 20
DAYS, PER_MINUTE = 30.0, 0.25
HOURS = 3.0
MIXES = (TWO, FOUR, NARROW)
FORECAST_DAYS = 7.0
"""Of a trace: its first days are the forecast, the quota is for the days after them."""


@dataclass(frozen=True, slots=True)
class Case:
    """owned: quota, or capacity of a mean minute, as a share of what is wanted. forecast: what
    demand is thought to be, as a share of what is usual; 0 forecasts nothing. levels: of equal
    parts of the time. target: the least saving that is asked for."""

    traffic: str
    models: Models
    is_quota: bool
    owned: float
    per_minute: float = PER_MINUTE
    tail: float = 1.0
    trace: Path | None = None
    forecast: float = 1.0
    levels: tuple[float, ...] = (1.0,)
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a case, over its seeds; shares of all that prepaid-first costs, unless it says otherwise.

    interval: of the mean, 95%, paired by seed. spread: P90 / P10 of alternatives within the hour.
    """

    case: Case
    saving: float
    interval: tuple[float, float]
    worst: float
    best_saving: float
    beside_fee: float
    spread: float

    @property
    def part_of_best(self) -> float | None:
        """None where there is next to nothing to save."""
        return self.saving / self.best_saving if self.best_saving > 0.002 else None


TARGETS = {True: {0.7: 0.08, 0.9: 0.04}, False: {0.7: 0.05, 0.8: 0.05, 0.9: 0.05, 1.1: 0.03}}
PART_OF_BEST = 0.7
NEVER_WORSE = 0.005


def cases(data: Path) -> Iterator[Case]:
    """data: where the traces are."""
    for models in MIXES:
        for owned in (0.7, 0.9, 1.0, 1.1):
            yield _case("by chance, a month", models, True, owned)
        for owned in (0.7, 0.8, 0.9, 1.1):
            yield _case("by chance, 60 a minute", models, False, owned, per_minute=60.0)
    for owned in (0.7, 0.9, 1.1):
        yield _case("by chance, 300 a minute", FOUR, False, owned, per_minute=300.0)
        yield _case("sizes alike, 60 a minute", FOUR, False, owned, per_minute=60.0, tail=0.3)
        for name in ("code", "conv"):
            trace = data / f"demand_azure2023_{name}.csv.gz"
            yield _case(f"Azure {name}", FOUR, False, owned, trace=trace)
    for owned in (0.7, 0.9, 1.0, 1.1):
        for name in ("m-large", "m-mid"):
            trace = data / f"demand_servegen_{name}.csv.gz"
            yield _case(f"ServeGen {name}", FOUR, True, owned, trace=trace)
    for models in (EQUAL, ALIKE):
        for owned in (0.7, 0.9, 1.1):
            yield Case("by chance, a month", models, True, owned)
            yield Case("by chance, 60 a minute", models, False, owned, per_minute=60.0)
    for name, forecast, levels in WRONG:
        for owned in (0.7, 0.9, 1.0):
            yield Case(name, FOUR, True, owned, forecast=forecast, levels=levels)


WRONG: tuple[tuple[str, float, tuple[float, ...]], ...] = (
    ("forecast 30% too high", 1.3, (1.0,)),
    ("forecast 30% too low", 0.7, (1.0,)),
    ("no forecast", 0.0, (1.0,)),
    ("demand up by half, midway", 1.0, (0.8, 1.2)),
    ("demand down by a third, midway", 1.0, (1.2, 0.8)),
)


def evaluate(every: Sequence[Case], seeds: int) -> list[Outcome]:
    """Raises FileNotFoundError where a trace is not there."""
    with ProcessPoolExecutor() as pool:
        return list(pool.map(outcome, every, [seeds] * len(every)))


def outcome(case: Case, seeds: int) -> Outcome:
    costs, spreads = zip(*(_run(case, seed) for seed in range(seeds)), strict=True)
    savings = np.array([one.saving for one in costs])
    half = 1.96 * float(savings.std(ddof=1)) / np.sqrt(seeds) if seeds > 1 else 0.0
    mean = float(savings.mean())
    return Outcome(
        case,
        mean,
        (mean - half, mean + half),
        float(savings.min()),
        float(np.mean([one.best_saving for one in costs])),
        float(np.mean([one.saving_beside_fee for one in costs])),
        float(np.mean(spreads)),
    )


def _run(case: Case, seed: int) -> tuple[Costs, float]:
    draws = np.random.default_rng(seed)
    requests = priced(draws, _arrivals(case, draws), case.models)
    run: Callable[[Case, Requests], Costs] = _quota if case.is_quota else _throughput
    return run(case, requests), requests.spread_within_hours()


def _arrivals(case: Case, draws: np.random.Generator) -> Arrivals:
    if not case.is_quota:
        if case.trace is not None:
            return traced(case.trace)
        return steady(draws, case.per_minute, HOURS, case.tail)
    if case.trace is not None:
        return of_windows(draws, case.trace, 2 * case.per_minute)
    return poisson(draws, case.per_minute, DAYS, case.levels)


def _throughput(case: Case, requests: Requests) -> Costs:
    minutes = (requests.at_s[-1] - requests.at_s[0]) / 60
    return throughput_costs(requests, case.owned * float(requests.units.sum()) / minutes)


def _quota(case: Case, requests: Requests) -> Costs:
    if case.trace is not None:
        return _quota_of_trace(case, requests)
    usual = week_profile() * case.per_minute / 60 * float(requests.units.mean())
    demand = Demand(MONDAY_S, usual * case.forecast if case.forecast else None)
    quota = case.owned * float(requests.units.sum())
    return quota_costs(requests, quota, MONDAY_S + DAYS * DAY_S, demand)


def _quota_of_trace(case: Case, requests: Requests) -> Costs:
    from_s = MONDAY_S + FORECAST_DAYS * DAY_S
    known, rest = requests.until(from_s), requests.since(from_s)
    hours = ((known.at_s - MONDAY_S) // HOUR_S).astype(int)
    usual = np.bincount(hours, known.units, minlength=168)[:168] / HOUR_S
    until_s = np.ceil(float(rest.at_s[-1]) / HOUR_S) * HOUR_S
    quota = case.owned * float(rest.units.sum())
    return quota_costs(rest, quota, float(until_s), Demand(from_s, usual))


def _case(
    traffic: str,
    models: Models,
    is_quota: bool,
    owned: float,
    *,
    per_minute: float = PER_MINUTE,
    tail: float = 1.0,
    trace: Path | None = None,
) -> Case:
    target = TARGETS[is_quota].get(owned)
    return Case(traffic, models, is_quota, owned, per_minute, tail, trace, target=target)
