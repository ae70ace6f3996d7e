"""Layers: what each further step of capacity would serve, and the cheapest way to cover it.

Capacity that perishes is worth less the more there is of it: the steps are layers under the load.
Each layer is covered, over time, by terms back to back or left to pay-as-you-go, and no layer's
choice stands in another's way, because a lower layer is never worth less. So the cheapest cover of
all is each layer's cheapest cover: a shortest path in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hedge.risk import Floats
from hedge.scenarios.months import Months, TokenKind

FREE = np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """served_usd: what so many steps of capacity save in a month [scenarios, months, layers + 1].
    load, minutes, usd: of each block: tokens per minute, its length, pay-as-you-go per token
    [scenarios, months, blocks]."""

    served_usd: Floats
    load: Floats
    minutes: Floats
    usd: Floats
    step_tokens: float

    @classmethod
    def of(cls, months: Months, step_tokens: float, count: int) -> Layers:
        """step_tokens: what one step serves in a minute."""
        tokens = months.amounts[..., TokenKind.PROMPT].sum(axis=3)
        minutes = np.broadcast_to(months.minutes, tokens.shape)
        load = tokens / minutes
        usd = months.list_usd.sum(axis=3) / np.maximum(tokens, 1.0)
        served = np.zeros((*tokens.shape[:2], count + 1))
        worth = minutes * usd
        for layers in range(1, count + 1):
            cap = layers * step_tokens
            served[..., layers] = (np.minimum(load, cap) * worth).sum(axis=2)
        return cls(served, load, minutes, usd, step_tokens)

    def quantile(self, share: float, months: int) -> float:
        """Steps under which the load lies for `share` of the time of the first months."""
        load = self.load[:, :months].ravel()
        order = np.argsort(load)
        time = np.cumsum(self.minutes[:, :months].ravel()[order])
        at = np.searchsorted(time, share * time[-1])
        return float(load[order[min(at, len(load) - 1)]]) / self.step_tokens

    def mean(self, months: int) -> float:
        minutes = self.minutes[:, :months]
        return float((self.load[:, :months] * minutes).sum() / minutes.sum()) / self.step_tokens

    def list_usd(self) -> Floats:
        """Without any contract [scenarios, months]."""
        return np.asarray((self.load * self.minutes * self.usd).sum(axis=2), dtype=np.float64)


def cover(
    saving: Floats, fees: Mapping[int, Floats], ends: Mapping[int, list[int]]
) -> tuple[Floats, list[dict[int, Floats]]]:
    """Each layer's cheapest cover.

    saving: what covering a layer in a period saves [periods, layers]. fees: by term, of a layer
    that starts in each period, the whole term's [periods]; FREE is infinite where it is not sold.
    ends: by term, the period in which what starts in each has ended. Returns the cost of each
    period's rest, savings counted as costs where a layer is not covered [periods + 1, layers], and
    per period the layers that start a term, if they are uncovered then [layers] bool.
    """
    periods, layers = saving.shape
    cost = np.zeros((periods + 1, layers))
    starts: list[dict[int, Floats]] = [{} for _ in range(periods)]
    for period in range(periods - 1, -1, -1):
        best = cost[period + 1] + saving[period]
        chosen = np.zeros(layers, dtype=np.int64)
        for term, fee in fees.items():
            end = min(ends[term][period], periods)
            by_term = fee[period] + cost[end]
            chosen = np.where(by_term < best, term, chosen)
            best = np.minimum(best, by_term)
        cost[period] = best
        starts[period] = {term: chosen == term for term in fees}
    return cost, starts
