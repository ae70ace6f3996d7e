"""Batch: many requests in one file, answered in their own time, as OpenAI has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from ledger.usage import TokenUsage
from proxy.batches.upload import kept_s
from proxy.endpoints import Endpoint
from proxy.errors import Invalid
from proxy.wires import body as bodies

ENDPOINTS: Mapping[str, Endpoint] = {
    f"/v1/{one}": one
    for one in (
        Endpoint.CHAT,
        Endpoint.COMPLETIONS,
        Endpoint.RESPONSES,
        Endpoint.EMBEDDINGS,
        Endpoint.MODERATIONS,
    )
}
"""What the lines of a batch may ask for, as its `endpoint` says it."""
MOST_PAIRS, MOST_NAME_CHARS, MOST_VALUE_CHARS = 16, 64, 512
"""Of metadata."""
LONGEST_WINDOW_S = 7 * 86_400
_UNITS_S = {"h": 3600, "d": 86_400}


class Status(StrEnum):
    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


ENDED = frozenset((Status.FAILED, Status.COMPLETED, Status.EXPIRED, Status.CANCELLED))


@dataclass(frozen=True, slots=True)
class LineWrong:
    """Why a batch failed before it began; lines are counted from 1."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens of lines that were answered. What nobody counted is not in it."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0


def used_of(usage: TokenUsage | None) -> Used:
    if usage is None:
        return Used()
    return Used(usage.prompt or 0, usage.cached or 0, usage.completion or 0, usage.reasoning or 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """Times are seconds since 1970. at: when each status began. expires_at: the end of its window.

    key_id: the key that pays for its lines. output_expires_after: seconds that its files are kept.
    """

    id: str
    owner: str
    key_id: str
    input_file_id: str
    endpoint: str
    completion_window: str
    created_at: int
    expires_at: int
    output_expires_after: int | None = None
    metadata: dict[str, str] | None = None
    status: Status = Status.VALIDATING
    at: dict[str, int] = field(default_factory=dict)
    errors: tuple[LineWrong, ...] = ()
    output_file_id: str | None = None
    error_file_id: str | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    used: Used = field(default_factory=Used)

    @property
    def asks(self) -> Endpoint:
        return ENDPOINTS[self.endpoint]

    def as_json(self) -> dict[str, Any]:
        """As OpenAI tells it."""
        used = self.used
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": {"object": "list", "data": self.errors} if self.errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "request_counts": {
                "total": self.total,
                "completed": self.completed,
                "failed": self.failed,
            },
            "metadata": self.metadata,
            "usage": {
                "input_tokens": used.prompt,
                "input_tokens_details": {"cached_tokens": used.cached},
                "output_tokens": used.completion,
                "output_tokens_details": {"reasoning_tokens": used.reasoning},
                "total_tokens": used.prompt + used.completion,
            },
        } | {f"{one}_at": self.at.get(one) for one in Status if one is not Status.VALIDATING}


class _Expiry(msgspec.Struct):
    anchor: str
    seconds: int


class BatchRequest(msgspec.Struct):
    """What a batch is made of."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: _Expiry | None = None

    @property
    def window_s(self) -> int:
        return window_s(self.completion_window) or 0

    @property
    def kept_s(self) -> int | None:
        return None if self.output_expires_after is None else self.output_expires_after.seconds


_request = msgspec.json.Decoder(BatchRequest).decode


def read_request(body: bytes) -> BatchRequest:
    """Raises Invalid, naming the field."""
    request = bodies.read(_request, body, "a batch")
    if request.endpoint not in ENDPOINTS:
        raise _invalid(f"endpoint is none of {', '.join(ENDPOINTS)}", "endpoint")
    if window_s(request.completion_window) is None:
        raise _invalid("completion_window is a number of h or d up to 7d, as 24h", _WINDOW)
    if request.output_expires_after is not None:
        kept_s(request.output_expires_after.seconds, "output_expires_after")
        if request.output_expires_after.anchor != "created_at":
            raise _invalid("anchor is `created_at`, always", "output_expires_after")
    pairs = request.metadata or {}
    if (
        len(pairs) > MOST_PAIRS
        or any(len(one) > MOST_NAME_CHARS for one in pairs)
        or any(len(one) > MOST_VALUE_CHARS for one in pairs.values())
    ):
        why = f"metadata has at most {MOST_PAIRS} pairs, {MOST_NAME_CHARS} and {MOST_VALUE_CHARS}"
        raise _invalid(f"{why} characters long", "metadata")
    return request


_WINDOW = "completion_window"


def window_s(text: str) -> int | None:
    """The seconds of a completion window; None for what is none."""
    found = re.fullmatch(r"([1-9][0-9]{0,2})([hd])", text)
    seconds = int(found[1]) * _UNITS_S[found[2]] if found else 0
    return seconds if 0 < seconds <= LONGEST_WINDOW_S else None


def _invalid(why: str, param: str) -> Invalid:
    return Invalid(why, param=param, code="invalid_type")
