"""A lock beside the books: one `hedgerow serve` at a time.

What a dead worker left is ended when the books are opened; that is only right if no other worker
is alive. The kernel frees the lock when its holder dies, however it dies.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.errors import StoreInUse, StoreUnavailable


@contextmanager
def sole_server(books: Path) -> Iterator[int]:
    """Hold the lock of the books at `books`; its file descriptor. A process that inherits this one
    holds the lock as well, even when its parent has died. Raises StoreInUse, StoreUnavailable."""
    books = books.resolve()  # by whatever name: the same file has the same lock
    path = books.with_name(books.name + "-serve.lock")
    try:
        file = path.open("a")
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path}: {error.strerror}; check the folder and its rights"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreInUse(
                f"another `hedgerow serve` has the books at {books} open: stop it first,"
                " or name other books in ledger.url (or, on PostgreSQL, another folder of this"
                " host's in ledger.journal)"
            ) from None
        yield file.fileno()
