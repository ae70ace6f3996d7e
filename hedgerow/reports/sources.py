"""Sources: where the figures of a document come from, numbered as they are first named."""

from __future__ import annotations

from hedgerow.reports.document import Source


class Sources:
    """Collects S1, S2, … while a document is laid out; what is the same has one number."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str | None, str | None, tuple[str, ...]], str] = {}

    def sql(self, says: str, sql: str) -> str:
        """The id of a query of the books, its parameters written in."""
        return self._id(says, sql, None, ())

    def computed(self, says: str, *of: str, command: str | None = None) -> str:
        """The id of what is computed from other sources, by their ids. command: prints it."""
        return self._id(says, None, command, tuple(dict.fromkeys(of)))

    def all(self) -> tuple[Source, ...]:
        return tuple(
            Source(id=number, says=says, sql=sql, command=command, of=of)
            for (says, sql, command, of), number in self._ids.items()
        )

    def _id(self, says: str, sql: str | None, command: str | None, of: tuple[str, ...]) -> str:
        return self._ids.setdefault((says, sql, command, of), f"S{len(self._ids) + 1}")
