"""Walk: a path lived through day by day with one rule, and billed to the nano-USD."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Protocol

import numpy as np

from hedge.backtest.offer import Offer
from hedge.backtest.path import Ints, Path, Seen, seen
from hedge.errors import ContractInvalid
from hedge.scenarios.months import Months
from ledger.calendar_months import months_later
from ledger.money import Money

Buys = Mapping[int, int]
"""Units to buy today, by term length in months."""
NOTHING: Buys = {}


class Rule(Protocol):
    """Decides what to buy. is_daily: every morning; else on the first of a month."""

    @property
    def name(self) -> str: ...
    @property
    def is_daily(self) -> bool: ...
    def buys(self, seen: Seen) -> Buys: ...


class Forecaster(Protocol):
    def __call__(self, past: Seen) -> Months: ...


@dataclass(frozen=True, slots=True)
class Purchase:
    day: date
    months: int
    units: int
    fee: Money
    """Of the whole term and all units."""


@dataclass(frozen=True, slots=True, eq=False)
class Bill:
    """What a path cost, in nano-USD: fees and pay-as-you-go by month of the walk [months].

    used_tokens, bought_tokens: of what was reserved.
    """

    fees: Ints
    list_cost: Ints
    used_tokens: int
    bought_tokens: int
    purchases: tuple[Purchase, ...] = field(default=())

    @property
    def months(self) -> Ints:
        return np.asarray(self.fees + self.list_cost, dtype=np.int64)

    @property
    def total(self) -> Money:
        return Money(int(self.months.sum()))


def firsts(path: Path) -> list[date]:
    """Each month of the walk, by its first day; the path ends at the end of a month."""
    months = [path.bought_from]
    while months_later(months[-1], 1) < path.until:
        months.append(months_later(months[-1], 1))
    return months


class Walk:
    """A path with its offers, on which any number of rules are tried.

    Forecasts are drawn once per month, from what is seen alone, so that all rules are told the
    same. An offer's terms are cut to those that end within the path, so that every fee that is
    promised is also billed: no rule gains by leaving a commitment behind.
    """

    def __init__(
        self, path: Path, offers: Callable[[Path, date], Offer], forecast: Forecaster
    ) -> None:
        self.path = path
        self._firsts = firsts(path)
        self._offers = offers
        self._forecast = forecast
        self._forecasts: dict[date, Months] = {}

    def offer(self, day: date) -> Offer:
        whole = self._offers(self.path, day)
        fees = {m: fee for m, fee in whole.fees.items() if months_later(day, m) <= self.path.until}
        return Offer(fees, whole.slice_tokens, whole.min_units, whole.step, whole.max_units)

    def forecast(self, today: date) -> Months:
        if today not in self._forecasts:
            nothing = np.zeros(0, dtype=np.int64)
            self._forecasts[today] = self._forecast(
                seen(self.path, today, nothing, self.offer(today), None)
            )
        return self._forecasts[today]

    def bill(self, rule: Rule) -> Bill:
        """Raises ContractInvalid when the rule buys what is not sold."""
        path = self.path
        start = path.row(path.bought_from)
        held = np.zeros(path.days - start, dtype=np.int64)
        purchases: list[Purchase] = []
        fees = np.zeros(len(self._firsts), dtype=np.int64)
        days = (
            range(len(held))
            if rule.is_daily
            else [(f - path.bought_from).days for f in self._firsts]
        )
        for number in days:
            today = path.bought_from + timedelta(days=number)
            offer = self.offer(today)
            if not offer.fees:
                continue
            forecast = None if rule.is_daily else self.forecast(today)
            bought = rule.buys(seen(path, today, held[number:], offer, forecast))
            for months, units in bought.items():
                if units:
                    self._buy(purchases, held, fees, today, months, units, offer)
        return self._billed(held, fees, tuple(purchases))

    def _buy(
        self,
        purchases: list[Purchase],
        held: Ints,
        fees: Ints,
        today: date,
        months: int,
        units: int,
        offer: Offer,
    ) -> None:
        number = (today - self.path.bought_from).days
        end = (months_later(today, months) - self.path.bought_from).days
        is_size = units >= offer.min_units and (units - offer.min_units) % offer.step == 0
        if months not in offer.fees or not is_size or held[number] + units > offer.max_units:
            raise ContractInvalid(
                f"{units} units for {months} months are not sold on {today}: "
                f"{offer.min_units} and steps of {offer.step} up to {offer.max_units}, "
                f"for {', '.join(map(str, offer.fees))} months"
            )
        held[number:end] += units
        for month in range(months):
            due = months_later(today, month)
            row = max(i for i, first in enumerate(self._firsts) if first <= due)
            fees[row] += offer.fees[months] * units
        purchases.append(Purchase(today, months, units, Money(offer.fees[months] * units * months)))

    def _billed(self, held: Ints, fees: Ints, purchases: tuple[Purchase, ...]) -> Bill:
        path = self.path
        start = path.row(path.bought_from)
        tokens, list_nanos = path.tokens[start:], path.list_nanos[start:]
        room = held * self.offer(path.bought_from).slice_tokens
        used = np.minimum(tokens, room[:, None]).sum(axis=1)
        paid = (tokens.sum(axis=1) - used) * list_nanos
        rows = np.searchsorted(
            np.array([first.toordinal() for first in self._firsts]),
            path.bought_from.toordinal() + np.arange(len(held)),
            side="right",
        )
        list_cost = np.zeros_like(fees)
        np.add.at(list_cost, rows - 1, paid)
        return Bill(
            fees,
            list_cost,
            int(used.sum()),
            int(room.sum()) * tokens.shape[1],
            purchases,
        )
