"""Recovery: what a worker that died has left in its journal, into the store.

Every end that it wrote is folded. A hold without one may have been billed by its provider: it is
posted at its full amount, as an estimate. Only then do its slices return.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from ledger.errors import StoreInUse
from ledger.folder import Folder
from ledger.journal import Journal, Place
from ledger.journal_records import lost
from ledger.store import Store

log = logging.getLogger("hedgerow.ledger")

_END = Place(sys.maxsize, 0)


def recover(store: Store, journal: Journal, name: str, now_ns: int) -> tuple[int, Place]:
    """Fold all of a journal, and return its writer's slices. Its number, and a place beyond all
    that the journal says.

    May be tried again after any failure: what is folded is not folded twice.
    """
    with store.transaction():
        writer_id, place = store.writers.open(name, now_ns)
    folder = Folder(journal, place)
    while (batch := folder.batch(_END)) is not None:
        with store.transaction():
            store.writers.move(writer_id, batch.before, batch.after, now_ns)
            store.writers.write(writer_id, batch.ends)
        folder.done(batch)
    with store.view():  # a folder that was restored from a copy knows less than the books
        left = [one for one in folder.left_open() if not store.writers.has(one.attempt_id)]
    beyond = Place(max(folder.folded.segment, journal.last_segment) + 1, 0)
    with store.transaction():
        store.writers.move(writer_id, folder.folded, beyond, now_ns)
        store.writers.write(writer_id, [(one, lost(one, now_ns)) for one in left])
        store.leases.close(writer_id)
    if journal.damaged is not None:
        log.error(
            "the journal of worker %s cannot be read from %s on: charges that follow there are in"
            " no books; it is kept",
            *(name, journal.damaged),
        )
    if left:
        log.warning(
            "%d requests were under way when worker %s died: they are charged at their whole holds",
            len(left),
            name,
        )
    return writer_id, beyond


def adopt_dead(store: Store, journals: Path, node: str, now_ns: Callable[[], int]) -> list[str]:
    """Recover every journal of this host whose worker is dead; the names of those workers.

    One that lives has its journal's lock.
    """
    adopted = []
    for folder in sorted(one for one in journals.glob("*") if one.is_dir()):
        if not any(folder.glob("*.log")):
            continue
        try:
            journal = Journal.open(folder)
        except StoreInUse:
            continue
        done = False
        try:
            name = writer_name(node, folder.name)
            writer_id, _ = recover(store, journal, name, now_ns())
            with store.transaction():
                store.writers.close(writer_id, now_ns())
            done = True
            adopted.append(name)
        finally:
            journal.close(remove=done)
    return adopted


def writer_name(node: str, slot: str) -> str:
    return f"{node}.{slot}"
