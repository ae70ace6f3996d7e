"""Small worlds to plan in: months of two workloads, and contracts of every kind on a menu."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np

from hedge.contracts.contract import CapacityContract, DerivativeContract, contracts_of
from hedge.planning.question import Question
from hedge.program.menu import Line, Lot, Menu, Pool
from hedge.scenarios.months import IndexPaths, Months
from ledger.money import usd

TOKENS = 0
FIRSTS = tuple(date(2026 + (11 + t) // 12, (11 + t) % 12 + 1, 1) for t in range(24))


def months(seed: int, count: int, length: int = 3, level: float = 1.0) -> Months:
    """Two workloads, the first at 2 USD per thousand tokens, the second at 1; an index beside
    them."""
    rng = np.random.default_rng(seed)
    shape = (count, length, 3, 2)
    growth = np.exp(0.02 * np.arange(length))[None, :, None, None]
    luck = np.exp(rng.normal(0, 0.25, (count, length, 1, 1)))
    day = np.array([1.6, 1.0, 0.4])[None, None, :, None]
    tokens = level * 40_000 * growth * luck * day * rng.gamma(20, 1 / 20, shape)
    minutes = np.tile([14_000.0, 14_600.0, 14_600.0], (length, 1))
    amounts = np.zeros((*shape, 4))
    amounts[..., TOKENS] = tokens
    amounts[..., 3] = tokens / 1000
    fixing = 2.5 * np.exp(rng.normal(0, 0.1, (count, length)))
    return Months(
        workloads=("chat", "batch"),
        firsts=FIRSTS[:length],
        minutes=minutes,
        amounts=amounts,
        list_usd=tokens / 1000 * np.array([2.0, 1.0]),
        indices={"H100": IndexPaths(fixing, FIRSTS[1 : length + 1], fixing)},
    )


def lot(
    name: str,
    pool: int,
    length: int,
    *,
    fee: float,
    units: float,
    term: int = 1,
    least: int = 1,
    step: int = 1,
    most: int = 40,
) -> Lot:
    """Units whose fee is due monthly for a term that may run beyond the plan."""
    running = np.array(
        [[start <= t < start + term for t in range(length)] for start in range(length)]
    )
    return Lot(
        contract=name,
        term_months=term,
        pool=pool,
        min_units=least,
        step=step,
        max_units=most,
        fee_usd=running * fee,
        brings=running * units,
        end_value_usd=np.zeros(length),
    )


def menu(of: Months, *, dear: float = 1.0, is_traded: bool = False) -> Menu:
    """A reservation for both workloads, a plan for the second one, and lots of an
    index if asked for. dear: times the usual fee."""
    length = len(of.firsts)
    by_token = np.array([1.0, 1.0, 1.0, 0.0])
    pools = (
        Pool("reserved", True, by_token, np.array([True, True])),
        Pool("quota", False, by_token, np.array([False, True])),
    )
    lots = (
        lot("reserve", 0, length, fee=13.0 * dear, units=0.3, least=2, step=2),
        lot("reserve", 0, length, fee=11.0 * dear, units=0.3, term=3, least=2, step=2),
        lot("flat", 1, length, fee=8.0 * dear, units=10_000),
        lot("never", 1, length, fee=40.0 * dear, units=10_000),
    )
    lines: tuple[Line, ...] = ()
    if is_traded:
        paths = of.indices["H100"]
        lines = tuple(
            Line(
                contract="gpu",
                month=month,
                side=side,
                max_lots=5,
                gain_usd=(paths.fixing_usd - 2.55) * side * np.eye(length)[month] * 3,
                marked_usd=(paths.level_usd - 2.55) * side * 3,
                margin_usd=1.0,
                index="H100",
                exposure_units=np.eye(length)[month] * 3 * side,
            )
            for month in range(2)
            for side in (1, -1)
        )
    return Menu(
        pools=pools,
        lots=lots,
        lines=lines,
        held=np.zeros((len(pools), length)),
        held_fee_usd=np.zeros(length),
        notes=("pending: it is announced only", "flat: these are made up for a test"),
    )


SOURCE = {"url": "made up for a test", "retrieved_at": "2026-11-20", "verification": "assumed"}


def contracts(is_traded: bool = False) -> tuple[CapacityContract | DerivativeContract, ...]:
    """The terms behind `menu`, as far as a plan speaks of them."""
    serving = {"provider": "host", "source": SOURCE, "size": {"max": 40}}
    prices = {"prices": [{"usd_per_month": 10}]}
    raw: list[object] = [
        {"kind": "throughput_reservation", "name": "reserve", "units_per_minute": 1}
        | serving
        | prices,
        {"kind": "flat_plan", "name": "flat", "quota_units": 10_000} | serving | prices,
        {"kind": "flat_plan", "name": "never", "quota_units": 10_000} | serving | prices,
        {"kind": "flat_plan", "name": "pending", "quota_units": 10_000, "status": "pending"}
        | serving
        | prices,
    ]
    if is_traded:
        raw.append(
            {
                "kind": "future",
                "name": "gpu",
                "provider": "exchange",
                "source": SOURCE,
                "size": {"max": 5},
                "multiplier": 3,
                "settlement": {"index": "H100", "averaging": "last"},
            }
        )
    return contracts_of(raw, "test")


def question(
    cap: str = "150",
    *,
    seed: int = 1,
    confidence: float = 0.9,
    length: int = 3,
    level: float = 1.0,
    offer: Callable[[Months], Menu] = menu,
    is_traded: bool = False,
) -> Question:
    return Question(
        draw=lambda seed, count: months(seed, min(count, 120), length, level),
        offer=offer,
        contracts=contracts(is_traded),
        cap=usd(cap),
        confidence=confidence,
        seed=seed,
        inputs=("history", "contracts"),
    )


def dearer(times: float) -> Callable[[Months], Menu]:
    return lambda of: menu(of, dear=times)


def empty(of: Months) -> Menu:
    length = len(of.firsts)
    return replace(menu(of), pools=(), lots=(), held=np.zeros((0, length)))
