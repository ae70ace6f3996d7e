"""Explanation: a decision as JSON text, to be kept with the request and read by people later."""

from __future__ import annotations

import msgspec

from benchmarks.offers import Task
from routing.decision import Candidate, Place, RouteDecision, SecondOffer


class ExplainedOffer(msgspec.Struct, frozen=True, gc=False):
    """An offer and the reason for its place; a refused one has no cost and no place."""

    offer: str
    place: str
    expected_cost_nanos: int | None
    ttft_ms_p95: float | None
    error_rate: float | None
    why: str


class ExplainedSecond(msgspec.Struct, frozen=True, gc=False):
    """The offer that is asked, too, where the first is silent for so long."""

    offer: str
    after_ms: float
    chance: float | None
    expected_extra_cost_nanos: int | None


class Explanation(msgspec.Struct, frozen=True, gc=False):
    """A decision without its market: what was known of each offer, in numbers."""

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
    second: ExplainedSecond | None = None


def explain(decision: RouteDecision) -> Explanation:
    intent = decision.intent
    return Explanation(
        model=intent.model,
        prompt_tokens=intent.prompt_tokens,
        completion_tokens=intent.completion_tokens,
        max_completion_tokens=intent.max_completion_tokens,
        features=sorted(intent.features),
        snapshot_version=decision.snapshot_version,
        candidates=[
            ExplainedOffer(
                one.listing.offer.id,
                one.place,
                one.expected_cost,
                one.listing.seen.ttft_ms_p95,
                one.listing.seen.error_rate,
                _why(one),
            )
            for one in decision.candidates
        ],
        refused=[
            ExplainedOffer(one.offer.id, one.reason, None, None, None, one.why)
            for one in decision.refused
        ],
        task=intent.task,
        units=intent.units,
        second=_second(decision.second),
    )


def _second(one: SecondOffer | None) -> ExplainedSecond | None:
    if one is None:
        return None
    offer_id = one.candidate.listing.offer.id
    return ExplainedSecond(offer_id, one.after_ms, one.chance, one.expected_extra_cost)


def _why(one: Candidate) -> str:
    if one.place is Place.RESTING:
        return "failed lately: tried only after the others"
    if one.place is Place.SLOW:
        return "slow: its p95 to the first token is over the limit"
    return "back on trial after failures" if one.is_probe else "by its expected cost"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Explanation).decode


def to_text(decision: RouteDecision) -> str:
    return _encode(explain(decision)).decode()


def from_text(text: str) -> Explanation:
    """Raises ValueError for what `to_text` did not write."""
    return _decode(text)
