"""Outlook: what is believed about the next months beyond the days that were seen.

The defaults are priors: beliefs from published markets and plain prudence, not estimates from
anybody's books. `calibration` moves them towards what the history and the market say, and tells
which were left as they are. Logs are natural ones; a month has 30.4375 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

MONTH_DAYS = 30.4375


@dataclass(frozen=True, slots=True)
class Prior:
    """A belief that no data stands behind, or hardly any."""

    name: str
    value: float
    why: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A belief that data moved: from how much of it."""

    name: str
    value: float
    data: str


@dataclass(frozen=True, slots=True)
class WorkloadOutlook:
    """Of one workload's demand. growth: log per month, now, and its error `growth_sd`.
    level_sd: error of today's level, in logs. changes_per_month: how often its level changes for
    good, up or down; change_sd: by how much, in logs."""

    workload: str
    growth: float = 0.02
    growth_sd: float = 0.04
    level_sd: float = 0.06
    changes_per_month: float = 0.07
    change_sd: float = 0.3


@dataclass(frozen=True, slots=True)
class DemandOutlook:
    """Of all demand.

    workloads: those that are known better than `usual`.
    growth_kept: the part of its growth that goes on after a month: growth dies down.
    drift_sd: of the level's monthly shock, in logs, heavy-tailed (Student, `tail_freedom`);
        drift_kept: the part of it that is left after a month. common: the part of its variance that
        all workloads share.
    surges_per_month: days on which demand is a multiple of what it should be (a loop, a launch);
        surge_tail: the exponent of how large (Pareto, from 1.5 on, at most 8).
    weekend: the level of a weekend where the history has none.
    """

    workloads: tuple[WorkloadOutlook, ...] = ()
    usual: WorkloadOutlook = WorkloadOutlook("")
    growth_kept: float = 0.85
    drift_sd: float = 0.15
    drift_kept: float = 0.8
    tail_freedom: float = 5.0
    common: float = 0.5
    surges_per_month: float = 0.1
    surge_tail: float = 2.5
    weekend: float = 0.75

    def of(self, workload: str) -> WorkloadOutlook:
        return next((one for one in self.workloads if one.workload == workload), self.usual)


@dataclass(frozen=True, slots=True)
class HourPrices:
    """What a model's list price will be of the history's, by the hour of the day (UTC) [24]. Hours
    that were dearer all along are so in the history already."""

    model: str
    factors: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Retirement:
    """A model is gone from `on` on, and its demand moves to another: at a price of exp(log_ratio)
    of its own, with an error `log_ratio_sd`."""

    model: str
    on: date
    log_ratio: float = 0.0
    log_ratio_sd: float = 0.35


@dataclass(frozen=True, slots=True)
class TokenPriceOutlook:
    """List prices: steps at unforeseen moments, both ways.

    changes_per_month: of one model's price. rise_share: of the changes, those that are rises.
    size, size_sd: of the log of a change, whatever its sign (normal, its magnitude).
    """

    changes_per_month: float = 0.12
    rise_share: float = 0.45
    size: float = 0.28
    size_sd: float = 0.2
    hours: tuple[HourPrices, ...] = ()
    retirements: tuple[Retirement, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexOutlook:
    """An index of GPU-hours: ln S = mean-reverting part + random walk with drift + launches of the
    next chip + spikes that decay.

    level_usd: today. reversion_per_day: the part of the mean-reverting gap that closes in a day;
    swing_sd: its daily shock; gap: how far today lies above where it reverts to, in logs.
    drift_per_month, walk_sd: of the walk; walk_sd is daily.
    launches_per_month, launch_mean, launch_sd: what a new chip does to the price, in logs.
    spikes_per_month, spike_mean: upward, exponential; spike_kept: the part left after a day.
    """

    index: str
    level_usd: float
    gap: float = 0.0
    reversion_per_day: float = 0.03
    swing_sd: float = 0.015
    drift_per_month: float = -0.01
    walk_sd: float = 0.018
    launches_per_month: float = 0.06
    launch_mean: float = -0.22
    launch_sd: float = 0.10
    spikes_per_month: float = 0.15
    spike_mean: float = 0.12
    spike_kept: float = 0.88


@dataclass(frozen=True, slots=True)
class Basis:
    """How far a provider's price lies above an index, in logs: reverts to `mean`, and jumps where
    an index is restated or a provider sets its list anew. Its path is the index `name`."""

    provider: str
    index: str
    today: float = 0.0
    mean: float = 0.0
    kept_per_day: float = 0.98
    sd: float = 0.01
    jumps_per_month: float = 0.05
    jump_sd: float = 0.12

    @property
    def name(self) -> str:
        return f"{self.index}@{self.provider}"


@dataclass(frozen=True, slots=True)
class Scarcity:
    """Months in which everybody wants more than there is: demand and prices go up together.

    begins, ends: chance per month. demand: log of the level while it lasts.
    price_rises: how many times as often list prices rise; falls are as much rarer.
    index_per_month: log that GPU prices gain in each of its months, and lose again after it.
    dependence: correlation of demand's and prices' shocks at any time (Gaussian copula).
    """

    begins: float = 0.03
    ends: float = 0.3
    demand: float = 0.08
    price_rises: float = 3.0
    index_per_month: float = 0.06
    dependence: float = 0.3


@dataclass(frozen=True, slots=True)
class Outlook:
    """All of it. estimates, priors: where the numbers come from, for whoever reads the plan."""

    demand: DemandOutlook = DemandOutlook()
    prices: TokenPriceOutlook = TokenPriceOutlook()
    indices: tuple[IndexOutlook, ...] = ()
    bases: tuple[Basis, ...] = ()
    scarcity: Scarcity = Scarcity()
    estimates: tuple[Estimate, ...] = ()
    priors: tuple[Prior, ...] = ()
