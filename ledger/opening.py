"""Opening the books: take a journal, end what a dead worker left in it, and begin."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from ledger.book import Book, Durability
from ledger.desk import Times
from ledger.errors import StoreUnavailable
from ledger.following import read_policy
from ledger.journal import Journal
from ledger.policy import Rules
from ledger.recovery import recover, writer_name
from ledger.store import Store


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a worker's journal is: in a folder of the host's journals, by its number."""

    journals: Path
    number: int = 0

    @property
    def folder(self) -> Path:
        return self.journals / str(self.number)


def node_of(journals: Path) -> str:
    """The name of this host's journals, made with them. Raises StoreUnavailable."""
    file = journals / "node"
    try:
        journals.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("x") as made:
                made.write(secrets.token_hex(4))
        except FileExistsError:
            pass
        return file.read_text().strip()
    except OSError as error:
        raise StoreUnavailable(
            f"cannot use {journals}: {error.strerror}; check the folder, its rights and the disk"
        ) from error


def open_book(
    store: Store,
    rules: Rules,
    slot: Slot,
    times: Times,
    *,
    durability: Durability = "process",
) -> Book:
    """Take over `store` and the slot's journal, end what a dead worker left in it, and begin.

    Needs a running loop. Raises StoreInUse while another worker has the slot, StoreUnavailable.
    """
    node = node_of(slot.journals)
    journal = Journal.open(slot.folder)
    try:
        writer_id, beyond = recover(
            store, journal, writer_name(node, slot.folder.name), times.now_ns()
        )
        journal.begin(beyond)
        with store.transaction():
            store.writers.move(writer_id, beyond, journal.tail, times.now_ns())
            policy = read_policy(store, rules, times.now_ns())
        return Book(
            *(store, journal, writer_id, journal.tail, policy, rules),
            durability=durability,
            times=times,
        )
    except BaseException:
        journal.close()
        raise
