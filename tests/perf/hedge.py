"""`hedge`: the program over twelve months, in this process."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from time import perf_counter

import numpy as np

from hedge.program.holding import Holding
from hedge.program.menu import Exposure, Line, Lot, Menu, Pool
from hedge.program.program import Program
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
    mix = np.array([[0.7, 0.1, 0.2], [0.6, 0.3, 0.1], [0.5, 0.1, 0.4]])[:workloads]
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


def with_quotas_and_futures(menu: Menu, months: Months) -> Menu:
    """Two quotas at 85% of pay-as-you-go, monthly, and futures on an index in months 1 and 2."""
    scenarios, horizon = months.list_usd.shape[:2]
    pools, lots = list(menu.pools), list(menu.lots)
    for q, serves in enumerate((np.array([1.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0]))):
        tokens = float((months.amounts[..., :3].sum(axis=(2, 4)) @ serves).mean())
        usd = float((months.list_usd.sum(axis=2) @ serves).mean())
        diagonal = np.eye(horizon)
        zeros = np.zeros(horizon)
        fee, brings = diagonal * usd * 0.85 / 20, diagonal * tokens / 20
        lots.append(Lot(f"quota {q}", 1, len(pools), 1, 1, 40, fee, brings, zeros))
        pools.append(Pool(f"quota {q}", False, PER_TOKEN, serves))
    rng = np.random.default_rng(1)
    total = months.month_usd()
    lines = []
    for t in range(2):
        gain = np.zeros((scenarios, horizon))
        gain[:, t] = (total[:, t] - total[:, t].mean()) * 0.05 + rng.normal(0, 2, scenarios) - 0.5
        marked = np.stack([gain[:, t] / 2, gain[:, t]], axis=1)
        units = np.zeros(horizon)
        units[t] = 730.0
        lines.append(Line(f"future {t}", t, 1, 10, gain, marked, 50.0, "gpu", units))
    return replace(
        menu,
        pools=tuple(pools),
        lots=tuple(lots),
        held=np.zeros((len(pools), horizon)),
        lines=tuple(lines),
        exposures=(Exposure("gpu", np.full(horizon, 5 * 730.0)),),
        liquidity_usd=400.0,
    )


def rows() -> Iterator[tuple[str, ...]]:
    months = months_of()
    menu = menu_of(months)
    program, low, seconds = _timed(lambda: Program(menu, months, 0.95), lambda one: one.lowest())
    yield _row("lowest cap, from nothing", low, seconds)
    caps = np.full(12, low.cvar_usd.max() * 1.04)
    program, found, seconds = _timed(
        lambda: Program(menu, months, 0.95), lambda one: one.cheapest(caps)
    )
    yield _row("cheapest under caps, from nothing", found, seconds)
    _, found, seconds = _timed(lambda: program, lambda one: one.cheapest(caps * 1.02))
    yield _row("  again, other caps", found, seconds)
    dearer = replace(menu, lots=tuple(replace(x, fee_usd=x.fee_usd * 1.01) for x in menu.lots))
    _, found, seconds = _timed(lambda: program.with_fees(dearer), lambda one: one.cheapest(caps))
    yield _row("  again, other fees", found, seconds)
    _, found, seconds = _timed(
        lambda: Program(menu, months, 0.95, integer_months=12), lambda one: one.cheapest(caps)
    )
    yield _row("whole units in all months", found, seconds)
    wide = with_quotas_and_futures(menu, months)
    _, found, seconds = _timed(lambda: Program(wide, months, 0.95), lambda one: one.cheapest(caps))
    yield _row("with 2 quotas, 2 futures", found, seconds)
    burning = np.array([1.0, 0.1, 6.0, 0.0])
    uneven = replace(menu, pools=(replace(menu.pools[0], takes=burning), *menu.pools[1:]))
    _, found, seconds = _timed(
        lambda: Program(uneven, months, 0.95), lambda one: one.cheapest(caps)
    )
    yield _row("takes out of proportion", found, seconds)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield ("memory, at most", f"{memory:.0f} MB", "", "")


def _timed(
    make: Callable[[], Program], ask: Callable[[Program], Holding]
) -> tuple[Program, Holding, float]:
    begun = perf_counter()
    program = make()
    found = ask(program)
    return program, found, perf_counter() - begun


def _row(name: str, found: Holding, seconds: float) -> tuple[str, ...]:
    return (name, f"{seconds:.2f} s", f"{found.gap:.3%}", f"{found.expected_usd:,.2f}")
