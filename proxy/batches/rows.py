"""Rows: lines and jobs as they are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from proxy.batches.batch import Used
from proxy.batches.line import State


class JobState(StrEnum):
    """How far a provider's job is; each is entered before what it stands for is tried."""

    HOLDING = "holding"
    UPLOADING = "uploading"
    CREATING = "creating"
    CREATED = "created"
    RETURNING = "returning"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Job:
    """Lines of one batch that a provider runs as a batch of its own.

    offer_model: its name of the model. account: of ours there, the same for the job's whole life.
    round: how often it began to hold money: attempts of each have ids of their own.
    share_nanos: the most that a line without a limit of its own may hold; None where no budget
    limits it. input_id, batch_id: the provider's names of its input and of itself.
    """

    id: str
    batch: str
    state: JobState
    model: str
    provider: str
    offer_model: str
    account: str | None = None
    round: int = 0
    share_nanos: int | None = None
    input_id: str | None = None
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line, and where it stands."""

    number: int
    custom_id: str
    at: int
    bytes: int
    state: State
    job: str | None = None
    attempt_id: str | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a line got. used: what it said to have used."""

    number: int
    text: bytes
    is_error: bool
    used: Used = field(default_factory=Used)
