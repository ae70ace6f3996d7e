"""The form of a budget: as it is filled in, and as it is shown for a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from hedgerow.web.forms import Form
from ledger.budgets import DIMENSIONS, Budget, Raise, Threshold
from ledger.directives import percent
from ledger.measures import Measure
from ledger.money import Money, as_usd
from ledger.windows import Window
from proxy.admin.asked import future_of, invalid
from proxy.admin.budget_body import (
    BudgetBody,
    ScopeBody,
    ThresholdBody,
    ThrottleBody,
    budget_of,
)
from proxy.admin.desk import AdminDesk

ROWS = 4
"""So many thresholds the form has room for, unless there are more already."""
MOST_ROWS = 50
_THEN = {"": None, "block": "block", "allow": "allow"}
_MODES = ("enforce", "shadow")
_ON_ERROR = ("deny", "allow")
WINDOWS = tuple(str(one) for one in Window)


@dataclass(frozen=True, slots=True)
class Rung:
    """A threshold as the form has it; all text."""

    spent: str = ""
    notify: tuple[str, ...] = ()
    cheapest: bool = False
    only_models: str = ""
    requests_per_minute: str = ""
    then: str = ""


@dataclass(frozen=True, slots=True)
class Filled:
    """What stands in the form when it is opened."""

    name: str
    scope: Mapping[str, str]
    window: str
    timezone: str
    measure: str
    cap: str
    mode: str
    on_ledger_error: str
    rungs: tuple[Rung, ...]


def empty(scope: Mapping[str, str]) -> Filled:
    return Filled("", scope, "month", "UTC", "usd", "", "enforce", "deny", (Rung(),) * ROWS)


def filled(budget: Budget) -> Filled:
    rungs = tuple(map(_rung, budget.thresholds))
    return Filled(
        budget.name,
        {name: value for name, value in asdict(budget.scope).items() if value is not None},
        str(budget.window),
        budget.timezone,
        str(budget.measure),
        amount_text(budget.cap, budget.measure),
        str(budget.mode),
        budget.on_ledger_error,
        (*rungs, *(Rung(),) * max(1, ROWS - len(rungs))),
    )


def amount_text(amount: int, measure: Measure) -> str:
    """As it is written into a field: all digits."""
    return format(as_usd(Money(amount)), "f") if measure is Measure.USD else str(amount)


def _rung(one: Threshold) -> Rung:
    return Rung(
        percent(one.part),
        one.notify,
        one.cheapest,
        ", ".join(sorted(one.only_models or ())),
        "" if one.throttle is None else str(one.throttle.requests_per_minute),
        "block" if one.blocks else "allow" if one.allows else "",
    )


def budget_in(form: Form, desk: AdminDesk, name: str | None = None) -> Budget:
    """The budget that a form says; `name` of one that is changed. Reads its time zone from disk:
    not on the event loop. Raises Invalid."""
    measure = Measure(_one_of(form, "measure", [str(one) for one in Measure], "usd"))
    usd = form.money("cap") if measure is Measure.USD else None
    count = None if measure is Measure.USD else form.count("cap")
    caps = {
        "cap_usd": None if usd is None else as_usd(usd),
        "cap_tokens": count if measure is Measure.TOKENS else None,
        "cap_requests": count if measure is Measure.REQUESTS else None,
        "cap_parallel": count if measure is Measure.PARALLEL else None,
    }
    if usd is None and count is None:
        raise invalid("cap is empty: write how much may be spent", "cap")
    body = BudgetBody(
        name=form.wanted("name") if name is None else name,
        scope=ScopeBody(**{one: form.text(f"scope.{one}") for one in DIMENSIONS}),
        window=None if measure is Measure.PARALLEL else form.text("window"),
        timezone=form.text("timezone") or "UTC",
        **caps,  # type: ignore[arg-type]
        at=tuple(_thresholds(form)),
        mode=_one_of(form, "mode", _MODES, "enforce"),  # type: ignore[arg-type]
        on_ledger_error=_one_of(form, "on_ledger_error", _ON_ERROR, "deny"),  # type: ignore[arg-type]
    )
    return budget_of(body, desk)


def _thresholds(form: Form) -> list[ThresholdBody]:
    found = []
    for place in range(MOST_ROWS):
        spent = form.text(f"at.{place}.spent")
        if spent is None:
            continue
        models = form.text(f"at.{place}.only_models")
        per_minute = form.count(f"at.{place}.requests_per_minute")
        then = form.text(f"at.{place}.then") or ""
        found.append(
            ThresholdBody(
                spent=spent if spent.endswith("%") else f"{spent}%",
                notify=form.all(f"at.{place}.notify"),
                route="cheapest" if form.text(f"at.{place}.cheapest") else None,
                only_models=None if models is None else _names(models),
                throttle=None if per_minute is None else ThrottleBody(per_minute),
                then=_THEN.get(then),  # type: ignore[arg-type]
            )
        )
    return found


def _names(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _one_of(form: Form, name: str, known: tuple[str, ...] | list[str], usual: str) -> str:
    given = form.text(name) or usual
    if given not in known:
        raise invalid(f"{name} is one of {', '.join(known)}", name)
    return given


def raise_in(form: Form, budget: Budget, raise_id: str, now_ns: int) -> Raise:
    """The increase that a form says. Raises Invalid."""
    is_usd = budget.measure is Measure.USD
    amount = form.money("amount") if is_usd else form.count("amount")
    if not amount:
        raise invalid("amount is empty: write how much more may be spent, above 0", "amount")
    name = form.label("reason")
    if name is None:
        raise invalid("reason is empty: an increase has a name that says why", "reason")
    until_ns = future_of(_moment(form.wanted("until")), now_ns, "until")
    if until_ns is None:
        raise invalid("until is empty: write when it is over", "until")
    member = form.label("member")
    return Raise(raise_id, budget.name, member, int(amount), now_ns, until_ns, name)


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("until is no time: write it as 2027-01-31T18:00", "until") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
