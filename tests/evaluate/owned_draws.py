"""Who draws on capacity that is owned: three rules, request by request, and what each costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedge.bids.bidder import QuotaBidder, ThroughputBidder
from hedge.bids.demand import Demand
from hedge.bids.wanted import Wanted
from tests.evaluate.owned_traffic import Floats, Requests

MINUTE_S = 60.0
QUOTA_PRICES_S = 3600.0
MINUTE_PRICES_S = 60.0
"""How often prices are made anew."""
FEE_SHARE = 0.8
"""The fee: of what the capacity, drawn to the last unit, would have cost elsewhere."""


@dataclass(frozen=True, slots=True)
class Costs:
    """nano-USD beside the fee, by who decides. list_nanos: of all requests, with nothing owned."""

    fee_nanos: float
    list_nanos: float
    free_nanos: float
    ours_nanos: float
    clairvoyant_nanos: float

    @property
    def prepaid_first_nanos(self) -> float:
        """All that it costs, fee and all, when prepaid is free until exhausted."""
        return self.fee_nanos + self.free_nanos

    @property
    def saving(self) -> float:
        """Of that."""
        return (self.free_nanos - self.ours_nanos) / self.prepaid_first_nanos

    @property
    def best_saving(self) -> float:
        return (self.free_nanos - self.clairvoyant_nanos) / self.prepaid_first_nanos

    @property
    def saving_beside_fee(self) -> float:
        """Of what is paid beside the fee; 0 where nothing is."""
        return 1 - self.ours_nanos / self.free_nanos if self.free_nanos else 0.0


def quota_costs(all_of_it: Requests, quota: float, until_s: float, demand: Demand) -> Costs:
    """One window, from the first request on. demand: what is forecast."""
    bidder, price, next_s = QuotaBidder(demand), 0.0, 0.0
    ours = free = elsewhere = elsewhere_free = 0.0
    for at_s, units, most, foreseen, expected, nanos in _rows(all_of_it):
        if at_s >= next_s:
            price = bidder.price(at_s, quota - ours, until_s)
            next_s = at_s + QUOTA_PRICES_S
        if free + most <= quota:
            free += units
        else:
            elsewhere_free += nanos
        if ours + most <= quota and expected > price * foreseen:
            ours += units
        else:
            elsewhere += nanos
        bidder.note(Wanted(at_s, units, nanos))
    best = dearest_served(all_of_it.units, all_of_it.nanos, quota)
    return _costs(all_of_it, quota, elsewhere_free, elsewhere, best)


def throughput_costs(all_of_it: Requests, per_minute: float) -> Costs:
    """Minute by minute."""
    bidder = ThroughputBidder(per_minute, float(all_of_it.at_s[0]))
    prices, next_s, minute = bidder.prices(0.0), 0.0, -1
    ours = free = elsewhere = elsewhere_free = 0.0
    for at_s, units, most, foreseen, expected, nanos in _rows(all_of_it):
        if at_s >= next_s:
            prices, next_s = bidder.prices(at_s), at_s + MINUTE_PRICES_S
        if int(at_s // MINUTE_S) != minute:
            minute, ours, free = int(at_s // MINUTE_S), 0.0, 0.0
        if free + most <= per_minute:
            free += units
        else:
            elsewhere_free += nanos
        if ours + most <= per_minute and expected > foreseen * prices.price(
            per_minute - ours, at_s
        ):
            ours += units
        else:
            elsewhere += nanos
        bidder.note(Wanted(at_s, units, nanos))
    minutes = (all_of_it.at_s // MINUTE_S).astype(int)
    edges = np.flatnonzero(np.diff(minutes)) + 1
    best = sum(
        dearest_served(units, nanos, per_minute)
        for units, nanos in zip(
            np.split(all_of_it.units, edges), np.split(all_of_it.nanos, edges), strict=True
        )
    )
    capacity = per_minute * (minutes[-1] - minutes[0] + 1)
    return _costs(all_of_it, capacity, elsewhere_free, elsewhere, best)


def dearest_served(units: Floats, nanos: Floats, quota: float) -> float:
    """What is left to pay when the dearest requests by unit draw, the last of them in part: the
    optimum of the linear program that knows all."""
    order = np.argsort(-nanos / units)
    before = np.cumsum(units[order]) - units[order]
    served = np.clip((quota - before) / units[order], 0, 1)
    return float(((1 - served) * nanos[order]).sum())


def _costs(
    every: Requests, capacity: float, free_nanos: float, ours_nanos: float, best_nanos: float
) -> Costs:
    mean = float(every.nanos.sum() / every.units.sum())
    fee = FEE_SHARE * mean * capacity
    return Costs(fee, float(every.nanos.sum()), free_nanos, ours_nanos, best_nanos)


def _rows(every: Requests) -> zip[tuple[float, ...]]:
    columns = (
        *(every.at_s, every.units, every.most_units),
        *(every.foreseen_units, every.foreseen_nanos, every.nanos),
    )
    return zip(*(one.tolist() for one in columns), strict=True)
