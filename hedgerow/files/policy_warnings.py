"""What is valid in policy files and hardly meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from hedgerow.config import Config, Policy
from hedgerow.errors import ConfigError
from hedgerow.files.policy_file import BudgetSpec, ThresholdSpec
from hedgerow.files.yaml_source import Places, Steps, shown
from ledger.budgets import DIMENSIONS, EACH, Budget, Mode
from ledger.directives import percent
from ledger.measures import Measure
from ledger.windows import Rolling


@dataclass(frozen=True, slots=True)
class _Written:
    """A budget, and where it stands."""

    spec: BudgetSpec
    budget: Budget
    places: Places
    steps: Steps

    def warning(self, steps: Steps, message: str, hint: str) -> ConfigError:
        return self.places.error((*self.steps, *steps), message, hint)

    @property
    def at(self) -> tuple[ThresholdSpec, ...]:
        return self.spec.at or ()


def policy_warnings(config: Config, now: datetime) -> Iterator[ConfigError]:
    """Budgets that guard less than they look, and increases that are over."""
    budgets = [
        _Written(spec, spec.budget(), policy.places, ("budgets", at))
        for policy in config.policies
        for at, spec in enumerate(policy.budgets)
    ]
    for one in budgets:
        yield from _lenient(one)
        yield from _out_of_reach(one)
        yield from _nothing_left(one, config)
        yield from _rolling(one)
    yield from _disjoint(budgets)
    timezones = {one.spec.name: one.spec.timezone for one in budgets}
    for policy in config.policies:
        yield from _over(policy, timezones, now)


def _lenient(one: _Written) -> Iterator[ConfigError]:
    """Budgets that refuse nothing."""
    if one.budget.mode is Mode.SHADOW:
        message, hint = (
            "refuses nothing: what would be refused is let through",
            "write mode: enforce",
        )
        if any(step.notify for step in one.at):
            yield one.warning(("mode",), f"{message}, and told", f"{hint} when its cap is right")
        else:
            hint = "name channels, as in at: [{spent: 80%, notify: […]}], or " + hint
            yield one.warning(("mode",), f"{message}, and nobody is told", hint)
    elif one.budget.most is None:
        at = next(at for at, step in enumerate(one.at) if step.then == "allow")
        acts = any(step.route or step.only_models or step.throttle for step in one.at)
        message = "the budget refuses nothing" + ("" if acts else ", and changes nothing")
        hint = "take it out, or write then: block at a higher part"
        yield one.warning(("at", at, "then"), message, hint)


def _out_of_reach(one: _Written) -> Iterator[ConfigError]:
    """Thresholds beyond the block, and at it: the last request that fits ends below."""
    if one.budget.most is None:
        return
    block = min((step.spent for step in one.at if step.then == "block"), default=Decimal(1))
    is_even = one.budget.measure is Measure.REQUESTS  # each is one: they add up to the cap
    for at, step in enumerate(one.at):
        steps: Steps = ("at", at, "spent")
        if step.spent > block:
            message = f"is never reached: the budget blocks at {percent(block)}"
            yield one.warning(steps, message, "write less, or then: block at more")
        elif step.spent == block and not is_even and step.model_fields_set - {"spent", "then"}:
            message = "is seldom reached: what does not fit is refused before all is spent"
            less = percent(step.spent - Decimal("0.01"))
            yield one.warning(steps, message, f"write what else happens then at {less} or less")


def _nothing_left(one: _Written, config: Config) -> Iterator[ConfigError]:
    """Lists of models that leave those whom the budget covers nothing."""
    scope = one.budget.scope
    for at, step in enumerate(one.at):
        if step.only_models is None:
            continue
        steps: Steps = ("at", at, "only_models")
        if scope.model not in (None, EACH, *step.only_models):
            message = f"leaves nothing: the budget covers {shown(scope.model or '')} alone"
            yield one.warning(steps, message, "add it, or write then: block")
        sold_by = {
            offer.provider for name in step.only_models for offer in config.model(name).offers
        }
        if scope.provider not in (None, EACH, *sold_by):
            message = f"leaves nothing: {shown(scope.provider or '')} sells none of them"
            yield one.warning(steps, message, "add one that it sells, or write then: block")


def _disjoint(budgets: list[_Written]) -> Iterator[ConfigError]:
    """Lists that leave a request nothing together: it may have reached them all."""
    lists = [
        (one, at, frozenset(step.only_models))
        for one in budgets
        if one.budget.mode is Mode.ENFORCE
        for at, step in enumerate(one.at)
        if step.only_models is not None
    ]
    for place, (one, at, names) in enumerate(lists):
        for other, its_at, its_names in lists[:place]:
            if names & its_names or not _overlap(one.budget, other.budget):
                continue
            line = other.places.line((*other.steps, "at", its_at, "only_models"))
            message = f"leaves nothing together with the list in {other.places.file}:{line}"
            yield one.warning(("at", at, "only_models"), message, "write a model that is in both")
            break


_SINGLE = [name for name in DIMENSIONS if name != "tag"]


def _overlap(one: Budget, other: Budget) -> bool:
    """Whether a request may draw on both. It may have several tags, and one of all the rest."""
    for name in _SINGLE:
        mine, its = getattr(one.scope, name), getattr(other.scope, name)
        if mine != its and mine not in (None, EACH) and its not in (None, EACH):
            return False
    return True


def _rolling(one: _Written) -> Iterator[ConfigError]:
    """How coarse a window is counted, and so how long something may count."""
    if isinstance(window := one.budget.window, Rolling):
        message = f"counts in steps of {_text(window.bucket)}: what was spent counts until the"
        message += " whole of its step is out of the window"
        yield one.warning(("window",), message, "write a calendar window if that is too long")


def _text(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % unit == 0:
            return f"{seconds // unit} {name}{'' if seconds == unit else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def _over(policy: Policy, timezones: dict[str, str], now: datetime) -> Iterator[ConfigError]:
    for at, one in enumerate(policy.increases):
        _, until = one.times(timezones[one.budget])
        if until <= now:
            message = f"is over since {until:%Y-%m-%d %H:%M} UTC"
            yield policy.places.error(("increases", at, "until"), message, "take it out")
