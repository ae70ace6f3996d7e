"""The hedge's evaluation, a thin slice of it: on real histories, where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hedge.backtest.contest import contest
from hedge.backtest.forecast import Forecast
from hedge.backtest.walk import Walk
from tests.evaluate.hedge_evaluation import (
    DISCOUNTS,
    MIDDLE,
    SHARES,
    Evaluation,
    Exceeded,
    offers,
)
from tests.evaluate.hedge_page import page
from tests.evaluate.hedge_traces import HISTORY_DAYS, LIST_NANOS, MEAN_TOKENS, Material, read

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="there are no histories here")


@pytest.fixture(scope="module")
def material() -> Material:
    return read(DATA)


def test_paths_are_scaled_and_differ(material: Material) -> None:
    """Whole months, the history's mean and the first day's price as told; a seed is a path, and the
    same seed the same path."""
    assert len(material.traces) >= 8
    for trace in material.traces:
        one, again, other = (material.path(trace, seed) for seed in (1, 1, 2))
        assert one.bought_from.day == one.until.day == 1
        assert one.tokens[:HISTORY_DAYS].mean() == pytest.approx(MEAN_TOKENS, rel=1e-4)
        assert one.list_nanos[one.row(one.bought_from)] == LIST_NANOS
        assert (one.list_nanos > 0).all()
        assert np.array_equal(one.tokens, again.tokens)
        assert (
            one.tokens[: HISTORY_DAYS // 2].tolist() != other.tokens[: HISTORY_DAYS // 2].tolist()
        )


def test_a_slice_of_it(material: Material) -> None:
    """At fees above what it saves the program costs what never reserving costs; where it saves, it
    costs less; and the page can be written."""
    trace = material.traces[0]
    walks = {
        share: [Walk(material.path(trace, s), offers(share), Forecast(seed=1)) for s in range(2)]
        for share in (MIDDLE, 1.3)
    }
    cheap, dear = (contest(some, tuple(DISCOUNTS), kappas=(0.0,)) for some in walks.values())
    assert cheap.ours.mean_usd < cheap.never.mean_usd
    assert dear.ours.usd == pytest.approx(dear.never.usd)
    assert cheap.regret >= 0
    written = page(
        Evaluation(
            (trace,),
            dict.fromkeys(SHARES, (cheap,)),
            (Exceeded("here", 100, 4, (0.01, 0.1), 0.05),),
            len(material.prices),
            (),
        )
    )
    assert trace.name in written
    assert "1 of 1" in written
