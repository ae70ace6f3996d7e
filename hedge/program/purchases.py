"""Purchases: the first stage as matrices: what can be bought to start when, and what that means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedge.errors import MenuInvalid
from hedge.program.menu import Menu
from hedge.risk import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Purchases:
    """A purchase is a lot to start in a month in which it brings something.

    lot, start: of each purchase [purchases]. least, step, most: units of it [purchases].
    brings: capacity in each pool and month [pools × months, purchases]. fee_usd: [months,
        purchases]. end_value_usd: [purchases]. loss_usd: [scenarios, months, purchases]; None if
        none loses anything.
    held: which purchases of a lot overlap [rows, purchases]; held_most: what they may come to.
    limit: [limits, purchases]; limit_most [limits].
    """

    lot: NDArray[np.int64]
    start: NDArray[np.int64]
    least: Floats
    step: Floats
    most: Floats
    brings: Floats
    fee_usd: Floats
    end_value_usd: Floats
    loss_usd: Floats | None
    held: Floats
    held_most: Floats
    limit: Floats
    limit_most: Floats

    @classmethod
    def of(cls, menu: Menu) -> Purchases:
        """Raises MenuInvalid where limits contradict holding nothing, or numbers are no numbers."""
        _check(menu)
        months = menu.held.shape[1]
        pairs = [
            (k, t) for k, lot in enumerate(menu.lots) for t in range(months) if lot.brings[t].any()
        ]
        lots = [menu.lots[k] for k, _ in pairs]
        brings = np.zeros((len(menu.pools), months, len(pairs)))
        fee_usd = np.zeros((months, len(pairs)))
        for i, (lot, (_, t)) in enumerate(zip(lots, pairs, strict=True)):
            brings[lot.pool, :, i] = lot.brings[t]
            fee_usd[:, i] = lot.fee_usd[t]
        overlaps: list[Floats] = []
        most: list[int] = []
        for k, lot in enumerate(menu.lots):
            for month in range(months):
                row = np.array([float(j == k and lot.brings[t, month] != 0) for j, t in pairs])
                if row.sum() > 1 and not any((row == other).all() for other in overlaps):
                    overlaps.append(row)
                    most.append(lot.max_units)
        limit = np.zeros((len(menu.limits), len(pairs)))
        for row, one in zip(limit, menu.limits, strict=True):
            row[:] = [one.per_unit[k][t] if k in one.per_unit else 0.0 for k, t in pairs]
        return cls(
            lot=np.array([k for k, _ in pairs], dtype=np.int64),
            start=np.array([t for _, t in pairs], dtype=np.int64),
            least=np.array([float(lot.min_units) for lot in lots]),
            step=np.array([float(lot.step) for lot in lots]),
            most=np.array([float(lot.max_units) for lot in lots]),
            brings=brings.reshape(len(menu.pools) * months, len(pairs)),
            fee_usd=fee_usd,
            end_value_usd=np.array(
                [lot.end_value_usd[t] for lot, (_, t) in zip(lots, pairs, strict=True)]
            ),
            loss_usd=_losses(menu, pairs),
            held=np.array(overlaps).reshape(len(overlaps), len(pairs)),
            held_most=np.array(most, dtype=np.float64),
            limit=limit,
            limit_most=np.array([one.at_most for one in menu.limits]),
        )

    @property
    def count(self) -> int:
        return len(self.lot)

    def starts(self, units: Floats, lots: int, months: int) -> Floats:
        """Units by purchase as [lots, months]."""
        grid = np.zeros((lots, months))
        grid[self.lot, self.start] = units
        return grid

    def units(self, starts: Floats) -> Floats:
        """[lots, months] as units by purchase."""
        return np.asarray(starts[self.lot, self.start], dtype=np.float64)

    def whole(self, units: Floats, which: NDArray[np.bool_]) -> Floats:
        """The nearest sizes that are sold, for those of `which`; within what may be held."""
        steps = np.floor((self.most - self.least) / self.step)
        near = self.least + self.step * np.clip(
            np.round((units - self.least) / self.step), 0, steps
        )
        near = np.where(units < self.least / 2, 0.0, near)
        found = np.where(which, near, units)
        for row, most in zip(
            np.vstack([self.held, self.limit]),
            np.concatenate([self.held_most, self.limit_most]),
            strict=True,
        ):
            # The last to start gives way first; what is taken back is taken whole.
            for i in np.flatnonzero(row > 0)[::-1]:
                if row @ found <= most * (1 + 1e-12) + 1e-9:
                    break
                found[i] = 0.0
        return found


def _losses(menu: Menu, pairs: list[tuple[int, int]]) -> Floats | None:
    losing = [lot.loss_usd for lot in menu.lots if lot.loss_usd is not None]
    if not losing:
        return None
    scenarios, _, months = losing[0].shape
    losses = np.zeros((scenarios, months, len(pairs)))
    for i, (k, t) in enumerate(pairs):
        loss_usd = menu.lots[k].loss_usd
        if loss_usd is not None:
            losses[:, :, i] = loss_usd[:, t]
    return losses


def _check(menu: Menu) -> None:
    numbers = {
        "held capacity": menu.held,
        "held fees": menu.held_fee_usd,
        **{f"fees of {lot.contract}": lot.fee_usd for lot in menu.lots},
        **{f"what {lot.contract} brings": lot.brings for lot in menu.lots},
        **{f"gains of {line.contract}": line.gain_usd for line in menu.lines},
    }
    for name, values in numbers.items():
        if not np.isfinite(values).all():
            raise MenuInvalid(f"{name}: not every one is a finite number: check the terms")
    for lot in menu.lots:
        if (lot.brings < 0).any():
            raise MenuInvalid(f"{lot.contract} brings less than nothing: check its units")
    for limit in menu.limits:
        if limit.at_most < 0:
            raise MenuInvalid(
                f"limit {limit.name} is {limit.at_most:g}, below what holding nothing takes: "
                "raise it to 0 or more"
            )
    for exposure in menu.exposures:
        if (exposure.most_units < 0).any():
            raise MenuInvalid(
                f"exposure to {exposure.index} may be at most "
                f"{float(exposure.most_units.min()):g} units: raise it to 0 or more"
            )
    if menu.liquidity_usd is not None and menu.liquidity_usd < 0:
        raise MenuInvalid(f"liquidity_usd is {menu.liquidity_usd:g}: raise it to 0 or more")
