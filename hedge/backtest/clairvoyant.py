"""Clairvoyant: the least that a path could have cost, known only afterwards."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from hedge.backtest.layers import FREE, cover
from hedge.backtest.walk import Walk
from ledger.calendar_months import months_later


def least_nanos(walk: Walk) -> float:
    """No rule's bill is lower: bought on any day, in steps, without a minimum."""
    path = walk.path
    start = path.row(path.bought_from)
    tokens, list_nanos = path.tokens[start:], path.list_nanos[start:]
    days = [path.bought_from + timedelta(days=number) for number in range(len(tokens))]
    offers = [walk.offer(day) for day in days]
    first = offers[0]
    step = first.step * first.slice_tokens
    edges = step * np.arange(first.max_units // first.step + 1)
    served = np.array([np.minimum(day[None, :], edges[:, None]).sum(axis=1) for day in tokens])
    saving = np.diff(served, axis=1) * list_nanos[:, None].astype(float)
    terms = first.fees
    fees = {
        term: np.array([o.fees.get(term, FREE) * first.step * term for o in offers], dtype=float)
        for term in terms
    }
    ends = {term: [(months_later(d, term) - path.bought_from).days for d in days] for term in terms}
    cost, _ = cover(saving, fees, ends)
    beyond = ((tokens.sum(axis=1) - served[:, -1]) * list_nanos).sum()
    return float(cost[0].sum() + beyond)
