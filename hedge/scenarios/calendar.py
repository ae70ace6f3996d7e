"""Span: a stretch of whole days that scenarios are drawn for, as a calendar month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from hedge.risk import Floats
from hedge.scenarios.outlook import MONTH_DAYS
from ledger.calendar_months import month_after


@dataclass(frozen=True, slots=True)
class Span:
    first: date
    days: int

    @property
    def until(self) -> date:
        return self.first + timedelta(days=self.days)


def month_spans(first: date, months: int) -> tuple[Span, ...]:
    """Calendar months, from that of `first`, which is a first day, on."""
    if first.day != 1:
        raise ValueError(f"{first} is no first day of a month: months are drawn whole")
    spans = []
    for _ in range(months):
        after = month_after(first)
        spans.append(Span(first, (after - first).days))
        first = after
    return tuple(spans)


def ahead_months(spans: Sequence[Span], today: date) -> Floats:
    """How far the middle of each span lies ahead of `today`, in months [spans]."""
    return np.array(
        [((one.first - today).days + one.days / 2) / MONTH_DAYS for one in spans], dtype=np.float64
    )
