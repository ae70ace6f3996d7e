"""Migration: one step from one version of the tables to the next, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.databases.sql import Sql


@dataclass(frozen=True, slots=True)
class Migration:
    """A step of the tables, with their rows. One that has landed is never changed.

    number: the version that it leads to. forward: makes it from the one before.
    back: makes the one before of it; returns what had no place there, a sentence for each. Raises
    CannotMigrate, with nothing changed, if something stands in the way.
    Both run within a transaction.
    """

    number: int
    name: str
    forward: Callable[[Sql], None]
    back: Callable[[Sql], tuple[str, ...]]

    @property
    def key(self) -> str:
        """What the database knows it by."""
        return f"m{self.number:03}_{self.name}"
