"""Own: paths made of the own history, to try rules on what one's own demand is like.

A history is one path, and too short to judge a rule by. So its weeks are drawn anew, one after the
other, and its level moves on by changes from week to week that were seen. It says what the rules
are worth on months like those, and nothing of months that are not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hedge.backtest.offer import Offer
from hedge.backtest.path import Path
from hedge.contracts.capacity import ThroughputReservation
from hedge.contracts.menu import MOST_TIMES
from hedge.errors import ContractInvalid, DemandTooShort
from hedge.risk import Floats
from hedge.scenarios.history import DAY_SLICES, DemandHistory
from hedge.scenarios.months import TokenKind
from ledger.calendar_months import months_later
from ledger.money import Money, usd

LEAST_DAYS = 28
PEAKS = 4
"""More capacity than so many times the history's busiest five minutes is of no use to any rule."""


def backtestable(contract: object, history: DemandHistory) -> bool:
    """A throughput reservation that serves some of what was used: the kind that rules are for."""
    return isinstance(contract, ThroughputReservation) and bool(_served(contract, history).any())


def own_paths(
    history: DemandHistory, contract: ThroughputReservation, *, paths: int, months: int, seed: int
) -> Iterator[Path]:
    """So many, each the history and then `months` whole months of drawn weeks.

    Raises DemandTooShort under four weeks or without any use in whole weeks, ContractInvalid for
    what serves none of it.
    """
    tokens, list_nanos = _burned(history, contract)
    weeks = tokens[len(tokens) % 7 :].reshape(-1, 7, DAY_SLICES)
    used = weeks.mean(axis=(1, 2))
    level = np.log(used[used > 0])  # a week without use tells nothing of how weeks move
    moves = np.diff(level) if len(level) > 1 else np.zeros(1)
    moves = moves - moves.mean()
    if not len(level):
        raise DemandTooShort(0, LEAST_DAYS)
    today = history.until.date()
    bought_from = today if today.day == 1 else months_later(today.replace(day=1), 1)
    days = (months_later(bought_from, months) - today).days
    for number in range(paths):
        rng = np.random.default_rng([seed, number])
        count = -(-days // 7)
        drawn = weeks[rng.integers(0, len(weeks), count)]
        mean = drawn.mean(axis=(1, 2), keepdims=True)
        flat = np.divide(drawn, mean, out=np.zeros_like(drawn), where=mean > 0)
        walked = level[-1] + np.cumsum(rng.choice(moves, count))
        coming = (flat * np.exp(walked)[:, None, None]).reshape(-1, DAY_SLICES)[:days]
        whole = np.rint(np.concatenate([tokens, coming])).astype(np.int64)
        yield Path(
            f"bootstrap {number + 1}",
            history.since.date(),
            bought_from,
            whole,
            np.full(len(whole), list_nanos, dtype=np.int64),
        )


def own_offer(contract: ThroughputReservation, path: Path) -> Offer:
    """The contract's terms, for as long as the path goes.

    Raises ContractInvalid for units too small to be counted.
    """
    peak = int(path.tokens[: path.row(path.bought_from)].max())
    slice_tokens = min(int(contract.units_per_minute * 5), MOST_TIMES * max(peak, 1))
    if not slice_tokens:
        raise ContractInvalid(
            f"contract {contract.name} brings {contract.units_per_minute} capacity units a minute,"
            " less than one in five minutes: count them in smaller ones"
        )
    size = contract.size
    useful = int(PEAKS * peak / slice_tokens) + 1
    most = min(size.max, max(size.min, -(-useful // size.step) * size.step))
    return Offer(
        {price.months: usd(price.usd_per_month) for price in contract.prices},
        slice_tokens,
        size.min,
        size.step,
        most // size.step * size.step,
    )


def _served(contract: ThroughputReservation, history: DemandHistory) -> NDArray[np.bool_]:
    return np.array(
        [bool(set(one.models) & set(contract.models)) for one in history.workloads], dtype=bool
    )


def _burned(history: DemandHistory, contract: ThroughputReservation) -> tuple[Floats, Money]:
    """Capacity units of each slice [days, DAY_SLICES], and what one costs at pay-as-you-go."""
    if history.days < LEAST_DAYS:
        raise DemandTooShort(history.days, LEAST_DAYS)
    served = _served(contract, history)
    if not served.any():
        raise ContractInvalid(
            f"contract {contract.name} serves none of {', '.join(history.names)}: nothing to try"
        )
    burndown = contract.burndown
    takes = np.zeros(len(TokenKind))
    takes[TokenKind.PROMPT] = float(burndown.prompt)
    takes[TokenKind.CACHED] = float(burndown.cached)
    takes[TokenKind.COMPLETION] = float(burndown.completion)
    takes[TokenKind.REQUEST] = float(burndown.request)
    hours = (history.amounts @ takes)[..., served]
    slices = (hours[:, :, None] * history.slices.T[:, served] / history.slices.shape[1]).sum(axis=3)
    nanos = int(history.list_nanos[..., served].sum())
    return slices.reshape(history.days, DAY_SLICES), Money(round(nanos / max(hours.sum(), 1.0)))
