"""Offer: one way to buy a completion."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Feature(StrEnum):
    """What a request may need of an offer beside text in and text out."""

    TOOLS = "tools"
    VISION = "vision"
    JSON_SCHEMA = "json_schema"
    LOGPROBS = "logprobs"


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider's model, as it is sold. None means unknown, and refuses nothing.

    id: unique among the offers of a market: `provider/model`, and what tells twins apart.
    model: the provider's own name for it.
    context_tokens: the most that prompt and completion may have together.
    max_output_tokens: the most that a completion may have.
    """

    provider: str
    model: str
    region: str | None = None
    quantization: str | None = None
    service_tier: str | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    features: frozenset[Feature] | None = None
    id: str = field(init=False)

    def __post_init__(self) -> None:
        marks = [one for one in (self.region, self.quantization, self.service_tier) if one]
        name = "@".join([f"{self.provider}/{self.model}", *marks])
        object.__setattr__(self, "id", name)
