"""Words: what pages say of a budget, of its thresholds and of how it goes on."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from ledger.budgets import Budget, Threshold
from ledger.directives import percent
from ledger.pace import Standing
from ledger.tables.rollups import DAY_NS
from ledger.windows import Rolling

PATH = "/ui/budgets"
_NEARLY = 0.9
"""From here on it is to be watched: a request that is large may not fit any more."""


def url_of(name: str, member: str | None = None) -> str:
    told = {"name": name} if member is None else {"name": name, "member": member}
    return f"{PATH}/one?{urlencode(told)}"


def member_text(member: str) -> str:
    """An account's member for people: `user=(none)` for those who have none."""
    if not member:
        return "nobody yet"
    return ",".join(f"{one}(none)" if one.endswith("=") else one for one in member.split(","))


def used_part(one: Standing) -> float:
    """What of the cap is spent and held; over 1 if more than that."""
    taken = one.balance.posted + one.balance.pending
    return taken / one.cap if one.cap else (1.0 if taken else 0.0)


def acts(one: Threshold) -> str:
    """What a threshold does, in words."""
    said = []
    if one.notify:
        said.append(f"tells {', '.join(one.notify)}")
    if one.cheapest:
        said.append("routes to the cheapest offer")
    if one.only_models is not None:
        said.append(f"allows only {', '.join(sorted(one.only_models))}")
    if one.throttle is not None:
        said.append(f"allows {one.throttle.requests_per_minute:,} requests a minute")
    if one.blocks:
        said.append("refuses what does not fit")
    if one.allows:
        said.append("lets more be spent")
    return ", ".join(said) or "does nothing"


def tone_of(one: Standing) -> str:
    """By how far it is: its block, a threshold that acts, or that little is left."""
    if one.balance.left is not None and one.balance.left <= 0:
        return "bad"
    is_restrained = any(_restrains(step.threshold) for step in one.reached)
    return "warn" if is_restrained or used_part(one) >= _NEARLY else "good"


def in_force(one: Standing) -> list[str]:
    """What its thresholds do to requests now; a budget in shadow mode does nothing."""
    if one.balance.account.is_shadow:
        return []
    return [
        f"{acts(step.threshold)} (since {percent(step.threshold.part)})"
        for step in one.reached
        if _restrains(step.threshold)
    ]


def _restrains(one: Threshold) -> bool:
    return bool(one.cheapest or one.only_models is not None or one.throttle or one.blocks)


def per_day(one: Standing) -> int | None:
    """Its pace, in the budget's measure."""
    return None if one.pace is None else one.pace.amount * DAY_NS // one.pace.over_ns


def wait_text(at_ns: int, now_ns: int) -> str:
    """How long until then, roughly."""
    minutes = max(0, at_ns - now_ns) // 60_000_000_000
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 72 * 60 else f"{minutes // 1440} days"


def is_rolling(budget: Budget) -> bool:
    return isinstance(budget.window, Rolling)


WORDS: dict[str, Callable[..., object]] = {
    "acts": acts,
    "member_text": member_text,
    "tone_of": tone_of,
    "in_force": in_force,
    "used_part": used_part,
    "per_day": per_day,
    "wait_text": wait_text,
    "percent": percent,
    "url_of": url_of,
    "is_rolling": is_rolling,
}
"""What the templates of this page say with."""
