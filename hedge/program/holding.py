"""Holding: what is bought of a menu, and what the months then cost."""

from __future__ import annotations

from dataclasses import dataclass

from hedge.risk import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Holding:
    """Amounts are USD.

    starts: units of each lot that are bought to start in each month [lots, months].
    lines: lots of each derivative line [lines].
    fees_usd: of lots and of what is held already [months].
    cost_usd: all of a month: fees, recourse, losses by counterparties, less gains [scenarios,
    months]. cvar_usd: of each month [months]. slack_usd: how far that lies above its cap [months].
    end_value_usd: of what lasts beyond the last month; it is no cash, so caps do not see it.
    expected_usd: of all months together, less the end value.
    bound_usd: what no holding is better than, in what was minimised, and `gap` how far this one may
    lie above the best, relative to a year without contracts. status: `optimal`, or `time_limit` for
    the best that was found in time.
    """

    starts: Floats
    lines: Floats
    fees_usd: Floats
    cost_usd: Floats
    cvar_usd: Floats
    slack_usd: Floats
    end_value_usd: float
    expected_usd: float
    bound_usd: float
    gap: float
    status: str


@dataclass(frozen=True, slots=True, eq=False)
class Dispatch:
    """How scenarios are served at fixed capacity, and the prices that prove that it is cheapest.

    served: the share of each workload's block that each pool serves [scenarios, months, blocks,
    workloads, pools]; the rest is pay-as-you-go. overage_units: of each quota pool [scenarios,
    months, pools]. cost_usd: of what is served so [scenarios, months]. proved_usd: what no way to
    serve is cheaper than, by the prices [scenarios, months].
    unit_usd: what one more capacity unit would have saved: of a pool that perishes in each block
    [scenarios, months, blocks, pools], of a quota the same in all blocks of a month.
    """

    served: Floats
    overage_units: Floats
    cost_usd: Floats
    proved_usd: Floats
    unit_usd: Floats
