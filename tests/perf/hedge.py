"""`hedge`: the program over twelve months."""

from __future__ import annotations

from datetime import date

import numpy as np

from hedge.program.menu import Lot, Menu, Pool
from hedge.scenarios.months import Months

TERMS = (1, 3, 6, 12)
PER_TOKEN = np.array([1.0, 1.0, 1.0, 0.0])


def months_of(
    scenarios: int = 300, months: int = 12, blocks: int = 24, workloads: int = 3, seed: int = 0
) -> Months:
    """Growing, bursty demand: a load-duration curve a month, three classes at unlike prices."""
    rng = np.random.default_rng(seed)
    level = np.exp(np.cumsum(rng.normal(0.02, 0.08, (scenarios, months)), axis=1))
    shape = np.linspace(2.2, 0.2, blocks)[:, None] * np.array([1.0, 1.6, 0.8])[:workloads]
    noise = np.exp(rng.normal(0, 0.25, (scenarios, months, blocks, workloads)))
    minutes = np.full((months, blocks), 43_200 / blocks)
    tokens = 2_000 * level[:, :, None, None] * shape * noise * minutes[:, :, None]
    price = np.array([1.0, 2.5, 8.0])[:workloads] * 1e-6
    price = price * np.exp(np.cumsum(rng.normal(0, 0.03, (scenarios, months)), 1))[..., None, None]
    mix = np.array([0.7, 0.1, 0.2])
    amounts = np.concatenate([tokens[..., None] * mix, tokens[..., None] / 1_000], axis=-1)
    firsts = tuple(date(2027 + t // 12, t % 12 + 1, 1) for t in range(months))
    return Months(tuple("abcde"[:workloads]), firsts, minutes, amounts, tokens * price)


def menu_of(months: Months, *, units: float = 500.0) -> Menu:
    """Three nested pools, each at four terms: longer ones at a lower fee."""
    horizon, workloads = months.list_usd.shape[1], len(months.workloads)
    kinds = np.arange(workloads)
    pools = tuple(
        Pool(f"pool {p}", True, PER_TOKEN, (kinds <= p).astype(np.float64))
        for p in range(workloads)
    )
    lots = []
    density = months.list_usd.sum(axis=(0, 1, 2)) / months.amounts[..., :3].sum(axis=(0, 1, 2, 4))
    for p in range(workloads):
        full_usd = density[p] * units * 43_200
        for term, share in zip(TERMS, (0.66, 0.6, 0.54, 0.46), strict=True):
            brings = np.zeros((horizon, horizon))
            for start in range(horizon):
                brings[start, start : start + term] = units
            fee = np.where(brings > 0, full_usd * share, 0.0)
            left = np.maximum(np.arange(horizon) + term - horizon, 0)
            lots.append(
                Lot(f"p{p} {term}m", term, p, 2, 1, 60, fee, brings, np.zeros(horizon) * left)
            )
    return Menu(pools, tuple(lots), np.zeros((workloads, horizon)), np.zeros(horizon))
