"""DemandHistory: what was used, hour by hour, and what it costs at pay-as-you-go."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hedge.errors import DemandInvalid, DemandTooShort
from ledger.money import Money

MIN_DAYS = 14
"""Each weekday twice: with fewer there is nothing to draw from."""
MAX_DAYS = 3660
HOURS, MINUTES = 24, 60
SLICES = 12
"""Five minutes each: how finely the unevenness within an hour is kept."""


class Used(NamedTuple):
    """One usage row, or the sum of several of the same minute.

    list_cost is what it costs at pay-as-you-go list price, whoever served it. Requests that a
    budget refused belong here too, at what they would have cost: demand that was cut off is still
    demand.
    """

    at: datetime
    prompt: int
    completion: int
    list_cost: Money


@dataclass(frozen=True, slots=True, eq=False)
class DemandHistory:
    """Whole UTC days of one model's demand.

    since: the first day's midnight.
    prompt, completion: tokens [days, 24]. list_nanos: nano-USD [days, 24].
    slices: token rate of an hour's 12 busiest-first slices of five minutes over its mean [12],
        averaged over hours by their tokens. Mean 1; all ones is an even hour.
    """

    model: str
    since: datetime
    prompt: NDArray[np.int64]
    completion: NDArray[np.int64]
    list_nanos: NDArray[np.int64]
    slices: NDArray[np.float64]

    @property
    def days(self) -> int:
        return len(self.prompt)

    @property
    def until(self) -> datetime:
        return self.since + timedelta(days=self.days)

    @property
    def list_cost(self) -> Money:
        """Of the whole history."""
        return Money(int(self.list_nanos.sum()))

    @property
    def tokens(self) -> int:
        """Prompt and completion, of the whole history."""
        return int(self.prompt.sum() + self.completion.sum())

    @classmethod
    def of(
        cls, model: str, rows: Iterable[Used], since: datetime, until: datetime
    ) -> DemandHistory:
        """The history from `since` to just before `until`, both UTC midnights, rows in any order.

        The window is the caller's: a first or last hour in which nothing was used is known only to
        whoever asked the ledger. Raises DemandInvalid and DemandTooShort.
        """
        days = _whole_days(since, until)
        minutes = days * HOURS * MINUTES
        prompt, completion, nanos = (np.zeros(minutes, dtype=np.int64) for _ in range(3))
        for row in rows:
            minute = _minute(row, since, minutes)
            prompt[minute] += row.prompt
            completion[minute] += row.completion
            nanos[minute] += row.list_cost
        if not nanos.any():
            raise DemandInvalid(f"{model} cost nothing from {since:%Y-%m-%d} on: nothing to hedge")
        if not (prompt.any() or completion.any()):
            raise DemandInvalid(f"{model} used no tokens: these contracts sell tokens")
        by_hour = (days, HOURS, MINUTES)
        return cls(
            model,
            since,
            prompt.reshape(by_hour).sum(axis=2),
            completion.reshape(by_hour).sum(axis=2),
            nanos.reshape(by_hour).sum(axis=2),
            _unevenness((prompt + completion).reshape(-1, MINUTES)),
        )

    def sha256(self) -> str:
        """Of every number in it."""
        digest = hashlib.sha256(f"{self.model} {self.since.isoformat()}".encode())
        for numbers in (self.prompt, self.completion, self.list_nanos, self.slices):
            digest.update(np.ascontiguousarray(numbers).tobytes())
        return digest.hexdigest()


def _whole_days(since: datetime, until: datetime) -> int:
    for end in (since, until):
        if end.utcoffset() != timedelta(0) or end.time() != datetime.min.time():
            raise DemandInvalid(f"{end.isoformat()} is no UTC midnight: a history has whole days")
    days = (until - since).days
    if days < MIN_DAYS:
        raise DemandTooShort(max(0, days), MIN_DAYS)
    if days > MAX_DAYS:
        raise DemandInvalid(f"a history of {days} days is over the limit of {MAX_DAYS}: shorten it")
    return days


def _minute(row: Used, since: datetime, minutes: int) -> int:
    if row.at.tzinfo is None:
        raise DemandInvalid(f"usage at {row.at.isoformat()} has no time zone: give it UTC")
    minute = (row.at.astimezone(UTC) - since) // timedelta(minutes=1)
    if not 0 <= minute < minutes:
        raise DemandInvalid(f"usage at {row.at.isoformat()} is outside the history: widen it")
    if min(row.prompt, row.completion, row.list_cost) < 0:
        raise DemandInvalid(f"usage at {row.at.isoformat()} has a negative count: check the rows")
    return minute


def _unevenness(tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """Busiest-first shape of an hour, from minutes [hours, 60]; an idle hour says nothing."""
    busiest_first = np.sort(tokens, axis=1)[:, ::-1].sum(axis=0, dtype=np.float64)
    slices = busiest_first.reshape(SLICES, -1).sum(axis=1)
    shape: NDArray[np.float64] = slices / slices.mean()
    return shape
