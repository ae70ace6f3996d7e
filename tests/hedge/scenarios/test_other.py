"""The other generator is of the same demand, and of another making."""

from __future__ import annotations

import numpy as np
import pytest

from hedge.planning.sample import sample
from hedge.scenarios.draw import draw
from hedge.scenarios.other import other
from hedge.scenarios.outlook import Outlook
from tests.hedge.scenarios.histories import made


def test_another_world_of_the_same_size() -> None:
    """Its first month costs about what `draw` says, its shape is that of `Months`, and equal seeds
    are equal months."""
    history = made(56)
    months = other(history, seed=1, count=60, months=2, blocks=24)
    drawn = draw(history, Outlook(), seed=1, count=300, months=2, blocks=24)
    assert months.amounts.shape == (60, *drawn.amounts.shape[1:])
    assert months.firsts == drawn.firsts
    np.testing.assert_allclose(months.minutes, drawn.minutes)
    mean = months.month_usd()[:, 0].mean()
    assert mean == pytest.approx(drawn.month_usd()[:, 0].mean(), rel=0.15)
    spread = months.month_usd().std(axis=0)
    assert spread[1] > spread[0]
    again = other(history, seed=1, count=60, months=2, blocks=24)
    np.testing.assert_array_equal(months.amounts, again.amounts)


def test_the_sample_is_the_same_on_every_call() -> None:
    """Eight whole weeks from a Monday on, three workloads with a price each, all contracts for
    models of theirs, and a label that says that it is simulated."""
    one = sample()
    assert one.history.sha256() == sample().history.sha256()
    assert (one.history.days, one.history.since.weekday()) == (56, 0)
    assert one.history.names == ("chat", "code", "documents")
    assert "Simulated" in one.label
    models = {model for workload in one.history.workloads for model in workload.models}
    assert models == {spend.model for spend in one.history.spend}
    for contract in one.contracts:
        assert set(getattr(contract, "models", ())) <= models
