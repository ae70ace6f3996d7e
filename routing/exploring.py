"""Exploring: which other offer is worth trying first, and what that costs.

Who always asks the offer that looks best never learns that another has become better. A small
share of requests tries one that *could* be: one whose chances, if they are as good as they may well
be, would make the row cheaper. The rest of the row stands behind it as before, so that what the
trial costs in expectation is known beforehand, and can be bounded in money.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routing.ordering import ATTEMPTS, Floats, Odds, Stakes, expected_burden


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


def surcharge(
    costs: Floats,
    odds: Odds,
    stakes: Stakes,
    row: Sequence[int],
    place: int,
    attempts: int = ATTEMPTS,
) -> float:
    """What a trial is expected to cost more than the row itself, misses included; not below 0 for
    a row of `order`."""
    tried = tuple(trial(row, place)[:attempts])
    usual = tuple(row[:attempts])
    return expected_burden(costs, odds, stakes, tried) - expected_burden(costs, odds, stakes, usual)
