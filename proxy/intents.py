"""Intents: what the router needs to know of a request, for each model that may serve it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from benchmarks.offers import paid_tier
from ledger.principals import Principal
from proxy.house import House
from proxy.known_prompts import LEAST_BYTES
from proxy.legs import Body
from proxy.wires.wire import Ask
from routing.decide import NOTHING_WARM, Wanted
from routing.intent import RoutingIntent
from routing.preferences import NO_PREFERENCES
from routing.warmth import Beginning


def wanted_of(
    ask: Ask, who: Principal, house: House, *, cheapest: bool = False
) -> list[list[Wanted]]:
    """The models that may serve it, in groups that are tried one after the other: those of a class
    stand together; those that a client lists stand for themselves, unless it says that the best of
    all may come first.

    cheapest: a budget that runs out wants only money to count, whatever the request asks for.
    """
    if cheapest and (ask.preferences is not NO_PREFERENCES or ask.service_tier is not None):
        ask = replace(ask, preferences=replace(ask.preferences, by_cost_alone=True))
    groups = [
        list(_of_name(name, ask, who, house, cheapest=cheapest))
        for name in (ask.model, *ask.fallbacks)
    ]
    if ask.preferences.by_model:
        return groups
    return [[one for group in groups for one in group]]


def _of_name(
    name: str, ask: Ask, who: Principal, house: House, *, cheapest: bool
) -> Iterator[Wanted]:
    its = house.classes.get(name)
    for model in house.models_of(name):
        limits = house.manners_of(model).limits
        if its is not None and its.quality is not None:
            limits = replace(limits, quality=its.quality)
        yield Wanted(
            intent_of(model, ask, who.key_id, house), limits.cheapest() if cheapest else limits
        )


MOST_TIER_CHARS = 100
"""Of a service tier's name: kinds of request are remembered by it."""


def intent_of(model: str, ask: Ask, key_id: str, house: House) -> RoutingIntent:
    most, learned, tier = ask.most_completion_tokens, house.learned, ask.service_tier
    completion = learned.completion_tokens(model, key_id)
    return RoutingIntent(
        model=model,
        prompt_tokens=learned.prompt_tokens(model, ask.prompt_bytes),
        completion_tokens=(completion if most is None else min(completion, most)) * ask.choices,
        max_completion_tokens=most,
        choices=ask.choices,
        features=ask.features,
        task=ask.task,
        units=ask.units,
        preferences=ask.preferences,
        service_tier=None if tier is None else paid_tier(tier[:MOST_TIER_CHARS]),
        long_cache=ask.long_cache,
        parameters=ask.parameters,
    )


def warm_for(ask: Ask, body: Body, who: Principal, house: House, now_s: float) -> Mapping[str, int]:
    """By offer, how many tokens of the prompt are likely in its provider's cache. Most requests are
    too short for any."""
    if ask.prompt_bytes < LEAST_BYTES:
        return NOTHING_WARM
    return house.warmth.expected(who.key_id, marks_of(ask, body), now_s)


def marks_of(ask: Ask, body: Body) -> Sequence[Beginning]:
    """By what it is known which prompts this one has a beginning in common with: its own messages,
    and what its client calls the conversation."""
    beginnings = body.conversation.beginnings
    if ask.session is None:
        return beginnings
    return (*beginnings, Beginning(b"session " + ask.session.encode(), ask.prompt_bytes))
