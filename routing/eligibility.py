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
    PRICE_LAPSED = "price_lapsed"
    WRONG_TASK = "wrong_task"
    LACKS_FEATURE = "lacks_feature"
    CONTEXT_TOO_SHORT = "context_too_short"
    OUTPUT_TOO_SHORT = "output_too_short"
    COST_UNBOUNDED = "cost_unbounded"
    ENDED = "ended"
    TOO_LOW_QUALITY = "too_low_quality"


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


def refusal(listing: Listing, intent: RoutingIntent, at_ns: int) -> Refusal | None:
    """The first reason against an offer, or None. What is unknown of an offer is no reason.

    at_ns: when the request is made, in nanoseconds since 1970."""
    offer = listing.offer
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
