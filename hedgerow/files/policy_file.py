"""A policy file as it is written: budgets and increases, with their keys, meaning and limits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypeAlias
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field

from hedgerow.files.settings import (
    Amount,
    Cap,
    Count,
    Name,
    Part,
    PartOfCap,
    Text,
    TimeZone,
    WhenLocal,
    WindowName,
)
from ledger.budgets import Budget, Mode, Raise, Scope, Threshold, Throttle
from ledger.instants import as_ns
from ledger.measures import Measure
from ledger.money import usd
from ledger.windows import Window


def _each(one: str) -> str:
    """What a dimension means that keys may lack."""
    named = one[0].lower() + one[1:]
    return f'{one}, or "*": one budget for each, and one for all requests of keys without {named}'


class BudgetScope(Part):
    """What a budget counts: all that is given must match; `{}` is everything."""

    org: Text | None = Field(None, description=_each("An organisation"))
    team: Text | None = Field(None, description=_each("A team"))
    project: Text | None = Field(None, description=_each("A project"))
    user: Text | None = Field(None, description=_each("A user"))
    key: Text | None = Field(None, description='A key\'s id, or "*": one budget for each')
    tag: Text | None = Field(None, description=_each("A tag"))
    model: Text | None = Field(None, description='A model, or "*": one budget for each')
    provider: Text | None = Field(None, description='A provider, or "*": one budget for each')


class ThrottleSpec(Part):
    """How many requests may still begin."""

    requests_per_minute: Count = Field(
        description="The most requests of each member in a minute; one more is refused",
        examples=["10"],
    )


class ThresholdSpec(Part):
    """What happens when so much is spent; all that is given."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    spent: PartOfCap = Field(
        description="The part of the cap that is spent, up to 1000%", examples=["85%"]
    )
    notify: tuple[Name, ...] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="Channels under `notify` in hedgerow.yaml that are told, once for each window",
        examples=["[ops-webhook]"],
    )
    route: Literal["cheapest"] | None = Field(
        None,
        description="`cheapest`: requests go to the cheapest eligible offer, however slow it is",
        examples=["cheapest"],
    )
    only_models: tuple[Text, ...] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Requests for other models are refused",
        examples=["[llama-3.3-70b]"],
    )
    throttle: ThrottleSpec | None = Field(
        None,
        description="Only so many requests are let through",
        examples=["{requests_per_minute: 10}"],
    )
    then: Literal["block", "allow"] | None = Field(
        None,
        description="`block`: nothing more fits; HTTP 402. `allow`: more than the cap may be spent,"
        " up to a `block` if there is one",
        examples=["block"],
    )

    def threshold(self) -> Threshold:
        """The threshold as the ledger keeps it."""
        rate = self.throttle
        return Threshold(
            part=self.spent,
            notify=tuple(dict.fromkeys(self.notify or ())),
            cheapest=self.route == "cheapest",
            only_models=None if self.only_models is None else frozenset(self.only_models),
            throttle=None if rate is None else Throttle(rate.requests_per_minute),
            blocks=self.then == "block",
            allows=self.then == "allow",
        )


def _one_of(*keys: str) -> dict[str, list[dict[str, list[str]]]]:
    return {"oneOf": [{"required": [key]} for key in keys]}


_Amounts: TypeAlias = tuple[tuple[Measure, int | None], ...]


def _the_one(amounts: _Amounts) -> tuple[Measure, int]:
    """Which of them is given; the checks have seen that one is."""
    for measure, amount in amounts:
        if amount is not None:
            return measure, amount
    raise AssertionError("a budget without a cap, or an increase by nothing, is refused before")


CAPS = ("cap_usd", "cap_tokens", "cap_requests", "cap_parallel")


class BudgetSpec(Part):
    """A budget as written in a policy file."""

    model_config = ConfigDict(json_schema_extra=_one_of(*CAPS))  # type: ignore[typeddict-item]

    name: Text = Field(
        description="Its name, once over all policy files", examples=["research-month"]
    )
    scope: BudgetScope = Field(
        description='What it counts: all that is given must match, {} is everything, "*" means'
        " one budget for each, and one for all requests that have none",
        examples=["{team: research}"],
    )
    window: WindowName | None = Field(
        None,
        description="The time after which it starts anew; required, but with `cap_parallel` there"
        " is none",
        examples=["month"],
    )
    timezone: TimeZone = Field(
        "UTC",
        description="Where its windows of a day and longer begin at midnight",
        examples=["Europe/Berlin"],
    )
    cap_usd: Cap | None = Field(
        None,
        description="The most that may be spent in a window, with at most 9 decimals; one cap is"
        " required",
        examples=["20000"],
    )
    cap_tokens: Amount | None = Field(
        None,
        description="Instead: the most tokens of prompts and completions",
        examples=["1000000000"],
    )
    cap_requests: Amount | None = Field(
        None, description="Instead: the most requests", examples=["100000"]
    )
    cap_parallel: Amount | None = Field(
        None, description="Instead: the most requests under way at once", examples=["50"]
    )
    at: tuple[ThresholdSpec, ...] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="What happens as it fills up. Whatever else does, 100% blocks, unless"
        " `then: block` or `then: allow` stands at a threshold",
        examples=["[{spent: 85%, route: cheapest}, {spent: 100%, then: block}]"],
    )
    mode: Literal["enforce", "shadow"] = Field(
        "enforce",
        description="`shadow`: what would be refused is let through, and told",
        examples=["shadow"],
    )
    on_ledger_error: Literal["deny", "allow"] = Field(
        "deny",
        description="What happens to requests while the books are out of reach: `deny` answers with"
        " 503, `allow` lets them through, counted later",
        examples=["deny"],
    )

    @property
    def cap(self) -> tuple[Measure, int]:
        """What it counts, and the most of it; USD in nanos."""
        return _the_one(
            (
                (Measure.USD, None if self.cap_usd is None else usd(self.cap_usd)),
                (Measure.TOKENS, self.cap_tokens),
                (Measure.REQUESTS, self.cap_requests),
                (Measure.PARALLEL, self.cap_parallel),
            )
        )

    def budget(self) -> Budget:
        """The budget as the ledger keeps it."""
        measure, cap = self.cap
        return Budget(
            name=self.name,
            scope=Scope(**self.scope.model_dump()),
            window=self.window or Window.LIFETIME,
            timezone=self.timezone,
            cap=cap,
            measure=measure,
            thresholds=tuple(one.threshold() for one in self.at or ()),
            mode=Mode(self.mode),
            on_ledger_error=self.on_ledger_error,
        )


INCREASES = ("by_usd", "by_tokens", "by_requests", "by_parallel")


class IncreaseSpec(Part):
    """A cap that is higher for a time, as written in a policy file."""

    model_config = ConfigDict(json_schema_extra=_one_of(*INCREASES))  # type: ignore[typeddict-item]

    name: Text = Field(description="Why: what reports call it", examples=["release week"])
    budget: Text = Field(
        description="The budget of a policy file that is raised", examples=["research-month"]
    )
    member: Text | None = Field(
        None,
        description='Whose part of a budget with "*" is raised; when not given, that of each',
        examples=["user=ada"],
    )
    by_usd: Cap | None = Field(
        None,
        gt=0,
        description="So much more may be spent in a window; required, as the budget's cap is",
        examples=["500"],
    )
    by_tokens: Amount | None = Field(
        None, ge=1, description="Instead: so many more tokens", examples=["1000000"]
    )
    by_requests: Amount | None = Field(
        None, ge=1, description="Instead: so many more requests", examples=["1000"]
    )
    by_parallel: Amount | None = Field(
        None, ge=1, description="Instead: so many more at once", examples=["10"]
    )
    begins: WhenLocal | None = Field(
        None,
        alias="from",
        description="When it begins; when not given, it has begun. A day begins at midnight, where"
        " the budget's windows do",
        examples=["2026-12-01"],
    )
    until: WhenLocal = Field(
        description="When it is over: a day is not part of it", examples=["2026-12-08"]
    )

    @property
    def amount(self) -> tuple[Measure, int]:
        """What it raises, and by how much; USD in nanos."""
        return _the_one(
            (
                (Measure.USD, None if self.by_usd is None else usd(self.by_usd)),
                (Measure.TOKENS, self.by_tokens),
                (Measure.REQUESTS, self.by_requests),
                (Measure.PARALLEL, self.by_parallel),
            )
        )

    def increase(self, timezone: str) -> Raise:
        """As the ledger keeps it. timezone: the budget's."""
        begins, until = self.times(timezone)
        return Raise(
            id="/".join(
                quote(one, safe="=") for one in (self.budget, self.member or "", self.name)
            ),
            budget=self.budget,
            member=self.member,
            amount=self.amount[1],
            since_ns=0 if begins is None else as_ns(begins),
            until_ns=as_ns(until),
            name=self.name,
        )

    def times(self, timezone: str) -> tuple[datetime | None, datetime]:
        """When it begins and when it is over, in UTC. timezone: the budget's."""
        zone = ZoneInfo(timezone)
        begins = None if self.begins is None else in_zone(self.begins, zone)
        return begins, in_zone(self.until, zone)


def in_zone(when: datetime, zone: ZoneInfo) -> datetime:
    """In UTC. What names no zone of its own is local there."""
    return (when.replace(tzinfo=zone) if when.tzinfo is None else when).astimezone(UTC)


class PolicyFile(Part):
    """A policy file as written."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["budgets"]}, {"required": ["increases"]}]}
    )

    budgets: tuple[BudgetSpec, ...] = Field(
        (),
        description="The budgets; all that match a request apply",
        examples=["[{name: all, scope: {}, window: month, cap_usd: 100}]"],
    )
    increases: tuple[IncreaseSpec, ...] = Field(
        (),
        description="Budgets that are raised for a time, of this file and others",
        examples=["[{name: release week, budget: all, by_usd: 50, until: 2026-12-08}]"],
    )
