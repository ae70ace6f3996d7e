"""Draw: months that may come, out of a history and an outlook."""

from __future__ import annotations

from datetime import date, timedelta

from hedge.errors import DemandInvalid
from hedge.scenarios.calendar import month_spans
from hedge.scenarios.demand import demand_paths, shocks
from hedge.scenarios.duration import DurationCurves
from hedge.scenarios.gpu_indices import index_paths
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.months import Months
from hedge.scenarios.outlook import Outlook
from hedge.scenarios.token_prices import hour_factors, price_levels
from hedge.scenarios.trend import to_today
from ledger.calendar_months import month_after

COUNT, EVALUATION_COUNT = 300, 2000
"""Scenarios where nobody says how many, and where a fee is made of them."""
MONTHS, BLOCKS = 12, 24
MAX_AHEAD = timedelta(days=92)


def draw(
    history: DemandHistory,
    outlook: Outlook,
    *,
    seed: int,
    count: int = COUNT,
    months: int = MONTHS,
    blocks: int = BLOCKS,
    first: date | None = None,
) -> Months:
    """`count` equally likely runs of `months` calendar months.

    first: their first day; by default the first month that begins when the history has ended.
    Equal seeds give equal draws; fewer scenarios are the first of more; a changed belief leaves the
    other draws as they were. Raises DemandInvalid for months that the history has seen already, or
    that begin more than three months after it.
    """
    today = history.until.date()
    first = first or (today if today.day == 1 else month_after(today))
    if not today <= first <= today + MAX_AHEAD:
        raise DemandInvalid(
            f"months from {first} on do not follow a history that ends before {today}: begin"
            f" between {today} and {today + MAX_AHEAD}"
        )
    spans = month_spans(first, months)
    both = shocks(outlook.scarcity, months, seed=seed, count=count)
    paths = demand_paths(history, outlook, spans, both, seed=seed)
    curves = DurationCurves(
        history, to_today(history), paths.variants, hour_factors(history, outlook)
    )
    minutes, amounts, list_usd = curves.blocks(paths, spans, blocks)
    list_usd *= price_levels(history, outlook, spans, both, seed=seed)[:, :, None, :]
    return Months(
        workloads=history.names,
        firsts=tuple(one.first for one in spans),
        minutes=minutes,
        amounts=amounts,
        list_usd=list_usd,
        indices=index_paths(outlook, today, spans, both, seed=seed),
    )
