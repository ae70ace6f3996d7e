"""Limits: the most tokens that an attempt can use, so that a hold covers whatever comes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.offers import Feature, Offer
from benchmarks.quotes import Quote
from ledger.bid_prices import BidPrice
from ledger.commitments import NANOS_PER_MICRO_USD, CommitmentKind
from ledger.errors import BudgetExceeded
from ledger.measures import Measure
from ledger.money import Money
from proxy.errors import over_max_cost
from proxy.wires.wire import Ask
from routing.intent import RoutingIntent

TOOL_PROMPT_TOKENS = 512
"""What a provider may tell its model about how to call tools; billed, and in nobody's body."""
UNKNOWN_OUTPUT_LIMIT = 8192
"""Completion tokens that are held for an offer of which no limit is known."""
FAIR_SHARES = 16
"""A request without a limit may hold at most this fraction of what is left in its budgets..."""
DRAW_SHARES = 4
"""Or this fraction of what is left of a commitment that it draws on..."""
ANSWER_MARGIN = 4
"""...if that is so many times what an answer is expected to be long."""
LEAST_COMPLETION = 1024
"""...or so many tokens, if that is more and they can be afforded."""
PROMPT_MARGIN = 1.5
"""How far the prompt may be longer than expected, where a limit has to fit beside it."""


@dataclass(frozen=True, slots=True)
class OutputLimit:
    """The most completion tokens, per choice.

    told: what the provider is told of it, so that the hold is a bound whatever is known of the
    model; None where neither the client nor a budget limits it.
    """

    tokens: int
    told: int | None


def prompt_bound(body_bytes: int, intent: RoutingIntent, offer: Offer) -> int:
    """The most prompt tokens that the provider can count: a token is at least one byte of the body,
    and what a template adds around messages is less than their JSON. But an image is a short URL,
    which only the context bounds, and tools come with instructions of the provider's own."""
    if Feature.TOOLS in intent.features:
        body_bytes += TOOL_PROMPT_TOKENS
    if Feature.VISION in intent.features and offer.context_tokens is not None:
        return max(body_bytes, offer.context_tokens)
    return body_bytes


def room(refused: BudgetExceeded, quote: Quote, bound: int, ask: Ask) -> int:
    """The most completion tokens, per choice, with which an attempt would have fit into a budget
    that refused it; bound: its prompt's."""
    left = max(0, refused.left)
    match refused.measure:
        case Measure.USD:
            return quote.affordable_completion(Money(left), bound, ask.units) // ask.choices
        case Measure.TOKENS:
            return max(0, left - bound) // ask.choices
        case Measure.REQUESTS | Measure.PARALLEL | Measure.UNITS:
            return 0


def output_limit(
    offer: Offer, quote: Quote, intent: RoutingIntent, bound: int, left: Money | None
) -> OutputLimit:
    """For a client that named no limit: the model's own, or a fair share of what is left.

    left: in the tightest of its budgets; None without any: then nothing is cut short. At least 1
    token, so that a budget with nothing left refuses by its own numbers.
    """
    own = min((one for one in (offer.max_output_tokens, offer.context_tokens) if one), default=None)
    if left is None:
        return OutputLimit(own or UNKNOWN_OUTPUT_LIMIT, None)
    share = Money(max(0, left) // FAIR_SHARES)
    fair = quote.affordable_completion(share, bound) // intent.choices
    affordable = quote.affordable_completion(Money(max(0, left)), bound) // intent.choices
    most = max(1, fair, min(affordable, LEAST_COMPLETION))
    told = min(most, own or UNKNOWN_OUTPUT_LIMIT)
    if offer.context_tokens is not None:  # many refuse a limit that does not fit beside the prompt
        room = offer.context_tokens - math.ceil(PROMPT_MARGIN * intent.prompt_tokens)
        told = min(told, max(room, LEAST_COMPLETION))
    return OutputLimit(told, told)


def drawn_limit(
    limit: OutputLimit,
    bid: BidPrice,
    quote: Quote,
    intent: RoutingIntent,
    bound: int,
    at_ns: int,
) -> OutputLimit:
    """The same for what is to be drawn on a commitment: a fair share of what is left of that, as
    long as the answer is not likely to miss what is cut off. Else it stays as it is, and the hold
    says whether so much is left."""
    share = max(0, bid.left_at(at_ns)) // DRAW_SHARES
    if bid.commitment.kind is CommitmentKind.SPEND:
        most = quote.affordable_completion(Money(share * NANOS_PER_MICRO_USD), bound)
    else:
        most = bid.commitment.completion_within(share, bound)
    fair, expected = most // intent.choices, intent.completion_tokens // intent.choices
    if fair >= limit.tokens or fair < max(LEAST_COMPLETION, ANSWER_MARGIN * expected):
        return limit
    return OutputLimit(fair, fair)


def within_max_cost(
    ask: Ask, spent: Money, offer: Offer, quote: Quote, bound: int, least: int
) -> int | None:
    """The most completion tokens, per choice, with which a request costs no more than its client
    lets it; None if that sets no limit.

    spent: what its attempts have cost, and may still cost. bound: of its prompt. least: what the
    attempt must be able to write. Raises OverMaxCost if that may cost too much.
    """
    if ask.max_cost is None:
        return None
    left = Money(max(0, ask.max_cost - spent))
    needed = quote.worst_case(bound, least * ask.choices, ask.units)
    fits = quote.affordable_completion(left, bound, ask.units) // ask.choices
    if needed > left:
        raise over_max_cost(offer.id, ask.max_cost, spent, needed, fits if least else 0)
    return max(fits, least)
