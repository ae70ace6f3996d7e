"""RoutingIntent: what one request needs of an offer."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.offers import Feature, Task
from routing.preferences import NO_PREFERENCES, Preferences


@dataclass(frozen=True, slots=True)
class RoutingIntent:
    """A request as the router sees it: no text, only sizes and needs.

    model: a model name of the configuration.
    prompt_tokens: how many are expected.
    completion_tokens: how many are expected, over all choices; max_completion_tokens: the most
    that the client allows, per choice; None if it set no limit. Of work that is no writing
    (`Task.is_writing`) it is a bound of our own.
    task: the kind of work. units: how many it takes at most of what such work can be counted in
    beside tokens (`Task.unit`), as images or seconds of audio; 0 if that cannot be told.
    preferences: what it asks of its offers. parameters: its fields, as `seed`; only known where
    `require_parameters` asks. service_tier: one with prices of its own, if it asks for
    one (`offers.paid_tier`). long_cache: some of its prompt is to be remembered for an hour.
    """

    model: str
    prompt_tokens: int
    completion_tokens: int
    max_completion_tokens: int | None
    choices: int = 1
    features: frozenset[Feature] = frozenset()
    task: Task = Task.CHAT
    units: int = 0
    preferences: Preferences = NO_PREFERENCES
    parameters: frozenset[str] = frozenset()
    service_tier: str | None = None

    @property
    def tokens(self) -> int:
        """Of prompt and answer, as expected."""
        return self.prompt_tokens + self.completion_tokens

    long_cache: bool = False
