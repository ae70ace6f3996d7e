"""Explanation: a decision as JSON text, to be kept with the request and read by people later."""

from __future__ import annotations

import json
from itertools import islice

import msgspec

from benchmarks.offers import Task
from ledger.money import usd_text
from routing.candidates import Candidate, First, Place, PlannedDraw
from routing.decision import RouteDecision
from routing.eligibility import Refusal
from routing.second_offers import SecondOffer

CANDIDATES_KEPT = 8
"""Of a decision; the rest is counted. Their texts are kept for as long as requests are."""
HEADER_BYTES = 6_000
"""Clients read headers of 8 KB at most, and names are as long as somebody makes them."""


class ExplainedOffer(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An offer and the reason for its place; a refused one has no cost and no place.

    model: the model of the configuration that it is of, where there are several. success, on_time:
    the chances that it answers, and in time. cached_tokens: of the prompt, those that were likely
    in its provider's cache. commitment: what it would draw on.
    """

    offer: str
    place: str
    expected_cost_nanos: int | None
    ttft_ms_p95: float | None
    error_rate: float | None
    why: str
    model: str | None = None
    success: float | None = None
    on_time: float | None = None
    cached_tokens: int = 0
    commitment: str | None = None


class ExplainedSecond(msgspec.Struct, frozen=True, gc=False):
    """The offer that is asked, too, where the first is silent for so long."""

    offer: str
    after_ms: float
    chance: float | None
    expected_extra_cost_nanos: int | None


class Explanation(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A decision without its market: what was known of each offer, in numbers.

    model: as it was asked for, so that of a class it is its name.
    choice: among the models of a class, what the prompt had to do with it.
    others: candidates after those that are named. exploring_nanos: how much worse the first was
    expected to be than the best, because it is not known well.
    """

    model: str
    prompt_tokens: int
    completion_tokens: int
    max_completion_tokens: int | None
    features: list[str]
    snapshot_version: int
    candidates: list[ExplainedOffer]
    refused: list[ExplainedOffer]
    task: str = Task.CHAT  # those that were kept before there was other work do not say
    units: int = 0
    first: str = First.VALUE
    others: int = 0
    exploring_nanos: int = 0
    usual_nanos: int | None = None
    second: ExplainedSecond | None = None
    choice: str | None = None


def explain(
    decision: RouteDecision, model: str | None = None, most: int = CANDIDATES_KEPT
) -> Explanation:
    """model: what was asked for, where that is no model but a class. most: candidates that are
    named."""
    intent = decision.intent
    several = len(decision.parts) > 1
    return Explanation(
        model=model or intent.model,
        prompt_tokens=intent.prompt_tokens,
        completion_tokens=intent.completion_tokens,
        max_completion_tokens=intent.max_completion_tokens,
        features=sorted(intent.features),
        snapshot_version=decision.snapshot_version,
        candidates=[
            _candidate(one, decision.first if at == 0 else First.VALUE, several=several)
            for at, one in enumerate(islice(decision.candidates, most))
        ],
        refused=[
            _refused(one, part.intent.model if several else None)
            for part in decision.parts
            for one in decision.refused_of(part)
        ],
        task=intent.task,
        units=intent.units,
        first=decision.first,
        others=max(0, len(decision.candidates) - most),
        exploring_nanos=decision.exploring_cost,
        usual_nanos=decision.usual_cost,
        second=_second(decision.second),
        choice=None if decision.choice is None else decision.choice.why,
    )


def _candidate(one: Candidate, first: First, *, several: bool) -> ExplainedOffer:
    listing = one.listing
    return ExplainedOffer(
        listing.offer.id,
        one.place,
        one.expected_cost,
        listing.seen.ttft_ms_p95,
        listing.seen.error_rate,
        _why(one, first),
        one.intent.model if several else None,
        _four_digits(listing.chances.success),
        _four_digits(listing.chances.on_time),
        one.cached_tokens,
        None if one.draw is None else one.draw.bid.commitment.id,
    )


def _refused(one: Refusal, model: str | None) -> ExplainedOffer:
    return ExplainedOffer(one.offer.id, one.reason, None, None, None, one.why, model)


def _four_digits(chance: float) -> float:
    return round(chance * 10_000) / 10_000  # thrice as fast as round(chance, 4)


def _why(one: Candidate, first: First) -> str:
    match first:
        case First.VALUE:
            pass
        case First.EXPLORED:
            return "tried, since it is not known well, and may be the best"
        case First.ASKED:
            return "the request asks for it"
        case First.TIE:
            return "drawn from those that are as good as the best"
    match one.place:
        case Place.READY:
            pass
        case Place.RESTING if one.is_at_limit:
            return "our accounts there are at their limits: tried only after the others"
        case Place.RESTING:
            return "failed lately: tried only after the others"
        case Place.SLOW:
            return "slow: too seldom within the limit on time"
        case Place.UNPROVEN:
            return "its quality is unknown: measure it with `hedgerow eval run`"
        case Place.ENDED:
            return f"its provider has ended it, says a feed: {one.listing.offer.ends_at:%Y-%m-%d}"
    if one.is_probe:
        return "back on trial after failures"
    if one.draw is not None:
        return _why_drawn(one.draw)
    if one.cached_tokens:
        return f"by its expected cost, with about {one.cached_tokens} tokens in its cache"
    return "by its expected cost"


def _why_drawn(draw: PlannedDraw) -> str:
    name = draw.bid.commitment.id
    if draw.is_overage:
        return f"by its expected cost, as overage of commitment {name}"
    if not draw.bid.rate:
        return f"draws on commitment {name}: nobody else is expected to need it"
    rate = usd_text(draw.bid.rate)
    return f"draws on commitment {name} at its bid price, {rate} USD per million capacity units"


def _second(one: SecondOffer | None) -> ExplainedSecond | None:
    if one is None:
        return None
    offer_id = one.candidate.listing.offer.id
    return ExplainedSecond(offer_id, one.after_ms, one.chance, one.expected_extra_cost)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Explanation).decode


def to_text(decision: RouteDecision, model: str | None = None) -> str:
    return _encode(explain(decision, model)).decode()


def to_header(decision: RouteDecision, model: str | None = None) -> str:
    """The same for an HTTP header, which has room for less: ASCII, and as many of the first offers
    as there is room for."""
    whole = explain(decision, model)
    most = CANDIDATES_KEPT
    while len(text := _few(whole, most)) > HEADER_BYTES and most:
        most -= 1
    return text


def _few(whole: Explanation, most: int) -> str:
    few = msgspec.structs.replace(
        whole,
        candidates=whole.candidates[:most],
        refused=whole.refused[:most],
        others=whole.others + max(0, len(whole.candidates) - most),
    )
    return json.dumps(msgspec.to_builtins(few), separators=(",", ":"))


def from_text(text: str) -> Explanation:
    """Raises ValueError for what `to_text` did not write."""
    return _decode(text)
