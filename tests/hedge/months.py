"""Small months and contracts to plan on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np

from hedge.month.contracts import Contract, FlatPlan, Overage, ThroughputUnit
from hedge.month.demand import DemandHistory, Used
from hedge.month.scenarios import Floats, Scenarios
from ledger.money import Money

MODEL = "m"
SINCE = datetime(2026, 10, 1, tzinfo=UTC)


def throughput(
    name: str = "throughput",
    *,
    fee: str = "2.4",
    per_minute: int = 1,
    burndown: str = "1",
    least: int = 1,
    step: int = 1,
    most: int = 1000,
) -> ThroughputUnit:
    return ThroughputUnit(
        name=name,
        provider="p",
        models=(MODEL,),
        fee_usd=Decimal(fee),
        min_units=least,
        step=step,
        max_units=most,
        source="made up for a test",
        retrieved_at=date(2026, 11, 20),
        verification="assumed",
        tokens_per_minute=per_minute,
        output_burndown=Decimal(burndown),
    )


def flat(
    name: str = "flat",
    *,
    fee: str,
    quota: str,
    overage: tuple[str, str] | None = None,
    least: int = 1,
    step: int = 1,
    most: int = 1000,
) -> FlatPlan:
    """overage: USD per Mtok, and the limit in Mtok per unit."""
    return FlatPlan(
        name=name,
        provider="p",
        models=(MODEL,),
        fee_usd=Decimal(fee),
        min_units=least,
        step=step,
        max_units=most,
        source="made up for a test",
        retrieved_at=date(2026, 11, 20),
        verification="assumed",
        quota_mtok=Decimal(quota),
        overage=overage
        and Overage(usd_per_mtok=Decimal(overage[0]), limit_mtok=Decimal(overage[1])),
    )


def one_block(demand: Floats, usd_per_token: float) -> Scenarios:
    """A month of one minute: the newsvendor's."""
    tokens = demand[:, None]
    return Scenarios(MODEL, np.ones(1), tokens, np.zeros_like(tokens), usd_per_token * tokens)


def random_months(seed: int, *, count: int = 40, blocks: int = 5) -> Scenarios:
    """Months of uneven load, mix and price; idle blocks may cost something all the same."""
    rng = np.random.default_rng(seed)
    minutes = rng.integers(1, 4, blocks).astype(np.float64) * 1000
    level = rng.lognormal(0, 0.4, (count, 1))
    prompt = 1000 * level * rng.gamma(2.0, 1.0, (count, blocks)) * (rng.random(blocks) < 0.9)
    completion = prompt * rng.uniform(0.1, 0.4, (count, blocks))
    price = rng.uniform(0.4, 1.2, (count, blocks))
    list_usd = (prompt + completion) * minutes / 1e6 * price
    return Scenarios(MODEL, minutes, prompt, completion, np.where(prompt > 0, list_usd, 0.5))


def random_contracts(seed: int) -> tuple[Contract, ...]:
    """Two throughput units of unlike burn-down and two flat plans, one with overage."""
    rng = np.random.default_rng(seed)
    minutes, mtok = 10_000, 20
    fee = [f"{value:.2f}" for value in rng.uniform(0.25, 0.8, 4) * 800 * minutes / 1e6]
    return (
        throughput("t1", fee=fee[0], per_minute=800, burndown="1", least=2, step=2, most=6),
        throughput("t2", fee=fee[1], per_minute=800, burndown="3", most=3),
        flat("f1", fee=fee[2], quota="8", overage=("0.55", "5"), most=4),
        flat("f2", fee=fee[3], quota=str(mtok // 2), least=1, step=2, most=3),
    )


def holdings(contracts: Sequence[Contract]) -> Floats:
    """Every holding that can be bought [holdings, contracts]."""
    sizes = [[n for n in range(one.max_units + 1) if one.sells(n)] for one in contracts]
    grid = np.meshgrid(*sizes, indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=1).astype(np.float64)


def hourly_history(seed: int = 0, days: int = 28) -> DemandHistory:
    """Two rows an hour, so that an hour is uneven; 1 USD per Mtok."""
    rng = np.random.default_rng(seed)
    rows = []
    for hour in range(days * 24):
        for minute in (0, 17):
            prompt = int(rng.integers(100_000, 1_000_000))
            at = SINCE + timedelta(hours=hour, minutes=minute)
            rows.append(Used(at, prompt, prompt // 5, Money((prompt + prompt // 5) * 1000)))
    return DemandHistory.of(MODEL, rows, SINCE, SINCE + timedelta(days=days))
