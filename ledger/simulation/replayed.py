"""Replay: former attempts against other budgets, by the rule of the books.

Pure: attempts come in order of time, and each gets its verdict. A hold is pending from its
beginning to its end, as it was then; what is refused takes nothing. No more is kept than the
accounts of the windows of the moment, and of holds that are open.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from ledger.budgets import EACH, Budget, Raise, Subject, Threshold
from ledger.money import ZERO, Money
from ledger.simulation.past import PastAttempt
from ledger.simulation.tallies import Bucket, Tally

SUBJECTS_REMEMBERED = 100_000


class Outcome(StrEnum):
    """What becomes of an attempt under the new budgets."""

    ADMITTED = "admitted"
    DEGRADED = "degraded"
    """Admitted, and sent to the cheapest offer."""
    BLOCKED = "blocked"
    """It does not fit into a cap."""
    RESTRICTED = "restricted"
    """Its model is none of those that are left."""
    THROTTLED = "throttled"
    """Too many in this minute."""

    @property
    def is_refusal(self) -> bool:
        return self not in (Outcome.ADMITTED, Outcome.DEGRADED)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The first budget that refuses an attempt; amounts in the unit of its measure.

    left, needed: of the cap, or of the requests in a minute; both None for a model that is not
    left to be asked for.
    """

    budget: str
    member: str
    left: int | None = None
    needed: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A part of a cap is spent, and somebody is told."""

    budget: str
    member: str
    threshold: Threshold
    at_ns: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the new budgets do with an attempt.

    cost: what it costs for good then; zero if it is refused. refusal: by whom it is. cheapest_by:
    the budgets that send it to the cheapest offer. shadowed_by: the budgets in shadow mode that
    would refuse it; it is admitted all the same.
    """

    outcome: Outcome
    cost: Money
    refusal: Refusal | None = None
    cheapest_by: tuple[str, ...] = ()
    shadowed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that one member of a budget had spent and held at once in a window."""

    used: int
    member: str
    at_ns: int
    cap: int | None


class Replay:
    """Budgets that attempts are offered to, one after the other, in order of time.

    on_notice: told when a threshold that notifies is reached. Once in each window; in a rolling
    one again after it has fallen below.
    """

    def __init__(
        self,
        budgets: Iterable[Budget],
        raises: Iterable[Raise] = (),
        on_notice: Callable[[Notice], None] = lambda _: None,
    ) -> None:
        self._places: dict[_Named, list[tuple[int, Budget]]] = {}
        for place, budget in enumerate(budgets):
            self._places.setdefault(_named(budget), []).append((place, budget))
        self._raises = tuple(raises)
        self._on_notice = on_notice
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._remembered: dict[Subject, tuple[Tally, ...]] = {}
        self._open: list[tuple[int, int, list[_Drawn]]] = []
        self._numbers = count()
        # Requests that have been charged, and go on.
        self._charged: set[str] = set()
        self._peaks: dict[str, Peak] = {}

    def peak(self, budget: str) -> Peak | None:
        """None if nothing was ever held of it."""
        return self._peaks.get(budget)

    def offer(self, past: PastAttempt) -> Verdict:
        """Admit an attempt, or not."""
        tallies = self._tallies_at(past)
        throttles = [one for tally in tallies for one in tally.throttles(past.at_ns)]
        is_counted = past.request_id not in self._charged
        verdict = _restricted(past, tallies)
        verdict = verdict or _refused(past, tallies, Outcome.BLOCKED, is_counted=is_counted)
        verdict = verdict or _refused(past, throttles, Outcome.THROTTLED, is_counted=is_counted)
        if verdict is None:
            drawn_on = (*tallies, *throttles)
            verdict = _admitted(past, tallies, drawn_on, is_counted=is_counted)
            drawn = self._hold(drawn_on, past, verdict.cost, is_counted=is_counted)
            for one in drawn_on:
                self._note_peak(one, past.at_ns)
            self._end_later(drawn, past)
        elif past.is_last:
            self._charged.discard(past.request_id)
        return verdict

    def take(self, past: PastAttempt) -> None:
        """Count it as it was, without a question: it came before the time that is asked about."""
        tallies = self._tallies_at(past)
        if not past.was_refused:
            is_counted = past.request_id not in self._charged
            drawn = self._hold(tallies, past, past.spent, is_counted=is_counted)
            self._end_later(drawn, past)

    def end(self) -> None:
        """End every hold that ended: what is told last is told."""
        while self._open:
            self._end_next()

    def _tallies_at(self, past: PastAttempt) -> tuple[Tally, ...]:
        """What it draws on, as it stands when it comes."""
        while self._open and self._open[0][0] <= past.at_ns:
            self._end_next()
        tallies = self._remembered.get(past.subject)
        if tallies is None:
            if len(self._remembered) >= SUBJECTS_REMEMBERED:
                self._remembered.clear()
            tallies = self._remembered[past.subject] = tuple(
                self._tally(budget, member)
                for budget in self._budgets_of(past.subject)
                for member in budget.scope.members(past.subject)
            )
        for one in tallies:
            if past.at_ns >= one.until_ns:
                one.turn(past.at_ns)
        return tallies

    def _budgets_of(self, subject: Subject) -> list[Budget]:
        """Those that may cover it, in their order; there may be some for every key there is."""
        names = {(one, value) for one in _NARROWEST for value in subject.values(one)}
        found = [one for name in (_NOBODY, *names) for one in self._places.get(name, ())]
        return [budget for _, budget in sorted(found, key=itemgetter(0))]

    def _tally(self, budget: Budget, member: str) -> Tally:
        key = (budget.name, member)
        if key not in self._tallies:
            raises = [one for one in self._raises if one.budget == budget.name]
            self._tallies[key] = Tally(budget, member, raises)
        return self._tallies[key]

    def _hold(
        self, tallies: Sequence[Tally], past: PastAttempt, cost: Money, *, is_counted: bool
    ) -> list[_Drawn]:
        drawn = []
        for one in tallies:
            measure = one.budget.measure
            held = past.reserves(measure, is_counted=is_counted)
            spent = past.spends(measure, cost, is_counted=is_counted)
            one.bucket.take(0, held)
            drawn.append(_Drawn(one, one.bucket, held, spent))
        if past.is_last:
            self._charged.discard(past.request_id)
        elif past.is_charged:
            self._charged.add(past.request_id)
        return drawn

    def _end_later(self, drawn: list[_Drawn], past: PastAttempt) -> None:
        """At once if it took no time; never if it is still under way."""
        if past.ended_at_ns is None:
            return
        if past.ended_at_ns <= past.at_ns:
            self._end(drawn, past.at_ns)
        else:
            heapq.heappush(self._open, (past.ended_at_ns, next(self._numbers), drawn))

    def _end_next(self) -> None:
        at_ns, _, drawn = heapq.heappop(self._open)
        self._end(drawn, at_ns)

    def _end(self, drawn: Iterable[_Drawn], at_ns: int) -> None:
        for tally, bucket, held, spent in drawn:
            bucket.take(spent, -held)
            if not spent or bucket.total is None:
                continue
            for one in tally.newly_reached(bucket.total):
                if one.notify:
                    budget, member = tally.budget.name, tally.member
                    self._on_notice(Notice(budget, member, one, at_ns))

    def _note_peak(self, tally: Tally, at_ns: int) -> None:
        used, name = tally.total.used, tally.budget.name
        peak = self._peaks.get(name)
        if peak is None or used > peak.used:
            self._peaks[name] = Peak(used, tally.member, at_ns, tally.cap)


_Named: TypeAlias = tuple[str, str]
_NOBODY: _Named = ("", "")
_NARROWEST = ("key", "user", "team", "project", "tag", "org", "provider", "model")


def _named(budget: Budget) -> _Named:
    """The narrowest dimension of which a budget covers one member alone, and that member."""
    named = ((one, getattr(budget.scope, one)) for one in _NARROWEST)
    return next((one for one in named if one[1] not in (None, EACH)), _NOBODY)


class _Drawn(NamedTuple):
    """What a hold takes of one member of a budget, and what of it is spent at its end."""

    tally: Tally
    bucket: Bucket
    held: int
    spent: int


def _restricted(past: PastAttempt, tallies: Iterable[Tally]) -> Verdict | None:
    for tally in tallies:
        for one in () if tally.is_shadow else tally.reached():
            if one.only_models is not None and past.subject.model not in one.only_models:
                refusal = Refusal(tally.part_of, tally.member)
                return Verdict(Outcome.RESTRICTED, ZERO, refusal)
    return None


def _refused(
    past: PastAttempt, tallies: Iterable[Tally], outcome: Outcome, *, is_counted: bool
) -> Verdict | None:
    for one in tallies:
        needed = past.reserves(one.budget.measure, is_counted=is_counted)
        if not one.is_shadow and one.lacks(needed):
            refusal = Refusal(one.part_of, one.member, one.left, needed)
            return Verdict(outcome, ZERO, refusal)
    return None


def _admitted(
    past: PastAttempt,
    tallies: Iterable[Tally],
    drawn_on: Iterable[Tally],
    *,
    is_counted: bool,
) -> Verdict:
    shadowed_by = [
        one.part_of
        for one in drawn_on
        if one.is_shadow and one.lacks(past.reserves(one.budget.measure, is_counted=is_counted))
    ]
    cheapest_by = [
        one.budget.name
        for one in tallies
        if not one.is_shadow and any(step.cheapest for step in one.reached())
    ]
    cost = past.spent
    if cheapest_by and past.cheapest is not None:
        cost = min(cost, past.cheapest)
    return Verdict(
        Outcome.DEGRADED if cheapest_by else Outcome.ADMITTED,
        cost,
        cheapest_by=tuple(dict.fromkeys(cheapest_by)),
        shadowed_by=tuple(dict.fromkeys(shadowed_by)),
    )
