"""Histories: what OpenRouter showed of its endpoints, every half hour, as arrays.

Rows are windows (the half hour up to an observation), columns are endpoints; what is not known is
NaN. Nothing here decides anything: who reads an array asks only for rows that were known by then.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Row = Mapping[str, str]

WINDOW_S = 1800.0
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One provider's offer of one model."""

    model: str
    variant: str
    provider: str
    is_free: bool


@dataclass(frozen=True, slots=True)
class Size:
    """A model's request: the mean tokens of all of OpenRouter's requests to it."""

    prompt: float
    completion: float


@dataclass(frozen=True, slots=True)
class Windows:
    """What was seen in each window, of each endpoint.

    Percentiles of the time to the first token in ms, output tokens per second, requests, and how
    attempts ended.
    """

    ttft_ms_p50: Floats
    ttft_ms_p90: Floats
    ttft_ms_p99: Floats
    tokens_per_s: Floats
    requests: Floats
    answered: Floats
    failed: Floats
    rate_limited: Floats

    @property
    def attempts(self) -> Floats:
        return self.answered + self.failed + self.rate_limited


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per million tokens, per window and endpoint."""

    input: Floats
    output: Floats


@dataclass(frozen=True, slots=True)
class History:
    """ends_s: when each window ends; days: which day that is.

    before, charged: list prices as of each window's start, and as of its end. status_before:
    OpenRouter's status as of the start. effective: per day from `effective_since` on and endpoint,
    what was paid over what the list said for the same, after caching.
    """

    endpoints: tuple[Endpoint, ...]
    sizes: Mapping[str, Size]
    ends_s: Floats
    days: tuple[date, ...]
    seen: Windows
    before: Prices
    charged: Prices
    status_before: Floats
    effective_since: date
    effective: Floats

    def cost(self, prices: Prices) -> Floats:
        """Of each endpoint's model's request, in micro-USD."""
        return _cost(prices, self.endpoints, self.sizes)


def read(folder: Path) -> History:
    """Raises FileNotFoundError if a file is missing."""
    endpoints = tuple(
        Endpoint(
            row["permaslug"],
            row["variant"],
            row["provider_slug"].split("/")[0],
            row["is_free"] == "True",
        )
        for row in _rows(folder / "openrouter_endpoints.csv.gz")
    )
    seen = _rows(folder / "provider_latency.csv.gz")
    times = [row["observed_at_utc"] for row in seen]
    ends_s = np.array(sorted({_seconds(time) for time in times}))
    place = {time: int(np.searchsorted(ends_s, _seconds(time))) for time in set(times)}
    at = [place[time] for time in times], [int(row["endpoint"]) for row in seen]

    def column(name: str) -> Floats:
        values = np.full((len(ends_s), len(endpoints)), np.nan)
        values[at] = [float(row[name] or "nan") for row in seen]
        return values

    count = len(endpoints)
    prices = _Changes.of(
        _rows(folder / "openrouter_endpoint_prices_5min.csv.gz"),
        ("input_usd_per_mtok", "output_usd_per_mtok"),
        count,
    )
    status = _Changes.of(_rows(folder / "openrouter_endpoint_status.csv.gz"), ("status",), count)
    sizes = _sizes(_rows(folder / "demand_openrouter_daily.csv.gz"))
    since, effective = _effective(folder, endpoints, sizes)
    return History(
        endpoints=endpoints,
        sizes=sizes,
        ends_s=ends_s,
        days=tuple(_day(end_s - 1) for end_s in ends_s.tolist()),
        seen=Windows(
            ttft_ms_p50=column("ttft_ms_p50"),
            ttft_ms_p90=column("ttft_ms_p90"),
            ttft_ms_p99=column("ttft_ms_p99"),
            tokens_per_s=column("tok_per_s_p50"),
            requests=column("requests_30min"),
            answered=column("success_count"),
            failed=column("derankable_error_count"),
            rate_limited=column("rate_limited_count"),
        ),
        before=Prices(*prices.as_of(ends_s - WINDOW_S)),
        charged=Prices(*prices.as_of(ends_s)),
        status_before=status.as_of(ends_s - WINDOW_S)[0],
        effective_since=since,
        effective=effective,
    )


@dataclass(frozen=True, slots=True)
class _Changes:
    """Run-length rows: per endpoint, the times of its changes and the values from then on."""

    times: Mapping[int, Floats]
    values: Mapping[int, Floats]
    names: int
    endpoints: int

    @classmethod
    def of(
        cls,
        rows: Iterable[Row],
        names: Sequence[str],
        endpoints: int,
        time: str = "observed_at_utc",
    ) -> _Changes:
        changes = defaultdict[int, list[tuple[float, ...]]](list)
        for row in rows:
            values = (float(row[name] or "nan") for name in names)
            changes[int(row["endpoint"])].append((_seconds(row[time]), *values))
        tables = {key: np.array(sorted(some)) for key, some in changes.items() if key < endpoints}
        return cls(
            {key: table[:, 0] for key, table in tables.items()},
            {key: table[:, 1:] for key, table in tables.items()},
            len(names),
            endpoints,
        )

    def as_of(self, times_s: Floats) -> Floats:
        """By value, time and endpoint; NaN before an endpoint's first row."""
        found = np.full((self.names, len(times_s), self.endpoints), np.nan)
        for key, times in self.times.items():
            at = np.searchsorted(times, times_s, side="right") - 1
            known = at >= 0
            found[:, known, key] = self.values[key][at[known]].T
        return found


def _effective(
    folder: Path, endpoints: Sequence[Endpoint], sizes: Mapping[str, Size]
) -> tuple[date, Floats]:
    """Effective prices are by provider and model: over the mean of what its endpoints list."""
    rows = _rows(folder / "openrouter_effective_pricing.csv.gz")
    days = sorted({row["date"] for row in rows})
    noons_s = np.array([_seconds(day) + DAY_S / 2 for day in days])
    listed = _Changes.of(
        _rows(folder / "openrouter_endpoint_prices_daily.csv.gz"),
        ("input_usd_per_mtok", "output_usd_per_mtok"),
        len(endpoints),
        "date",
    )
    list_cost = _cost(Prices(*listed.as_of(noons_s)), endpoints, sizes)
    sold = defaultdict[tuple[str, str, str], list[int]](list)
    for at, one in enumerate(endpoints):
        sold[one.model, one.variant, one.provider].append(at)
    ratio = np.full((len(days), len(endpoints)), np.nan)
    for row in rows:
        places = sold.get((row["permaslug"], row["variant"], row["provider_slug"]), [])
        size = sizes.get(row["permaslug"])
        if not places or size is None:
            continue
        day = days.index(row["date"])
        paid = size.prompt * float(row["effective_input_usd_per_mtok"] or "nan")
        paid += size.completion * float(row["effective_output_usd_per_mtok"] or "nan")
        list_costs = list_cost[day, places]
        known = list_costs[list_costs > 0]
        if paid > 0 and len(known):
            ratio[day, places] = paid / known.mean()
    return date.fromisoformat(days[0]), ratio


def _cost(prices: Prices, endpoints: Sequence[Endpoint], sizes: Mapping[str, Size]) -> Floats:
    nothing = Size(np.nan, np.nan)
    of = [sizes.get(one.model, nothing) for one in endpoints]
    prompt, completion = np.array([(one.prompt, one.completion) for one in of]).T
    cost: Floats = prompt * prices.input + completion * prices.output
    return cost


def _sizes(rows: Iterable[Row]) -> dict[str, Size]:
    sums = defaultdict[str, list[float]](lambda: [0.0, 0.0, 0.0])
    for row in rows:
        if row["variant"] == "standard":
            for at, name in enumerate(("prompt_tokens", "completion_tokens", "requests")):
                sums[row["permaslug"]][at] += float(row[name])
    return {
        model: Size(prompt / requests, completion / requests)
        for model, (prompt, completion, requests) in sums.items()
        if requests > 0
    }


def _rows(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC).timestamp()


def _day(at_s: float) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at_s)).date()
