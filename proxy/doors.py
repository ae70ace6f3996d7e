"""Doors: how many requests of one key are under way at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from proxy.errors import TooManyAtOnce

RETRY_AFTER_S = 1.0


class Doors:
    """most: per key; None for no limit."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._inside: dict[str, int] = {}

    @contextmanager
    def inside(self, key_id: str) -> Iterator[None]:
        """Raises TooManyAtOnce. A request that is refused takes no place."""
        now = self._inside.get(key_id, 0)
        if self._most is not None and now >= self._most:
            raise TooManyAtOnce(
                f"this key has {now} requests under way, and may have {self._most} at once:"
                " wait for one of them",
                retry_after_s=RETRY_AFTER_S,
            )
        self._inside[key_id] = now + 1
        try:
            yield
        finally:
            self._inside[key_id] -= 1
            if not self._inside[key_id]:
                del self._inside[key_id]
