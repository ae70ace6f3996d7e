"""Offer: one way to buy a completion, or another kind of work."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ledger.usage import Unit


class Task(StrEnum):
    """A kind of work that is sold. What a request needs beside its kind is a Feature."""

    CHAT = "chat"
    COMPLETION = "completion"
    """Of a bare text, without messages."""
    EMBEDDING = "embedding"
    MODERATION = "moderation"
    IMAGE = "image"
    """Made from text."""
    SPEECH = "speech"
    """Text read out."""
    TRANSCRIPTION = "transcription"
    """Of audio into text, in its own language or another."""
    RERANK = "rerank"

    @property
    def unit(self) -> Unit | None:
        """What a request for it can be counted in, beside tokens."""
        return _UNITS.get(self)

    @property
    def is_writing(self) -> bool:
        """Whether it goes on until it is done, or until a limit that the client may set: all other
        work is as long as what it is made of."""
        return self in (Task.CHAT, Task.COMPLETION)


_UNITS = {
    Task.IMAGE: Unit.IMAGE,
    Task.SPEECH: Unit.CHARACTER,
    Task.TRANSCRIPTION: Unit.SECOND,
    Task.RERANK: Unit.SEARCH,
}


class Feature(StrEnum):
    """What a request may need of an offer beside text in and text out."""

    TOOLS = "tools"
    VISION = "vision"
    JSON_SCHEMA = "json_schema"
    LOGPROBS = "logprobs"


USUAL_TIERS = frozenset(("auto", "default", "standard", "standard_only", "on_demand"))
"""What requests, answers and configurations call the service that costs the usual price."""
_OTHERWISE_CALLED = {"fast": "priority"}


def paid_tier(name: str | None) -> str | None:
    """A service tier with prices of its own, by whatever word for it; None for the usual one."""
    if name is None or name in USUAL_TIERS:
        return None
    return _OTHERWISE_CALLED.get(name, name)


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider's model, as it is sold. None means unknown, and refuses nothing.

    id: unique among the offers of a market: `provider/model`, and what tells twins apart.
    model: the provider's own name for it.
    service_tier: what its provider is asked for in every request.
    context_tokens: the most that prompt and completion may have together; of work that is no
    writing, what each of its texts may have.
    max_output_tokens: the most that a completion may have.
    tasks: the kinds of work that it does.
    speaks_chat: it can be asked by a chat completion, as nearly all that write can; else by a
    response alone.
    parameters: the fields of a request that it takes, as `tools` or `seed`.
    may_train: whether its provider may keep or train on what it is sent; keeps_nothing: whether it
    is known to keep none of it (zero data retention).
    ends_at: from when on its provider no longer sells it.
    """

    provider: str
    model: str
    region: str | None = None
    quantization: str | None = None
    service_tier: str | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    features: frozenset[Feature] | None = None
    tasks: frozenset[Task] | None = None
    speaks_chat: bool = True
    parameters: frozenset[str] | None = None
    may_train: bool | None = None
    keeps_nothing: bool | None = None
    ends_at: datetime | None = None
    id: str = field(init=False)

    def __post_init__(self) -> None:
        marks = [one for one in (self.region, self.quantization, self.service_tier) if one]
        name = "@".join([f"{self.provider}/{self.model}", *marks])
        object.__setattr__(self, "id", name)
