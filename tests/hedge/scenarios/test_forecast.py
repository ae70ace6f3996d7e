"""Books and a market make a forecast: demand of the one, prices of the other."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

from benchmarks.market import Quoted
from benchmarks.offers import Offer
from benchmarks.tables.database import open_market
from benchmarks.tables.history import MarketHistory
from hedge.scenarios.draw import draw
from hedge.scenarios.forecast import forecast
from hedge.scenarios.ledger_demand import demand_of
from ledger.store import Store
from tests.hedge.scenarios.test_calibration import quote
from tests.hedge.scenarios.test_ledger_demand import FIRST, NOW, charges, keep
from tests.ledger.databases import Books


def test_books_and_a_market(books: Books) -> None:
    """A price that was halved on the second day halves the first; an offer that ends in two months
    doubles what its model costs after that. Without a market's tables, prices are priors."""
    cheap = Offer("a", "m", ends_at=NOW + timedelta(days=48))
    dear = Offer("b", "m")
    with closing(Store(books.open())) as store:
        keep(store, charges())
        usual = demand_of(store.sql, NOW)
        alone = forecast(store.sql, NOW, {})
        assert alone.history.sha256() == usual.sha256()
        open_market(store.sql)

        def sold(usd: str, days: int) -> dict[str, list[Quoted]]:
            at = FIRST + timedelta(days=days)
            models = {"chat": [Quoted(cheap, quote(usd, at)), Quoted(dear, quote("4", at))]}
            with store.transaction():
                MarketHistory(store.sql).keep(models, at)
            return models

        sold("4", -9)
        now = sold("2", 1)
        found = forecast(store.sql, NOW, now)
        team = forecast(store.sql, NOW, now, team="research")
    before, after = usual.list_nanos[:, :, 0], found.history.list_nanos[:, :, 0]
    assert after[0].sum() == pytest.approx(before[0].sum() / 2, rel=1e-4)
    assert (after[1:] == before[1:]).all()
    assert [one.model for one in found.outlook.prices.retirements] == ["chat"]
    assert team.history.names[0].startswith("research: ")
    assert team.history.list_nanos.sum() == pytest.approx(found.history.list_nanos.sum(), rel=1e-6)
    ends = {one.model for one in team.outlook.prices.retirements}
    assert ends == {"chat", "research: chat"}
    months = draw(found.history, found.outlook, seed=1, count=50, months=3)
    per_token = months.list_usd[..., 0].sum(axis=(0, 2)) / months.amounts[..., 0, 2].sum(
        axis=(0, 2)
    )
    assert per_token[2] > 1.6 * per_token[0]
