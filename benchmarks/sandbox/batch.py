"""Batch: many requests in one file, answered in their own time, and what OpenAI says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from benchmarks.sandbox.bill import Billed

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
MAX_LINES = 10_000
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


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


class BatchRequest(Struct, frozen=True):
    """completion_window: a number and s, m, h or d; OpenAI knows only 24h."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None

    def window_s(self) -> int | None:
        """None for what is no window."""
        found = re.fullmatch(r"([1-9]\d{0,5})([smhd])", self.completion_window)
        return int(found[1]) * _SECONDS[found[2]] if found else None


class Line(Struct, frozen=True):
    custom_id: str
    method: Literal["POST"]
    url: str
    body: Raw


class LineWrong(Struct, frozen=True):
    """Why a batch failed before it began; lines are counted from 1."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


_line = msgspec.json.Decoder(Line)


def read_line(number: int, text: bytes, endpoint: str) -> Line | LineWrong:
    """A line of an input file."""
    try:
        line = _line.decode(text)
    except msgspec.ValidationError as error:
        return LineWrong("missing_required_parameter", f"{error}.", None, number)
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = "This line is not parseable as valid JSON."
        return LineWrong("invalid_json_line", message, None, number)
    if line.url != endpoint:
        message = "The URL provided for this request does not match the batch endpoint."
        return LineWrong("url_mismatch", message, "url", number)
    return line


@dataclass(slots=True)
class Results:
    """The lines of a file that is being written."""

    lines: list[bytes] = field(default_factory=list, repr=False)
    size: int = 0

    def add(self, line: bytes) -> None:
        self.lines.append(line + b"\n")
        self.size += len(line) + 1


@dataclass(slots=True)
class Batch:
    """lines: those not answered yet, the next one last. at: when each state began, in seconds."""

    id: str
    request: BatchRequest
    created_at: int
    expires_at: int
    source: bytes = field(repr=False)
    status: Status = Status.VALIDATING
    at: dict[Status, int] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list, repr=False)
    total: int = 0
    completed: int = 0
    failed: int = 0
    output: Results = field(default_factory=Results)
    errors: Results = field(default_factory=Results)
    output_file_id: str | None = None
    error_file_id: str | None = None
    wrong: LineWrong | None = None
    used: Billed = field(default_factory=Billed)

    def as_json(self) -> dict[str, Any]:
        wrong = None if self.wrong is None else {"object": "list", "data": [self.wrong]}
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.request.endpoint,
            "errors": wrong,
            "input_file_id": self.request.input_file_id,
            "completion_window": self.request.completion_window,
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
            "metadata": self.request.metadata,
            "usage": self._usage(),
        } | {f"{one}_at": self.at.get(one) for one in Status if one is not Status.VALIDATING}

    def _usage(self) -> dict[str, Any]:
        used = self.used
        return {
            "input_tokens": used.prompt_tokens,
            "input_tokens_details": {"cached_tokens": used.cached_tokens},
            "output_tokens": used.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used.prompt_tokens + used.completion_tokens,
        }
