"""Demand for the hedge's backtest: bootstraps of real traces, month after month.

No public trace of one buyer's tokens is as long as a reservation. So a path is put together from
measured parts: the load within days and weeks from a trace, its level from day to day from the
changes that OpenRouter's providers saw, prices from a model's price history. Each Trace says which.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path as File
from zlib import crc32

import numpy as np

from hedge.backtest.path import Path
from hedge.risk import Floats
from hedge.scenarios.history import DAY_SLICES

HISTORY_DAYS, MONTHS = 62, 6
MEAN_TOKENS = 500_000
"""In five minutes, over the history: a hundred units of a thousand tokens a minute."""
LIST_NANOS = 2_000
"""A token on the day of the first decision: 2 USD per million."""
OUTPUT_WEIGHT = 4.0
ESTABLISHED = (
    "all",
    "anthropic",
    "deepseek",
    "google",
    "meta-llama",
    "mistralai",
    "openai",
    "qwen",
)
"""Authors whose demand is not that of one launch."""
MISPRICED = 4.0
"""A price that changes by more than this factor at once is an error of the list, mostly."""


@dataclass(frozen=True, slots=True)
class Trace:
    """shape: days of load with mean 1, given the first day and how many [days, DAY_SLICES]."""

    name: str
    real: str
    shape: Callable[[np.random.Generator, date, int], Floats]
    families: tuple[str, ...]


def _rows(file: File) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as opened:
        yield from csv.DictReader(opened)


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """weekly: log changes from one week's mean to the next one's. around: days about their week's
    mean, in logs, the weekday taken out."""

    weekly: Floats
    around: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """levels: by family. prices: daily price of each model, and its first day."""

    traces: tuple[Trace, ...]
    levels: Mapping[str, Level]
    prices: tuple[tuple[date, Floats], ...]

    def path(self, trace: Trace, seed: int) -> Path:
        streams = [
            np.random.default_rng(s)
            for s in np.random.SeedSequence([seed, crc32(trace.name.encode())]).spawn(3)
        ]
        name, shape, level, price = trace.name, *streams
        bought_from, prices = self._prices(price)
        first = bought_from - timedelta(days=HISTORY_DAYS)
        days = len(prices)
        load = trace.shape(shape, first, days) * self._level(level, trace.families, days)[:, None]
        load /= load[:HISTORY_DAYS].mean()
        nanos = np.rint(prices / prices[HISTORY_DAYS] * LIST_NANOS)
        tokens = np.rint(load * MEAN_TOKENS)
        return Path(
            f"{name} {seed}", first, bought_from, tokens.astype(np.int64), nanos.astype(np.int64)
        )

    def _level(self, rng: np.random.Generator, families: tuple[str, ...], days: int) -> Floats:
        """One family's level: weekly changes drawn anew, days around it in runs of a week. A drift
        of six weeks, going on for months, was not seen: each path keeps a share of it."""
        trend = self.levels[families[rng.integers(len(families))]]
        weeks = days // 7 + 2
        drift = rng.random() * trend.weekly.mean()
        changes = rng.choice(trend.weekly - trend.weekly.mean(), size=weeks) + drift
        walked = np.concatenate([[0.0], np.cumsum(changes)])
        smooth = np.interp(np.arange(days) / 7, np.arange(weeks + 1), walked)
        starts = rng.integers(0, len(trend.around) - 6, size=weeks)
        around = np.concatenate([trend.around[start : start + 7] for start in starts])[:days]
        return np.asarray(np.exp(smooth + around))

    def _prices(self, rng: np.random.Generator) -> tuple[date, Floats]:
        """A model's history, from HISTORY_DAYS before the first of a month on, for MONTHS."""
        while True:
            first, prices = self.prices[rng.integers(len(self.prices))]
            starts = [
                day
                for number in range(HISTORY_DAYS, len(prices))
                if (day := first + timedelta(days=number)).day == 1
                and (_month(day, MONTHS) - first).days <= len(prices)
            ]
            if starts:
                begin = starts[rng.integers(len(starts))]
                low = (begin - first).days - HISTORY_DAYS
                return begin, prices[low : (_month(begin, MONTHS) - first).days]


def _month(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, 1)


def read(data: File) -> Material:
    """Raises FileNotFoundError if there are no histories."""
    return Material(tuple(_traces(data, _clock(data))), _levels(data), tuple(_prices(data)))


def _levels(data: File) -> dict[str, Level]:
    """Of each author's daily tokens, and of all."""
    tokens: dict[str, Counter[date]] = defaultdict(Counter)
    for row in _rows(data / "demand_openrouter_daily.csv.gz"):
        day = date.fromisoformat(row["date"])
        used = int(row["prompt_tokens"]) + int(row["completion_tokens"])
        for family in ("all", row["permaslug"].split("/")[0]):
            tokens[family][day] += used
    days = sorted(tokens["all"])
    weekday = np.array([day.weekday() for day in days])
    levels = {}
    for family in ESTABLISHED:
        series = np.log(np.array([tokens[family][day] for day in days], dtype=float))
        weeks = np.convolve(np.exp(series), np.ones(7) / 7, "valid")
        weekly = np.log(weeks[7:] / weeks[:-7])
        around = series[3:-3] - np.log(weeks)
        by_day = np.array([around[weekday[3:-3] == number].mean() for number in range(7)])
        levels[family] = Level(weekly, around - by_day[weekday[3:-3]])
    return levels


def _clock(data: File) -> Floats:
    """Requests of all models by weekend or not and hour, mean 1 [2, 24]."""
    sums, counts = np.zeros((2, 24)), np.zeros((2, 24))
    by_time: Counter[str] = Counter()
    for row in _rows(data / "demand_openrouter_5min.csv.gz"):
        by_time[row["observed_at_utc"]] += int(row["requests_trailing_30min"])
    for at, requests in by_time.items():
        moment = datetime.fromisoformat(at) - timedelta(minutes=15)
        cell = (int(moment.weekday() >= 5), moment.hour)
        sums[cell] += requests
        counts[cell] += 1
    means = sums / np.maximum(counts, 1)
    return np.asarray(means / means.mean())


def _traces(data: File, clock: Floats) -> Iterator[Trace]:
    hour = "hours and weekends of OpenRouter's requests (12 days)"
    for file in ("azure2023_code", "azure2023_conv", "mooncake_conversation"):
        bursts = _bursts(data / f"demand_{file}.csv.gz")
        yield Trace(
            file.split("_conversation")[0].replace("2023_", "-"),
            f"tokens by minute of three quarters of an hour; {hour}",
            partial(_from_bursts, minutes=bursts, clock=clock),
            ESTABLISHED,
        )
    for name, families in (
        ("m-large", ESTABLISHED),
        ("m-mid", ESTABLISHED),
        ("deepseek-r1", ("deepseek",)),
        ("mm-image", ESTABLISHED),
    ):
        windows = _servegen(data, name)
        yield Trace(
            f"servegen-{name}",
            "requests by ten minutes and client × the client's mean tokens, "
            + ("11 days" if len(windows) > 2 else f"18 hours, the last mirrored to 24; {hour}"),
            partial(_from_days, windows=windows, clock=clock),
            families,
        )
    for author in ("openai", "anthropic"):
        own = _model_clock(data, author)
        yield Trace(
            f"openrouter-{author}",
            f"requests by half hour of {author}'s models (12 days), their daily level (45 days)",
            partial(_from_clock, kept=own),
            (author,),
        )


def _bursts(file: File) -> Floats:
    """Load of each minute, mean 1."""
    minutes: Counter[int] = Counter()
    for row in _rows(file):
        weight = int(row["input_tokens"]) + OUTPUT_WEIGHT * int(row["output_tokens"])
        minutes[int(float(row["t_seconds"]) // 60)] += int(weight)
    load = np.array([minutes[minute] for minute in range(max(minutes))], dtype=float)
    return np.asarray(load / load.mean())


def _hours(first: date, days: int, clock: Floats) -> Floats:
    """The clock over the days, in five-minute slices, hours joined by straight lines."""
    weekend = np.array([(first + timedelta(days=d)).weekday() >= 5 for d in range(days)])
    hourly = clock[weekend.astype(int)].ravel()
    slices = (np.arange(days * DAY_SLICES) + 0.5) / 12 - 0.5
    joined = np.interp(slices, np.arange(len(hourly)), hourly)
    return np.asarray(joined.reshape(days, DAY_SLICES))


def _from_bursts(
    rng: np.random.Generator, first: date, days: int, minutes: Floats, clock: Floats
) -> Floats:
    """Quarter hours of the trace, drawn anew, on the clock's hours."""
    quarters = rng.integers(0, len(minutes) - 14, size=days * DAY_SLICES // 3)
    load = minutes[quarters[:, None] + np.arange(15)].reshape(-1, 5).mean(axis=1)
    return np.asarray(load.reshape(days, DAY_SLICES) * _hours(first, days, clock))


def _servegen(data: File, name: str) -> Floats:
    """Whole days of load by ten minutes [days, 144]; part of a day is mirrored to a whole one."""
    means: dict[str, list[float]] = defaultdict(list)
    for row in _rows(data / "demand_servegen_tokens.csv.gz"):
        if row["model"] == name:
            means[row["client"]].append(
                float(row["mean_input_tokens"]) + OUTPUT_WEIGHT * float(row["mean_output_tokens"])
            )
    weight = {client: float(np.mean(values)) for client, values in means.items()}
    usual = float(np.median(list(weight.values()))) if weight else 1.0
    load: Counter[int] = Counter()
    for row in _rows(data / f"demand_servegen_{name}.csv.gz"):
        window = int(float(row["t_seconds"]) // 600)
        load[window] += float(row["requests_per_s"]) * weight.get(row["client"], usual)  # type: ignore[assignment]
    series = np.array([load[window] for window in range(max(load) + 1)], dtype=float)
    if len(series) < 144:
        series = np.concatenate([series, series[::-1]])[:144]
    series = series[: len(series) // 144 * 144]
    return np.asarray((series / series.mean()).reshape(-1, 144))


def _from_days(
    rng: np.random.Generator, first: date, days: int, windows: Floats, clock: Floats
) -> Floats:
    """Runs of whole days; of a single day, its hours' residuals are drawn anew."""
    if len(windows) > 2:
        run = min(7, len(windows))
        starts = rng.integers(0, len(windows) - run + 1, size=days // run + 1)
        rows = (starts[:, None] + np.arange(run)).ravel()[:days]
        return np.repeat(windows[rows], 2, axis=1)
    day = windows[0]
    smooth = np.convolve(np.concatenate([day[-3:], day, day[:3]]), np.ones(7) / 7, "valid")
    residual = (day / smooth).reshape(24, 6)
    drawn = residual[rng.integers(0, 24, size=(days, 24))].reshape(days, 144)
    weekend = np.array([(first + timedelta(days=d)).weekday() >= 5 for d in range(days)])
    level = np.where(weekend, clock[1].mean(), clock[0].mean())
    return np.repeat(smooth * drawn * level[:, None], 2, axis=1)


def _model_clock(data: File, author: str) -> Floats:
    """As _clock, of one author's models, each half hour seen kept: [2, 48, seen] of load."""
    by_time: Counter[str] = Counter()
    for row in _rows(data / "demand_openrouter_5min.csv.gz"):
        if row["model"].startswith(f"{author}/"):
            by_time[row["observed_at_utc"]] += int(row["requests_trailing_30min"])
    daily: dict[date, list[float]] = defaultdict(list)
    cells: dict[tuple[int, int], list[tuple[date, float]]] = defaultdict(list)
    for at, requests in by_time.items():
        moment = datetime.fromisoformat(at) - timedelta(minutes=15)
        daily[moment.date()].append(requests)
        cells[int(moment.weekday() >= 5), moment.hour].append((moment.date(), requests))
    level = {day: float(np.mean(seen)) for day, seen in daily.items()}
    kept = np.zeros((2, 24, 24))
    for kind in range(2):
        for hour in range(24):
            seen = [load / level[day] for day, load in cells[kind, hour]] or [1.0]
            kept[kind, hour] = np.quantile(seen, (np.arange(24) + 0.5) / 24)
    return kept


def _from_clock(rng: np.random.Generator, first: date, days: int, kept: Floats) -> Floats:
    weekend = np.array([(first + timedelta(days=d)).weekday() >= 5 for d in range(days)], dtype=int)
    drawn = rng.integers(0, kept.shape[2], size=(days, 24))
    hours = kept[weekend[:, None], np.arange(24)[None, :], drawn]
    return np.repeat(hours, 12, axis=1)


def _prices(data: File) -> Iterator[tuple[date, Floats]]:
    """Models whose price on OpenRouter was seen for long enough, day by day."""
    last = date(2026, 8, 1)
    events: dict[str, list[tuple[date, float | None]]] = defaultdict(list)
    for row in _rows(data / "openrouter_model_prices.csv.gz"):
        day = date.fromisoformat(row["observed_at_utc"][:10])
        blended = None
        if row["event"] != "removed":
            blended = (3 * float(row["input_usd_per_mtok"]) + float(row["output_usd_per_mtok"])) / 4
        events[row["model"]].append((day, blended))
    for seen in events.values():
        begin = 0
        for end in range(1, len(seen) + 1):
            is_last = end == len(seen)
            before = seen[end - 1][1]
            after = None if is_last else seen[end][1]
            breaks = (
                after is None
                or before is None
                or not before
                or not (1 / MISPRICED <= after / before <= MISPRICED)
            )
            if not breaks:
                continue
            until = last if is_last and before is not None else seen[min(end, len(seen) - 1)][0]
            run = [(day, price) for day, price in seen[begin:end] if price]
            begin = end
            if run and (until - run[0][0]).days > HISTORY_DAYS + 215:
                yield run[0][0], _by_day(run, until)


def _by_day(run: list[tuple[date, float]], until: date) -> Floats:
    first = run[0][0]
    prices = np.zeros((until - first).days)
    for day, price in run:
        prices[(day - first).days :] = price
    return prices
