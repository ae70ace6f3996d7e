"""DemandHistory: what was used, hour by hour and workload by workload, and its list cost."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hedge.errors import DemandInvalid, DemandTooShort
from hedge.risk import Floats
from hedge.scenarios.months import TokenKind
from hedge.scenarios.workload import Workload
from ledger.money import NANOS_PER_USD, ZERO, Money

Counts = NDArray[np.int64]

MIN_DAYS = 3
"""With fewer there is no clock to draw from; with less than two weeks, priors stand in for much."""
MAX_DAYS = 3660
HOURS, SLICES = 24, 12
"""Slices of five minutes: how finely the unevenness within an hour is kept."""
DAY_SLICES = HOURS * SLICES
SLICE = timedelta(minutes=5)
KINDS = len(TokenKind)
LOAD = np.array([1.0, 0.1, 4.0, 0.0])
"""What a token of each kind weighs in a load: about as price lists and burn-downs have it."""
MAX_HOUR_TOKENS = 10**14
MAX_HOUR_USD = 10**7


class Used(NamedTuple):
    """One usage row, or the sum of several of the same five minutes.

    prompt: tokens that were not in a cache; cached: those that were. list_cost is what it costs at
    pay-as-you-go list price, whoever served it. Requests that a budget refused belong here too, at
    what they would have cost: demand that was cut off is still demand.
    """

    at: datetime
    model: str
    prompt: int
    cached: int
    completion: int
    list_cost: Money
    requests: int = 1


class ModelSpend(NamedTuple):
    """What a model's requests cost at list price over the whole history."""

    model: str
    list_cost: Money


@dataclass(frozen=True, slots=True, eq=False)
class DemandHistory:
    """Whole UTC days.

    since: the first day's midnight.
    amounts: tokens and requests [days, 24, workloads, 4]. list_nanos: nano-USD [days, 24,
        workloads].
    slices: load of an hour's 12 busiest-first slices of five minutes over its mean, averaged over
        hours by their load [workloads, 12]. Mean 1; all ones is an even hour.
    spend: by model, over all of it, dearest first: prices move by model.
    refused: the part of the list cost that budgets refused.
    apart: how names of models begin whose use by one team stands apart from that of all others.
    """

    workloads: tuple[Workload, ...]
    since: datetime
    amounts: Counts
    list_nanos: Counts
    slices: Floats
    spend: tuple[ModelSpend, ...]
    refused: Money = ZERO
    apart: str = ""

    @property
    def days(self) -> int:
        return len(self.amounts)

    @property
    def until(self) -> datetime:
        return self.since + timedelta(days=self.days)

    @property
    def list_cost(self) -> Money:
        """Of the whole history."""
        return Money(int(self.list_nanos.sum()))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.workloads)

    def hourly_usd(self) -> Floats:
        """List cost [days, 24, workloads]."""
        return np.asarray(self.list_nanos / NANOS_PER_USD)

    def load(self) -> Floats:
        """USD at each workload's mean price [days, 24, workloads]: what was asked for, whatever it
        cost at that hour."""
        return np.asarray((self.amounts @ LOAD) * self.load_usd())

    def load_usd(self) -> Floats:
        """What a unit of each workload's load costs in the mean [workloads]; 0 for an idle one."""
        total = (self.amounts @ LOAD).sum(axis=(0, 1))
        usd = self.hourly_usd().sum(axis=(0, 1))
        return np.asarray(np.divide(usd, total, out=np.zeros_like(usd), where=total > 0))

    def last(self, days: int) -> DemandHistory:
        """Its last `days` days, or all. The unevenness within the hour is that of all of it."""
        return self.between(max(0, self.days - days), self.days)

    def between(self, first: int, last: int) -> DemandHistory:
        """Its days `[first, last)`. Raises DemandTooShort."""
        first, last = max(0, first), min(self.days, last)
        if last - first < MIN_DAYS:
            raise DemandTooShort(max(0, last - first), MIN_DAYS)
        return DemandHistory(
            self.workloads,
            self.since + timedelta(days=first),
            self.amounts[first:last],
            self.list_nanos[first:last],
            self.slices,
            self.spend,
            self.refused,
            self.apart,
        )

    def sold_as(self, model: str) -> str:
        """Its name on the market: one price for all who use it."""
        return model.removeprefix(self.apart)

    @classmethod
    def of(
        cls,
        workloads: Sequence[Workload],
        rows: Iterable[Used],
        since: datetime,
        until: datetime,
    ) -> DemandHistory:
        """The history from `since` to just before `until`, both UTC midnights, rows in any order.

        The window is the caller's: a first or last hour in which nothing was used is known only to
        whoever asked the ledger. Raises DemandInvalid and DemandTooShort.
        """
        place = places(workloads)
        days = whole_days(since, until)
        amounts = np.zeros((days * DAY_SLICES, len(workloads), KINDS), dtype=np.int64)
        nanos = np.zeros((days * DAY_SLICES, len(workloads)), dtype=np.int64)
        spend: dict[str, int] = {}
        for row in rows:
            if row.model not in place:
                raise DemandInvalid(f"no workload has model {row.model}: add it to one")
            at = _slice(row, since, days * DAY_SLICES)
            w = place[row.model]
            amounts[at, w] += (row.prompt, row.cached, row.completion, row.requests)
            nanos[at, w] += row.list_cost
            spend[row.model] = spend.get(row.model, 0) + row.list_cost
        return cls.of_slices(
            workloads,
            amounts.reshape(days, DAY_SLICES, len(workloads), KINDS),
            nanos.reshape(days, DAY_SLICES, len(workloads)),
            since,
            spend=tuple(ModelSpend(model, Money(cost)) for model, cost in spend.items()),
        )

    @classmethod
    def of_slices(
        cls,
        workloads: Sequence[Workload],
        amounts: Counts,
        list_nanos: Counts,
        since: datetime,
        *,
        spend: Sequence[ModelSpend] = (),
    ) -> DemandHistory:
        """From slices of five minutes: amounts [days, 288, workloads, 4] and what they cost [days,
        288, workloads]. spend: by model; without it a workload's first model is all of it.

        Raises DemandInvalid and DemandTooShort.
        """
        days, width = len(amounts), len(workloads)
        by_hour = amounts.reshape(days, HOURS, SLICES, width, KINDS)
        nanos = list_nanos.reshape(days, HOURS, SLICES, width).sum(axis=2)
        if not spend:
            totals = nanos.sum(axis=(0, 1)).tolist()
            spend = [
                ModelSpend(one.models[0], Money(total))
                for one, total in zip(workloads, totals, strict=True)
            ]
        return cls.of_hours(
            workloads, by_hour.sum(axis=2), nanos, since, unevenness(by_hour @ LOAD), spend=spend
        )

    @classmethod
    def of_hours(
        cls,
        workloads: Sequence[Workload],
        amounts: Counts,
        list_nanos: Counts,
        since: datetime,
        slices: Floats,
        *,
        spend: Sequence[ModelSpend],
        refused: Money = ZERO,
        apart: str = "",
    ) -> DemandHistory:
        """From hours, as it is kept. Raises DemandInvalid and DemandTooShort."""
        places(workloads)
        whole_days(since, since + timedelta(days=len(amounts)))
        _refuse_absurd(workloads, amounts, list_nanos, since)
        return cls(
            tuple(workloads),
            since,
            amounts,
            list_nanos,
            slices,
            tuple(sorted(spend, key=lambda one: (-one.list_cost, one.model))),
            refused,
            apart,
        )

    def sha256(self) -> str:
        """Of every number in it."""
        told = f"{self.workloads} {self.since.isoformat()} {self.spend} {self.refused}"
        digest = hashlib.sha256(told.encode())
        for numbers in (self.amounts, self.list_nanos, self.slices):
            digest.update(np.ascontiguousarray(numbers).tobytes())
        return digest.hexdigest()


def places(workloads: Sequence[Workload]) -> dict[str, int]:
    """Which workload each model belongs to. Raises DemandInvalid for one that is in two."""
    found: dict[str, int] = {}
    if not workloads:
        raise DemandInvalid("no workloads: name at least one, with its models")
    for place, workload in enumerate(workloads):
        for model in workload.models:
            if model in found:
                both = f"{workloads[found[model]].name} and {workload.name}"
                raise DemandInvalid(f"model {model} is in workloads {both}: leave it in one")
            found[model] = place
    names = [workload.name for workload in workloads]
    if len(set(names)) < len(names):
        raise DemandInvalid(f"two workloads have one name ({', '.join(names)}): rename one")
    return found


def whole_days(since: datetime, until: datetime) -> int:
    """How many days a history has. Raises DemandInvalid and DemandTooShort."""
    for end in (since, until):
        if end.utcoffset() != timedelta(0) or end.time() != datetime.min.time():
            raise DemandInvalid(f"{end.isoformat()} is no UTC midnight: a history has whole days")
    days = (until - since).days
    if days < MIN_DAYS:
        raise DemandTooShort(max(0, days), MIN_DAYS)
    if days > MAX_DAYS:
        raise DemandInvalid(f"a history of {days} days is over the limit of {MAX_DAYS}: shorten it")
    return days


def unevenness(load: Floats) -> Floats:
    """Busiest-first shape of an hour, from slices [..., 12, workloads]; an idle hour says nothing,
    and a workload of idle hours is even."""
    width = load.shape[-1]
    busiest_first = -np.sort(-load.reshape(-1, SLICES, width), axis=1)
    shape = busiest_first.sum(axis=0).T
    mean = shape.mean(axis=1, keepdims=True)
    return np.asarray(np.divide(shape, mean, out=np.ones_like(shape), where=mean > 0))


def _slice(row: Used, since: datetime, slices: int) -> int:
    if row.at.tzinfo is None:
        raise DemandInvalid(f"usage at {row.at.isoformat()} has no time zone: give it UTC")
    at = (row.at.astimezone(UTC) - since) // SLICE
    if not 0 <= at < slices:
        raise DemandInvalid(f"usage at {row.at.isoformat()} is outside the history: widen it")
    counts = (row.prompt, row.cached, row.completion, row.requests)
    if min(*counts, row.list_cost) < 0:
        raise DemandInvalid(f"usage at {row.at.isoformat()} has a negative count: check the rows")
    if max(counts) > MAX_HOUR_TOKENS or row.list_cost > MAX_HOUR_USD * NANOS_PER_USD:
        raise DemandInvalid(
            f"usage at {row.at.isoformat()} is absurd ({max(counts):.3g} tokens,"
            f" {row.list_cost / NANOS_PER_USD:.3g} USD in one row): check the rows"
        )
    return at


def _refuse_absurd(
    workloads: Sequence[Workload], amounts: Counts, list_nanos: Counts, since: datetime
) -> None:
    names = ", ".join(one.name for one in workloads)
    if min(amounts.min(), list_nanos.min()) < 0:
        raise DemandInvalid(f"the history of {names} has negative counts: check the rows")
    usd = list_nanos / NANOS_PER_USD
    for what, values, most in (
        ("USD", usd, MAX_HOUR_USD),
        ("tokens", amounts.max(axis=3), MAX_HOUR_TOKENS),
    ):
        if values.max() > most:
            day, hour, workload = map(int, np.unravel_index(values.argmax(), values.shape))
            at = since + timedelta(days=day, hours=hour)
            raise DemandInvalid(
                f"{workloads[workload].name} used {values.max():.3g} {what} in the hour of"
                f" {at:%Y-%m-%d %H:00}: no plan believes more than {most:.3g}; check its prices"
                " and rows"
            )
    if not list_nanos.any():
        raise DemandInvalid(f"{names} cost nothing from {since:%Y-%m-%d} on: nothing to hedge")
    if not amounts[..., : TokenKind.REQUEST].any():
        raise DemandInvalid(f"{names} used no tokens: these contracts sell tokens")
