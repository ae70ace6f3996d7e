"""Hours: what all workers saw of offers, hour by hour, kept when their minutes are forgotten.

A worker's word on a minute is of use to the market for five of them (`observed`). Before it goes,
one of all workers adds it to its offer's hour: counts, and sketches, so that percentiles of any
span of hours are as right as those of a minute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from benchmarks.tables.latest import Latest, Word
from benchmarks.traffic.observations import (
    MINUTE_S,
    Minute,
    Published,
    Seen,
    minute_of,
    published,
    summed,
)
from benchmarks.traffic.observed import told
from ledger.databases.sql import Sql

HOUR_S = 3600
HOURS_KEPT = 31 * 24
"""Some megabytes for each offer that is asked all day."""
LATE_MINUTES = 1
"""After its end a minute is added: until then its workers say more of it."""
MOST_STEPS = 500
"""Of a history, whatever its span."""

_KIND, _UNTIL = "seen in an hour", "seen in hours until"
_MINUTES = HOUR_S // MINUTE_S
_NANOS_PER_S = 1_000_000_000
_MINUTE_NS = MINUTE_S * _NANOS_PER_S
_HOUR_NS = HOUR_S * _NANOS_PER_S

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Published).decode


@dataclass(frozen=True, slots=True)
class Counts:
    """Attempts by how they ended, as in `observations.Outcome`."""

    answered: int
    failed: int
    rate_limited: int
    truncated: int
    overtaken: int

    @property
    def attempts(self) -> int:
        known = self.answered + self.failed + self.rate_limited + self.truncated
        return known + self.overtaken


@dataclass(frozen=True, slots=True)
class Step:
    """What was seen of an offer in `[since_ns, until_ns)`, in nanoseconds since 1970. seen:
    percentiles and rates."""

    since_ns: int
    until_ns: int
    counts: Counts
    seen: Seen


def add_up(sql: Sql, now_ns: int) -> int:
    """Add the minutes that have ended since the last time to their hours, in a transaction of its
    own; how many words that were. One program at a time."""
    until = now_ns // _MINUTE_NS - LATE_MINUTES
    before = Latest(sql, _UNTIL).get("")
    since = 0 if before is None else before.at_ns // _MINUTE_NS
    words = [one for _, one in told(sql, since * _MINUTE_NS) if since <= one.minute < until]
    if not words:
        return 0
    hours: dict[tuple[str, int], list[Published]] = defaultdict(list)
    for one in words:
        hours[one.offer_id, one.minute // _MINUTES].append(one)
    latest = Latest(sql, _KIND)
    merged = [_merged(latest, *key, found) for key, found in hours.items()]
    with sql.transaction():
        for word in merged:
            latest.put(word)
        latest.forget(now_ns - HOURS_KEPT * _HOUR_NS)
        Latest(sql, _UNTIL).put(Word("", until * _MINUTE_NS, b""))
    return len(words)


def history(sql: Sql, offer_id: str, since_ns: int, until_ns: int) -> list[Step]:
    """What was seen of an offer in the whole hours that begin in a span, oldest first: those in
    which nothing was are not there. Of a long span several hours are one step: no more than
    MOST_STEPS are told."""
    first, last = -(-since_ns // _HOUR_NS), -(-until_ns // _HOUR_NS)
    size = max(1, -(-(last - first) // MOST_STEPS))
    names = (_name(offer_id, first), _name(offer_id, last))
    steps: dict[int, list[Minute]] = defaultdict(list)
    for one in _read(Latest(sql, _KIND).named(*names)):
        steps[(one.minute // _MINUTES - first) // size].append(minute_of(one))
    return [
        _step((first + number * size, first + (number + 1) * size), found)
        for number, found in sorted(steps.items())
    ]


def totals(sql: Sql, since_ns: int, until_ns: int) -> Mapping[str, Counts]:
    """How attempts ended in the whole hours that begin in a span, of every offer that was asked, by
    its id."""
    first, last = -(-since_ns // _HOUR_NS), -(-until_ns // _HOUR_NS)
    offers: dict[str, list[Published]] = defaultdict(list)
    for one in _read(Latest(sql, _KIND).all(first * _HOUR_NS)):
        if first <= one.minute // _MINUTES < last:
            offers[one.offer_id].append(one)
    return {name: _counts(found) for name, found in sorted(offers.items())}


def _merged(latest: Latest, offer_id: str, hour: int, more: Sequence[Published]) -> Word:
    name, whole = _name(offer_id, hour), Minute(hour * _MINUTES)
    before = latest.get(name)
    for one in (*_read([] if before is None else [before]), *more):
        whole.merge(minute_of(one))
    return Word(name, hour * _HOUR_NS, _encode(published(offer_id, whole)))


def _name(offer_id: str, hour: int) -> str:
    return f"{offer_id} {hour:010d}"


def _read(words: Iterable[Word]) -> list[Published]:
    """What another version has written otherwise is left out."""
    found = []
    for word in words:
        with suppress(msgspec.DecodeError):
            found.append(_decode(word.body))
    return found


def _step(hours: tuple[int, int], found: Sequence[Minute]) -> Step:
    first, last = hours
    return Step(first * _HOUR_NS, last * _HOUR_NS, _counts(found), summed(found))


def _counts(found: Sequence[Minute | Published]) -> Counts:
    return Counts(
        sum(one.answered for one in found),
        sum(one.failed for one in found),
        sum(one.rate_limited for one in found),
        sum(one.truncated for one in found),
        sum(one.overtaken for one in found),
    )
