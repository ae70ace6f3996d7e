"""Randomness: the system's, drawn ahead for the ids of requests."""

from __future__ import annotations

import secrets

DRAWN_AT_ONCE = 4096


class DrawnAhead:
    """Random bytes of the system, for ids: secrets are drawn when they are made.

    Each draw from the system hands the interpreter to whoever waits for it, under load the writer
    of the books, and the event loop then waits in its turn: so it draws seldom. One for each
    process: two with the same drawn bytes would give the same ids.
    """

    def __init__(self) -> None:
        self._drawn = b""
        self._taken = 0

    def take(self, count: int) -> bytes:
        """So many bytes, none of which was given before."""
        if count > len(self._drawn) - self._taken:
            self._drawn, self._taken = secrets.token_bytes(max(count, DRAWN_AT_ONCE)), 0
        self._taken += count
        return self._drawn[self._taken - count : self._taken]
