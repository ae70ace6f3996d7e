"""The limits in LiteLLM's words, wherever they stand, as budgets of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ledger.budgets import Balance, Budget
from ledger.limits import Limits, Whose, counted_by, further, limits_in, money_budget, with_limits
from ledger.measures import Measure
from ledger.money import Money, as_usd
from ledger.tables.policy import PolicyTable
from proxy.admin.asked import invalid, models_of, money_of
from proxy.admin.desk import AdminDesk
from proxy.admin.limits_body import Amount, check_limits
from proxy.admin.litellm.durations import duration_of_window, window_of_duration
from proxy.errors import NotFound
from proxy.wires import body as bodies


class ModelBudget(msgspec.Struct, forbid_unknown_fields=True):
    """Limits for one model; `budget_limit` and `time_period` are the older names of two."""

    max_budget: Decimal | None = None
    budget_duration: str | None = None
    budget_limit: Decimal | None = None
    time_period: str | None = None
    rpm_limit: Amount | None = None
    tpm_limit: Amount | None = None


class BudgetWindow(msgspec.Struct, forbid_unknown_fields=True):
    """One more budget, over a window of its own."""

    budget_duration: str
    max_budget: Decimal


class Terms(msgspec.Struct, omit_defaults=True):
    """Limits; null takes one away, and what is left out stays as it is."""

    max_budget: Decimal | UnsetType | None = UNSET
    soft_budget: Decimal | UnsetType | None = UNSET
    budget_duration: str | UnsetType | None = UNSET
    rpm_limit: Amount | UnsetType | None = UNSET
    tpm_limit: Amount | UnsetType | None = UNSET
    max_parallel_requests: Amount | UnsetType | None = UNSET
    model_max_budget: dict[str, ModelBudget] | UnsetType | None = UNSET
    model_rpm_limit: dict[str, Amount] | UnsetType | None = UNSET
    model_tpm_limit: dict[str, Amount] | UnsetType | None = UNSET
    budget_limits: tuple[BudgetWindow, ...] | UnsetType | None = UNSET


class LimitFields(Terms, omit_defaults=True):
    """The same, or the plan that has them."""

    budget_id: str | UnsetType | None = UNSET


TERMS = tuple(field.name for field in msgspec.structs.fields(Terms))
read_terms = msgspec.json.Decoder(Terms).decode


def terms_text(given: Terms) -> str:
    """The terms alone, as a plan keeps them."""
    named = {name: getattr(given, name) for name in TERMS}
    return bodies.encode(
        {name: value for name, value in named.items() if value is not UNSET}
    ).decode()


def set_limits(
    table: PolicyTable, kind: str, owner_id: str, given: LimitFields, desk: AdminDesk, now_ns: int
) -> None:
    """Limit a key or an owner as it is said, or by the plan that is named. Raises Invalid."""
    has_terms = any(getattr(given, name) not in (UNSET, None) for name in TERMS)
    plan_id = table.plans.used_by(kind, owner_id) if given.budget_id is UNSET else given.budget_id
    if plan_id is None:
        if given.budget_id is None and table.plans.used_by(kind, owner_id) is not None:
            table.plans.use(kind, owner_id, None)
            table.set_limits(kind, owner_id, (), at_ns=now_ns)
        apply_terms(table, kind, owner_id, given, desk, now_ns)
        return
    if has_terms:
        raise invalid(
            f"its limits are those of budget {plan_id[:80]}: change them there, or write"
            " budget_id null and limits of its own",
            "budget_id",
        )
    if given.budget_id is not UNSET:
        use_plan(table, kind, owner_id, plan_id, desk, now_ns)


def use_plan(
    table: PolicyTable, kind: str, owner_id: str, plan_id: str, desk: AdminDesk, now_ns: int
) -> None:
    """Raises NotFound, Invalid."""
    plan = table.plans.get(plan_id)
    if plan is None:
        raise no_plan(plan_id)
    of_members = [
        one for one in table.limits_of(kind, owner_id) if one.scope.user not in (None, owner_id)
    ]
    own = budgets_after((), Whose(kind, owner_id), read_terms(plan.terms), desk)
    table.set_limits(kind, owner_id, (*own, *of_members), at_ns=now_ns)
    table.plans.use(kind, owner_id, plan_id)


def no_plan(plan_id: str) -> NotFound:
    return NotFound(
        f"there is no budget_id {plan_id[:80]}: GET /budget/list lists those that there are",
        code="budget_not_found",
    )


def apply_terms(
    table: PolicyTable, kind: str, owner_id: str, given: Terms, desk: AdminDesk, now_ns: int
) -> None:
    """Raises Invalid."""
    there = table.limits_of(kind, owner_id)
    after = budgets_after(there, Whose(kind, owner_id), given, desk)
    table.set_limits(kind, owner_id, after, at_ns=now_ns)


def budgets_after(
    there: tuple[Budget, ...], whose: Whose, given: Terms, desk: AdminDesk
) -> tuple[Budget, ...]:
    """The limits of a key or an owner after a change. Raises Invalid."""
    before = limits_in(whose, there)
    limits = _changed(before, given)
    check_limits(limits, desk.channels, "soft_budget")
    budgets = with_limits(there, whose, limits, desk.channels)
    if given.budget_limits is not UNSET:
        budgets = tuple(one for one in budgets if not counted_by(one)[2])
        budgets += tuple(_further(whose, one) for one in given.budget_limits or ())
    for model, its in _of_models(budgets, whose, given, desk).items():
        own = replace(whose, model=model)
        budgets = with_limits(budgets, own, its, desk.channels)
    return budgets


def _changed(before: Limits, given: Terms) -> Limits:
    changed: dict[str, Any] = {
        name: value
        for name, value in (
            ("rpm", given.rpm_limit),
            ("tpm", given.tpm_limit),
            ("parallel", given.max_parallel_requests),
        )
        if value is not UNSET
    }
    if given.max_budget is not UNSET:
        changed["usd"] = money_of(given.max_budget, "max_budget")
    if given.soft_budget is not UNSET:
        changed["soft"] = money_of(given.soft_budget, "soft_budget")
    if given.budget_duration is not UNSET:
        changed["window"] = _window(given.budget_duration, "budget_duration")
    return replace(before, **changed)


def _window(duration: str | None, param: str) -> Any:
    return Limits().window if duration is None else window_of_duration(duration, param)


def _further(whose: Whose, given: BudgetWindow) -> Budget:
    window = window_of_duration(given.budget_duration, "budget_limits.budget_duration")
    cap = money_of(given.max_budget, "budget_limits.max_budget")
    return further(whose, Money(cap or 0), window)


def _of_models(
    budgets: tuple[Budget, ...], whose: Whose, given: Terms, desk: AdminDesk
) -> Mapping[str, Limits]:
    """The limits of every model that is, or was, limited."""
    its = [one.scope for one in budgets if one.scope.user == whose.scope.user]
    limited = {one.model for one in its if one.model is not None}
    for name in ("model_max_budget", "model_rpm_limit", "model_tpm_limit"):
        named = getattr(given, name)
        if named is not UNSET:
            limited.update(models_of(named or (), desk.known_models(), name) or ())
    found: dict[str, Limits] = {}
    for model in sorted(limited):
        limits = limits_in(replace(whose, model=model), budgets)
        if given.model_max_budget is not UNSET:
            limits = _of_model_budget(
                limits, (given.model_max_budget or {}).get(model, ModelBudget())
            )
        if given.model_rpm_limit is not UNSET:
            limits = replace(limits, rpm=(given.model_rpm_limit or {}).get(model))
        if given.model_tpm_limit is not UNSET:
            limits = replace(limits, tpm=(given.model_tpm_limit or {}).get(model))
        found[model] = limits
    return found


def _of_model_budget(before: Limits, given: ModelBudget) -> Limits:
    duration = given.budget_duration or given.time_period
    cap = given.budget_limit if given.max_budget is None else given.max_budget
    return Limits(
        usd=money_of(cap, "model_max_budget.max_budget"),
        window=_window(duration, "model_max_budget.budget_duration"),
        rpm=before.rpm if given.rpm_limit is None else given.rpm_limit,
        tpm=before.tpm if given.tpm_limit is None else given.tpm_limit,
    )


# -- and back


def told_limits(
    whose: Whose, budgets: tuple[Budget, ...], balances: Iterable[Balance], duration: str | None
) -> dict[str, Any]:
    """duration: as it was written, for those who compare."""
    limits = limits_in(whose, budgets)
    money = money_budget(whose, budgets)
    resets = {one.account.budget: one.account.resets_at for one in balances}
    has_money = money is not None
    shown = duration_of_window(limits.window) if has_money else None
    if duration is not None and has_money:
        shown = duration
    models = sorted({one.scope.model for one in budgets if one.scope.model is not None})
    of_models = {one: limits_in(replace(whose, model=one), budgets) for one in models}
    return {
        "max_budget": _usd(limits.usd),
        "soft_budget": _usd(limits.soft),
        "budget_duration": shown,
        "budget_reset_at": _time(resets.get(money.name)) if money is not None else None,
        "rpm_limit": limits.rpm,
        "tpm_limit": limits.tpm,
        "max_parallel_requests": limits.parallel,
        "model_max_budget": {
            model: {"max_budget": _usd(its.usd), "budget_duration": duration_of_window(its.window)}
            for model, its in of_models.items()
            if its.usd is not None
        },
        "model_rpm_limit": {
            model: its.rpm for model, its in of_models.items() if its.rpm is not None
        },
        "model_tpm_limit": {
            model: its.tpm for model, its in of_models.items() if its.tpm is not None
        },
        "budget_limits": [
            {
                "budget_duration": duration_of_window(one.window),
                "max_budget": _usd(Money(one.cap)),
                "reset_at": _time(resets.get(one.name)),
            }
            for one in budgets
            if one.measure is Measure.USD and counted_by(one)[2]
        ],
    }


def _usd(money: Money | None) -> Decimal | None:
    return None if money is None else as_usd(money)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
