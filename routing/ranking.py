"""Ranking: the offers of one or more models in order, and which of the best goes first."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, chain

import numpy as np

from routing.candidates import Candidate, Candidates, First, Place
from routing.costed import Costed
from routing.limits import Limits
from routing.ordering import Odds, Stakes, order

EXPLORE_OFTEN, EXPLORE_MORE = 0.02, 0.5
"""Of the requests, those that may try what is not known well, if the purse has it; and what went
well when it was tried: so that one who is back is known to be within seconds."""
WELL_KNOWN = 20.0
"""Attempts of the last minutes after which there is nothing to find out."""
TIED_AT_MOST = 8
RETRY_IS_LATE = 0.5
"""How much of a miss an attempt is that fails, though the next is answered: it begins later."""
_LATER = (Place.SLOW, Place.UNPROVEN, Place.ENDED)


class Ranking:
    """Offers in order. order: numbers of offers, counted through all parts.

    first: why the first is the first. exploring_nanos: how much worse it is expected to be than
    the best, where it is not known well.
    """

    def __init__(
        self, parts: Sequence[Costed], limits: Limits, draw: float, purse_nanos: float
    ) -> None:
        self._parts = parts
        if len(parts) == 1:
            self._costs, self._odds, usual = parts[0].costs, parts[0].field.odds, parts[0].usual
        else:
            self._starts = list(accumulate((len(one.costs) for one in parts), initial=0))
            self._costs = np.concatenate([one.costs for one in parts])
            self._odds = Odds.joined([one.field.odds for one in parts])
            usual = float(np.median([one.usual for one in parts]))
        self._bare_costs = self._costs
        self._stakes = Stakes.of(usual, limits.miss_cost)
        if limits.miss_cost:
            # To exchange two offers changes the sum over all attempts by this just as by a cost.
            self._costs = self._costs + self._odds.retries * (RETRY_IS_LATE * self._stakes.miss)
        self.first, self.exploring_nanos = First.VALUE, 0.0
        self.order = self._in_order(limits.attempts)
        if len(self.order) > 1:
            self._choose_first(limits, draw, purse_nanos)

    def candidates(self) -> Candidates:
        return Candidates(
            self.order, self._parts[0].candidate if len(self._parts) == 1 else self._candidate
        )

    def _candidate(self, number: int) -> Candidate:
        part, at = self._where(number)
        return part.candidate(at)

    def _where(self, number: int) -> tuple[Costed, int]:
        if len(self._parts) == 1:
            return self._parts[0], number
        which = bisect_right(self._starts, number) - 1
        return self._parts[which], number - self._starts[which]

    def _place(self, number: int) -> Place:
        part, at = self._where(number)
        return part.place(at)

    # -- the order

    def _in_order(self, attempts: int) -> list[int]:
        """Groups before costs. Of those that rest the least bad comes first: it is soonest back."""
        if all(one.field.all_ready and not one.resting and not one.late for one in self._parts):
            return order(self._costs, self._odds, self._stakes, attempts)
        groups: dict[Place, list[int]] = {}
        for number in range(len(self._costs)):
            groups.setdefault(self._place(number), []).append(number)
        ready = self._best_of(groups.get(Place.READY, []), attempts)
        later = [self._best_of(groups.get(place, []), attempts) for place in _LATER]
        resting = sorted(groups.get(Place.RESTING, []), key=self._back_after)
        return [*ready, *chain.from_iterable(later), *resting]

    def _best_of(self, numbers: list[int], attempts: int) -> list[int]:
        if len(numbers) < 2:
            return numbers
        places = np.array(numbers)
        best = order(self._costs[places], self._odds.at(places), self._stakes, attempts)
        return [numbers[one] for one in best]

    def _back_after(self, number: int) -> tuple[float, float]:
        part, at = self._where(number)
        return part.resting[at], float(self._costs[number])

    # -- which of the best goes first

    def _choose_first(self, limits: Limits, draw: float, purse_nanos: float) -> None:
        best = self.order[0]
        place = self._place(best)
        if place is Place.RESTING:
            return
        usually = 1 - EXPLORE_OFTEN if limits.explore > 0 else 1.0
        if draw >= usually:
            self._explore(purse_nanos)
            return
        recovers = limits.explore > 0 and any(one.field.recovering for one in self._parts)
        if recovers and draw >= usually - EXPLORE_MORE:
            self._explore(purse_nanos, recovering=True)
            if self.first is First.EXPLORED:
                return
        tied = self._tied(limits, place)
        chosen = tied[int(draw / usually * len(tied))]
        if chosen != best:
            self._put_first(chosen)
            self.first = First.TIE

    def _tied(self, limits: Limits, place: Place) -> list[int]:
        """The best, and those of its group that are as good but for `spread` of its cost."""
        best, row = self.order[0], max(2, limits.attempts)
        value, *others = self._values(self.order[:row])
        most = value + limits.spread * self._costs.item(best)
        if len(self.order) > row:  # behind the best row burdens only grow
            _, first_behind = self._values([best, self.order[row]])
            if first_behind <= most:
                _, *others = self._values(self.order[:TIED_AT_MOST])
        ones = zip(self.order[1:], others, strict=False)
        as_good = [one for one, other in ones if other <= most and self._place(one) is place]
        return [best, *as_good]

    def _values(self, numbers: list[int]) -> list[float]:
        """What a request costs in expectation that goes to each first, its misses among it; after a
        failure it goes where the best, or the next best, is."""
        # One by one: of so few numbers that is sooner done than by arrays.
        cost, late, success = self._costs.item, self._odds.late.item, self._odds.success.item
        miss = self._stakes.miss
        burdens = [cost(one) + late(one) * miss for one in numbers]
        best, after_best = burdens[0], burdens[1]
        values: list[float] = []
        for number, burden in zip(numbers, burdens, strict=True):
            chance = success(number)
            values.append(chance * burden + (1 - chance) * (best if values else after_best))
        return values

    def _explore(self, purse_nanos: float, *, recovering: bool = False) -> None:
        """Try one that is not known well, if it could be the best, and the purse has what it may
        cost besides. recovering: only one that does well lately."""
        value, *others = self._values(self.order)
        unknown = [
            (self._weight(number), number, other)
            for number, other in zip(self.order[1:], others, strict=True)
            if (self._is_recovering(number) if recovering else self._weight(number) < WELL_KNOWN)
            and float(self._bare_costs[number]) < value
            and self._place(number) in (Place.READY, Place.SLOW)
        ]
        if not unknown:
            return
        _, chosen, other = min(unknown)
        worse = max(0.0, other - value)
        if worse <= purse_nanos:
            self._put_first(chosen)
            self.first, self.exploring_nanos = First.EXPLORED, worse

    def _is_recovering(self, number: int) -> bool:
        part, at = self._where(number)
        return at in part.field.recovering

    def _weight(self, number: int) -> float:
        part, at = self._where(number)
        return part.field.weights[at]

    def _put_first(self, number: int) -> None:
        self.order.remove(number)
        self.order.insert(0, number)
