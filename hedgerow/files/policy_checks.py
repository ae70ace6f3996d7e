"""Checks of budgets and increases across keys and files. They read the plain data, so that they
work while other keys are wrong."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hedgerow.files.config_errors import did_you_mean, fields_of, nearest
from hedgerow.files.policy_file import (
    CAPS,
    INCREASES,
    BudgetSpec,
    IncreaseSpec,
    ThresholdSpec,
    in_zone,
)
from hedgerow.files.settings import part_of_cap, when_of
from hedgerow.files.yaml_source import Data, Source, Steps, items_in, mapping_in, shown, text_in
from ledger.budgets import DIMENSIONS, EACH
from ledger.directives import THROTTLE_AT


@dataclass(frozen=True, slots=True)
class _Part:
    """A budget, threshold or increase as it is written: where, and what."""

    source: Source
    steps: Steps
    keys: dict[str, Data]

    def text(self, key: str) -> str | None:
        return text_in(self.keys.get(key))

    def refuse(self, key: str, message: str, hint: str) -> None:
        self.source.refuse((*self.steps, key), message, hint)

    def shown(self, *steps: str | int) -> str:
        """A value as it stands in the file: what may be shown."""
        return shown(self.source.written.get((*self.steps, *steps), ""))

    @property
    def line(self) -> int | None:
        return self.source.line(self.steps)

    def is_clear(self, known: Collection[str]) -> bool:
        """Whether no key is misspelt: that may be the one that is missed."""
        return self.keys.keys() <= set(known) and self.steps not in self.source.errors


def _parts(sources: list[Source], key: str) -> Iterator[_Part]:
    for source in sources:
        for at, keys in items_in(source.data.get(key)):
            yield _Part(source, (key, at), keys)


def _inner(part: _Part, key: str) -> Iterator[_Part]:
    for at, keys in items_in(part.keys.get(key)):
        yield _Part(part.source, (*part.steps, key, at), keys)


def check_policies(main: Source, sources: list[Source]) -> None:
    """All that keys and files must agree on, but the channels' names."""
    for source in sources:
        if not source.data:
            source.refuse((), "has neither budgets nor increases", "write budgets: [...]")
    models = mapping_in(main.data.get("models"))
    _check_names(sources)
    for budget in _parts(sources, "budgets"):
        _check_scope(main, budget)
        _check_cap(budget)
        _check_thresholds(budget)
        for threshold in _inner(budget, "at"):
            _check_models(threshold, models)
    _check_increases(sources)


def check_channels(sources: list[Source], known: Collection[str]) -> None:
    """Whoever is told is a channel that there is: nobody would hear of it."""
    for budget in _parts(sources, "budgets"):
        for threshold in _inner(budget, "at"):
            names = threshold.keys.get("notify")
            for at, name in enumerate(names if isinstance(names, list) else []):
                if isinstance(name, str) and name not in known:
                    message = f"no channel is called {threshold.shown('notify', at)}"
                    hint = did_you_mean(name, known) or "name it under notify in hedgerow.yaml"
                    budget.source.refuse((*threshold.steps, "notify", at), message, hint)


_RESERVED = tuple(f"{one} " for one in DIMENSIONS)
"""What the names of budgets begin with that are made by commands and over HTTP: `key key_01…`."""


def _check_names(sources: list[Source]) -> None:
    """A budget's name stands once over all files, and is none that others are given."""
    first: dict[str, str] = {}
    for budget in _parts(sources, "budgets"):
        if (name := budget.text("name")) is None:
            continue
        if start := next((one for one in _RESERVED if name.startswith(one)), None):
            message = f"names that begin with `{start}` are those of budgets made without a file"
            budget.refuse("name", message, "choose another name")
        if THROTTLE_AT in name:
            message = f"names with `{THROTTLE_AT.strip()}` in them are those of throttles"
            budget.refuse("name", message, "choose another name")
        if name in first:
            message = f"budget {budget.shown('name')} is already in {first[name]}"
            budget.refuse("name", message, "give one of them another name")
        line = budget.source.line((*budget.steps, "name"))
        first.setdefault(name, f"{budget.source.file}:{line}")


def _check_scope(main: Source, budget: _Part) -> None:
    """A budget of a model or provider is of one that there is: of another it would guard nothing.

    A key's id is in the books, and cannot be known here.
    """
    for kind in ("model", "provider"):
        known = mapping_in(main.data.get(f"{kind}s"))
        name = text_in(mapping_in(budget.keys.get("scope")).get(kind))
        if known and name is not None and name not in (EACH, *known):
            message = f"no {kind} is called {budget.shown('scope', kind)}"
            hint = _meant(name, known)
            budget.source.refuse((*budget.steps, "scope", kind), message, hint)


def _meant(name: str, known: Collection[str]) -> str:
    near = nearest(name, known)
    return (f'did you mean "{near}"? ' if near else "") + f"known here: {_some(known)}"


_SOME = 20


def _some(names: Collection[str]) -> str:
    """Names for people: the first of them, if they are many."""
    more = f", and {len(names) - _SOME} more" if len(names) > _SOME else ""
    return ", ".join(islice(names, _SOME)) + more


def _check_cap(budget: _Part) -> None:
    """One cap, over a window; what is under way at once is of no window, and is never spent."""
    if not budget.is_clear(fields_of(BudgetSpec)):
        return
    _check_one(budget, CAPS, "has no cap", "write, for example, cap_usd: 20000")
    has_window = "window" in budget.keys
    if "cap_parallel" not in budget.keys:
        if not has_window:
            budget.refuse("window", "is missing", "write, for example, window: month")
        return
    if has_window and budget.text("window") != "lifetime":
        message = "goes with no cap_parallel: it counts what is under way now"
        budget.refuse("window", message, "take it out")
    if "at" in budget.keys:
        message = "goes with no cap_parallel: nothing of it is ever spent"
        budget.refuse("at", message, "take it out")


def _check_one(part: _Part, keys: tuple[str, ...], message: str, hint: str) -> None:
    given = [key for key in keys if key in part.keys]
    if not given:
        part.source.refuse(part.steps, message, hint)
    for key in given[1:]:
        part.refuse(key, f"stands beside {given[0]}", "keep one, and make another of the other")


def _check_thresholds(budget: _Part) -> None:
    """Each part of the cap stands once, and says what happens."""
    first: dict[Decimal, int | None] = {}
    for threshold in _inner(budget, "at"):
        written = threshold.text("spent")
        if written is not None and (part := part_of_cap(written)) is not None:
            if part in first:
                message = f"{threshold.shown('spent')} is in line {first[part]} already"
                threshold.refuse("spent", message, "write all that happens then at one of them")
            first.setdefault(part, threshold.line)
        says = threshold.keys.keys() - {"spent"}
        if not says and threshold.is_clear(fields_of(ThresholdSpec)):
            hint = "write notify, route, only_models, throttle or then"
            budget.source.refuse(threshold.steps, "nothing happens then", hint)


def _check_models(threshold: _Part, known: Mapping[str, Data]) -> None:
    names = threshold.keys.get("only_models")
    for at, name in enumerate(names if isinstance(names, list) else []):
        if known and isinstance(name, str) and name not in known:
            message = f"no model is called {threshold.shown('only_models', at)}"
            steps: Steps = (*threshold.steps, "only_models", at)
            threshold.source.refuse(steps, message, _meant(name, known))


def _check_increases(sources: list[Source]) -> None:
    """Each is of a budget that there is, in its unit and of its members, and ends after it begins;
    one name stands once for each of them."""
    budgets = {one.text("name"): one for one in _parts(sources, "budgets")}
    first: dict[tuple[str, str | None, str], str] = {}
    for one in _parts(sources, "increases"):
        if one.is_clear(fields_of(IncreaseSpec)):
            _check_one(one, INCREASES, "says not by how much", "write, for example, by_usd: 500")
        name, of = one.text("budget"), one.text("name")
        if name is None:
            continue
        if (budget := budgets.get(name)) is None:
            known = [known for known in budgets if known]
            hint = _meant(name, known) if known else "only budgets of policy files are raised here"
            one.refuse("budget", f"no budget is called {one.shown('budget')}", hint)
            continue
        _check_unit(one, budget)
        _check_member(one, budget)
        _check_times(one, budget)
        if of is not None:
            place = f"{one.source.file}:{one.source.line((*one.steps, 'name'))}"
            if (key := (name, one.text("member"), of)) in first:
                message = f"increase {one.shown('name')} of this budget is already in {first[key]}"
                one.refuse("name", message, "give one of them another name")
            first.setdefault(key, place)


def _check_unit(one: _Part, budget: _Part) -> None:
    cap = next((key for key in CAPS if key in budget.keys), None)
    by = next((key for key in INCREASES if key in one.keys), None)
    if cap and by and cap.removeprefix("cap_") != by.removeprefix("by_"):
        message = f"raises a budget that has {cap}"
        one.refuse(by, message, f"write by_{cap.removeprefix('cap_')}")


_NAMED = re.compile(r"([a-z]+)=((?:[^,\\]|\\[,\\])*)")


def _check_member(one: _Part, budget: _Part) -> None:
    """A member is named as its account is: `team=a,user=b`, in the order of the scope."""
    if (member := one.text("member")) is None:
        return
    scope = mapping_in(budget.keys.get("scope"))
    each = [dimension for dimension in DIMENSIONS if scope.get(dimension) == EACH]
    if not each:
        message = 'its budget is one for all: nothing in its scope is "*"'
        one.refuse("member", message, "take it out")
        return
    named = list(_NAMED.finditer(member))
    if ",".join(found[0] for found in named) != member or [found[1] for found in named] != each:
        such = ",".join(f"{dimension}=NAME" for dimension in each)
        one.refuse("member", f"{one.shown('member')} is no member of its budget", f"write {such}")


def _check_times(one: _Part, budget: _Part) -> None:
    try:
        zone = ZoneInfo(budget.text("timezone") or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return  # an error of its own
    times = [_time(one.text(key), zone) for key in ("from", "until")]
    begins, until = times
    if begins is not None and until is not None and until <= begins:
        message = f"{one.shown('until')} is not after from"
        one.refuse("until", message, "write a later day or moment: it is not part of the increase")


def _time(written: str | None, zone: ZoneInfo) -> datetime | None:
    when = when_of(written) if written is not None else None
    return None if when is None else in_zone(when, zone)
