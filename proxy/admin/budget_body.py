"""A budget as a client writes and reads it: with the keys of a policy file."""

from __future__ import annotations

import re
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from ledger.budgets import EACH, Budget, Mode, Scope, Threshold, Throttle
from ledger.directives import THROTTLE_AT
from ledger.limits import KINDS, is_reserved
from ledger.measures import Measure
from ledger.money import Money, as_usd
from ledger.windows import Window
from proxy.admin.asked import invalid, label, labels, money_of, window_named, zone_named
from proxy.admin.desk import AdminDesk
from proxy.admin.limits_body import Amount


class ScopeBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What it covers: all that is named must match; `*` is one account for each member."""

    org: str | None = None
    team: str | None = None
    project: str | None = None
    user: str | None = None
    key: str | None = None
    tag: str | None = None
    model: str | None = None
    provider: str | None = None


class ThrottleBody(msgspec.Struct, forbid_unknown_fields=True):
    requests_per_minute: Annotated[int, msgspec.Meta(ge=1, le=10**9)]


class ThresholdBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """spent: a part of the cap, as in `70%`; then what happens."""

    spent: str
    notify: tuple[str, ...] = ()
    route: Literal["cheapest"] | None = None
    only_models: tuple[str, ...] | None = None
    throttle: ThrottleBody | None = None
    then: Literal["block", "allow"] | None = None


class BudgetBody(msgspec.Struct, forbid_unknown_fields=True):
    """A budget; exactly one of the caps."""

    name: str
    scope: ScopeBody
    window: str | None = None
    timezone: str = "UTC"
    cap_usd: Decimal | None = None
    cap_tokens: Amount | None = None
    cap_requests: Amount | None = None
    cap_parallel: Amount | None = None
    at: tuple[ThresholdBody, ...] = ()
    mode: Literal["enforce", "shadow"] = "enforce"
    on_ledger_error: Literal["deny", "allow"] = "deny"


def budget_of(given: BudgetBody, desk: AdminDesk) -> Budget:
    """Raises Invalid."""
    name = label(given.name, "name")
    if is_reserved(name):
        raise invalid(f"names that begin with {', '.join(KINDS)} are those of limits", "name")
    if THROTTLE_AT in name:
        raise invalid(f"names with `{THROTTLE_AT.strip()}` in them are those of throttles", "name")
    measure, cap = _cap(given)
    if measure is Measure.PARALLEL and given.window not in (None, Window.LIFETIME):
        raise invalid("what is under way at once has no window: leave it out", "window")
    if measure is not Measure.PARALLEL and given.window is None:
        raise invalid("window is missing: write `month`, or another", "window")
    zone_named(given.timezone, "timezone")
    thresholds = tuple(_threshold(one, f"at[{place}]", desk) for place, one in enumerate(given.at))
    if len({one.part for one in thresholds}) < len(thresholds):
        raise invalid("each part of the cap stands once: write all that happens then at it", "at")
    return Budget(
        name,
        _scope(given.scope),
        window_named(given.window or Window.LIFETIME, "window"),
        given.timezone,
        cap,
        measure,
        thresholds,
        Mode(given.mode),
        given.on_ledger_error,
    )


def _cap(given: BudgetBody) -> tuple[Measure, int]:
    caps = {
        Measure.USD: money_of(given.cap_usd, "cap_usd"),
        Measure.TOKENS: given.cap_tokens,
        Measure.REQUESTS: given.cap_requests,
        Measure.PARALLEL: given.cap_parallel,
    }
    found = [(measure, int(cap)) for measure, cap in caps.items() if cap is not None]
    if len(found) != 1:
        names = ", ".join(f"cap_{one}" for one in Measure)
        raise invalid(f"a budget has exactly one of {names}", "cap_usd")
    return found[0]


def _scope(given: ScopeBody) -> Scope:
    named = msgspec.structs.asdict(given)
    for name, value in named.items():
        if value is not None and value != EACH:
            label(value, f"scope.{name}")
    return Scope(**named)


_PERCENT = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,4})?)%")


def _threshold(given: ThresholdBody, where: str, desk: AdminDesk) -> Threshold:
    found = _PERCENT.fullmatch(given.spent)
    part = Decimal(found[1]) / 100 if found else Decimal(0)
    if not 0 < part <= 10:
        raise invalid(f"{where}.spent is a percentage up to 1000%, as in 70%", f"{where}.spent")
    told = labels(given.notify, f"{where}.notify")
    if unknown := sorted(set(told) - set(desk.channels)):
        there = ", ".join(desk.channels) or "none"
        raise invalid(f"there is no channel {unknown[0]!r} here; there are: {there}", where)
    models = given.only_models
    if unknown := sorted(set(models or ()) - set(desk.known_models())):
        raise invalid(f"there is no model {unknown[0][:80]!r} here", f"{where}.only_models")
    throttle = given.throttle
    return Threshold(
        part,
        told,
        cheapest=given.route is not None,
        only_models=None if models is None else frozenset(models),
        throttle=None if throttle is None else Throttle(throttle.requests_per_minute),
        blocks=given.then == "block",
        allows=given.then == "allow",
    )


def told_budget(budget: Budget, file: str | None) -> dict[str, Any]:
    """file: where it is written; None for one that is kept in the books."""
    scope = {name: value for name, value in asdict(budget.scope).items() if value is not None}
    is_parallel = budget.measure is Measure.PARALLEL
    return {
        "id": budget.name,
        "name": budget.name,
        "scope": scope,
        "window": None if is_parallel else str(budget.window),
        "timezone": budget.timezone,
        f"cap_{budget.measure}": amount_told(budget.cap, budget.measure),
        "at": [_told_threshold(one) for one in budget.thresholds],
        "mode": str(budget.mode),
        "on_ledger_error": budget.on_ledger_error,
        "file": file,
    }


def amount_told(amount: int, measure: Measure) -> Decimal | int:
    return as_usd(Money(amount)) if measure is Measure.USD else amount


def _told_threshold(one: Threshold) -> dict[str, Any]:
    percent = (one.part * 100).normalize()
    told: dict[str, Any] = {"spent": f"{percent:f}%"}
    if one.notify:
        told["notify"] = list(one.notify)
    if one.cheapest:
        told["route"] = "cheapest"
    if one.only_models is not None:
        told["only_models"] = sorted(one.only_models)
    if one.throttle is not None:
        told["throttle"] = {"requests_per_minute": one.throttle.requests_per_minute}
    if one.blocks or one.allows:
        told["then"] = "block" if one.blocks else "allow"
    return told
