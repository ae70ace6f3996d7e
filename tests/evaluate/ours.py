"""Ours and the clairvoyant: the product's ordering, with what was known, and with what came."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from routing.ordering import ATTEMPTS, Odds, Stakes, order
from tests.evaluate.histories import Floats
from tests.evaluate.replay import NOBODY, Cells, Places, Tally, play

ROUNDS = 1


def ordered(
    cells: Cells,
    costs: Floats,
    success: Floats,
    on_time: Floats,
    stakes: list[Stakes],
    on_time_often: float = 0.0,
) -> Places:
    """Each cell's row, by `routing.ordering.order`. Arrays are by cell and offer.

    on_time_often: offers that are on time less often come after the others.
    """
    rows = np.full((len(cells), ATTEMPTS), NOBODY, dtype=np.intp)
    counts = cells.there.sum(axis=1).tolist()
    for cell, (count, each) in enumerate(zip(counts, stakes, strict=True)):
        odds = Odds.of(success[cell, :count], on_time[cell, :count])
        row = _row(costs[cell, :count], odds, each, 1 - odds.late >= on_time_often)
        rows[cell, : len(row)] = row
    return rows


def _row(costs: Floats, odds: Odds, stakes: Stakes, is_first: NDArray[np.bool_]) -> list[int]:
    if is_first.all():
        return order(costs, odds, stakes)[:ATTEMPTS]
    row = list[int]()
    for group in (np.flatnonzero(is_first), np.flatnonzero(~is_first)):
        best = order(costs[group], odds.at(group), stakes)
        row += [int(group[one]) for one in best]
    return row[:ATTEMPTS]


def stakes_of(cells: Cells, miss_weight: float) -> list[Stakes]:
    """As the product sets them: it knows the list prices, and so the unit."""
    return [Stakes.of(unit, miss_weight) for unit in cells.units.tolist()]


def clairvoyant(cells: Cells, miss_weight: float) -> Tally:
    """The best that any rule can do: it knows every window's parameters.

    J has a ratio of sums per model, so that what an answer more is worth to it follows from the
    best rule itself: a few rounds find it.
    """
    models = cells.model_numbers
    cost = answered = np.ones(models.max() + 1)
    tally = _knowing(cells, miss_weight, cost, answered)
    for _ in range(ROUNDS):
        costs, answers, requests = (
            np.bincount(models, part) for part in (tally.costs, tally.answered, tally.requests)
        )
        cost, answered = costs / np.maximum(answers, 1e-9), answers / requests
        tally = _knowing(cells, miss_weight, cost, answered)
    return tally


def _knowing(cells: Cells, miss_weight: float, cost: Floats, answered: Floats) -> Tally:
    """cost, answered: by model, of an answer in units, and the share of requests with one."""
    miss = miss_weight * answered[cells.model_numbers] * cells.units
    unserved = miss + cost[cells.model_numbers] * cells.units
    stakes = [Stakes(*each) for each in zip(miss.tolist(), unserved.tolist(), strict=True)]
    return play(cells, ordered(cells, cells.costs, cells.success, cells.on_time, stakes))
