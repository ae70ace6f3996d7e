"""Preferences: what a request asks of its offers, in OpenRouter's words and with their meaning.

https://openrouter.ai/docs/guides/routing/provider-selection
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from benchmarks.offers import Offer, paid_tier


class Sort(StrEnum):
    """An order that replaces ours: no load is spread, and no other number counts."""

    PRICE = "price"
    THROUGHPUT = "throughput"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class MaxPrice:
    """Prices above which an offer is refused: USD per million tokens, per request and per image.
    None: no limit."""

    prompt: Decimal | None = None
    completion: Decimal | None = None
    request: Decimal | None = None
    image: Decimal | None = None
    audio: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """A percentile that an offer should keep; it orders offers, and refuses none.

    share: of the attempts, as 0.9 for p90. limit: ms to the first token, or tokens per second.
    """

    share: float
    limit: float


@dataclass(frozen=True, slots=True)
class Preferences:
    """order: providers to try first, in this order; with it, no load is spread. only, ignore:
    providers. A name matches a provider and all of its offers, or, as `provider/region`, one part
    of them. allow_fallbacks: whether others may be tried after those in `order`, or after the
    first.

    require_parameters: only offers that are known to take every parameter of the request.
    data_collection: False refuses all but those known neither to keep nor to train on what they are
    sent. zdr: only those known to keep nothing. quantizations: in lower case; `unknown` is one.

    sort: an order in place of ours; by_model: within each of the models that were asked for, in
    their order, or (False) among all of them.

    tiers: paid service tiers that may be used beside the one that was asked for: `:floor` lets
    `flex` compete, `:nitro` lets `priority`.

    offer_id: this offer and no other: how probes and evals ask.

    by_cost_alone: whatever order it asks for, a budget that runs out wants the cheapest first; of
    those that it does not exclude.
    """

    order: tuple[str, ...] = ()
    only: frozenset[str] | None = None
    ignore: frozenset[str] = frozenset()
    allow_fallbacks: bool = True
    require_parameters: bool = False
    data_collection: bool = True
    zdr: bool = False
    quantizations: frozenset[str] | None = None
    sort: Sort | None = None
    by_model: bool = True
    max_latency: tuple[Wish, ...] = ()
    min_throughput: tuple[Wish, ...] = ()
    max_price: MaxPrice | None = None
    tiers: frozenset[str] = frozenset()
    offer_id: str | None = None
    by_cost_alone: bool = False


NO_PREFERENCES = Preferences()


def matches(name: str, offer: Offer, *, with_tier: bool = False) -> bool:
    """Whether a provider's name in `order` or `only` means this offer.

    A bare name means all of a provider's offers but those of a paid service tier, which are only
    meant by name (`openai/priority`), or `with_tier`: where the tier was asked for otherwise.
    """
    provider, _, part = name.partition("/")
    if provider != offer.provider:
        return False
    tier = paid_tier(offer.service_tier)
    if not part:
        return with_tier or tier is None
    is_its_tier = tier is not None and tier == paid_tier(part)
    return is_its_tier or part in (offer.region, offer.quantization, offer.service_tier)


FAST_TIERS = frozenset(("priority", "fast"))
"""Two names of one tier."""


def is_ignored(offer: Offer, preferences: Preferences) -> bool:
    """A bare name in `ignore` means all of a provider's offers, those of a paid tier too."""
    return offer.provider in preferences.ignore or any(
        matches(name, offer) for name in preferences.ignore
    )


def admits_tier(offer: Offer, preferences: Preferences) -> bool:
    """Whether an offer of a paid service tier may be used though `service_tier` did not ask for it:
    its name is in `order` or `only`, it is pinned, or the suffix of the model lets it in."""
    return (
        paid_tier(offer.service_tier) in preferences.tiers
        or offer.id == preferences.offer_id
        or any(matches(name, offer) for name in (*preferences.order, *(preferences.only or ())))
    )
