"""Months: what may be needed in the next months, and what it then costs at pay-as-you-go.

A scenario is one run of all months. A month is cut into blocks, sets of five-minute slices of
similar load, busiest first: what capacity per minute serves depends on nothing else, because it
perishes each minute. In each block, each workload has its tokens and what the cheapest eligible
offers would charge for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum

import numpy as np

from hedge.risk import Floats


class TokenKind(IntEnum):
    """The last axis of `Months.amounts`: each counted once."""

    PROMPT = 0
    """Not in a cache."""
    CACHED = 1
    COMPLETION = 2
    REQUEST = 3
    """No tokens: the number of requests."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexPaths:
    """An index, as of GPU-hours, over the months.

    fixing_usd: its arithmetic mean over each month's business days [scenarios, months].
    check_days: when margin is looked at. level_usd: on those days [scenarios, checks].
    """

    fixing_usd: Floats
    check_days: tuple[date, ...]
    level_usd: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Months:
    """Equally likely runs of the next months. Amounts of USD are floats: they are estimates.

    workloads: their names [workloads]. firsts: each month's first day [months].
    minutes: length of each block [months, blocks].
    amounts: tokens and requests in the whole block [scenarios, months, blocks, workloads, 4].
    list_usd: what the whole block costs at pay-as-you-go [scenarios, months, blocks, workloads].
    indices: by index id.
    """

    workloads: tuple[str, ...]
    firsts: tuple[date, ...]
    minutes: Floats
    amounts: Floats
    list_usd: Floats
    indices: Mapping[str, IndexPaths] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.list_usd)

    def month_usd(self) -> Floats:
        """What each month costs without any contract [scenarios, months]."""
        return np.asarray(self.list_usd.sum(axis=(2, 3)), dtype=np.float64)
