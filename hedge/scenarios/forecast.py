"""Forecast: what is believed by those who have books and a market: a history, and an outlook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from benchmarks.market import Quoted
from benchmarks.tables.database import has_market
from hedge.scenarios.calibration import calibrated
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.ledger_demand import demand_of, of_team
from hedge.scenarios.market_moves import (
    IndexSeries,
    PriceRecord,
    at_todays_prices,
    price_records,
    retirements,
)
from hedge.scenarios.outlook import Basis, Outlook, Retirement
from hedge.scenarios.workload import Workload
from ledger.databases.sql import Sql

MARKET_DAYS = 730
Moved = TypeVar("Moved", PriceRecord, Retirement)


@dataclass(frozen=True, slots=True)
class Forecast:
    """history: at today's prices. outlook: on what follows it."""

    history: DemandHistory
    outlook: Outlook


def forecast(
    sql: Sql,
    now: datetime,
    models: Mapping[str, Sequence[Quoted]],
    *,
    workloads: Sequence[Workload] = (),
    team: str | None = None,
    series: Sequence[IndexSeries] = (),
    bases: Sequence[Basis] = (),
) -> Forecast:
    """Out of the books and the market's history in one database.

    models: who sells each model now, as the market has it: offers that end are foreseen. workloads,
    team: as for `demand_of`. Raises DemandInvalid and DemandTooShort.
    """
    history = demand_of(sql, now, workloads, team=team)
    offers = {model: [one.offer.id for one in quoted] for model, quoted in models.items()}
    since = now - timedelta(days=MARKET_DAYS)
    records = price_records(sql, offers, since, now) if has_market(sql) else ()
    prior = Outlook()
    ends = retirements(models, now)
    # What stands apart costs what it costs everybody.
    own = () if team is None else tuple(_apart(team, one) for one in records)
    own_ends = () if team is None else tuple(_apart(team, one) for one in ends)
    known = replace(prior.prices, retirements=(*ends, *own_ends))
    return Forecast(
        at_todays_prices(history, (*records, *own)),
        calibrated(
            history, prices=records, series=series, bases=bases, prior=replace(prior, prices=known)
        ),
    )


def _apart(team: str, one: Moved) -> Moved:
    return replace(one, model=of_team(team, one.model))
