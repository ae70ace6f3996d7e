"""Forecast: what is believed by those who have books and a market: a history, and an outlook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from benchmarks.market import Quoted
from benchmarks.tables.database import has_market
from hedge.scenarios.calibration import calibrated
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.ledger_demand import demand_of
from hedge.scenarios.market_moves import (
    IndexSeries,
    at_todays_prices,
    price_records,
    retirements,
)
from hedge.scenarios.outlook import Basis, Outlook
from hedge.scenarios.workload import Workload
from ledger.databases.sql import Sql

MARKET_DAYS = 730


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
    series: Sequence[IndexSeries] = (),
    bases: Sequence[Basis] = (),
) -> Forecast:
    """Out of the books and the market's history in one database.

    models: who sells each model now, as the market has it: offers that end are foreseen. workloads:
    as for `demand_of`. Raises DemandInvalid and DemandTooShort.
    """
    history = demand_of(sql, now, workloads)
    offers = {model: [one.offer.id for one in quoted] for model, quoted in models.items()}
    since = now - timedelta(days=MARKET_DAYS)
    records = price_records(sql, offers, since, now) if has_market(sql) else ()
    prior = Outlook()
    known = replace(prior.prices, retirements=retirements(models, now))
    return Forecast(
        at_todays_prices(history, records),
        calibrated(
            history, prices=records, series=series, bases=bases, prior=replace(prior, prices=known)
        ),
    )
