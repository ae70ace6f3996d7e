"""Limits as a client writes and reads them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from ledger.limits import Limits
from ledger.money import as_usd
from proxy.admin.asked import invalid, money_of, window_named

Amount = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class LimitsBody(msgspec.Struct, forbid_unknown_fields=True):
    """Limits that are given; null takes one away, and what is left out stays as it is."""

    budget_usd: Decimal | UnsetType | None = UNSET
    window: str | UnsetType = UNSET
    soft_budget_usd: Decimal | UnsetType | None = UNSET
    rpm: Amount | UnsetType | None = UNSET
    tpm: Amount | UnsetType | None = UNSET
    parallel: Amount | UnsetType | None = UNSET


def limits_after(before: Limits, given: LimitsBody, channels: tuple[str, ...]) -> Limits:
    """What limits are after a change. Raises Invalid."""
    changed: dict[str, Any] = {
        name: value
        for name, value in (("rpm", given.rpm), ("tpm", given.tpm), ("parallel", given.parallel))
        if value is not UNSET
    }
    if given.budget_usd is not UNSET:
        changed["usd"] = money_of(given.budget_usd, "limits.budget_usd")
    if given.soft_budget_usd is not UNSET:
        changed["soft"] = money_of(given.soft_budget_usd, "limits.soft_budget_usd")
    if given.window is not UNSET:
        changed["window"] = window_named(given.window, "limits.window")
    after = replace(before, **changed)
    check_limits(after, channels)
    if given.window is not UNSET and after.usd is None and after.soft is None:
        raise invalid("there is no budget for limits.window to count", "limits.window")
    return after


def check_limits(limits: Limits, channels: tuple[str, ...], soft: str = "soft_budget_usd") -> None:
    """Raises Invalid for what cannot be kept as it was meant. soft: what the field is called."""
    if limits.soft is None:
        return
    if not channels:
        raise invalid(f"{soft} tells nobody: name channels under `notify` in hedgerow.yaml", soft)
    if limits.soft == 0 or (limits.usd is not None and limits.soft > limits.usd):
        raise invalid(f"{soft} is an amount above 0, and no more than the budget", soft)


def limits_told(limits: Limits) -> dict[str, Any]:
    """All of them, so that a client sees which there are."""
    has_money = limits.usd is not None or limits.soft is not None
    return {
        "budget_usd": None if limits.usd is None else as_usd(limits.usd),
        "window": str(limits.window) if has_money else None,
        "soft_budget_usd": None if limits.soft is None else as_usd(limits.soft),
        "rpm": limits.rpm,
        "tpm": limits.tpm,
        "parallel": limits.parallel,
    }
