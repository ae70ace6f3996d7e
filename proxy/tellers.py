"""Tellers: how the events of a stream reach the client.

Teller (proxy/relay.py)
├── NamedTeller     events of messages and responses, as they came
└── ChunkTeller     chunks of a chat or a completion: as they came, out of another wire's events
                    (`heard_as`), into another wire's events (`told_as`), or both
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.endpoints import Endpoint
from proxy.errors import ProxyError
from proxy.wires import messages, responses
from proxy.wires.events import framed

DONE = b"data: [DONE]\n\n"


class NamedTeller:
    """The client speaks the provider's wire. `broken` is that wire's own error."""

    def __init__(self, broken: Callable[[ProxyError], bytes]) -> None:
        self.broken = broken

    def event(self, name: bytes, data: bytes) -> bytes:
        return framed(data, name)

    def close(self) -> bytes:
        return b""


def broken_end(endpoint: Endpoint, error: ProxyError) -> bytes:
    """The end of a stream of which nothing but heartbeats has gone out."""
    match endpoint:
        case Endpoint.MESSAGES:
            return messages.broken(error)
        case Endpoint.RESPONSES:
            return responses.broken(error)
        case _:
            return ToldAsChunks().broken(error)


class FromChunks(Protocol):
    """Chunks of a chat as events for the client (`translate.*.EventsFromChat`)."""

    def chunk(self, chunk: bytes) -> bytes: ...

    def close(self) -> bytes: ...

    def broken(self, error: ProxyError) -> bytes: ...


class ToldAsChunks:
    """For a client that speaks chat, or completions."""

    def chunk(self, chunk: bytes) -> bytes:
        return framed(chunk)

    def close(self) -> bytes:
        return DONE

    def broken(self, error: ProxyError) -> bytes:
        """An error where clients look for one, and no [DONE]."""
        end = b'"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}'
        return framed(error.body()[:-1] + b"," + end)


class ChunkTeller:
    """Everything in between is a chunk. The provider's events are chunks unless `heard_as` says
    which they are."""

    def __init__(
        self, told_as: FromChunks, heard_as: Callable[[bytes], list[bytes]] | None = None
    ) -> None:
        self._told_as = told_as
        self._heard_as = heard_as

    def event(self, name: bytes, data: bytes) -> bytes:  # noqa: ARG002 - the data says it all
        if self._heard_as is not None:
            return b"".join([self._told_as.chunk(one) for one in self._heard_as(data)])
        return b"" if data == b"[DONE]" else self._told_as.chunk(data)

    def close(self) -> bytes:
        return self._told_as.close()

    def broken(self, error: ProxyError) -> bytes:
        return self._told_as.broken(error)
