"""Folding: brings what the journal says into the store, behind the requests' backs.

It waits a little for company, takes so much at once, and goes on until nothing is left. While the
store cannot be written, the journal keeps it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from ledger.desk import Desk
from ledger.errors import StoreUnavailable
from ledger.folder import Batch, Folder
from ledger.grants import Grants
from ledger.journal import START, Journal, Place
from ledger.tables.writers import AlreadyFolded, Posted

log = logging.getLogger("hedgerow.ledger")

FOLD_EVERY_S = 0.05
"""How long what was spent waits for company."""
CARRIED_AFTER = 4
"""How many segments a hold may keep the journal from giving up; then it is written anew."""
FOLD_AGAIN_S = 0.25
LONGEST_AGAIN_S = 5.0
"""How long until it is tried again, if the store could not be written: at first, and at last."""


class Folding:
    """What drives a folder. Of the event loop, but for what it gives to the writer."""

    def __init__(
        self,
        desk: Desk,
        grants: Grants,
        journal: Journal,
        folder: Folder,
        carry: Callable[[int], None],
    ) -> None:
        """carry: writes holds anew that stand in a segment or before it, and are open still."""
        self._store = desk.store
        self._writer = desk.writer
        self._writer_id = desk.writer_id
        self._slices = desk.slices
        self._clock_ns = desk.times.now_ns
        self._grants = grants
        self._journal = journal
        self._folder = folder
        self._carry = carry
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_folding = self._is_over = False
        self._needed_from = START
        self._again_s = FOLD_AGAIN_S
        self._waiting: list[asyncio.Future[None]] = []
        self.error: Exception | None = None
        """Why the last try failed; None if it did not."""
        self.displaced: StoreUnavailable | None = None
        """Why this journal can never be folded any further; None if it can."""

    def soon(self) -> None:
        """There is something new in the journal."""
        if self._timer is None and not self._is_folding and not self._is_over:
            self._timer = self._loop.call_later(FOLD_EVERY_S, self._begin)

    @property
    def is_behind(self) -> bool:
        return self._folder.folded < self._journal.tail

    async def caught_up(self) -> None:
        """Wait until all that is in the journal now is in the store. Raises StoreUnavailable if it
        cannot be written."""
        until = self._journal.tail
        while self._folder.folded < until:
            waiting: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(waiting)
            if self._timer is not None:
                self._timer.cancel()
            if not self._is_folding:
                self._begin()
            await waiting

    def stop(self) -> None:
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer, self._is_folding = None, True
        until = self._journal.tail
        try:
            made = self._writer.submit(lambda: self._fold(until))
        except StoreUnavailable as unavailable:  # closed, or far behind
            self._failed(unavailable)
            return
        made.add_done_callback(self._done)

    def _fold(self, until: Place) -> tuple[Batch, list[Posted]] | None:
        """On the writer's thread, within a transaction."""
        self._journal.release(self._needed_from)  # that was committed: it is of an earlier one
        batch = self._folder.batch(until)
        if batch is None:
            return None
        writers = self._store.writers
        try:
            writers.move(self._writer_id, batch.before, batch.after, self._clock_ns())
        except AlreadyFolded as already:
            if already.place != batch.after:
                raise
            # An earlier transaction happened after all, though its answer was lost.
            return batch, writers.posted(batch.ends)
        posts = writers.write(self._writer_id, batch.ends, self._slices.held)
        with suppress(StoreUnavailable):  # a full disk is no reason not to make room on it
            self._journal.prepare()
        return batch, posts

    def _done(self, made: asyncio.Future[tuple[Batch, list[Posted]] | None]) -> None:
        error = made.exception()
        if isinstance(error, Exception):
            self._failed(error)
            return
        if self.error is not None:
            log.info("the books can be written again")
        self._is_folding, self.error, self._again_s = False, None, FOLD_AGAIN_S
        folded = made.result()
        if folded is not None:
            batch, posts = folded
            self._needed_from = self._folder.done(batch)
            if (old := self._journal.tail.segment - CARRIED_AFTER) >= self._needed_from.segment:
                self._carry(old)
            self._slices.folded(posts, self._clock_ns())
            self._grants.return_surplus()
        self._wake(None)
        if self.is_behind:
            self.soon()

    def _failed(self, error: Exception) -> None:
        self._is_folding = False
        if self.error is None:
            log.error("the journal waits, the books cannot be written: %s", error)
        self.error = error
        if isinstance(error, AlreadyFolded):
            self.displaced = StoreUnavailable(
                f"another process has folded a journal as this worker: was {self._journal.folder}"
                " copied, or the database restored? Stop this server, keep its journal, and start"
                " it with a journal of its own"
            )
        elif not self._is_over:
            self._timer = self._loop.call_later(self._again_s, self._begin)
        self._again_s = min(2 * self._again_s, LONGEST_AGAIN_S)
        if not isinstance(error, StoreUnavailable):
            error = self.displaced or StoreUnavailable(f"the journal cannot be folded: {error}")
        self._wake(error)

    def _wake(self, error: Exception | None) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if one.done():
                continue
            if error is None:
                one.set_result(None)
            else:
                one.set_exception(error)
