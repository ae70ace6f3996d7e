"""Exchange: one request and the ways to answer it, whatever transport carries them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

Headers = list[tuple[str, str]]
JSON = ("Content-Type", "application/json")
EVENTS = ("Content-Type", "text/event-stream; charset=utf-8")


class Exchange(Protocol):
    """What a transport hands to the story.

    path: decoded. headers: names in lower case.
    abandonable: set by the story. While it is True, a client that leaves, or has left, cancels the
    story where it waits; while it is False, the story goes on unheard.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    abandonable: bool

    @property
    def has_begun(self) -> bool:
        """Whether anything of an answer has gone out: what follows can only be its rest."""

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer at once."""

    async def open(self, status: int, headers: Headers) -> None:
        """Begin a stream."""

    async def write(self, data: bytes) -> None:
        """More of the stream; waits while the client reads more slowly than we write.

        Raises ConnectionError for a client that is gone, or that has stopped reading.
        """

    async def finish(self, data: bytes) -> None:
        """The last of the stream."""

    async def fail(self, data: bytes) -> None:
        """The last of a stream that ends in an error, which `data` tells."""
