"""Contracts and months for tests: small, and whole where it matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from hedge.contracts.contract import CapacityContract, Contract, DerivativeContract, contracts_of
from hedge.contracts.derivatives import Derivative
from hedge.contracts.terms import Terms
from hedge.risk import Floats
from hedge.scenarios.months import IndexPaths, Months

SOURCE = {"url": "a test", "retrieved_at": "2026-11-20", "verification": "assumed"}
FIRSTS = (date(2026, 12, 1), date(2027, 1, 1), date(2027, 2, 1))
TODAY = date(2026, 11, 20)


def raw(kind: str, **more: Any) -> dict[str, Any]:
    """A contract as it is read, with the least that its kind asks for."""
    common = {"kind": kind, "name": kind, "provider": "acme", "source": SOURCE, "size": {"max": 50}}
    capacity = {"models": ["oak"], "prices": [{"usd_per_month": "100"}]}
    gpus = {"gpu": "H100-SXM", "gpus": 8, "units_per_minute": "1000"}
    settled = {"settlement": {"index": "GPU", "averaging": "arith_bd"}, "multiplier": "730"}
    own: Mapping[str, Mapping[str, Any]] = {
        "flat_plan": {**capacity, "quota_units": "1000000"},
        "prepaid_quota": {**capacity, "quota_units": "1000000"},
        "throughput_reservation": {**capacity, "units_per_minute": "1000"},
        "dedicated_endpoint": {**capacity, **gpus},
        "gpu_block": {**capacity, **gpus, "starts": "2026-12-10", "ends": "2027-01-05"},
        "spend_commitment": {**capacity, "discount": "0.2"},
        "future": {**settled, "beta": "0.5"},
        "swap": {**settled, "beta": "0.5", "months": 2},
        "forward": {**settled, "beta": "0.5", "delivery": "2027-01-15"},
        "perp": {**settled, "beta": "0.5"},
        "event": {**settled, "beta": "0.5", "multiplier": "1", "strike": "3"},
    }
    return {**common, **own[kind], **more}


def contract(kind: str, **more: Any) -> Contract:
    return contracts_of([raw(kind, **more)], "test")[0]


def serving(kind: str, **more: Any) -> CapacityContract:
    found = contract(kind, **more)
    assert not isinstance(found, Derivative)
    return found


def paying(kind: str, **more: Any) -> DerivativeContract:
    found = contract(kind, **more)
    assert isinstance(found, DerivativeContract)
    return found


def named(terms: Terms) -> str:
    return terms.name


def months(
    *,
    workloads: Sequence[str] = ("oak",),
    firsts: Sequence[date] = FIRSTS,
    scenarios: int = 20,
    seed: int = 1,
    index_usd: Floats | None = None,
) -> Months:
    """Months of two blocks. index_usd: fixings of the index GPU [scenarios, months]; a check in the
    middle of each month sees the fixing itself."""
    rng = np.random.default_rng(seed)
    minutes = np.array([[600.0, days_in(first) * 24 * 60 - 600.0] for first in firsts])
    amounts = rng.uniform(1e5, 1e6, (scenarios, len(firsts), 2, len(workloads), 4))
    list_usd = amounts[..., :3].sum(axis=-1) * 1e-3
    indices = {}
    if index_usd is not None:
        checks = tuple(first.replace(day=15) for first in firsts)
        indices = {"GPU": IndexPaths(index_usd, checks, index_usd)}
    return Months(tuple(workloads), tuple(firsts), minutes, amounts, list_usd, indices)


def days_in(first: date) -> int:
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return (after - first).days
