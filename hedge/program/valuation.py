"""Valuation: what a holding comes to in a question, and whether it may be held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedge.program.master import TIE_BREAK, Question
from hedge.program.menu import Menu
from hedge.program.purchases import Purchases
from hedge.risk import Floats, cvar, tail_weights

FEASIBLE = 1e-7
"""How far a row may be missed, which is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """units: by purchase. recourse_usd: what serving costs then [scenarios, months]."""

    units: Floats
    lots: Floats
    recourse_usd: Floats


class Valuation:
    """whole: which purchases are sold whole only [purchases]."""

    def __init__(
        self,
        menu: Menu,
        buys: Purchases,
        confidence: float,
        whole: NDArray[np.bool_],
        *,
        whole_lines: bool,
    ) -> None:
        self._menu, self._buys, self._confidence = menu, buys, confidence
        self._whole, self._whole_lines = whole, whole_lines

    def over(self, point: Point, question: Question) -> Floats:
        """How far each month's CVaR lies above its cap."""
        caps_usd = np.inf if question.caps_usd is None else question.caps_usd
        return np.maximum(self.cvar(self.total(point)) - caps_usd, 0.0)

    def total(self, point: Point) -> Floats:
        """All of a month [scenarios, months]."""
        total = point.recourse_usd + self.fees(point)
        if self._buys.loss_usd is not None:
            total = total + self._buys.loss_usd @ point.units
        for line, lots in zip(self._menu.lines, point.lots, strict=True):
            total = total - line.gain_usd * lots
        if self._menu.held_gain_usd is not None:
            total = total - self._menu.held_gain_usd
        return total

    def fees(self, point: Point) -> Floats:
        return np.asarray(self._menu.held_fee_usd + self._buys.fee_usd @ point.units)

    def value(self, point: Point, question: Question) -> float:
        """What the question minimises."""
        total = self.total(point)
        expected = float(total.mean(axis=0).sum() - self._buys.end_value_usd @ point.units)
        if question.aim == "averse":
            horizon = total.sum(axis=1)
            return expected + question.kappa * cvar(horizon, self._confidence)
        if question.aim == "cheapest" and question.caps_usd is None:
            return expected
        if question.caps_usd is None:
            cvar_usd = self.cvar(total)
            return float(cvar_usd.max()) + TIE_BREAK / len(cvar_usd) * expected
        return expected + question.slack_usd_per_usd * float(self.over(point, question).sum())

    def cvar(self, total: Floats) -> Floats:
        return np.array([cvar(month, self._confidence) for month in total.T])

    def for_sale(self, point: Point, *, whole: bool) -> bool:
        buys, units = self._buys, point.units
        if whole:
            if np.abs(buys.whole(units, self._whole) - units).max(initial=0.0) > FEASIBLE:
                return False
            wholes = [
                n for n, line in zip(point.lots, self._menu.lines, strict=True) if line.is_whole
            ]
            if self._whole_lines and any(abs(n - round(n)) > FEASIBLE for n in wholes):
                return False
        if not self.may_hold(point.lots):
            return False
        rows = np.vstack([buys.held, buys.limit])
        most = np.concatenate([buys.held_most, buys.limit_most])
        return bool(
            (units <= buys.most * (1 + FEASIBLE)).all()
            and (rows @ units <= most * (1 + FEASIBLE) + FEASIBLE).all()
        )

    def liquid(self, lots: Floats, *, whole: bool) -> tuple[Floats, Floats | None]:
        """As many of these lots as margin and margin calls leave money for, and if that is fewer,
        what calls take of a lot: the master did not know.

        Both grow in step with the lots, so that a part of them is within the limit.
        """
        menu, call = self._menu, None
        if menu.liquidity_usd is not None and lots.any():
            needed, asked = self._calling(lots)
            if needed > menu.liquidity_usd * (1 + FEASIBLE):
                call = asked
                lots = lots * (menu.liquidity_usd / needed)
        if not (whole and self._whole_lines):
            return lots, call
        exact = [line.is_whole for line in menu.lines]
        for near in (np.round(lots), np.floor(lots + FEASIBLE)):
            some = np.where(exact, near, lots)
            if self.may_hold(some):
                return some, call
        return np.zeros_like(lots), call

    def _calling(self, lots: Floats) -> tuple[float, Floats]:
        """What margin and the CVaR of margin calls take, and what a lot adds to the calls."""
        margin = np.array([line.margin_usd for line in self._menu.lines])
        marked = np.stack([line.marked_usd for line in self._menu.lines], axis=2)
        paid = -(marked @ lots)
        worst, scenarios = paid.argmax(axis=1), np.arange(len(paid))
        called = np.maximum(paid[scenarios, worst], 0.0)
        weights = tail_weights(called, self._confidence) * (called > 0)
        return float(margin @ lots + weights @ called), -(weights @ marked[scenarios, worst])

    def may_hold(self, lots: Floats) -> bool:
        """Within each line, exposure and what there is for margin."""
        menu = self._menu
        for exposure in menu.exposures:
            together = sum(
                line.exposure_units * n
                for line, n in zip(menu.lines, lots, strict=True)
                if line.index == exposure.index
            )
            room = FEASIBLE * (1 + exposure.most_units)
            if (together < -room).any() or (together > exposure.most_units + room).any():
                return False
        if any(n > line.max_lots + FEASIBLE for n, line in zip(lots, menu.lines, strict=True)):
            return False
        if menu.liquidity_usd is None or not lots.any():
            return True
        return self._calling(lots)[0] <= menu.liquidity_usd * (1 + FEASIBLE)
