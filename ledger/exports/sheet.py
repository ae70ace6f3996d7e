"""Sheet: a file that takes rows one after the other, and is there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from ledger.errors import FileRefused
from ledger.exports.columns import Column, Row


class Sheet(Protocol):
    """An open file of rows."""

    def write(self, row: Row) -> None: ...

    def close(self) -> None: ...


Opened = Callable[[Path, tuple[Column, ...]], Sheet]


def write_sheet(
    path: Path, columns: tuple[Column, ...], rows: Iterable[Row], opened: Opened
) -> int:
    """Write all rows to `path`, and return how many. Raises FileRefused if it cannot be written.

    They go to a file beside it that takes its name at the end: what breaks off leaves the old one.
    """
    part = path.with_name(f"{path.name}.part")
    count = 0
    try:
        try:
            sheet = opened(part, columns)
            try:
                for count, row in enumerate(rows, start=1):  # noqa: B007 - the last is the count
                    sheet.write(row)
            finally:
                sheet.close()
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise FileRefused(
            f"cannot write {path}: {error.strerror or error}; name a file in a folder that is there"
            " and has room"
        ) from error
    return count
