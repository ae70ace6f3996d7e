"""Small paths and offers for the backtest's tests."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from hedge.backtest.forecast import Forecast
from hedge.backtest.offer import Offer
from hedge.backtest.path import Path
from hedge.backtest.walk import Walk
from hedge.scenarios.history import DAY_SLICES
from ledger.money import Money

FIRST = date(2025, 11, 16)
BOUGHT_FROM = date(2026, 1, 1)
UNTIL = date(2026, 4, 1)
SLICE_TOKENS = 100
LIST_NANOS = 50
FULL_MONTH = SLICE_TOKENS * DAY_SLICES * 365.25 / 12 * LIST_NANOS


def path(seed: int, *, history: float = 1.0, spread: float = 0.5) -> Path:
    """Days whose level wanders, about ten units; before the first decision times `history`."""
    rng = np.random.default_rng(seed)
    days = (UNTIL - FIRST).days
    level = np.exp(np.cumsum(rng.normal(0, 0.05 * spread, days)))
    hours = 1 + 0.5 * np.sin(np.arange(DAY_SLICES) / DAY_SLICES * 2 * np.pi)
    load = (
        10
        * SLICE_TOKENS
        * level[:, None]
        * hours
        * rng.uniform(1 - spread, 1 + spread, (days, DAY_SLICES))
    )
    load[: (BOUGHT_FROM - FIRST).days] *= history
    nanos = LIST_NANOS + np.cumsum(rng.random(days) < 0.02)
    return Path(f"{seed}", FIRST, BOUGHT_FROM, load.astype(np.int64), nanos.astype(np.int64))


def offer(share: float = 0.7, terms: tuple[int, ...] = (1, 3), most: int = 40) -> Offer:
    fees = {term: Money(round(share * (1 - 0.03 * (term - 1)) * FULL_MONTH)) for term in terms}
    return Offer(fees, SLICE_TOKENS, min_units=2, step=2, max_units=most)


def walk(one: Path, share: float = 0.7, terms: tuple[int, ...] = (1, 3)) -> Walk:
    return Walk(
        one, lambda *_: offer(share, terms), Forecast(seed=1, count=100, months=3, blocks=8)
    )


def changed_from(one: Path, day: date) -> Path:
    """The same until the evening before `day`, and something else from then on."""
    row = one.row(day)
    tokens, nanos = one.tokens.copy(), one.list_nanos.copy()
    tokens[row:] = tokens[row:][::-1] * 3
    nanos[row:] *= 2
    return Path(one.name, one.first, one.bought_from, tokens, nanos)


def days_of(one: Path) -> list[date]:
    return [one.bought_from + timedelta(days=n) for n in range((one.until - one.bought_from).days)]
