"""Rules: how others choose, told in as many words as these data allow.

Each ranks the offers of every cell by what was known when its window began. Rules that draw are
the mean of several draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.evaluate.histories import Floats, History
from tests.evaluate.knowledge import Knowledge, known_windows
from tests.evaluate.replay import ATTEMPTS, NOBODY, Cells, Places, Tally, models, play

DRAWS = 16
SEED = 20260720
LEAST_UPTIME = 0.8
LAST = 1e12
"""Behind all others."""


@dataclass(frozen=True, slots=True)
class Market:
    """What a rule may look at, by cell and offer. Of the last window before: NaN if there is none.

    prices: input and output per token, added. traffic: requests in all windows before.
    """

    cells: Cells
    costs: Floats
    prices: Floats
    is_out: np.typing.NDArray[np.bool_]
    uptime: Floats
    ttft_ms_p50: Floats
    ttft_ms_mean: Floats
    tokens_per_s: Floats
    busy_s: Floats
    traffic: Floats


@dataclass(frozen=True, slots=True)
class Rule:
    """By name and what it does; play: what came of it."""

    name: str
    what: str
    play: Callable[[Market], Tally]


def market(history: History, knowledge: Knowledge, cells: Cells) -> Market:
    seen = history.seen
    each = np.arange(len(history.endpoints))

    def last(values: Floats) -> Floats:
        found = values[np.maximum(knowledge.last, 0), each]
        return cells.take(np.where(knowledge.last < 0, np.nan, found))

    completion = np.full(len(history.endpoints), np.nan)
    for model, places in models(history).items():
        completion[places] = history.sizes[model].completion
    # Each percentile stands for the shares that are nearest to it.
    mean = 0.7 * seen.ttft_ms_p50 + 0.245 * seen.ttft_ms_p90 + 0.055 * seen.ttft_ms_p99
    writing_s = completion / np.maximum(seen.tokens_per_s, 1.0)
    traffic = np.cumsum(np.nan_to_num(seen.requests), axis=0)
    known = np.array(known_windows(history))
    so_far = np.where(known[:, None] > 0, traffic[np.maximum(known - 1, 0)], 0.0)
    return Market(
        cells=cells,
        costs=cells.take(history.cost(history.before)),
        prices=cells.take(history.before.input + history.before.output),
        is_out=cells.take(history.status_before) < 0,
        uptime=last(seen.answered / np.maximum(seen.attempts, 1)),
        ttft_ms_p50=last(seen.ttft_ms_p50),
        ttft_ms_mean=last(mean),
        tokens_per_s=last(seen.tokens_per_s),
        busy_s=last(seen.ttft_ms_p50 / 1000 + writing_s),
        traffic=cells.take(so_far),
    )


def ranked(cells: Cells, keys: Floats) -> Places:
    """The three least of each cell; the unknown come last, then what is not there."""
    keys = np.where(cells.there, np.nan_to_num(keys, nan=LAST, posinf=LAST), np.inf)
    rows = np.argsort(keys, axis=1, kind="stable")[:, :ATTEMPTS]
    return np.where(np.take_along_axis(cells.there, rows, axis=1), rows, NOBODY)


def _least(keys: Callable[[Market], Floats]) -> Callable[[Market], Tally]:
    return lambda market: play(market.cells, ranked(market.cells, keys(market)))


def _drawn(
    weights: Callable[[Market], Floats], is_behind: Callable[[Market], Floats] | None = None
) -> Callable[[Market], Tally]:
    """Offers drawn one after the other by weight: the order of exponential times."""

    def mean(market: Market) -> Tally:
        draws = np.random.default_rng(SEED)
        each = weights(market)
        behind = 0.0 if is_behind is None else is_behind(market)
        total: Tally | None = None
        for _ in range(DRAWS):
            times = draws.exponential(size=each.shape) / each
            # To [0, 1), so that those that stand behind stay there.
            keys = times / (1 + times) + behind
            tally = play(market.cells, ranked(market.cells, keys))
            total = tally if total is None else total + tally
        assert total is not None
        return total

    return mean


def _single(market: Market) -> Tally:
    """All attempts at one offer: the one that most requests have gone to so far."""
    first = ranked(market.cells, -market.traffic)[:, :1]
    return play(market.cells, np.repeat(first, ATTEMPTS, axis=1))


def _behind_outages(market: Market) -> Floats:
    return market.is_out.astype(float)


RULES = (
    Rule("cheapest list price", "for this request's tokens", _least(lambda m: m.costs)),
    Rule(
        "cheapest, outages last",
        "OpenRouter's status below 0 stands behind",
        _least(lambda m: m.costs + LAST / 10 * m.is_out),
    ),
    Rule(
        "cheapest, failing last",
        "below 80% success in the last window stands behind",
        _least(lambda m: m.costs + LAST / 10 * (m.uptime < LEAST_UPTIME)),
    ),
    Rule(
        "1/price², outages last",
        "OpenRouter's load balancing as of August 2026",
        _drawn(lambda m: m.costs**-2.0, _behind_outages),
    ),
    Rule("1/price²", "the same without its outages", _drawn(lambda m: m.costs**-2.0)),
    Rule(
        "shuffle",
        "LiteLLM's simple-shuffle, and its usage-based as far as equal requests go",
        _drawn(lambda m: np.ones_like(m.costs)),
    ),
    Rule("single provider", "the most used so far, three times", _single),
    Rule("lowest latency", "median TTFT of the last window", _least(lambda m: m.ttft_ms_p50)),
    Rule("highest throughput", "of the last window", _least(lambda m: -m.tokens_per_s)),
    Rule(
        "LiteLLM latency-based",
        "mean TTFT of the last window, from its percentiles",
        _least(lambda m: m.ttft_ms_mean),
    ),
    Rule(
        "LiteLLM cost-based",
        "input and output price per token, added",
        _least(lambda m: m.prices),
    ),
    Rule(
        "LiteLLM least-busy",
        "by chance, in inverse proportion to the time in flight",
        _drawn(lambda m: 1 / np.nan_to_num(m.busy_s, nan=60.0)),
    ),
)
