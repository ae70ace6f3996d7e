"""Eligibility: whether an offer can serve a request at all, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from benchmarks.offers import Feature, Offer
from benchmarks.snapshot import Listing
from routing.intent import RoutingIntent


class Reason(StrEnum):
    """Why an offer was refused; part of what `explain` prints."""

    NO_PRICE = "no_price"
    LACKS_FEATURE = "lacks_feature"
    CONTEXT_TOO_SHORT = "context_too_short"
    OUTPUT_TOO_SHORT = "output_too_short"
    COST_UNBOUNDED = "cost_unbounded"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An offer that cannot serve the request. `why` is a sentence with the numbers."""

    offer: Offer
    reason: Reason
    why: str


SURELY_TOO_LONG = 2
"""Prompt estimates may be wrong; only one this many times too long for an offer refuses it."""


def refusal(listing: Listing, intent: RoutingIntent) -> Refusal | None:
    """The first reason against an offer, or None. What is unknown of an offer is no reason."""
    offer = listing.offer
    if listing.quote is None:
        return Refusal(
            offer,
            Reason.NO_PRICE,
            "no feed knows its price; give it one in the configuration (an unknown price is not 0)",
        )
    if offer.features is not None and (missing := intent.features - offer.features):
        needs = ", ".join(sorted(missing))
        why = f"is not known to have {needs}; if it has, list its features in the configuration"
        return Refusal(offer, Reason.LACKS_FEATURE, why)
    context = offer.context_tokens
    if context is not None and intent.prompt_tokens > SURELY_TOO_LONG * context:
        return Refusal(
            offer,
            Reason.CONTEXT_TOO_SHORT,
            f"takes {context} tokens, the prompt has about {intent.prompt_tokens}",
        )
    longest, wanted = offer.max_output_tokens, intent.max_completion_tokens
    if longest is not None and wanted is not None and wanted > longest:
        return Refusal(
            offer,
            Reason.OUTPUT_TOO_SHORT,
            f"writes at most {longest} tokens, the request allows {wanted}",
        )
    if context is None and Feature.VISION in intent.features:
        return Refusal(
            offer,
            Reason.COST_UNBOUNDED,
            "the tokens of an image are bounded only by its context, which is unknown:"
            " give the offer context_tokens in the configuration",
        )
    return None
