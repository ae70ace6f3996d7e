"""Wire: how one endpoint's requests, answers and events are read. Pure; bytes in, values out.

A wire is the same at both doors: what a client sends us, and what we send a provider that speaks
the same. Where they differ, `translate` stands between two wires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from benchmarks.offers import Feature, Task
from ledger.money import Money
from ledger.usage import TokenUsage
from proxy.endpoints import Endpoint
from proxy.providers import Provider
from routing.preferences import NO_PREFERENCES, Preferences


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for: all that routing, holding and metering need of it.

    prompt_bytes: the prompt has no more tokens than this, images and tools' own words apart.
    most_completion_tokens: the client's limit, per choice; None if it set none; 0 where the answer
    has no tokens. units: of what the offer is priced by, where that is not tokens; the most there
    can be. wants_usage: the client asked for the usage of its stream. is_greedy: the same request
    may well get the same answer again, word for word (temperature 0).

    fallbacks: models to try after `model`, in their order. parameters: the fields of the request
    that a provider may not know; only where `require_parameters` asks for such as do. session: of
    the same client's conversation. max_cost: the most that the request may cost, over all attempts.
    service_tier: in the client's own word. long_cache: a provider is to remember some of the prompt
    for an hour.
    """

    model: str
    task: Task
    prompt_bytes: int
    stream: bool = False
    choices: int = 1
    most_completion_tokens: int | None = None
    units: int = 0
    features: frozenset[Feature] = frozenset()
    wants_usage: bool = True
    is_greedy: bool = False
    fallbacks: tuple[str, ...] = ()
    preferences: Preferences = NO_PREFERENCES
    service_tier: str | None = None
    long_cache: bool = False
    parameters: frozenset[str] = frozenset()
    session: str | None = None
    max_cost: Money | None = None


@dataclass(frozen=True, slots=True)
class Plain:
    """A whole answer: its usage, None if it named none, and how much text it carries.

    tier: the service tier that it was served at, in its provider's words; None if it says nothing.
    """

    usage: TokenUsage | None
    text_bytes: int = 0
    tier: str | None = None


class Heard(msgspec.Struct, gc=False):
    """What one event of a stream says.

    pieces: it brought some of the answer. keeps: it is kept back until the charge is in the books.
    only_usage: nobody misses it who did not ask for usage. ends: the provider's last word.
    fault: the provider says that the answer failed, in its own words. tier: as of a whole answer;
    the last one that is named counts.
    """

    text_bytes: int = 0
    pieces: int = 0
    usage: TokenUsage | None = None
    keeps: bool = False
    only_usage: bool = False
    ends: bool = False
    fault: str | None = None
    tier: str | None = None


class Reader(Protocol):
    """Reads one stream of a provider, event by event."""

    @property
    def ending(self) -> tuple[bytes, bytes] | None:
        """The name and data of a provider's last word, for those who forget to say it; None if an
        answer without it is not whole."""

    @property
    def complete(self) -> bool:
        """The provider has said that the answer is whole, all of its choices."""

    def read(self, name: bytes, data: bytes) -> Heard | None:
        """One event: its name (b"" without one) and data. None if it cannot be understood."""

    def with_cost(self, data: bytes, cost: Money) -> bytes:
        """An event that was kept back, with the cost in its usage if it has one."""


class Wire(Protocol):
    """One endpoint."""

    endpoint: Endpoint

    def ask(self, body: bytes, content_type: str) -> Ask:
        """Raises Invalid, naming the field, for what is no such request or cannot be priced."""

    def rewrite(
        self, body: bytes, content_type: str, provider: Provider, model: str, limit: int | None
    ) -> bytes:
        """The body for one offer: its model name, usage asked for, and the limit that was held
        (per choice; None leaves the client's own). Every other field passes through."""

    def plain(self, body: bytes, ask: Ask) -> Plain | None:
        """None for what is no such answer: the provider talks nonsense."""

    def reader(self, ask: Ask) -> Reader:
        """For a stream."""

    def with_cost(self, body: bytes, cost: Money) -> bytes:
        """A whole answer with `usage.cost` (USD) in it, if it has a usage."""
