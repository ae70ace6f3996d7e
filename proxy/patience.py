"""Patience: how long, how often, and what when a stream breaks; per model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StreamRescue(StrEnum):
    """What to do for a stream that breaks after its first byte.

    ERROR: tell the client. BUFFER: give the client nothing until the answer is whole, and start
    anew elsewhere if it breaks. PREFIX_MATCH: start anew elsewhere, and go on from where the new
    answer says what has been delivered already, word for word.
    """

    ERROR = "error"
    BUFFER = "buffer"
    PREFIX_MATCH = "prefix_match"


@dataclass(frozen=True, slots=True)
class Patience:
    """The deadline is to the first byte, over all attempts.

    heartbeat_s: a stream that is silent for so long is kept alive by a comment; None: never.
    """

    attempts: int = 3
    first_byte_timeout_s: float = 20.0
    idle_timeout_s: float = 30.0
    deadline_s: float = 60.0
    stream_rescue: StreamRescue = StreamRescue.ERROR
    heartbeat_s: float | None = None
    unheard_s: float = 600.0
    """How much longer a plain answer is heard out that came too late for its client."""
