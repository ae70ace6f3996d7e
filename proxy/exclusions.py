"""Exclusions: what a client is told when every offer was refused: by what, and how many each."""

from __future__ import annotations

from collections import Counter

from proxy.errors import Invalid
from routing.decision import RouteDecision
from routing.eligibility import Reason

_CODES = {
    Reason.CONTEXT_TOO_SHORT: "context_length_exceeded",
    Reason.NO_PRICE: "price_unknown",
}
"""What it is, if all offers agree."""
_FIELDS = {
    Reason.OTHER_OFFER: "x-hedgerow-offer",
    Reason.IGNORED_PROVIDER: "provider.ignore",
    Reason.NOT_ALLOWED_PROVIDER: "provider.only",
    Reason.NOT_IN_ORDER: "provider.order",
    Reason.MAY_TRAIN: "provider.data_collection",
    Reason.MAY_KEEP: "provider.zdr",
    Reason.OTHER_QUANTIZATION: "provider.quantizations",
    Reason.LACKS_PARAMETER: "provider.require_parameters",
    Reason.TOO_DEAR: "provider.max_price",
}
"""What of the request refuses them."""
MOST_TOLD = 5
"""Offers that are named with their reasons."""


def nothing_eligible(decision: RouteDecision, model: str) -> Invalid:
    """Every offer of a model or a class was refused: say why, in the client's terms if they all
    agree.

    In the error, as OpenRouter has it: `availability` with `excluded_by`, here each reason and how
    many offers it refused, and the `constraint` that refused most, if that is the request's own.
    """
    refused = decision.refused
    counts = Counter(one.reason for one in refused)
    only = next(iter(counts)) if len(counts) == 1 else None
    why = "; ".join(f"{one.offer.id} {one.why}" for one in refused[:MOST_TOLD])
    more = f"; and {len(refused) - MOST_TOLD} more" if len(refused) > MOST_TOLD else ""
    reason = next((one for one, _ in counts.most_common() if one in _FIELDS), None)
    constraint = None
    if reason is not None:
        detail = next(one.why for one in refused if one.reason is reason)
        constraint = {"field": _FIELDS[reason], "detail": detail}
    return Invalid(
        f"no offer of {model} can serve this request: {why}{more}",
        param="model" if only is None else _FIELDS.get(only, "model"),
        code="no_eligible_offer" if only is None else _CODES.get(only, "no_eligible_offer"),
        more={
            "availability": {
                "code": "no_endpoints" if reason is None else "constraint_filtered",
                "excluded_by": {_word(one): n for one, n in counts.most_common()},
                "constraint": constraint,
            }
        },
    )


def _word(reason: Reason) -> str:
    """OpenRouter's, where ours is another."""
    return "context_length" if reason is Reason.CONTEXT_TOO_SHORT else reason.value
