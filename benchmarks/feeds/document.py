"""Document: the bytes of a feed, before anybody has looked at what they say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused

MOST_BYTES = 32 * 2**20
"""No document of a feed has as many: LiteLLM's, the largest, has five million."""
_SHOWN = 60

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass(frozen=True, slots=True)
class Document:
    """What a feed sent, or a file has.

    as_of: when it was stated, if whoever gave it says so (`Last-Modified`, a file's time).
    version: its own; a digest where it has none. etag: what to ask with whether it has changed.
    """

    body: bytes
    known_at: datetime
    as_of: datetime | None = None
    version: str = ""
    etag: str | None = None

    @property
    def name(self) -> str:
        return self.version or hashlib.sha256(self.body).hexdigest()[:12]


def decoded(body: bytes) -> Any:
    """What a JSON document says, its numbers as decimals. Raises FeedRefused for what is none."""
    refuse_unlikely(body)
    try:
        return _decode(body)
    except (ValueError, RecursionError) as error:
        raise undecodable(body, error) from error


def refuse_unlikely(body: bytes) -> None:
    """Raises FeedRefused for what is too large, or a page for people."""
    if len(body) > MOST_BYTES:
        raise FeedRefused(AlarmName.TOO_LARGE, f"{len(body)} bytes, more than {MOST_BYTES}")
    if body[:_SHOWN].lstrip().startswith(b"<"):
        raise FeedRefused(AlarmName.HTML, _shown(body))


def undecodable(body: bytes, error: Exception) -> FeedRefused:
    """Why a document could not be decoded: msgspec's errors, and UTF-8's, are ValueErrors."""
    name = AlarmName.TRUNCATED if "truncated" in str(error) else AlarmName.MALFORMED
    return FeedRefused(name, f"{error}, in {_shown(body)}")


def items(found: Any, key: str, where: str) -> list[Any]:
    """The list at a key of a document. Raises FeedRefused where there is none."""
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, list):
        raise FeedRefused(AlarmName.MALFORMED, f"{where} has no list `{key}`")
    return value


def _shown(body: bytes) -> str:
    text = " ".join(body[:_SHOWN].decode(errors="replace").split())
    return repr(text) if text else "nothing"
