"""Upstream: how the story reaches a provider, whatever HTTP client does it.

UpstreamError
├── NotConnected    no connection, so nothing was sent and nothing can be billed
├── Late            no byte in time
├── Broken          the connection ended before the answer did
├── TooLong         more bytes than an answer may have
└── Diverged        it should go on with an answer, and says something else
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal, Protocol

from ledger.instants import instant


class UpstreamError(Exception):
    """The provider could not be asked, or did not answer in full. str() says how."""


class NotConnected(UpstreamError):
    pass


class Late(UpstreamError):
    pass


class Broken(UpstreamError):
    pass


class TooLong(UpstreamError):
    pass


class Diverged(UpstreamError):
    pass


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request to a provider. The limits are seconds of silence, to the first byte and after."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    first_byte_timeout_s: float
    idle_timeout_s: float
    method: Literal["POST", "GET", "DELETE"] = "POST"


class Answer(Protocol):
    """A provider's answer whose head has come. `close` it, whatever happens; twice does no harm."""

    status: int
    headers: Mapping[str, str]

    async def all(self, limit: int) -> bytes:
        """The whole body. Raises Broken, Late, TooLong."""

    async def some(self, within_s: float | None = None) -> bytes:
        """What has come since the last call, at least one byte; b"" only at the end.

        Raises Late after `within_s` seconds, or the idle limit if that is sooner; Broken.
        """

    def close(self) -> None:
        """Give the connection back; one whose answer was not read to its end is closed."""


class Upstream(Protocol):
    """An HTTP client."""

    async def send(self, request: UpstreamRequest) -> Answer:
        """Send, and wait for the head of the answer. Raises NotConnected, Late, Broken."""


def retry_after_s(headers: Mapping[str, str], now_ns: int) -> float:
    """Seconds that a 429 asks us to wait, a day at most; 1 if it does not say.

    In milliseconds, as OpenAI says it more exactly, else in seconds, or as a date.
    """
    try:
        return _within_a_day(float(headers.get("retry-after-ms", "")) / 1000)
    except ValueError:
        pass
    text = headers.get("retry-after", "")
    try:
        return _within_a_day(float(text))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 1.0
    if at.tzinfo is None:  # HTTP dates are GMT, also where one does not say so
        at = at.replace(tzinfo=UTC)
    return _within_a_day((at - instant(now_ns)).total_seconds())


def _within_a_day(seconds: float) -> float:
    return min(seconds, 86_400.0) if seconds > 0 else 0.0  # NaN is no time
