"""House: everything that answering a request needs, handed in by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.market import Market
from ledger.book import Book
from proxy.clock import Clock
from proxy.dialects.openai import Provider
from proxy.upstream import Upstream
from routing.breaker import Breakers
from routing.decide import Limits
from routing.learned import Learned


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and how often. The deadline is to the first byte, over all attempts."""

    attempts: int = 3
    first_byte_timeout_s: float = 20.0
    idle_timeout_s: float = 30.0
    deadline_s: float = 60.0


@dataclass(slots=True)
class House:
    """One worker's parts. opened_at_s: since when it serves, in seconds since 1970."""

    book: Book
    market: Market
    upstream: Upstream
    providers: Mapping[str, Provider]
    clock: Clock
    random_bytes: Callable[[int], bytes]
    draw: Callable[[], float]
    opened_at_s: int
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    breakers: Breakers = field(default_factory=Breakers)
    learned: Learned = field(default_factory=Learned)
