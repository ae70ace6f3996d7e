"""Observed: what workers have seen of offers in the last minutes, told to each other and to whoever
asks for the board: in the market's tables, a word for each minute of an offer and worker."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import msgspec

from benchmarks.tables.latest import Latest, Word
from benchmarks.traffic.observations import MINUTE_S, RECENT_MINUTES, Observations, Published
from ledger.databases.sql import Sql

KIND = "observed"
_NANOS_PER_S = 1_000_000_000
_RECENT_NS = RECENT_MINUTES * MINUTE_S * _NANOS_PER_S

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, Published]).decode


def tell(sql: Sql, worker: str, told: Iterable[Published], at_ns: int) -> None:
    """Write what a worker saw, in place of what it said of the same minutes before; what nobody
    needs any more goes. Within a transaction."""
    latest = Latest(sql, KIND)
    for one in told:
        name = f"{one.minute}/{worker}/{one.offer_id}"
        latest.put(Word(name, at_ns, _encode((worker, one))))
    latest.forget(at_ns - 2 * _RECENT_NS)


def told(sql: Sql, since_ns: int) -> list[tuple[str, Published]]:
    """What was written since, with the worker that saw it. What a worker of another version has
    written otherwise is left out: it is of a few minutes."""
    found = []
    for word in Latest(sql, KIND).all(since_ns):
        with suppress(msgspec.DecodeError):
            found.append(_decode(word.body))
    return found


def observed(sql: Sql, now_ns: int) -> Observations:
    """What all workers together have seen in the last minutes."""
    found = Observations()
    for worker, one in told(sql, now_ns - _RECENT_NS):
        found.absorb(worker, one)
    return found
