"""Eligibility: whether an offer can serve a request at all, and if not, why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.offers import Feature, Offer, paid_tier
from benchmarks.quotes import Quote
from benchmarks.snapshot import Listing
from ledger.rates import RateCard
from ledger.usage import Unit
from routing.intent import RoutingIntent
from routing.limits import Floor
from routing.preferences import (
    FAST_TIERS,
    NO_PREFERENCES,
    MaxPrice,
    admits_tier,
    is_ignored,
    matches,
)


class Reason(StrEnum):
    """Why an offer was refused; part of what `explain` prints, and of what clients are told. Where
    OpenRouter has a word for it, it is that."""

    OTHER_OFFER = "other_offer"
    IGNORED_PROVIDER = "ignored_providers"
    NOT_ALLOWED_PROVIDER = "allowed_providers"
    NOT_IN_ORDER = "allow_fallbacks"
    NO_PRICE = "no_price"
    PRICE_LAPSED = "price_lapsed"
    OTHER_TIER = "other_tier"
    CACHE_UNPRICED = "cache_unpriced"
    WRONG_TASK = "wrong_task"
    LACKS_FEATURE = "lacks_feature"
    CONTEXT_TOO_SHORT = "context_too_short"
    OUTPUT_TOO_SHORT = "output_too_short"
    COST_UNBOUNDED = "cost_unbounded"
    TOO_LOW_QUALITY = "too_low_quality"
    MAY_TRAIN = "data_policy:training"
    MAY_KEEP = "data_policy:zdr"
    OTHER_QUANTIZATION = "quantization"
    LACKS_PARAMETER = "require_parameters"
    TOO_DEAR = "max_price"


SIZES = frozenset((Reason.CONTEXT_TOO_SHORT, Reason.OUTPUT_TOO_SHORT))
"""Against an offer for what a single request has, not its kind."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An offer that cannot serve the request. `why` is a sentence with the numbers."""

    listing: Listing
    reason: Reason
    why: str

    @property
    def offer(self) -> Offer:
        return self.listing.offer


SURELY_TOO_LONG = 2
"""Prompt estimates may be wrong; only one this many times too long for an offer refuses it."""
MOST_NAMED, MOST_SHOWN = 8, 50
"""Of the names in a request: how many are said back, and characters of each."""


def refusal(listing: Listing, intent: RoutingIntent, at_ns: int) -> Refusal | None:
    """The first reason against an offer, or None.

    What is unknown of an offer is no reason, except where a request asks for offers of which
    something is known: what becomes of its text, or that they take its parameters.

    at_ns: when the request is made, in nanoseconds since 1970.
    """
    offer = listing.offer
    has_preferences = intent.preferences is not NO_PREFERENCES
    if has_preferences and (not_meant := _not_meant(listing, intent)) is not None:
        return not_meant
    if listing.quote is None:
        return Refusal(
            listing,
            Reason.NO_PRICE,
            "no feed knows its price; give it one in the configuration (an unknown price is not 0)",
        )
    until = listing.quote.valid_until
    if until is not None and listing.quote.has_lapsed(at_ns):
        return Refusal(
            listing,
            Reason.PRICE_LAPSED,
            f"its price held until {until.isoformat()}, and nobody has named another since",
        )
    if (other_tier := _other_tier(listing, intent)) is not None:
        return other_tier
    if intent.long_cache and not all(
        card.cache_write_1h is not None for card in listing.quote.cards
    ):
        return Refusal(
            listing,
            Reason.CACHE_UNPRICED,
            "has no price for a prompt that is kept for an hour: give it one as cache_write_1h in"
            " the configuration, or ask for a cache_control of 5m",
        )
    if offer.tasks is not None and intent.task not in offer.tasks:
        does = ", ".join(sorted(offer.tasks)) or "nothing"
        why = f"does {does}, not {intent.task}; if it does, list its tasks in the configuration"
        return Refusal(listing, Reason.WRONG_TASK, why)
    per = listing.quote.rates.per
    if offer.tasks is None and per is None and intent.task.unit is not None:
        return Refusal(
            listing,
            Reason.COST_UNBOUNDED,
            f"has a price for tokens, and {intent.task} is sold by the {intent.task.unit}: give it"
            f" a price per {intent.task.unit}, or list {intent.task} in its tasks",
        )
    if per is not None and (per is not intent.task.unit or not intent.units):
        return Refusal(
            listing,
            Reason.COST_UNBOUNDED,
            f"is priced per {per}, and how many this request takes is not known",
        )
    if offer.features is not None and (missing := intent.features - offer.features):
        needs = ", ".join(sorted(missing))
        why = f"is not known to have {needs}; if it has, list its features in the configuration"
        return Refusal(listing, Reason.LACKS_FEATURE, why)
    if intent.task.is_writing and (too_long := _too_long(listing, intent)) is not None:
        return too_long
    if offer.context_tokens is None and Feature.VISION in intent.features:
        return Refusal(
            listing,
            Reason.COST_UNBOUNDED,
            "the tokens of an image are bounded only by its context, which is unknown:"
            " give the offer context_tokens in the configuration",
        )
    return _unwanted(listing, listing.quote, intent, at_ns) if has_preferences else None


def too_bad(listing: Listing, floor: Floor | None) -> Refusal | None:
    """Whether it is known to be below the floor; of unknown quality is not."""
    known = None if floor is None else listing.quality.get(floor.benchmark)
    if floor is None or known is None or known.low >= floor.at_least:
        return None
    why = (
        f"its quality on {floor.benchmark} is {known.score:.3f}, at least {known.low:.3f}:"
        f" {floor.at_least:g} is wanted"
    )
    return Refusal(listing, Reason.TOO_LOW_QUALITY, why)


def _not_meant(listing: Listing, intent: RoutingIntent) -> Refusal | None:
    """By its name."""
    offer, wanted = listing.offer, intent.preferences
    if wanted.offer_id is not None and offer.id != wanted.offer_id:
        return Refusal(listing, Reason.OTHER_OFFER, f"the request is for {wanted.offer_id} alone")
    if wanted.ignore and is_ignored(offer, wanted):
        return Refusal(listing, Reason.IGNORED_PROVIDER, "the request's provider.ignore names it")
    if wanted.only is not None:
        tiers = (*wanted.tiers, intent.service_tier)
        if not any(
            matches(one, offer, with_tier=paid_tier(offer.service_tier) in tiers)
            for one in wanted.only
        ):
            named = _named(wanted.only) or "nobody"
            why = f"the request's provider.only names {named}"
            if offer.service_tier is not None and offer.provider in wanted.only:
                why += f"; this service tier goes by {offer.provider}/{offer.service_tier}"
            return Refusal(listing, Reason.NOT_ALLOWED_PROVIDER, why)
    return None


def _other_tier(listing: Listing, intent: RoutingIntent) -> Refusal | None:
    """Who asks for a faster tier is served as usual where nobody serves at that; who asks for a
    cheaper one would rather wait."""
    offer, wanted = listing.offer, intent.service_tier
    own = paid_tier(offer.service_tier)
    if own == wanted or (own is None and wanted in FAST_TIERS):
        return None
    if own is not None and admits_tier(offer, intent.preferences):
        return None
    asked = "no paid service tier" if wanted is None else f"service tier {wanted[:50]}"
    why = f"serves at {own or 'its usual tier'}, the request asks for {asked}"
    return Refusal(listing, Reason.OTHER_TIER, why)


def _unwanted(listing: Listing, quote: Quote, intent: RoutingIntent, at_ns: int) -> Refusal | None:
    """By what it is. Nobody can take back a text that was sent: a data policy that is not known is
    none, and neither is a parameter that may be passed over."""
    offer, wanted = listing.offer, intent.preferences
    if wanted.zdr and offer.keeps_nothing is not True:
        is_known = offer.keeps_nothing is not None
        says = "keeps what it is sent" if is_known else _unsaid("keeps_nothing: true")
        return Refusal(
            listing, Reason.MAY_KEEP, f"{says}; the request's provider.zdr asks for none"
        )
    may_use = offer.may_train is not False and offer.keeps_nothing is not True
    if may_use and not wanted.data_collection:
        says = "may train on what it is sent" if offer.may_train else _unsaid("may_train: false")
        why = f"{says}; the request's provider.data_collection is deny"
        return Refusal(listing, Reason.MAY_TRAIN, why)
    if wanted.quantizations is not None:
        has = (offer.quantization or "unknown").lower()
        if has not in wanted.quantizations:
            asked = ", ".join(sorted(wanted.quantizations)) or "none"
            why = f"has quantization {has}, the request takes {asked}"
            return Refusal(listing, Reason.OTHER_QUANTIZATION, why)
    if wanted.require_parameters:
        missing = intent.parameters - (offer.parameters or frozenset())
        if missing:
            why = f"is not known to take {_named(missing)}; if it does, list all its parameters"
            why += " in the configuration"
            return Refusal(listing, Reason.LACKS_PARAMETER, why)
    if wanted.max_price is not None:
        why_dear = _too_dear(quote.card(intent.prompt_tokens, at_ns), wanted.max_price)
        if why_dear is not None:
            return Refusal(listing, Reason.TOO_DEAR, why_dear)
    return None


def _named(names: Collection[str]) -> str:
    """Names of a client's making: it may have written any number, of any length, and what is said
    of each offer is kept."""
    few = [one if len(one) <= MOST_SHOWN else f"{one[:MOST_SHOWN]}…" for one in sorted(names)]
    more = f" and {len(few) - MOST_NAMED} more" if len(few) > MOST_NAMED else ""
    return ", ".join(few[:MOST_NAMED]) + more


def _unsaid(policy: str) -> str:
    return (
        f"is not known to have the data policy {policy} (if it has, write `data: {{{policy}}}`"
        " under the provider, or the offer, in the configuration)"
    )


def _too_dear(card: RateCard, most: MaxPrice) -> str | None:
    """Which of its prices is above what the request pays at most. Tokens that a model thinks in are
    output, too."""
    output = card.output if card.reasoning is None else max(card.output, card.reasoning)
    limits = [
        (most.prompt, card.input, "million input tokens"),
        (most.completion, output, "million output tokens"),
        (most.request, card.request, "request"),
    ]
    if card.per is Unit.IMAGE:
        limits.append((most.image, card.unit, "image"))
    for limit, price, per in limits:
        if limit is not None and price > limit:
            pays = f"{limit.normalize():f}"
            return f"costs {price.normalize():f} USD per {per}, the request pays {pays} at most"
    if most.audio is not None and card.per in (Unit.SECOND, Unit.CHARACTER):
        return f"is priced per {card.per}, which the request's max_price.audio does not bound"
    return None


def _too_long(listing: Listing, intent: RoutingIntent) -> Refusal | None:
    """Of other work than writing nobody can tell beforehand: its limits are on each of its texts,
    and nobody sets any to its answer."""
    offer = listing.offer
    context = offer.context_tokens
    is_text = Feature.VISION not in intent.features  # of a document, bytes say little
    if is_text and context is not None and intent.prompt_tokens > SURELY_TOO_LONG * context:
        return Refusal(
            listing,
            Reason.CONTEXT_TOO_SHORT,
            f"takes {context} tokens, the prompt has about {intent.prompt_tokens}",
        )
    longest, wanted = offer.max_output_tokens, intent.max_completion_tokens
    if longest is not None and wanted is not None and wanted > longest:
        return Refusal(
            listing,
            Reason.OUTPUT_TOO_SHORT,
            f"writes at most {longest} tokens, the request allows {wanted}",
        )
    return None
