"""Lots: what a unit of a contract at one term length costs and brings, month by month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from hedge.contracts.arithmetic import dues, term_fee
from hedge.contracts.capacity import GpuBlock
from hedge.contracts.contract import CapacityContract
from hedge.contracts.delivery import Delivery
from hedge.contracts.eligibility import starts
from hedge.contracts.limits import HedgeLimits
from hedge.contracts.pools import block_share, unit_brings
from hedge.contracts.terms import Price
from hedge.risk import Floats
from ledger.money import NANOS_PER_USD


@dataclass(frozen=True, slots=True, eq=False)
class Horizon:
    """The months of a plan. firsts: first days. minutes: of each month [months]."""

    firsts: tuple[date, ...]
    minutes: Floats
    today: date

    @property
    def count(self) -> int:
        return len(self.firsts)


@dataclass(frozen=True, slots=True, eq=False)
class TermFlows:
    """One unit by the month in which it starts (row) and the month (column): what is due, the
    capacity that it brings, and what of its upfront fee is not used up at the month's beginning.
    end_value_usd: by start."""

    fee_usd: Floats
    brings: Floats
    prepaid_usd: Floats
    end_value_usd: Floats


def flows(
    contract: CapacityContract, price: Price, horizon: Horizon, limits: HedgeLimits
) -> TermFlows:
    """A unit that lasts beyond the last month is worth then what is left of its upfront fee, times
    how much of it is thought to be used, times what a resale leaves, and nothing where it cannot be
    sold on; what will be due for it later counts against it as far as it is not used."""
    months, term = horizon.count, price.months
    due_usd = np.array(dues(price.usd_per_month, term, price.upfront), dtype=float) / NANOS_PER_USD
    fee_usd = float(term_fee(price.usd_per_month, term, 1)) / NANOS_PER_USD
    upfront_usd = fee_usd * float(price.upfront)
    per_month = unit_brings(contract, float(price.usd_per_month), term, horizon.minutes)
    used = float(limits.later_use)
    resold = 0.0 if contract.resale is None else 1 - float(contract.resale.haircut)
    fee, brings, prepaid = (np.zeros((months, months)) for _ in range(3))
    end_value = np.zeros(months)
    for start, is_sold in enumerate(starts(contract, horizon.firsts, horizon.today)):
        if not is_sold:
            continue
        if isinstance(contract, GpuBlock):
            fee[start, start] = fee_usd
            brings[start] = per_month * _block_shares(contract, horizon)
            prepaid[start, start] = upfront_usd
            continue
        last = min(months, start + term)
        elapsed = np.arange(last - start)
        fee[start, start:last] = due_usd[: last - start]
        brings[start, start:last] = per_month[start:last]
        prepaid[start, start:last] = upfront_usd * (term - elapsed) / term
        unexpired = (term - (last - start)) / term
        unpaid_usd = float(due_usd[last - start :].sum())
        end_value[start] = upfront_usd * unexpired * used * resold - unpaid_usd * (1 - used)
    return TermFlows(fee, brings, prepaid, end_value)


def losses_usd(flows: TermFlows, delivery: Delivery) -> Floats:
    """What a failing counterparty changes of a unit's fees [scenarios, start, month].

    From the month after its failure nothing is due, and nothing is bought of it: these are below
    zero. What was paid stays paid, but for the recovery of what was prepaid.
    """
    months = len(flows.fee_usd)
    month = np.arange(months)
    fails_in = np.arange(months + 1)[:, None, None]
    stops = month[None, None, :] > fails_in
    returns = (month[None, None, :] == fails_in) & (month[None, :, None] <= fails_in)
    # few months in which it may fail, many scenarios
    lost: Floats = -(stops * flows.fee_usd + delivery.recovery * returns * flows.prepaid_usd)
    return lost[delivery.fails_in]


def most_units(contract: CapacityContract, owned_units: int) -> int:
    """What may be bought beside what is there already."""
    return max(0, contract.size.max - owned_units)


def _block_shares(contract: GpuBlock, horizon: Horizon) -> Floats:
    return np.array(
        [
            block_share(contract, first, minutes)
            for first, minutes in zip(horizon.firsts, horizon.minutes, strict=True)
        ]
    )


def month_of(day: date, firsts: Sequence[date]) -> int | None:
    """The place of a day's month; None outside."""
    for at, first in enumerate(firsts):
        if (first.year, first.month) == (day.year, day.month):
            return at
    return None
