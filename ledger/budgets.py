"""Budgets: which accounts an attempt draws on, and how much each may hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from ledger.instants import as_ns
from ledger.measures import Measure
from ledger.money import MAX_NANOS
from ledger.principals import Principal
from ledger.windows import AnyWindow, span_of

EACH = "*"

OnLedgerError: TypeAlias = Literal["deny", "allow"]
"""What happens to requests of a budget while the books are out of reach and its slice is spent."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a budget covers: every named dimension must match; none named covers everything.

    `"*"` is one account for each member. A request that has no such member draws on one of its
    own (`team=`), so that leaving the name out is no way around a budget.
    """

    org: str | None = None
    team: str | None = None
    project: str | None = None
    user: str | None = None
    key: str | None = None
    tag: str | None = None
    model: str | None = None
    provider: str | None = None

    def members(self, subject: Subject) -> tuple[str, ...]:
        """The accounts of this scope that `subject` draws on, by name; none if not covered."""
        found = [""]
        for dimension in DIMENSIONS:
            wanted = getattr(self, dimension)
            if wanted is None:
                continue
            values = subject.values(dimension)
            if wanted == EACH:
                found = [
                    f"{one},{dimension}={value}" if one else f"{dimension}={value}"
                    for one in found
                    for value in [_escaped(name) for name in dict.fromkeys(values)] or [""]
                ]
            elif wanted not in values:
                return ()
        return tuple(found)

    def one_of(self, dimension: str) -> tuple[str, str] | None:
        """The dimension with the one member that it covers there; None if that is not one alone."""
        value = getattr(self, dimension)
        return None if value is None or value == EACH else (dimension, value)

    def __str__(self) -> str:
        named = [(name, getattr(self, name)) for name in DIMENSIONS]
        return ",".join(f"{name}={value}" for name, value in named if value) or "everything"


def _escaped(name: str) -> str:
    """A comma in a name is no comma between names: nobody lands on somebody else's account."""
    return name.replace("\\", "\\\\").replace(",", "\\,")


DIMENSIONS = tuple(one.name for one in fields(Scope))


@dataclass(frozen=True, slots=True)
class Subject:
    """What an attempt is, as far as budgets care."""

    principal: Principal
    model: str
    provider: str

    def values(self, dimension: str) -> tuple[str, ...]:
        who = self.principal
        if dimension == "tag":
            return who.tags
        value = {
            "org": who.org,
            "team": who.team,
            "project": who.project,
            "user": who.user,
            "key": who.key_id,
            "model": self.model,
            "provider": self.provider,
        }[dimension]
        return () if value is None else (value,)


AccountKey: TypeAlias = tuple[str, str, str, str, int]
"""Budget, measure, member, window and its start in ns."""


def is_rate(key: AccountKey) -> bool:
    """Whether an account only limits a rate: by the minute, or at once. Nothing of it is kept."""
    return key[3] == "minute" or key[1] == Measure.PARALLEL


@dataclass(frozen=True, slots=True)
class Account:
    """What one budget counts for one member in one window. Its balance is the store's business.

    counted_since_ns: accounts of the same budget and member that began since then count with it;
    its own start, but in a rolling window.
    cap: in the measure's unit, what people raised it by included; None: it counts, and refuses
    nothing.
    is_shadow: what does not fit is let through, and told.
    """

    budget: str
    scope: str
    measure: Measure
    member: str
    window: str
    window_start_ns: int
    counted_since_ns: int
    resets_at: datetime | None
    cap: int | None
    is_shadow: bool = False
    on_ledger_error: OnLedgerError = "deny"

    @property
    def key(self) -> AccountKey:
        """What it is known by in the books, whatever its cap is today."""
        return (self.budget, self.measure, self.member, self.window, self.window_start_ns)

    @property
    def refuses(self) -> bool:
        return self.cap is not None and not self.is_shadow

    @property
    def resets_at_ns(self) -> int:
        """The end of time for an account that never resets."""
        return MAX_NANOS if self.resets_at is None else as_ns(self.resets_at)


@dataclass(frozen=True, slots=True)
class Balance:
    """An account and what it has spent (posted) and reserved (pending), in its measure's unit."""

    account: Account
    posted: int
    pending: int

    @property
    def left(self) -> int | None:
        """None for an account without a cap."""
        cap = self.account.cap
        return None if cap is None else cap - self.posted - self.pending


@dataclass(frozen=True, slots=True)
class Throttle:
    """Only so many requests of each member in a minute."""

    requests_per_minute: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """What happens when a part of the cap is spent; any of it may be left out.

    part: 1 is the whole cap. notify: names of channels that are told, once for each window.
    cheapest: requests go to the cheapest eligible offer, whatever its latency.
    only_models: requests for other models are refused.
    blocks: nothing more fits. allows: more than the cap may be spent (`then: allow`).
    """

    part: Decimal
    notify: tuple[str, ...] = ()
    cheapest: bool = False
    only_models: frozenset[str] | None = None
    throttle: Throttle | None = None
    blocks: bool = False
    allows: bool = False


@dataclass(frozen=True, slots=True)
class Raise:
    """A temporary increase of a budget's cap, by a name that says why.

    member: of one member's account alone, as `Scope.members` names it; None: of each.
    amount: in the measure's unit. until_ns: when it is over.
    """

    id: str
    budget: str
    member: str | None
    amount: int
    since_ns: int
    until_ns: int
    name: str


class Mode(StrEnum):
    ENFORCE = "enforce"
    SHADOW = "shadow"
    """Let through what would be refused, and say so."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A cap per member of a scope, in each window.

    cap: in the measure's unit, USD in nanos. It blocks at 100%, unless a threshold says otherwise.
    Raises ZoneInfoNotFoundError for a time zone that does not exist.
    """

    name: str
    scope: Scope
    window: AnyWindow
    timezone: str
    cap: int
    measure: Measure = Measure.USD
    thresholds: tuple[Threshold, ...] = ()
    mode: Mode = Mode.ENFORCE
    on_ledger_error: OnLedgerError = "deny"
    zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Read from disk here, where a budget is made, and not on the way of its first request.
        object.__setattr__(self, "zone", ZoneInfo(self.timezone))

    @property
    def most(self) -> int | None:
        """The most that may be spent while nobody raises the cap; None if it refuses nothing."""
        return self.most_of(self.cap)

    def most_of(self, cap: int) -> int | None:
        """The most that may be spent of a cap as it stands now: all of it, or the part at which a
        threshold blocks; None if one allows more than the cap."""
        blocks = [one.part for one in self.thresholds if one.blocks]
        if blocks:
            return min(part_of(cap, min(blocks)), MAX_NANOS)
        return None if any(one.allows for one in self.thresholds) else cap

    def raised_cap(self, member: str, at_ns: int, raises: Iterable[Raise] = ()) -> int:
        """A member's cap at a moment; what the books can hold is the most that it can be."""
        return min(self.cap + raised_by(raises, self.name, member, at_ns), MAX_NANOS)

    def accounts(
        self, subject: Subject, now: datetime, raises: Iterable[Raise] = ()
    ) -> tuple[Account, ...]:
        """The accounts of this budget that an attempt by `subject` at `now` must fit into."""
        members = self.scope.members(subject)
        return tuple(self.account(member, now, raises) for member in members)

    def account(self, member: str, now: datetime, raises: Iterable[Raise] = ()) -> Account:
        """`raises`: increases, of this budget and others; those of `now` count.

        They raise the cap, and with it every threshold's part of it.
        """
        span = span_of(self.window, self.zone, now)
        most = self.most_of(self.raised_cap(member, as_ns(now), raises))
        return Account(
            budget=self.name,
            scope=member or str(self.scope),
            measure=self.measure,
            member=member,
            window=str(self.window),
            window_start_ns=as_ns(span.start),
            counted_since_ns=as_ns(span.counted_since),
            resets_at=span.end,
            cap=most,
            is_shadow=self.mode is Mode.SHADOW,
            on_ledger_error=self.on_ledger_error,
        )


def part_of(cap: int, part: Decimal) -> int:
    """A part of a cap, rounded down. In whole numbers: Decimals round at 28 digits."""
    numerator, denominator = part.as_integer_ratio()
    return cap * numerator // denominator


def raised_by(raises: Iterable[Raise], budget: str, member: str, at_ns: int) -> int:
    """By how much a member's cap is raised at a moment."""
    return sum(
        one.amount
        for one in raises
        if one.budget == budget
        and one.member in (None, member)
        and one.since_ns <= at_ns < one.until_ns
    )


def accounts_of(
    budgets: Iterable[Budget], subject: Subject, now: datetime, raises: Iterable[Raise] = ()
) -> tuple[Account, ...]:
    """Every account that an attempt must fit into at once, in the order of the budgets."""
    return tuple(one for budget in budgets for one in budget.accounts(subject, now, raises))
