"""Paths and offers of the own history: odd histories and odd contracts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hedge.backtest.own import own_offer, own_paths
from hedge.contracts.capacity import ThroughputReservation
from hedge.errors import ContractInvalid
from hedge.planning.sample import sample
from hedge.scenarios.history import DemandHistory
from tests.hedge.contracts.builders import serving


def history(idle_days: int) -> DemandHistory:
    whole = sample().history
    amounts, nanos = whole.amounts.copy(), whole.list_nanos.copy()
    amounts[-14 : idle_days - 14], nanos[-14 : idle_days - 14] = 0, 0
    return replace(whole, amounts=amounts, list_nanos=nanos)


def reservation(per_minute: str) -> ThroughputReservation:
    model = sample().history.workloads[0].models[0]
    found = serving("throughput_reservation", models=[model], units_per_minute=per_minute)
    assert isinstance(found, ThroughputReservation)
    return found


def test_a_week_without_use_is_one_without_use() -> None:
    """Nothing is drawn from nothing: no path has less than no tokens, nor ends in nonsense."""
    seen = history(7)
    paths = list(own_paths(seen, reservation("1000"), paths=5, months=2, seed=1))
    days = [path.tokens[seen.days :].sum(axis=1) for path in paths]
    assert all((one >= 0).all() for one in days)
    assert any((one == 0).any() for one in days)
    most = np.max([path.tokens[: seen.days].max() for path in paths])
    assert all(path.tokens.max() < most * 10**6 for path in paths)


def test_units_of_any_size() -> None:
    """Too small to be counted is a sentence; what means "no limit" is one unit."""
    (path,) = own_paths(history(0), reservation("1000"), paths=1, months=1, seed=1)
    with pytest.raises(ContractInvalid, match="less than one in five minutes"):
        own_offer(reservation("0.001"), path)
    endless = own_offer(reservation("1000000000000000"), path)
    assert endless.slice_tokens == 1000 * path.tokens[: history(0).days].max()
