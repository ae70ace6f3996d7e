"""Channel: a way to tell people."""

from __future__ import annotations

from typing import Protocol

from ledger.notices import Notice


class Channel(Protocol):
    async def send(self, notice: Notice) -> None:
        """Tell them, within a time of its own; once it returns, the other side has it.

        Raises NotSent, and may then have been heard all the same: the id says so to who looks.
        """
