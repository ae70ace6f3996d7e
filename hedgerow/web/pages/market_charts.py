"""What the pages of the market and of the router draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from benchmarks.capacity.grades import Grade
from benchmarks.capacity.prices import CapacityIndex
from benchmarks.tables.history import PastQuote
from benchmarks.traffic.hours import Counts, Step
from hedgerow.charts import Band, Chart, Mark, Place, Series
from hedgerow.market.offer_past import MOST_POINTS, OfferPast
from hedgerow.router.shares import Shares
from hedgerow.web.formats import money_text
from ledger.instants import instant
from ledger.money import Money, as_usd
from ledger.rates import RateCard

TIME = "time (UTC)"
PER_MTOK = "USD per million tokens"
DRAWN = 6
"""Offers in one chart: more cannot be told apart."""


def place(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")


def place_ns(at_ns: int) -> str:
    return place(instant(at_ns))


# -- of one offer


def prices(past: OfferPast) -> Chart:
    kinds: tuple[tuple[str, Callable[[RateCard], Decimal]], ...] = (
        ("input", lambda rates: rates.input),
        ("output", lambda rates: rates.output),
        ("cached input", lambda rates: rates.cache_read),
    )
    changes = max(0, len(past.prices) + past.prices_left_out - 1)
    says = f"{_counted(changes, 'change')} in this time, as known {place(past.known)} UTC."
    return Chart(
        "prices",
        "Price",
        says,
        TIME,
        PER_MTOK,
        tuple(_steps(name, past.prices, pick, past.since, past.until) for name, pick in kinds),
        notes=_left_out(past.prices_left_out),
    )


def latency(past: OfferPast) -> Chart:
    hours = past.steps
    series = [
        _seen("p50", hours, lambda one: one.seen.ttft_ms_p50),
        _seen("p95", hours, lambda one: one.seen.ttft_ms_p95),
    ]
    feeds = [one for one in past.stats if one.said is not None]
    if any(one.said and one.said.ttft_ms.p50 is not None for one in feeds):
        x = tuple(place(one.value_time) for one in feeds)
        y = tuple(one.said.ttft_ms.p50 if one.said else None for one in feeds)
        series.append(Series("everybody's p50, says a feed", Mark.LINE, x, y))
    attempts = sum(one.counts.attempts for one in hours)
    return Chart(
        "latency",
        "Time to the first token",
        f"Of {_counted(attempts, 'attempt')} of ours, hour by hour.",
        TIME,
        "ms",
        tuple(series),
        notes=_left_out(past.stats_left_out),
    )


def gaps(past: OfferPast) -> Chart:
    return Chart(
        "gaps",
        "Time per token",
        "Between two tokens of an answer, once it has begun.",
        TIME,
        "ms",
        (
            _seen("p50", past.steps, lambda one: one.seen.inter_token_ms_p50),
            _seen("p95", past.steps, lambda one: one.seen.inter_token_ms_p95),
        ),
    )


def attempts(past: OfferPast) -> Chart:
    """How they ended, stacked."""
    kinds: tuple[tuple[str, Callable[[Counts], int]], ...] = (
        ("answered", lambda one: one.answered),
        ("failed", lambda one: one.failed),
        ("refused for rate (429)", lambda one: one.rate_limited),
        ("broken off", lambda one: one.truncated),
        ("overtaken", lambda one: one.overtaken),
    )
    x = tuple(place_ns(one.since_ns) for one in past.steps)
    known = [(name, [pick(one.counts) for one in past.steps]) for name, pick in kinds]
    failed = sum(one.counts.failed + one.counts.truncated for one in past.steps)
    every = sum(one.counts.attempts for one in past.steps)
    return Chart(
        "attempts",
        "Attempts",
        f"{failed:,} of {every:,} failed or broke off.",
        TIME,
        "attempts",
        tuple(Series(name, Mark.BAR, x, tuple(y)) for name, y in known if any(y)),
        stacked=True,
    )


def quality(past: OfferPast) -> Chart:
    """Of each benchmark, six at most."""
    by_name: dict[str, list[tuple[str, float, float, float]]] = {}
    for one in past.evals:
        if (run := one.said) is not None:
            row = (place(one.value_time), run.score, run.low, run.high)
            by_name.setdefault(run.benchmark, []).append(row)
    named = list(by_name.items())[:DRAWN]
    last = past.evals[-1].said if past.evals else None
    says = "" if last is None else f"Last: {last.score:.2f} on {last.benchmark}, n = {last.n}."
    return Chart(
        "quality",
        "Quality",
        f"Scores of our evals with their 90% intervals. {says}",
        TIME,
        "score",
        tuple(
            Series(name, Mark.POINTS, tuple(x for x, *_ in rows), tuple(y for _, y, *_ in rows))
            for name, rows in named
        ),
        tuple(
            Band(
                f"{name}, 90%",
                tuple(x for x, *_ in rows),
                tuple(low for _, _, low, _ in rows),
                tuple(high for *_, high in rows),
            )
            for name, rows in named
            if len(rows) > 1
        ),
    )


# -- of a model


def model_prices(
    pasts: Mapping[str, Sequence[PastQuote]],
    since: datetime,
    until: datetime,
    pick: Callable[[RateCard], Decimal],
    what: str,
) -> Chart:
    """Of several offers side by side."""
    return Chart(
        f"prices-{what}",
        f"Price of {what}",
        f"Of {_counted(len(pasts), 'offer')}.",
        TIME,
        PER_MTOK,
        tuple(_steps(name, found, pick, since, until) for name, found in pasts.items()),
    )


def model_latency(steps: Mapping[str, Sequence[Step]]) -> Chart:
    return Chart(
        "latencies",
        "Time to the first token, p50",
        "What our requests saw, hour by hour.",
        TIME,
        "ms",
        tuple(_seen(name, one, lambda step: step.seen.ttft_ms_p50) for name, one in steps.items()),
    )


# -- of GPU-hours


def capacity(grade: Grade, days: Sequence[tuple[datetime, CapacityIndex | None]]) -> Chart:
    known = [at for at, one in days if one is not None]
    days = [one for one in days if known and one[0] >= known[0]]
    x = tuple(place(at) for at, _ in days)
    told = [(at, one) for at, one in days if one is not None]
    return Chart(
        "capacity",
        f"{grade}",
        "The median over providers, and the range without a tenth of them at either end.",
        TIME,
        "USD per GPU-hour",
        (
            Series(
                "median",
                Mark.LINE,
                x,
                tuple(None if one is None else float(one.usd_per_gpu_hour) for _, one in days),
            ),
        ),
        (
            Band(
                "range",
                tuple(place(at) for at, _ in told),
                tuple(float(one.low) for _, one in told),
                tuple(float(one.high) for _, one in told),
            ),
        ),
    )


# -- of the router


def share_of_requests(found: Shares) -> Chart:
    x = tuple(place_ns(one.start_ns) for one in found.steps)
    first = found.each[0] if found.each else None
    part = None if first is None else found.of(first)
    says = "" if first is None or part is None else f"{first.name} served {part:.0%} of them."
    return Chart(
        "shares",
        "Charged requests",
        says,
        TIME,
        "requests",
        tuple(
            Series(name, Mark.BAR, x, tuple(map(float, counts)))
            for name, counts in zip(found.named, found.requests, strict=True)
        ),
        stacked=True,
    )


def costs(found: Shares) -> Chart:
    x = tuple(place_ns(one.start_ns) for one in found.steps)
    lines: tuple[tuple[str, list[Money]], ...] = (
        ("paid", [one.cost for one in found.steps]),
        ("at the first-listed offer", [one.first_offer for one in found.steps]),
        ("at the cheapest of the moment", [one.cheapest for one in found.steps]),
    )
    saved = found.total.saved
    size = money_text(Money(abs(saved)))
    says = f"Routing {'saved' if saved >= 0 else 'cost'} {size} in this time."
    return Chart(
        "costs",
        "What it cost, and would have",
        says,
        TIME,
        "USD",
        tuple(
            Series(name, Mark.LINE, x, tuple(float(as_usd(one)) for one in y)) for name, y in lines
        ),
    )


# -- parts


def _steps(
    name: str,
    found: Sequence[PastQuote],
    pick: Callable[[RateCard], Decimal],
    since: datetime,
    until: datetime,
) -> Series:
    """A price holds until the next one; what held before counts from the beginning."""
    x: list[Place] = []
    y: list[float | None] = []
    for one in found:
        x.append(place(max(one.value_time, since)))
        y.append(None if one.said is None else float(pick(one.said.rates)))
    if found and x[-1] != place(until):
        x.append(place(until))
        y.append(y[-1])
    return Series(name, Mark.STEP, tuple(x), tuple(y))


def _seen(name: str, steps: Sequence[Step], pick: Callable[[Step], float | None]) -> Series:
    """With a gap where nothing was seen."""
    points = list(_points(steps, pick))
    return Series(name, Mark.LINE, tuple(x for x, _ in points), tuple(y for _, y in points))


def _points(
    steps: Sequence[Step], pick: Callable[[Step], float | None]
) -> Iterator[tuple[str, float | None]]:
    end_ns: int | None = None
    for one in steps:
        if end_ns is not None and one.since_ns > end_ns:
            yield place_ns(end_ns), None
        value = pick(one)
        yield place_ns(one.since_ns), None if value is None else round(value, 3)
        end_ns = one.until_ns


def _left_out(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (f"Of a long time {MOST_POINTS} points are drawn, evenly; {count:,} are left out.",)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
