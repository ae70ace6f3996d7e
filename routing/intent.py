"""RoutingIntent: what one request needs of an offer."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.offers import Feature


@dataclass(frozen=True, slots=True)
class RoutingIntent:
    """A request as the router sees it: no text, only sizes and needs.

    model: a model name of the configuration.
    prompt_tokens: how many are expected.
    completion_tokens: how many are expected, over all choices; max_completion_tokens: the most
    that the client allows, per choice; None if it set no limit.
    """

    model: str
    prompt_tokens: int
    completion_tokens: int
    max_completion_tokens: int | None
    choices: int = 1
    features: frozenset[Feature] = frozenset()
