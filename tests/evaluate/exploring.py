"""Exploring: which other offer is worth trying first.

Who always asks the offer that looks best never learns that another has become better. A small
share of requests tries one that *could* be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routing.ordering import ATTEMPTS, Floats, Odds, Stakes, expected_burden
from routing.ranking import WELL_KNOWN


def hopefuls(
    costs: Floats,
    odds: Odds,
    hopes: Odds,
    stakes: Stakes,
    row: Sequence[int],
    attempts: int = ATTEMPTS,
) -> list[int]:
    """The places that could win: tried first, with what may be hoped of them, before the others of
    `row`, they would make it cheaper than it is expected to be.

    row: `order`'s, at least as long as `attempts` if there are so many offers. hopes: such as the
    mean of a belief and two of its deviations.
    """
    best = tuple(row[:attempts])
    behind = expected_burden(costs, odds, stakes, best[: attempts - 1])
    burden = costs + hopes.late * stakes.miss
    value = hopes.success * burden + hopes.failure * behind
    could = value < expected_burden(costs, odds, stakes, best)
    return [place for place in np.flatnonzero(could).tolist() if place != best[0]]


def trial(row: Sequence[int], place: int) -> list[int]:
    """The row with that place first."""
    return [place, *(one for one in row if one != place)]


def least_known(
    costs: Floats,
    odds: Odds,
    stakes: Stakes,
    row: Sequence[int],
    attempts_known: Sequence[float],
) -> list[int]:
    """Nearly as the product has it: the one that is known least, of those not known well that cost
    less than the row is expected to."""
    value = expected_burden(costs, odds, stakes, tuple(row[:ATTEMPTS]))
    unknown = [
        (attempts_known[place], place)
        for place in row[1:]
        if attempts_known[place] < WELL_KNOWN and costs[place] < value
    ]
    return [min(unknown)[1]] if unknown else []
