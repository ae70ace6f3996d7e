"""The hedge's evaluation: every figure of the page and of the pictures, computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path as File

import numpy as np

from hedge.backtest.contest import KAPPAS, Contest, contest
from hedge.backtest.forecast import Forecast, history_of
from hedge.backtest.offer import Offer
from hedge.backtest.ours import menu_of
from hedge.backtest.path import Path, Seen, seen
from hedge.backtest.walk import Forecaster, Walk
from hedge.program.program import Program
from hedge.risk import Floats, clopper_pearson
from hedge.scenarios.calibration import calibrated
from hedge.scenarios.draw import draw
from hedge.scenarios.history import DAY_SLICES, DemandHistory
from hedge.scenarios.months import Months, TokenKind
from hedge.scenarios.other import other
from ledger.money import NANOS_PER_USD, Money
from tests.evaluate.hedge_futures import Hedged, futures
from tests.evaluate.hedge_traces import Material, Trace, read

SEEDS, MIDDLE_SEEDS = 20, 40
"""Paths of each trace, and at the fee where all rules are compared."""
FIRST_SEED = 100
"""Rules and traces were chosen while smaller ones were looked at."""
SHARES = (0.60, 0.75, 0.90, 1.0)
"""Of pay-as-you-go at full use: what a month costs if bought by the month."""
MIDDLE = 0.75
DISCOUNTS: Mapping[int, float] = {1: 1.0, 3: 0.93, 6: 0.87}
"""By term, in months. At the highest share the longest terms are then at 93 and 97%."""
FEW_DISCOUNTS: Mapping[int, float] = {1: 1.0, 3: 0.975, 6: 0.95}
STEP = 10
MAX_UNITS = 1000
SLICE_TOKENS = 5_000
FRESH_PATHS, PLANS = 1000, 2
"""Drawn for all plans together; plans of each trace."""
PLAN_SCENARIOS, EVALUATED = 300, 2000
CONFIDENCE = 0.95


def offers(share: float) -> Callable[[Path, date], Offer]:
    """Fees follow the list price of the day before: the seller reprices as it does."""
    discounts = FEW_DISCOUNTS if share > 0.9 else DISCOUNTS

    def on(path: Path, day: date) -> Offer:
        list_nanos = int(path.list_nanos[path.row(day) - 1])
        full = SLICE_TOKENS * DAY_SLICES * list_nanos * 365.25 / 12
        fees = {term: Money(round(share * part * full)) for term, part in discounts.items()}
        return Offer(fees, SLICE_TOKENS, STEP, STEP, MAX_UNITS)

    return on


class _Kept:
    """One forecast of each path and month for all fees: they are not what it is about."""

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster = forecaster
        self._kept: dict[tuple[date, int], Months] = {}

    def of(self, path: int) -> Forecaster:
        def forecast(past: Seen) -> Months:
            key = (past.today, path)
            if key not in self._kept:
                self._kept[key] = self._forecaster(past)
            return self._kept[key]

        return forecast


@dataclass(frozen=True, slots=True)
class Exceeded:
    """How often a plan's first month cost more than the CVaR that it was planned with."""

    world: str
    paths: int
    exceeded: int
    interval: tuple[float, float]
    promised: float


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """contests: by share of the fee and trace, in `traces`' order."""

    traces: tuple[Trace, ...]
    contests: Mapping[float, tuple[Contest, ...]]
    exceeded: tuple[Exceeded, ...]
    models: int
    futures: tuple[Hedged, ...]


def evaluate(data: File) -> Evaluation:
    material = read(data)
    by_share: dict[float, list[Contest]] = {share: [] for share in SHARES}
    for trace in material.traces:
        kept = _Kept(Forecast(seed=1))
        for share in SHARES:
            is_middle = share == MIDDLE
            kappas = KAPPAS if is_middle else (0.0,)
            seeds = MIDDLE_SEEDS if is_middle else SEEDS
            walks = _walks(material, trace, seeds, share, kept)
            by_share[share].append(contest(walks, tuple(DISCOUNTS), kappas=kappas))
    return Evaluation(
        material.traces,
        {share: tuple(some) for share, some in by_share.items()},
        tuple(_exceeded(material)),
        len(material.prices),
        futures(data),
    )


def _walks(
    material: Material, trace: Trace, seeds: int, share: float, kept: _Kept
) -> Iterator[Walk]:
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        yield Walk(material.path(trace, seed), offers(share), kept.of(seed))


@dataclass(frozen=True, slots=True, eq=False)
class _Planned:
    """A plan on the first day of a path: units held in its first month, and their fees."""

    path: Path
    history: DemandHistory
    offer: Offer
    units: float
    fees_usd: float

    @classmethod
    def of(cls, path: Path) -> _Planned:
        forecast = Forecast(seed=1, count=PLAN_SCENARIOS, months=3)
        walk = Walk(path, offers(MIDDLE), forecast)
        months, whole = walk.forecast(path.bought_from), walk.offer(path.bought_from)
        offer = replace(whole, fees={term: fee for term, fee in whole.fees.items() if term <= 3})
        nothing = np.zeros(1, dtype=np.int64)
        menu = menu_of(offer, nothing, months)
        holding = Program(menu, months, CONFIDENCE, integer_months=1, gap=1e-3).cheapest()
        history = history_of(seen(path, path.bought_from, nothing, offer, None))
        units = sum(float(starts[0]) for starts in holding.starts)
        return cls(path, history, offer, units, float(holding.fees_usd[0]))

    def drawn(self, seed: int, count: int) -> Floats:
        """What the first month costs, by fresh draws of the planning generator."""
        outlook, first = calibrated(self.history), self.path.bought_from
        return self._cost(
            draw(self.history, outlook, seed=seed, count=count, months=1, first=first)
        )

    def strange(self, seed: int, count: int) -> Floats:
        """By another generator."""
        first = self.path.bought_from
        return self._cost(other(self.history, seed=seed, count=count, months=1, first=first))

    def came(self) -> float:
        """As it came."""
        start = self.path.row(self.path.bought_from)
        days = slice(start, start + 30)
        room = self.units * self.offer.slice_tokens
        over = np.maximum(self.path.tokens[days] - room, 0).sum(axis=1)
        return self.fees_usd + float(over @ self.path.list_nanos[days]) / NANOS_PER_USD

    def _cost(self, months: Months) -> Floats:
        tokens = months.amounts[:, 0, :, 0, TokenKind.PROMPT]
        room = self.units * self.offer.slice_tokens / 5 * months.minutes[0]
        left = 1 - np.minimum(tokens, room) / np.maximum(tokens, 1.0)
        return np.asarray(self.fees_usd + (months.list_usd[:, 0, :, 0] * left).sum(axis=1))


def _exceeded(material: Material) -> Iterator[Exceeded]:
    """Each plan promises that its first month stays under a cap with CONFIDENCE, on an evaluation
    set that the program did not see: how often the month goes beyond it on fresh draws of the same
    generator, on another generator, and as it came."""
    plans = len(material.traces) * PLANS
    count = -(-FRESH_PATHS // plans)
    beyond = np.zeros(3, dtype=np.int64)
    for number in range(plans):
        trace = material.traces[number % len(material.traces)]
        planned = _Planned.of(material.path(trace, 100 + number))
        cap_usd = np.quantile(planned.drawn(2, EVALUATED), CONFIDENCE)
        beyond += [
            (planned.drawn(1000 + number, count) > cap_usd).sum(),
            (planned.strange(1000 + number, count) > cap_usd).sum(),
            planned.came() > cap_usd,
        ]
    for world, paths, exceeded in zip(
        ("fresh paths of the planning generator", "another generator", "the month that came"),
        (plans * count, plans * count, plans),
        beyond.tolist(),
        strict=True,
    ):
        yield Exceeded(world, paths, exceeded, clopper_pearson(exceeded, paths), 1 - CONFIDENCE)
