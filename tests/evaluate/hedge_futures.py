"""Futures on GPU-hours, tried on real prices: what the hedge of least variance leaves.

Spot prices of a cloud's regions, month by month, against the median of its other regions: as good
an index as there is over three years. Token prices against the same index: what a buyer of tokens
could hedge by it.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as File

import numpy as np

from hedge.backtest.futures import LEAST_MONTHS, Futures, walk_forward
from hedge.risk import Floats

HALF_SPREAD_USD = 0.02
LEAST_HEDGED = 12
GPUS = ("A100-40", "A100-80", "H100-SXM")
TIERS = ("gpt4_class", "llama3_70b", "mini_class")


@dataclass(frozen=True, slots=True)
class Hedged:
    """series: so many. hedged: of their months, the part with futures. left: of the variance of the
    surprises, in parts of each series' mean price, of all together and of the middle one; `bet` the
    same if every ratio is believed."""

    what: str
    series: int
    months: int
    hedged: float
    left: tuple[float, float]
    bet: tuple[float, float]


def futures(data: File) -> tuple[Hedged, ...]:
    """Raises FileNotFoundError if there are no histories."""
    spot = _spot(data)
    rows = [
        _hedged(
            f"{gpu} spot by region",
            [(own, _others(spot[gpu], at)) for at, own in spot[gpu].items()],
        )
        for gpu in GPUS
    ]
    index = _middle(spot["A100-80"].values())
    tokens = [(price, index) for price in _tiers(data).values()]
    return (*rows, _hedged("token prices by tier, on A100-80 spot", tokens))


def _hedged(what: str, pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> Hedged:
    careful: list[Futures] = []
    bets: list[Futures] = []
    for own, index in pairs:
        months = sorted(own.keys() & index.keys())
        if len(months) < LEAST_MONTHS + 1 + LEAST_HEDGED:
            continue
        price, level = (np.array([one[month] for month in months]) for one in (own, index))
        spread = HALF_SPREAD_USD / level.mean()
        price, level = price / price.mean(), level / level.mean()
        careful.append(walk_forward(price, level, half_spread_usd=spread))
        bets.append(walk_forward(price, level, half_spread_usd=spread, always=True))
    ratios: Floats = np.concatenate([one.ratios for one in careful])
    hedged = float((ratios > 0).mean())
    return Hedged(what, len(careful), len(ratios), hedged, _left(careful), _left(bets))


def _left(some: list[Futures]) -> tuple[float, float]:
    before = sum(float(np.var(one.surprise_usd)) for one in some)
    after = sum(float(np.var(one.hedged_usd)) for one in some)
    return after / before, float(np.median([one.variance_left for one in some]))


def _rows(file: File) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as opened:
        yield from csv.DictReader(opened)


def _spot(data: File) -> dict[str, dict[str, dict[str, float]]]:
    """The last price of each month, by GPU, region and month."""
    found: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in _rows(data / "gpu_hour_prices.csv.gz"):
        if row["source"] == "gcosts" and row["contract"] == "spot":
            month = row["date"][:7]
            found[row["gpu"]][row["region"]][month] = float(row["usd_per_gpu_hour"])
    return {gpu: dict(regions) for gpu, regions in found.items()}


def _others(regions: Mapping[str, Mapping[str, float]], region: str) -> dict[str, float]:
    return _middle(prices for at, prices in regions.items() if at != region)


def _middle(series: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The median of those that have a price in the month."""
    by_month: dict[str, list[float]] = defaultdict(list)
    for prices in series:
        for month, usd in prices.items():
            by_month[month].append(usd)
    return {month: float(np.median(usd)) for month, usd in by_month.items()}


def _tiers(data: File) -> dict[str, dict[str, float]]:
    """The median price of each tier in each month, USD per million tokens."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    with (data / "tier_price_index.csv").open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            if row["source"] == "litellm" and row["tier"] in TIERS:
                found[row["tier"]][row["date"][:7]] = float(row["median_blended"])
    return found
