"""House: everything that answering a request needs, handed in by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from benchmarks.market import Market
from ledger.book import Book
from proxy.accounts import Accounts
from proxy.by_prompt import Chooser
from proxy.classes import ModelClass
from proxy.clock import Clock
from proxy.doors import Doors
from proxy.known_prompts import KnownPrompts
from proxy.patience import Patience
from proxy.providers import Provider
from proxy.replays import Replays
from proxy.splice import SpliceTally
from proxy.unheard import Unheard
from proxy.upstream import Upstream
from proxy.wires.wire import Ask
from routing.breaker import Breakers
from routing.learned import Learned
from routing.limits import Limits, SecondOfferRule
from routing.second_offers import SecondOffers
from routing.state import State
from routing.warmth import Warmth


@dataclass(frozen=True, slots=True)
class Manners:
    """How the requests of one model are routed and waited for.

    second_offer: when a second offer is asked for one of them; None: never.
    """

    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    second_offer: SecondOfferRule | None = None


@dataclass(slots=True)
class House:
    """One worker's parts. opened_at_s: since when it serves, in seconds since 1970. called: its
    name among all that share the books.

    manners: of all models but those in `own_manners`. classes: names that stand for several models.
    """

    book: Book
    market: Market
    upstream: Upstream
    providers: Mapping[str, Provider]
    clock: Clock
    random_bytes: Callable[[int], bytes]
    draw: Callable[[], float]
    opened_at_s: int
    manners: Manners
    own_manners: Mapping[str, Manners]
    doors: Doors
    replays: Replays
    accounts: Accounts
    called: str = ""
    classes: Mapping[str, ModelClass] = field(default_factory=dict)
    routing: State = field(default_factory=State)
    learned: Learned = field(default_factory=Learned)
    warmth: Warmth = field(default_factory=Warmth)
    known_prompts: KnownPrompts = field(default_factory=KnownPrompts)
    unheard: Unheard = field(default_factory=Unheard)
    second_offers: SecondOffers = field(default_factory=SecondOffers)
    splices: SpliceTally = field(default_factory=SpliceTally)

    @property
    def breakers(self) -> Breakers:
        return self.routing.breakers

    @property
    def names(self) -> Collection[str]:
        """Of everything that can be asked for: models, and classes of them."""
        models = self.market.snapshot.models
        return {**models, **self.classes} if self.classes else models

    def models_of(self, name: str) -> tuple[str, ...]:
        """The models that a name stands for."""
        its = self.classes.get(name)
        return (name,) if its is None else its.members

    def chooser_of(self, ask: Ask) -> Chooser | None:
        """What chooses by the prompt; None where nothing does, or the request has an order of its
        own."""
        its = self.classes.get(ask.model) if self.classes else None
        is_free = ask.preferences.by_model and ask.preferences.sort is None
        return its.chooser if its is not None and is_free else None

    def manners_of(self, model: str) -> Manners:
        return self.own_manners.get(model, self.manners)
