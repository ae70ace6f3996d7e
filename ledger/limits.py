"""Limits: what a key, a team, a user may use, as budgets of its own: there is one mechanism."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal, localcontext

from ledger.budgets import Budget, Scope, Threshold, part_of
from ledger.measures import Measure
from ledger.money import Money
from ledger.owners import OwnerKind
from ledger.windows import AnyWindow, Window

KEY = "key"
KINDS = (KEY, *OwnerKind)
"""Whose limits there are; names that begin with one of these words are theirs."""


def is_reserved(name: str) -> bool:
    """Whether a budget of that name would read as somebody's limit."""
    return name.partition(" ")[0] in KINDS


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose limits they are: a key's, an owner's, or those of a member or a model of either.

    kind: `key`, or a kind of owner. user: a member of a team; `*`: each member.
    """

    kind: str
    id: str
    model: str | None = None
    user: str | None = None

    @property
    def scope(self) -> Scope:
        named: dict[str, str | None] = {"model": self.model, "user": self.user}
        return Scope(**named | {str(self.kind): self.id})

    def __str__(self) -> str:
        """What their budgets are called, but for the last word."""
        parts = [f"{self.kind} {self.id}"]
        parts += [f"member {self.user}"] if self.user is not None else []
        parts += [f"model {self.model}"] if self.model is not None else []
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no limit, and 0 lets nothing through.

    usd: in each `window` (UTC). soft: at so much of it somebody is told, and nothing refused.
    rpm, tpm: requests and tokens in a minute. parallel: requests under way at once.
    """

    usd: Money | None = None
    window: AnyWindow = Window.LIFETIME
    soft: Money | None = None
    rpm: int | None = None
    tpm: int | None = None
    parallel: int | None = None


def budgets_for(whose: Whose, limits: Limits, channels: tuple[str, ...] = ()) -> tuple[Budget, ...]:
    """The budgets by which limits are kept. channels: who is told of `soft`."""
    found: list[Budget] = []
    cap = limits.soft if limits.usd is None else limits.usd
    if cap is not None:
        told = () if limits.soft is None else (_told(limits.soft, limits.usd, channels),)
        found.append(
            Budget(
                f"{whose} usd", whose.scope, limits.window, "UTC", cap, Measure.USD, thresholds=told
            )
        )
    for word, most, measure, window in (
        ("rpm", limits.rpm, Measure.REQUESTS, Window.MINUTE),
        ("tpm", limits.tpm, Measure.TOKENS, Window.MINUTE),
        ("parallel", limits.parallel, Measure.PARALLEL, Window.LIFETIME),
    ):
        if most is not None:
            found.append(Budget(f"{whose} {word}", whose.scope, window, "UTC", most, measure))
    return tuple(found)


def _told(soft: Money, usd: Money | None, channels: tuple[str, ...]) -> Threshold:
    if usd is None:
        return Threshold(Decimal(1), notify=channels, allows=True)
    with localcontext() as context:
        context.rounding = ROUND_CEILING  # so that the part of the cap is `soft` to the last nano
        return Threshold(Decimal(soft) / Decimal(usd), notify=channels)


def with_limits(
    there: Iterable[Budget], whose: Whose, limits: Limits, channels: tuple[str, ...] = ()
) -> tuple[Budget, ...]:
    """All the budgets of an owner, when `limits` are those of `whose` and the others stay."""
    rest = (one for one in there if one.scope != whose.scope or counted_by(one)[2])
    return (*budgets_for(whose, limits, channels), *rest)


def limits_in(whose: Whose, budgets: Iterable[Budget]) -> Limits:
    """The limits that `budgets` keep for `whose`; the inverse of `budgets_for`."""
    own = [one for one in budgets if one.scope == whose.scope]
    caps = {one.measure: one.cap for one in own if one.measure is not Measure.USD}
    counts = Limits(
        rpm=caps.get(Measure.REQUESTS),
        tpm=caps.get(Measure.TOKENS),
        parallel=caps.get(Measure.PARALLEL),
    )
    money = money_budget(whose, own)
    if money is None:
        return counts
    soft = next((part_of(money.cap, one.part) for one in money.thresholds if one.notify), None)
    refuses = money.most is not None
    return replace(
        counts,
        usd=Money(money.cap) if refuses else None,
        window=money.window,
        soft=None if soft is None else Money(soft),
    )


def money_budget(whose: Whose, budgets: Iterable[Budget]) -> Budget | None:
    """The budget that counts their USD; of several, the plain one."""
    return next(
        (one for one in budgets if counted_by(one) == (whose.scope, Measure.USD, "")),
        None,
    )


def further(whose: Whose, usd: Money, window: AnyWindow) -> Budget:
    """One more budget of their USD, beside the plain one: over another window."""
    name = f"{whose} usd per {window}"
    return Budget(name, whose.scope, window, "UTC", usd, Measure.USD)


def counted_by(limit: Budget) -> tuple[Scope, Measure, str]:
    """What a limit counts, whatever its cap: there is one of each."""
    extra = _FURTHER.search(limit.name)
    return (limit.scope, limit.measure, "" if extra is None else extra[0])


_FURTHER = re.compile(r" usd per \S+$")
