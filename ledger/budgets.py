"""Budgets: which accounts an attempt draws on, and how much each may hold."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

from ledger.money import MAX_NANOS, Money
from ledger.principals import Principal
from ledger.windows import Window, span_of

EACH = "*"


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


AccountKey: TypeAlias = tuple[str, str, str, int]
"""Budget, member, window and its start in ns."""


@dataclass(frozen=True, slots=True)
class Account:
    """One budget's money for one member in one window. Its balance is the store's business."""

    budget: str
    scope: str
    member: str
    window: Window
    window_start_ns: int
    resets_at: datetime | None
    cap: Money

    @property
    def key(self) -> AccountKey:
        """What it is known by in the books, whatever its cap is today."""
        return (self.budget, self.member, self.window, self.window_start_ns)

    @property
    def resets_at_ns(self) -> int:
        """The end of time for an account that never resets."""
        return MAX_NANOS if self.resets_at is None else _ns(self.resets_at)


@dataclass(frozen=True, slots=True)
class Balance:
    """An account and what it has spent (posted) and reserved (pending)."""

    account: Account
    posted: Money
    pending: Money

    @property
    def left(self) -> Money:
        return Money(self.account.cap - self.posted - self.pending)


@dataclass(frozen=True, slots=True)
class Budget:
    """A cap on effective cost, per member of a scope, in each window.

    Raises ZoneInfoNotFoundError for a time zone that does not exist.
    """

    name: str
    scope: Scope
    window: Window
    timezone: str
    cap: Money
    zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Read from disk here, where a budget is made, and not on the way of its first request.
        object.__setattr__(self, "zone", ZoneInfo(self.timezone))

    def accounts(self, subject: Subject, now: datetime) -> tuple[Account, ...]:
        """The accounts of this budget that an attempt by `subject` at `now` must fit into."""
        members = self.scope.members(subject)
        return tuple(self.account(member, now) for member in members)

    def account(self, member: str, now: datetime) -> Account:
        span = span_of(self.window, self.zone, now)
        return Account(
            budget=self.name,
            scope=member or str(self.scope),
            member=member,
            window=self.window,
            window_start_ns=_ns(span.start),
            resets_at=span.end,
            cap=self.cap,
        )


def accounts_of(
    budgets: tuple[Budget, ...], subject: Subject, now: datetime
) -> tuple[Account, ...]:
    """Every account that an attempt must fit into at once, in the order of the budgets."""
    return tuple(one for budget in budgets for one in budget.accounts(subject, now))


def _ns(whole_second: datetime) -> int:
    return int(whole_second.timestamp()) * 1_000_000_000
