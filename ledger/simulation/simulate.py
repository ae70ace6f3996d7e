"""Simulation: what other budgets would have made of what happened, in sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from ledger.budgets import Budget, Raise
from ledger.money import ZERO, Money
from ledger.simulation.past import PastAttempt
from ledger.simulation.replayed import Notice, Outcome, Peak, Replay, Verdict

NOTICES_KEPT = 1000
"""Of one simulation, the first ones; the others are counted."""


class GroupBy(StrEnum):
    TEAM = "team"
    USER = "user"
    MODEL = "model"


@dataclass(slots=True)
class Effect:
    """What one budget does. Counts are of requests; of a budget in shadow mode they say what it
    would do.

    peak: None if nothing drew on it. not_spent: what the attempts that it refuses cost then.
    degraded: those that it sends to the cheapest offer. saved: what they cost less there.
    """

    budget: Budget
    peak: Peak | None = None
    first_refused_at_ns: int | None = None
    blocked: int = 0
    restricted: int = 0
    throttled: int = 0
    not_spent: Money = ZERO
    degraded: int = 0
    saved: Money = ZERO
    notices: int = 0

    @property
    def refused(self) -> int:
        return self.blocked + self.restricted + self.throttled


@dataclass(slots=True)
class Sums:
    """Requests and money of all, or of one team, user or model.

    refused_then: by the budgets of then. refused, by outcome; degraded: by the new ones.
    newly_refused: of those that were admitted then; newly_admitted: of those that were refused.
    spent_then, spent: what it cost, and would. It is less by `not_spent` (by attempts that are
    refused) and by `saved` (by those sent to the cheapest offer), and more by `newly_spent`: an
    estimate, what requests that were refused were expected to cost.
    """

    requests: int = 0
    refused_then: int = 0
    blocked: int = 0
    restricted: int = 0
    throttled: int = 0
    degraded: int = 0
    newly_refused: int = 0
    newly_admitted: int = 0
    spent_then: Money = ZERO
    spent: Money = ZERO
    not_spent: Money = ZERO
    saved: Money = ZERO
    newly_spent: Money = ZERO

    @property
    def refused(self) -> int:
        return self.blocked + self.restricted + self.throttled

    @property
    def is_touched(self) -> bool:
        """Whether anything is other than it was."""
        return bool(self.newly_refused or self.newly_admitted or self.degraded or self.not_spent)

    def add(self, past: PastAttempt, verdict: Verdict) -> None:
        refused = verdict.outcome.is_refusal
        if past.is_last:
            self.requests += 1
            self.refused_then += past.was_refused
            self.blocked += verdict.outcome is Outcome.BLOCKED
            self.restricted += verdict.outcome is Outcome.RESTRICTED
            self.throttled += verdict.outcome is Outcome.THROTTLED
            self.degraded += verdict.outcome is Outcome.DEGRADED
            self.newly_refused += refused and not past.was_refused
            self.newly_admitted += past.was_refused and not refused
        self.spent = Money(self.spent + verdict.cost)
        if past.was_refused:
            self.newly_spent = Money(self.newly_spent + verdict.cost)
            return
        self.spent_then = Money(self.spent_then + past.spent)
        if refused:
            self.not_spent = Money(self.not_spent + past.spent)
        else:
            self.saved = Money(self.saved + past.spent - verdict.cost)


@dataclass(slots=True)
class Simulation:
    """What came of it.

    first_at_ns, last_at_ns: of the attempts that were looked at; None without any. groups: by
    name; None for requests that had none. notices: the first ones that would have been sent.
    """

    effects: dict[str, Effect]
    total: Sums = field(default_factory=Sums)
    groups: dict[GroupBy, dict[str | None, Sums]] = field(
        default_factory=lambda: {one: {} for one in GroupBy}
    )
    notices: list[Notice] = field(default_factory=list)
    first_at_ns: int | None = None
    last_at_ns: int | None = None

    @property
    def notice_count(self) -> int:
        return sum(one.notices for one in self.effects.values())


def simulate(
    past: Iterable[PastAttempt],
    budgets: Iterable[Budget],
    raises: Iterable[Raise] = (),
    since_ns: int = 0,
) -> Simulation:
    """Offer past attempts, in order of time, to other budgets.

    Those before `since_ns` are counted as they were: give all from `counted_since_ns` on.
    """
    budgets = tuple(budgets)
    found = Simulation({one.name: Effect(one) for one in budgets})

    def note(notice: Notice) -> None:
        if notice.at_ns < since_ns:
            return
        found.effects[notice.budget].notices += 1
        if len(found.notices) < NOTICES_KEPT:
            found.notices.append(notice)

    replay = Replay(budgets, raises, note)
    for one in past:
        if one.at_ns < since_ns:
            replay.take(one)
            continue
        verdict = replay.offer(one)
        if found.first_at_ns is None:
            found.first_at_ns = one.at_ns
        found.last_at_ns = one.at_ns
        found.total.add(one, verdict)
        for by, groups in found.groups.items():
            groups.setdefault(_name(one, by), Sums()).add(one, verdict)
        _affect(found.effects, one, verdict)
    replay.end()
    for name, effect in found.effects.items():
        effect.peak = replay.peak(name)
    return found


def counted_since_ns(budgets: Iterable[Budget], since_ns: int) -> int:
    """The moment from which on attempts count in the windows that `since_ns` falls into."""
    now = datetime.fromtimestamp(since_ns // 1_000_000_000, UTC)
    starts = (one.account("", now).counted_since_ns for one in budgets)
    return min(starts, default=since_ns)


def _name(past: PastAttempt, by: GroupBy) -> str | None:
    who = past.subject.principal
    match by:
        case GroupBy.TEAM:
            return who.team
        case GroupBy.USER:
            return who.user
        case GroupBy.MODEL:
            return past.subject.model


def _affect(effects: Mapping[str, Effect], past: PastAttempt, verdict: Verdict) -> None:
    if verdict.refusal is not None:
        _refuse(effects[verdict.refusal.budget], past, verdict.outcome)
    for name in verdict.shadowed_by:
        _refuse(effects[name], past, Outcome.BLOCKED)
    for name in verdict.cheapest_by:
        effect = effects[name]
        effect.degraded += past.is_last
        effect.saved = Money(effect.saved + past.spent - verdict.cost)


def _refuse(effect: Effect, past: PastAttempt, outcome: Outcome) -> None:
    if effect.first_refused_at_ns is None:
        effect.first_refused_at_ns = past.at_ns
    if past.is_last:
        effect.blocked += outcome is Outcome.BLOCKED
        effect.restricted += outcome is Outcome.RESTRICTED
        effect.throttled += outcome is Outcome.THROTTLED
    if not past.was_refused:
        effect.not_spent = Money(effect.not_spent + past.spent)
