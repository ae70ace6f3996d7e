"""A policy file as it is written: budgets, each with its keys, their meaning and limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hedgerow.settings import Cap, Part, Text, TimeZone
from ledger.budgets import Budget, Scope
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


class Threshold(Part):
    """What happens when so much is spent."""

    spent: Literal["100%"] = Field(
        description="The part of the cap that is spent; this version knows 100%", examples=["100%"]
    )
    then: Literal["block"] = Field(
        description="What happens then: `block` refuses with HTTP 402", examples=["block"]
    )


class BudgetSpec(Part):
    """A budget as written in a policy file."""

    name: Text = Field(
        description="Its name, once over all policy files", examples=["research-month"]
    )
    scope: BudgetScope = Field(
        description='What it counts: all that is given must match, {} is everything, "*" means'
        " one budget for each, and one for all requests that have none",
        examples=["{team: research}"],
    )
    window: Literal["minute", "hour", "day", "week", "month", "quarter", "year", "lifetime"] = (
        Field(description="The calendar span after which it starts anew", examples=["month"])
    )
    timezone: TimeZone = Field(
        "UTC", description="Where its windows begin at midnight", examples=["Europe/Berlin"]
    )
    cap_usd: Cap = Field(
        description="The most that may be spent in a window, with at most 9 decimals",
        examples=["20000"],
    )
    at: Annotated[tuple[Threshold, ...], Field(min_length=1, max_length=1)] = Field(
        (Threshold(spent="100%", then="block"),),
        description="What happens as it fills up; this version blocks when it is spent",
        examples=["[{spent: 100%, then: block}]"],
    )
    on_ledger_error: Literal["deny"] = Field(
        "deny",
        description="What happens to requests while the books cannot be read",
        examples=["deny"],
    )

    def budget(self) -> Budget:
        """The budget as the ledger keeps it."""
        scope = Scope(**self.scope.model_dump())
        return Budget(self.name, scope, Window(self.window), self.timezone, usd(self.cap_usd))


class PolicyFile(Part):
    """A policy file as written."""

    budgets: tuple[BudgetSpec, ...] = Field(
        description="The budgets; all that match a request apply",
        examples=["[{name: all, scope: {}, window: month, cap_usd: 100}]"],
    )
