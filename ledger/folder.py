"""Folder: what a journal says, on its way into the store.

It reads the journal again rather than keep it in memory, so that memory is bounded under any
backlog, and what happens after a crash is what happens all the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ledger.journal import START, Journal, Place
from ledger.journal_records import Ended, Held, decode

ENDS_AT_ONCE = 500
"""How many ends go into one transaction: some ms, then it is somebody else's turn."""
RECORDS_AT_ONCE = 4 * ENDS_AT_ONCE


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of a journal: holds that have ended, and the places before and after."""

    ends: tuple[tuple[Held, Ended], ...]
    before: Place
    after: Place


class _Open(NamedTuple):
    held: Held
    segment: int


class Folder:
    """Reads a journal from where the store has folded it to.

    Of one thread; `folded` and `done` may be asked elsewhere while no batch is being read.
    """

    def __init__(self, journal: Journal, folded: Place) -> None:
        self._journal = journal
        self.folded = folded
        self._open: dict[str, _Open] = {}
        self._batch: Batch | None = None
        # Holds that were taken before that place may end after it; but before the beginning of a
        # segment they were ended by whoever began there: its files alone were not removed in time.
        if folded.position:
            for record in journal.records(START, folded):
                self._note(decode(record.data), record.after.segment)

    def _note(self, record: Held | Ended, segment: int) -> tuple[Held, Ended] | None:
        if isinstance(record, Held):
            self._open[record.attempt_id] = _Open(record, segment)
            return None
        taken = self._open.pop(record.attempt_id, None)
        return None if taken is None else (taken.held, record)

    def batch(self, until: Place) -> Batch | None:
        """What is to be folded next, the same until it is `done`; None if all is, up to `until`."""
        if self._batch is not None:
            return self._batch
        ends: list[tuple[Held, Ended]] = []
        after = self.folded
        if not after < until:
            return None
        for count, record in enumerate(self._journal.records(self.folded, until), start=1):
            after = record.after
            pair = self._note(decode(record.data), after.segment)
            if pair is not None:
                ends.append(pair)
            if len(ends) >= ENDS_AT_ONCE or count >= RECORDS_AT_ONCE:
                break
        if after == self.folded:
            return None
        self._batch = Batch(tuple(ends), self.folded, after)
        return self._batch

    def done(self, batch: Batch) -> Place:
        """A batch is in the store. Returns the place before which the journal is needed no more."""
        if batch is not self._batch:
            raise ValueError("only the batch that was read last can be done")
        self.folded, self._batch = batch.after, None
        oldest = min((one.segment for one in self._open.values()), default=batch.after.segment)
        return batch.after._replace(segment=min(oldest, batch.after.segment))

    def left_open(self) -> tuple[Held, ...]:
        """Holds without an end, when everything has been read: their worker died."""
        return tuple(one.held for one in self._open.values())
