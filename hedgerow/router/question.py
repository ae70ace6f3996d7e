"""Question: what would be chosen now for a request of some size, and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from benchmarks.offers import Feature, Task
from benchmarks.snapshot import MarketSnapshot
from proxy.house import Manners
from proxy.terms import on_terms
from proxy.wires.vocabulary import for_router
from proxy.wires.wire import Ask
from routing.decide import Moment, Wanted, decide
from routing.decision import RouteDecision
from routing.intent import RoutingIntent
from routing.preferences import Preferences
from routing.second_offers import second_offer
from routing.state import State


@dataclass(frozen=True, slots=True)
class Question:
    """A request of which only its sizes are known, as RoutingIntent has them.

    model: a name of the configuration, also with :floor. provider: what the request says in its
    field `provider`, as JSON text; None if nothing.
    """

    model: str
    input_tokens: int
    output_tokens: int
    max_tokens: int | None = None
    task: Task = Task.CHAT
    needs: frozenset[Feature] = frozenset()
    units: int = 0
    provider: str | None = None

    def asked(self, names: Collection[str]) -> tuple[str, Preferences]:
        """The model without its suffix, and what is asked of its offers. Raises Invalid."""
        said = {} if self.provider is None else {"provider": msgspec.Raw(self.provider.encode())}
        ask = on_terms(for_router(Ask(self.model, Task.CHAT, 0), said), {}, names)
        return ask.model, ask.preferences


class Rules(Protocol):
    """How the requests of models are routed: a House, or a configuration alone."""

    @property
    def names(self) -> Collection[str]:
        """Of everything that can be asked for."""
        ...

    def models_of(self, name: str) -> tuple[str, ...]: ...

    def manners_of(self, model: str) -> Manners: ...


def chosen(
    question: Question, rules: Rules, snapshot: MarketSnapshot, state: State, now: Moment
) -> RouteDecision:
    """What a router in this state would do. Of a class, the offers of all its models.

    Raises Invalid for preferences that cannot be, KeyError for a model that is not in the snapshot.
    """
    model, preferences = question.asked(rules.names)
    expected = question.output_tokens
    if question.max_tokens is not None:
        expected = min(expected, question.max_tokens)
    intent = RoutingIntent(
        model=model,
        prompt_tokens=question.input_tokens,
        completion_tokens=expected if question.task.is_writing else 0,
        max_completion_tokens=question.max_tokens,
        features=question.needs,
        task=question.task,
        units=question.units,
        preferences=preferences,
    )
    its, wanted = rules.manners_of(model), []
    floor = its.limits.quality
    for name in rules.models_of(model):
        limits = rules.manners_of(name).limits
        limits = limits if floor is None else replace(limits, quality=floor)
        wanted.append(Wanted(replace(intent, model=name), limits))
    decision = decide([wanted], snapshot, state, now)
    if its.second_offer is None or not question.task.is_writing:
        return decision
    return replace(decision, second=second_offer(decision.candidates, its.second_offer, 0.0))
