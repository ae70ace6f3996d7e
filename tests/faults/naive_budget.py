"""A naive model of budgets: what a ledger of holds must come to, recomputed from every event.

It is meant to be obviously right, and is slow. It shares no code with the ledger, but the words in
which its budgets and subjects are written: two moments are in one window if the calendar calls them
the same, members are found by hand, caps are fractions.

The rule: in every account, an attempt's amount fits into what is neither spent nor held. Nothing
always fits, even where a provider has billed above a hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import product
from math import ceil, floor
from zoneinfo import ZoneInfo

from ledger.budgets import Budget, Mode, Raise, Subject
from ledger.measures import Measure
from ledger.windows import Rolling, Window

Amounts = Mapping[Measure, int]
EVERY = "*"
DIMENSIONS = ("org", "team", "project", "user", "key", "tag", "model", "provider")


@dataclass(frozen=True)
class Try:
    """An attempt: when its hold was asked for, by whom, and what of each measure it reserves."""

    id: str
    at_ns: int
    subject: Subject
    amounts: Amounts


@dataclass(frozen=True)
class Held:
    """A hold was made."""

    at_ns: int
    tried: Try


@dataclass(frozen=True)
class Posted:
    """It was charged, `amounts` of each measure for good."""

    at_ns: int
    id: str
    amounts: Amounts


@dataclass(frozen=True)
class Voided:
    at_ns: int
    id: str


@dataclass(frozen=True)
class Expired:
    at_ns: int
    id: str


Event = Held | Posted | Voided | Expired


@dataclass(frozen=True)
class Sums:
    """Of one account, in the unit of its measure."""

    posted: int = 0
    pending: int = 0

    @property
    def used(self) -> int:
        return self.posted + self.pending


def balance(events: Iterable[Event], budget: Budget, member: str, now_ns: int) -> Sums:
    """What one member of a budget has spent and holds, in its window of now, after these events.

    They are all that has happened; a clock that was set back makes none of it undone.
    """
    counted: dict[str, Try] = {}
    ends: dict[str, Event] = {}
    for event in events:
        if isinstance(event, Held):
            tried = event.tried
            if member in members(budget, tried.subject) and counts(budget, tried.at_ns, now_ns):
                counted[tried.id] = tried
        else:
            ends[event.id] = event
    posted = pending = 0
    for name, tried in counted.items():
        end = ends.get(name)
        if end is None:
            pending += tried.amounts[budget.measure]
        elif isinstance(end, Posted) and budget.measure is not Measure.PARALLEL:
            posted += end.amounts[budget.measure]
    return Sums(posted, pending)


def fits(
    events: Sequence[Event],
    budgets: Iterable[Budget],
    attempt: Try,
    now_ns: int,
    raises: Sequence[Raise] = (),
) -> bool:
    """Whether every budget lets this attempt be held now."""
    return not refusals(events, budgets, attempt, now_ns, raises)


def refusals(
    events: Sequence[Event],
    budgets: Iterable[Budget],
    attempt: Try,
    now_ns: int,
    raises: Sequence[Raise] = (),
    *,
    shadow: bool = False,
) -> list[tuple[Budget, str, int]]:
    """The accounts that it does not fit into, in order: budget, member, and what they have left.

    shadow: instead those that only say that they would refuse.
    """
    return [
        (one, member, free)
        for one in budgets
        if (one.mode is Mode.SHADOW) is shadow
        for member in members(one, attempt.subject)
        for free in [left(events, one, member, now_ns, raises)]
        if free is not None and attempt.amounts[one.measure] > max(0, free)
    ]


def left(
    events: Iterable[Event], budget: Budget, member: str, now_ns: int, raises: Sequence[Raise] = ()
) -> int | None:
    """What is neither spent nor held; None if nothing is refused, however much that is."""
    most = cap(budget, member, now_ns, raises)
    return None if most is None else most - balance(events, budget, member, now_ns).used


def cap(budget: Budget, member: str, now_ns: int, raises: Sequence[Raise] = ()) -> int | None:
    """The cap as it is raised now, or the lowest part of it at which it blocks; None: no limit."""
    blocks = [Fraction(one.part) for one in budget.thresholds if one.blocks]
    if not blocks and any(one.allows for one in budget.thresholds):
        return None
    more = 0
    for one in raises:
        of_member = one.member is None or one.member == member
        if one.budget == budget.name and of_member and one.since_ns <= now_ns < one.until_ns:
            more += one.amount
    return floor(min(blocks, default=Fraction(1)) * (budget.cap + more))


def members(budget: Budget, subject: Subject) -> list[str]:
    """Whose accounts of a budget a subject draws on: `team=a,user=b`; `user=` for no user."""
    who = subject.principal
    have: dict[str, list[str]] = {
        "org": [who.org] if who.org is not None else [],
        "team": [who.team] if who.team is not None else [],
        "project": [who.project] if who.project is not None else [],
        "user": [who.user] if who.user is not None else [],
        "key": [who.key_id],
        "tag": sorted(set(who.tags), key=who.tags.index),
        "model": [subject.model],
        "provider": [subject.provider],
    }
    parts: list[list[str]] = []
    for dimension in DIMENSIONS:
        wanted = getattr(budget.scope, dimension)
        if wanted is not None and wanted != EVERY and wanted not in have[dimension]:
            return []
        if wanted == EVERY:
            names = [one.replace("\\", r"\\").replace(",", r"\,") for one in have[dimension]]
            parts.append([f"{dimension}={one}" for one in names or [""]])
    return [",".join(one) for one in product(*parts)]


def counts(budget: Budget, then_ns: int, now_ns: int) -> bool:
    """Whether what was held then is in the window of now; of a clock that was set back: whether
    there is a window that both are in."""
    if isinstance(budget.window, Rolling):
        bucket_ns = _ns(_bucket(budget.window.length))
        touched = ceil(Fraction(_ns(budget.window.length), bucket_ns))
        return abs(then_ns // bucket_ns - now_ns // bucket_ns) <= touched
    zone = ZoneInfo(budget.timezone)
    return _called(budget.window, zone, then_ns) == _called(budget.window, zone, now_ns)


def _called(window: Window, zone: ZoneInfo, at_ns: int) -> tuple[int, ...]:
    """A window's name in the calendar."""
    utc = datetime.fromtimestamp(at_ns // 10**9, UTC)
    local = utc.astimezone(zone)
    return {
        Window.MINUTE: (at_ns // (60 * 10**9),),
        Window.HOUR: (at_ns // (3600 * 10**9),),
        Window.DAY: (local.year, local.month, local.day),
        Window.WEEK: tuple(local.isocalendar()[:2]),
        Window.MONTH: (local.year, local.month),
        Window.QUARTER: (local.year, (local.month + 2) // 3),
        Window.YEAR: (local.year,),
        Window.LIFETIME: (),
    }[window]


def _bucket(length: timedelta) -> timedelta:
    """The largest usual step that goes at least 24 times into a rolling window."""
    hours = (24, 12, 6, 3, 1)
    minutes = (30, 15, 5, 1)
    usual = [timedelta(hours=one) for one in hours] + [timedelta(minutes=one) for one in minutes]
    usual += [timedelta(seconds=one) for one in (30, 10, 5, 1)]
    return max((one for one in usual if one * 24 <= length), default=timedelta(seconds=1))


def _ns(length: timedelta) -> int:
    return length // timedelta(microseconds=1) * 1000
