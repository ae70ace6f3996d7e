"""Small random menus and months for the program: whatever the schema allows."""

from __future__ import annotations

from datetime import date

import numpy as np

from hedge.program.menu import Exposure, Limit, Line, Lot, Menu, Pool, Tranche
from hedge.risk import Floats
from hedge.scenarios.months import Months

PER_TOKEN = np.array([1.0, 1.0, 1.0, 0.0])


def some_months(
    seed: int, *, scenarios: int = 12, count: int = 2, blocks: int = 2, workloads: int = 2
) -> Months:
    """Around 1 USD a month and scenario; a cell in ten asks for nothing."""
    rng = np.random.default_rng([seed, 1])
    shape = (scenarios, count, blocks, workloads)
    amounts = rng.gamma(1.5, 1_000.0, (*shape, 4))
    amounts *= np.exp(rng.normal(0, 0.4, (scenarios, count, 1, 1, 1)))
    amounts *= np.greater(rng.random(shape), 0.1)[..., None]
    price = rng.uniform(0.5, 4.0, shape) * 1e-4
    firsts = tuple(date(2027, 1 + t, 1) for t in range(count))
    minutes: Floats = rng.choice([10.0, 20.0, 30.0], (count, blocks))
    names = tuple("abcde"[:workloads])
    return Months(names, firsts, minutes, amounts, amounts.sum(axis=-1) * price)


def some_pools(
    seed: int, months: Months, *, perishing: int, quotas: int, alike: bool, overage: bool = False
) -> tuple[Pool, ...]:
    """alike: they take in proportion. Any may serve any workload, but each some one."""
    rng = np.random.default_rng([seed, 2])
    scenarios, count, _, workloads = months.list_usd.shape
    pools = []
    for p in range(perishing + quotas):
        perishes = p < perishing
        serves = np.asarray(rng.binomial(1, 0.7, workloads), dtype=np.float64)
        serves[rng.integers(workloads)] = 1.0
        takes = PER_TOKEN * rng.uniform(0.5, 3) if alike else rng.uniform(0.2, 3, 4)
        of_list = 0.0
        if not (alike or perishes) and rng.random() < 0.3:
            takes, of_list = np.zeros(4), 1.0
        short = rng.uniform(0.5, 1.0, (scenarios, count)) if rng.random() < 0.3 else None
        tranches: tuple[Tranche, ...] = ()
        if overage and not perishes:
            price = rng.uniform(0.3, 2.0) * (0.2 if of_list else 1e-4)
            tranches = (Tranche(float(price), float(rng.choice([0.5, 1.0, np.inf]))),)
        pools.append(Pool(f"pool {p}", perishes, takes, serves, of_list, short, tranches))
    return tuple(pools)


def some_menu(
    seed: int,
    months: Months,
    *,
    perishing: int = 1,
    quotas: int = 1,
    alike: bool = True,
    overage: bool = False,
    lots: int = 3,
    lines: int = 0,
) -> Menu:
    """A few units serve a month; fees between half and all of what they save when always used."""
    rng = np.random.default_rng([seed, 3])
    scenarios, count = months.list_usd.shape[:2]
    pools = some_pools(
        seed, months, perishing=perishing, quotas=quotas, alike=alike, overage=overage
    )
    sold = []
    for k in range(lots):
        p = int(rng.integers(len(pools)))
        pool = pools[p]
        asked = months.amounts @ pool.takes + pool.takes_list_usd * months.list_usd
        can = pool.serves.astype(bool)
        month = float(asked[..., can].sum(axis=(2, 3)).mean())
        unit = month / (months.minutes.sum() / count if pool.perishes else 1.0) / rng.integers(2, 6)
        value = float(months.list_usd[..., can].sum(axis=(2, 3)).mean()) / (month or 1.0)
        fee = value * unit * (months.minutes.sum() / count if pool.perishes else 1.0)
        term = int(rng.integers(1, count + 1))
        covers = np.triu(np.tril(np.ones((count, count)), 0).T)
        covers *= np.arange(count)[None, :] - np.arange(count)[:, None] < term
        least = int(rng.integers(1, 3))
        loss = None
        if rng.random() < 0.4:
            loss = (rng.random((scenarios, 1, 1)) < 0.2) * covers * fee * 0.5
        sold.append(
            Lot(
                f"lot {k}",
                term,
                p,
                least,
                int(rng.integers(1, 3)),
                least + int(rng.integers(0, 5)),
                covers * fee * rng.uniform(0.3, 0.9),
                covers * unit,
                np.asarray(rng.uniform(0, 0.1, count) * fee),
                loss,
            )
        )
    limits: tuple[Limit, ...] = ()
    if rng.random() < 0.5:
        limits = (Limit("prepaid", {0: np.full(count, 2.0), 1: np.full(count, 1.0)}, 7.5),)
    held = np.array([rng.uniform(0, 0.2) * lot.brings.max() for lot in sold][:1] * len(pools))
    menu = Menu(
        pools,
        tuple(sold),
        np.repeat(held[:, None], count, axis=1),
        np.array(rng.uniform(0, 0.1, count)),
        limits=limits,
    )
    return _with_lines(menu, months, rng, lines) if lines else menu


def _with_lines(menu: Menu, months: Months, rng: np.random.Generator, lines: int) -> Menu:
    """Futures on an index that moves with what the months cost."""
    scenarios, count = months.list_usd.shape[:2]
    total = months.month_usd()
    some = []
    for i in range(lines):
        t, side = i % count, 1 if i % 3 < 2 else -1
        moved = (total[:, t] - total[:, t].mean()) * 0.2 + rng.normal(0, 0.02, scenarios)
        gain = np.zeros((scenarios, count))
        gain[:, t] = side * moved - 0.005
        marked = side * np.stack([moved * 0.5, moved], axis=1) + rng.normal(0, 0.01, (scenarios, 2))
        exposure = np.zeros(count)
        exposure[t] = side
        some.append(Line(f"line {i}", t, side, 4, gain, marked, 0.05, "gpu", exposure, i % 2 == 0))
    gained: Floats = rng.normal(0, 0.02, (scenarios, count))
    return Menu(
        menu.pools,
        menu.lots,
        menu.held,
        menu.held_fee_usd,
        tuple(some),
        (Exposure("gpu", np.full(count, 3.5)),),
        menu.limits,
        0.4,
        gained,
    )
