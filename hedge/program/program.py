"""Program: which contracts to hold over the next months, at the least cost under monthly caps.

Two stages: what is bought now and to start later (the master), and what each month of each scenario
then costs (the recourse, exact and with its slope). The master sees recourse only through cuts: it
is solved, told what its answer really costs, and solved again, first without whole units, then with
them, until what it proves and what the answer costs lie within `gap` of each other. A midpoint
between the answer and the best so far is cut too: it keeps the answers from jumping about. Before
the program with all whole units, a small one looks beside the linear answer: mostly that is enough.

A cap on a month is never hard: what its CVaR lies above the cap is priced. `lowest` says how low
the caps can go, and a cap above it is kept, since its slack costs more than any contract saves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from time import monotonic

import numpy as np

from hedge.errors import ConfidenceOutOfRange, MenuInvalid, SolverFailed
from hedge.program.attempt import Attempt
from hedge.program.cells import Cells, delivered
from hedge.program.cuts import Cuts
from hedge.program.duals import Duals
from hedge.program.holding import Holding
from hedge.program.master import Question, Unsolved, solve
from hedge.program.menu import Menu
from hedge.program.merit import Costs
from hedge.program.purchases import Purchases
from hedge.program.recourse import Recourse, recourse_of
from hedge.program.valuation import FEASIBLE, Point, Valuation
from hedge.risk import Floats, highest_confidence, tail_weights
from hedge.scenarios.months import Months
from ledger.money import Money, usd

LEVELS = np.linspace(0.05, 0.95, 8)
"""Quantiles of the load at which the first cuts are taken."""
LINEAR_SHARE = 0.4
"""Of the gap: how near the linear program comes before whole units are asked for."""
WHOLE_SHARE = 0.3
"""Of the gap: what each program with whole units may leave open."""
NEAR_ROUNDS, SETTLE_ROUNDS = 4, 6
MAX_ROUNDS = 200
BELIEVED = 0.1
"""Of the gap: how far a bound may lie above what its holding costs, which is rounding."""
MOST_POINTS = 64
MOST_CALLS = 500
BESIDE = 1e-7
"""Of the load: how far from a kink its two slopes are read."""


def cap_over(cvar_usd: float) -> Money:
    """The lowest cap in whole cents that is not below `cvar_usd`."""
    return usd(Decimal(cvar_usd).quantize(Decimal("0.01"), rounding=ROUND_CEILING))


def _or_none(amounts: Floats | None) -> Floats:
    return np.zeros(0) if amounts is None else amounts


class Program:
    """One menu and one set of scenarios, asked about any number of caps.

    integer_months: purchases that start in the first months are whole; later ones are plans and may
    be fractions. relaxed: none is whole. gap: how far, relative to its cost, an answer may lie
    above the best. max_seconds: for one question; the best found by then is given, marked.
    """

    def __init__(
        self,
        menu: Menu,
        months: Months,
        confidence: float,
        *,
        integer_months: int = 3,
        gap: float = 7e-4,
        max_seconds: float = 60.0,
        relaxed: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Raises ConfidenceOutOfRange, and MenuInvalid for limits that nothing can keep."""
        highest = highest_confidence(months.count)
        if not 0.5 <= confidence <= highest + 1e-12:
            raise ConfidenceOutOfRange(confidence, highest)
        self.menu = menu
        self.months = months
        self.confidence = confidence
        self.attempts: list[Attempt] = []
        self._gap, self._max_seconds, self._clock = gap, max_seconds, clock
        self._integer_months = 0 if relaxed else integer_months
        self._buys = Purchases.of(menu)
        self._whole = self._buys.start < self._integer_months
        self._whole_lines = not relaxed
        self._worth = Valuation(
            menu, self._buys, confidence, self._whole, whole_lines=self._whole_lines
        )
        self._cells = Cells.of(menu, months)
        self._recourse: Recourse = recourse_of(self._cells, menu.later_usd)
        unhedged_usd = float(months.month_usd().mean())
        self._scale_usd = max(unhedged_usd, 1e-6)
        self._cuts = Cuts.none(menu.held.shape[1])
        self._calls: deque[Floats] = deque(maxlen=MOST_CALLS)
        self._points: deque[Point] = deque(maxlen=MOST_POINTS)
        self._lowest: Holding | None = None
        self._cap_price: Floats | None = None
        self._exact = False
        self._start()

    def with_fees(self, menu: Menu) -> Program:
        """The same capacity at other fees, sizes, limits, lines or end values, or beside other
        commitments that are held: cuts are kept.

        Raises MenuInvalid if pools, what lots bring, or what can be bought later are others.
        """
        buys = Purchases.of(menu)
        same = buys.brings.shape == self._buys.brings.shape and (
            (buys.brings == self._buys.brings).all()
            and menu.pools == self.menu.pools
            and np.array_equal(_or_none(menu.later_usd), _or_none(self.menu.later_usd))
        )
        if not same:
            raise MenuInvalid(
                "pools, what lots bring, or what can be bought later changed: make a new Program"
            )
        other = copy(self)
        other.menu, other._buys, other._lowest = menu, buys, None
        other._worth = Valuation(
            menu, buys, self.confidence, self._whole, whole_lines=self._whole_lines
        )
        other.attempts = []
        other._calls = deque(maxlen=MOST_CALLS)
        lines = np.zeros(len(menu.lines))
        other._points = deque((replace(p, lots=lines) for p in self._points), maxlen=MOST_POINTS)
        other._cuts = self._cuts.copy()
        if not np.array_equal(menu.held, self.menu.held):
            other._points.clear()
            other._cost(np.zeros(buys.count), lines, whole=True)
        return other

    def lowest(self) -> Holding:
        """The least cap that every month can be kept under: the greatest CVaR of its months."""
        if self._lowest is None:
            self._lowest = self._solve("lowest cap", Question("lowest"))
        return self._lowest

    def lowest_cap(self) -> Money:
        """The lowest reachable cap, rounded up to a cent, so that it can be asked for."""
        return cap_over(float(self.lowest().cvar_usd.max()))

    def cheapest(self, caps_usd: Floats | None = None, slack_usd_per_usd: float = 10.0) -> Holding:
        """The least expected cost; each month's CVaR under its cap, or the excess at its price.

        caps_usd: [months]; None asks about no risk. Raises SolverFailed.
        """
        if caps_usd is None:
            return self._solve("cheapest", Question("cheapest"))
        question = Question("cheapest", np.asarray(caps_usd, dtype=np.float64), slack_usd_per_usd)
        return self._solve("cheapest under cap", question)

    def cheapest_averse(self, kappa: float) -> Holding:
        """The least expected cost plus `kappa` times the CVaR of all months together."""
        return self._solve("cheapest, averse", Question("averse", kappa=kappa))

    def duals(
        self, holding: Holding, caps_usd: Floats | None = None, slack_usd_per_usd: float = 10.0
    ) -> Duals:
        """What capacity is worth at `holding`, and what these caps cost. Raises SolverFailed."""
        price = np.zeros(len(holding.cvar_usd))
        if caps_usd is not None:
            linear = copy(self)
            linear._whole = np.zeros_like(self._whole)
            linear._whole_lines = False
            linear._worth = Valuation(
                self.menu, self._buys, self.confidence, linear._whole, whole_lines=False
            )
            linear.cheapest(caps_usd, slack_usd_per_usd)
            if linear._cap_price is not None:
                price = np.maximum(linear._cap_price, 0.0)
        tail = np.stack([tail_weights(c, self.confidence) for c in holding.cost_usd.T], axis=1)
        weights = 1 / self.months.count + price * tail
        capacity = self.menu.capacity(holding.starts)
        costs = self._costs(capacity)
        months, blocks = self.months.minutes.shape
        unit_usd = np.empty((self.months.count, months, blocks, len(self.menu.pools)))
        more, fewer = np.zeros_like(capacity), np.zeros_like(capacity)
        beside = np.maximum(capacity, self._pool_sizes()[:, None]) * BESIDE
        for p, usd_per_unit in enumerate(costs.unit_usd):
            unit_usd[..., p] = usd_per_unit
            for found, side in ((more, beside), (fewer, -beside)):
                moved = capacity.copy()
                moved[p] = np.maximum(moved[p] + side[p], 0.0)
                slope = self._costs(moved).slope_usd[..., p]
                found[p] = -(weights * slope).sum(axis=0)
        return Duals(unit_usd, price, weights, more, fewer)

    def _pool_sizes(self) -> Floats:
        """The load that each pool could carry, as a size to step from."""
        return np.array([load.max(initial=0.0) for load in self._loads()])

    def _solve(self, purpose: str, question: Question) -> Holding:
        until = self._clock() + self._max_seconds
        if not self._buys.count and not self.menu.lines:
            point = self._points[0]
            return self._answer(point, question, self._worth.value(point, question), "optimal")
        best, bound_usd, status = self._meet(purpose, question, until)
        if not self._recourse.is_exact and status == "optimal":
            # What was costed roughly seemed a little cheaper than it is.
            best = self._costed_again(best)
            if self._open(best, question, bound_usd) > self._gap:
                self._exact = True
                self._points.clear()
                self._points.append(best)
                best, bound_usd, status = self._meet(purpose, question, until)
                self._exact = False
        # To keep caps to the cent may cost as much again: `_settle`.
        if self._open(best, question, bound_usd) > 2 * self._gap and status == "optimal":
            raise SolverFailed(
                f"bound and cost did not meet in {MAX_ROUNDS} rounds", tuple(self.attempts)
            )
        if not np.isfinite(bound_usd):
            raise SolverFailed(
                f"no bound within {self._max_seconds:g} s: allow more", tuple(self.attempts)
            )
        return self._answer(best, question, bound_usd, status)

    def _meet(self, purpose: str, question: Question, until: float) -> tuple[Point, float, str]:
        """The best holding, the bound, and `optimal` or `time_limit`."""
        asks_whole = bool(self._whole.any()) or (
            self._whole_lines and any(line.is_whole for line in self.menu.lines)
        )
        tolerance = self._gap * (LINEAR_SHARE if asks_whole else 1.0)
        best, bound_usd = self._best(question, whole=False), -np.inf
        for _ in range(MAX_ROUNDS):
            found, proved_usd = self._master(purpose, question, False, until, best)
            if found is None:
                return self._best(question, whole=True), bound_usd, "time_limit"
            bound_usd = max(bound_usd, proved_usd)
            best = min(best, found, key=lambda point: self._worth.value(point, question))
            if self._open(best, question, bound_usd) <= tolerance:
                break
            self._halfway(found, best)
        if not asks_whole:
            return best, bound_usd, "optimal"
        best = self._near(purpose, question, until, best, bound_usd)
        for _ in range(MAX_ROUNDS):
            if self._open(best, question, bound_usd) <= self._gap:
                break
            found, proved_usd = self._master(purpose, question, True, until, best)
            if found is None:
                return best, bound_usd, "time_limit"
            best = min(best, found, key=lambda point: self._worth.value(point, question))
            if proved_usd > self._worth.value(best, question) and not self._recourse.is_exact:
                best = self._costed_again(best)
            # Within what HiGHS calls feasible; beyond it, its bound is wrong. Where costs are not
            # exact, the cost may be: each cut is true.
            value_usd = self._worth.value(best, question)
            known_usd = value_usd + BELIEVED * self._gap * abs(value_usd)
            if proved_usd <= known_usd or not self._recourse.is_exact:
                bound_usd = max(bound_usd, proved_usd)
            if self._open(best, question, bound_usd) > self._gap:
                self._halfway(found, best)
        return self._settle(purpose, question, until, best), bound_usd, "optimal"

    def _master(
        self,
        purpose: str,
        question: Question,
        whole: bool,
        until: float,
        best: Point,
        between: tuple[Floats, Floats] | None = None,
    ) -> tuple[Point | None, float]:
        """What the master says, costed and cut, and the bound it proves; None out of time."""
        left = until - self._clock()
        if left <= 0:
            return None, -np.inf
        try:
            answer = solve(
                self.menu,
                self._buys,
                self._cuts,
                self._calls,
                question,
                self._whole if whole else np.zeros(self._buys.count, dtype=bool),
                whole_lines=whole and self._whole_lines,
                scale_usd=self._scale_usd,
                gap=self._gap * WHOLE_SHARE,
                max_seconds=left,
                between=between,
            )
        except Unsolved as unsolved:
            self.attempts.append(
                Attempt(purpose, "HIGHS", unsolved.status, unsolved.seconds, None, None)
            )
            if unsolved.status == "time_limit":
                return None, -np.inf
            raise SolverFailed(f"HiGHS says {unsolved.status}", tuple(self.attempts)) from unsolved
        self._cap_price = answer.cap_usd_per_usd
        units = self._buys.whole(answer.units, self._whole) if whole else answer.units
        point = self._cost(units, answer.lots, whole=whole)
        cost_usd = min(self._worth.value(point, question), self._worth.value(best, question))
        open_ = (cost_usd - answer.bound_usd) / max(abs(cost_usd), 1e-9)
        self.attempts.append(
            Attempt(
                purpose,
                "HIGHS",
                answer.status,
                answer.seconds,
                objective_usd=round(answer.bound_usd, 2),
                gap=max(0.0, open_),
            )
        )
        return point, answer.bound_usd

    def _cost(self, units: Floats, lots: Floats, *, whole: bool, exact: bool = False) -> Point:
        """What it really costs; the cuts there are kept, and the point."""
        lots, call = self._worth.liquid(lots, whole=whole)
        if call is not None:
            self._calls.append(call)
        capacity = self._capacity(units)
        costs = self._costs(capacity, exact=exact or self._exact)
        point = Point(units, lots, costs.cost_usd)
        self._learn(capacity, costs, point)
        self._points.append(point)
        return point

    def _costed_again(self, point: Point) -> Point:
        """Exactly, in place of what it seemed to cost before."""
        others = (one for one in self._points if one is not point)
        self._points = deque(others, maxlen=MOST_POINTS)
        return self._cost(point.units, point.lots, whole=True, exact=True)

    def _halfway(self, one: Point, other: Point) -> None:
        if one is not other:
            units = (one.units + other.units) / 2
            capacity = self._capacity(units)
            costs = self._costs(capacity, exact=self._exact)
            lots = (one.lots + other.lots) / 2
            self._learn(capacity, costs, Point(units, lots, costs.cost_usd))

    def _learn(self, capacity: Floats, costs: Costs, point: Point) -> None:
        total = self._worth.total(point)
        tail = np.stack([tail_weights(month, self.confidence) for month in total.T], axis=1)
        horizon = tail_weights(total.sum(axis=1), self.confidence)
        self._cuts.add(capacity, costs, tail, horizon)

    def _near(
        self, purpose: str, question: Question, until: float, linear: Point, bound_usd: float
    ) -> Point:
        """The best whole holding beside the linear program's: a small program finds it."""
        self._cost(self._buys.whole(linear.units, self._whole), linear.lots, whole=True)
        best = self._best(question, whole=True)
        steps = (linear.units - self._buys.least) / self._buys.step
        below = self._buys.least + self._buys.step * np.floor(steps)
        above = self._buys.least + self._buys.step * np.maximum(np.ceil(steps), 0)
        tiny = linear.units < FEASIBLE
        between = (
            np.where(self._whole & (linear.units >= self._buys.least), below - 1e-9, 0.0),
            np.where(self._whole, np.where(tiny, 0.0, above), self._buys.most),
        )
        for _ in range(NEAR_ROUNDS):
            if self._open(best, question, bound_usd) <= self._gap:
                break
            found, near_usd = self._master(purpose, question, True, until, best, between)
            if found is None:
                break
            best = min(best, found, key=lambda point: self._worth.value(point, question))
            if self._open(best, question, near_usd) <= self._gap * WHOLE_SHARE:
                break
        return best

    def _settle(self, purpose: str, question: Question, until: float, best: Point) -> Point:
        """The same whole purchases, and the rest so that no cap is missed by what cuts left out.

        Asked for a little less than its cap, a month comes out below it; where the excess is more
        than what cuts leave out, it is wanted.
        """
        if question.caps_usd is None:
            return best
        between = (
            np.where(self._whole, best.units - FEASIBLE, 0.0),
            np.where(self._whole, best.units + FEASIBLE, self._buys.most),
        )
        tight_usd = question.caps_usd
        value_usd = self._worth.value(best, question)
        dearest_usd = value_usd + self._gap * abs(value_usd)
        for _ in range(SETTLE_ROUNDS):
            over = self._worth.over(best, question)
            if over.max() <= FEASIBLE * self._scale_usd:
                break
            missed = over <= self._gap * np.abs(question.caps_usd)
            tight_usd = tight_usd - np.where(missed, 2 * over, 0.0)
            tighter = replace(question, caps_usd=tight_usd)
            found, _ = self._master(purpose, tighter, True, until, best, between)
            if found is None or self._worth.over(found, question).sum() >= over.sum():
                break
            if self._worth.value(found, question) > dearest_usd:
                break
            best = found
        return best

    def _capacity(self, units: Floats) -> Floats:
        return self.menu.held + (self._buys.brings @ units).reshape(self.menu.held.shape)

    def _costs(self, capacity: Floats, *, exact: bool = True) -> Costs:
        """Of serving at `capacity` [pools, months] as bought: slopes in what was bought."""
        pools = self.menu.pools
        there = delivered(pools, capacity, slice(None))
        costs = self._recourse.costs(there, exact=exact)
        for p, pool in enumerate(pools):
            if pool.delivered is not None:
                costs.slope_usd[:, :, p] *= pool.delivered
        return costs

    def _open(self, point: Point, question: Question, bound_usd: float) -> float:
        cost_usd = self._worth.value(point, question)
        return (cost_usd - bound_usd) / max(abs(cost_usd), 1e-9 * self._scale_usd)

    def _best(self, question: Question, *, whole: bool) -> Point:
        """Of what was costed before, and is for sale. Holding nothing always is."""
        allowed = [point for point in self._points if self._worth.for_sale(point, whole=whole)]
        if not allowed:
            nothing = np.zeros(self._buys.count)
            allowed = [self._cost(nothing, np.zeros(len(self.menu.lines)), whole=True)]
        return min(allowed, key=lambda point: self._worth.value(point, question))

    def _answer(self, point: Point, question: Question, bound_usd: float, status: str) -> Holding:
        total = self._worth.total(point)
        cvar_usd = self._worth.cvar(total)
        caps_usd = np.inf if question.caps_usd is None else question.caps_usd
        end_value_usd = float(self._buys.end_value_usd @ point.units)
        return Holding(
            starts=self._buys.starts(point.units, len(self.menu.lots), len(cvar_usd)),
            lines=point.lots,
            fees_usd=self._worth.fees(point),
            cost_usd=total,
            cvar_usd=cvar_usd,
            slack_usd=np.maximum(cvar_usd - caps_usd, 0.0),
            end_value_usd=end_value_usd,
            expected_usd=float(total.mean(axis=0).sum()) - end_value_usd,
            bound_usd=bound_usd,
            gap=abs(self._open(point, question, bound_usd)),
            status=status,
        )

    def _start(self) -> None:
        """The first cuts: nothing held, and each pool at quantiles of the load it could carry."""
        nothing = np.zeros(self._buys.count)
        self._cost(nothing, np.zeros(len(self.menu.lines)), whole=True)
        if not self._buys.count:
            return
        loads = self._loads()
        for level in LEVELS:
            share = np.array([np.quantile(load, level, axis=(0, 2)) for load in loads])
            capacity = share / max(len(loads), 1)
            costs = self._costs(capacity)
            self._learn(capacity, costs, replace(self._points[0], recourse_usd=costs.cost_usd))

    def _loads(self) -> list[Floats]:
        """What each pool could be asked for: per minute by block, or in the month."""
        loads = []
        for pool, takes in zip(self.menu.pools, self._cells.takes, strict=True):
            asked = np.where(np.isfinite(takes), takes, 0.0).sum(axis=2)
            loads.append(
                asked / self._cells.minutes if pool.perishes else asked.sum(axis=2, keepdims=True)
            )
        return loads
