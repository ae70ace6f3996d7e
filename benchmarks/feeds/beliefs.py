"""Belief: what of a feed's document is believed, and what it says that is not.

It is kept with the market, so that a restart without a network has prices, and what was doubted
before is doubted still.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from benchmarks.alarms import Alarm
from benchmarks.errors import FeedUnreadable
from benchmarks.feeds.reading import CapacityRow, Entry, ModelQuality, PricedModel

E_co = TypeVar("E_co", bound=Entry, covariant=True)


@dataclass(frozen=True, slots=True)
class Standing(Generic[E_co]):
    """An entry as it is believed.

    version, as_of, known_at: of the document in which it first was as it is. seen_at: when a
    document last said so. before, before_until: what it was before it began to change, and since
    when it has not been that.
    """

    entry: E_co
    version: str
    as_of: datetime
    known_at: datetime
    seen_at: datetime
    before: E_co | None = None
    before_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is said and not believed: in the same words so many times since."""

    said: str
    since: datetime
    times: int


@dataclass(frozen=True, slots=True)
class Belief:
    """One document's. source: the feed. version, as_of, known_at: of the last document that was
    not refused; known_at is None before there was one. listed: how many entries that had. doubts:
    by an entry's key; "" is the whole document."""

    source: str
    version: str = ""
    as_of: datetime | None = None
    known_at: datetime | None = None
    listed: int = 0
    standings: Mapping[str, Standing[Entry]] = field(default_factory=dict)
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()

    def models(self) -> list[Standing[PricedModel]]:
        return [
            Standing(entry, one.version, one.as_of, one.known_at, one.seen_at)
            for one in self.standings.values()
            if isinstance(entry := one.entry, PricedModel)
        ]


@dataclass(frozen=True, slots=True)
class _Text:
    """A belief as it is written down: entries of each kind apart."""

    source: str
    version: str
    as_of: datetime | None
    known_at: datetime | None
    listed: int
    models: dict[str, Standing[PricedModel]]
    scores: dict[str, Standing[ModelQuality]]
    capacity: dict[str, Standing[CapacityRow]]
    doubts: dict[str, Doubt]
    alarms: tuple[Alarm, ...]


_decode = msgspec.json.Decoder(_Text).decode


def belief_text(belief: Belief) -> bytes:
    """What `belief_of` reads."""
    by_kind: dict[type[Entry], dict[str, Standing[Entry]]] = {
        PricedModel: {},
        ModelQuality: {},
        CapacityRow: {},
    }
    for key, one in belief.standings.items():
        by_kind[type(one.entry)][key] = one
    return msgspec.json.encode(
        {
            "source": belief.source,
            "version": belief.version,
            "as_of": belief.as_of,
            "known_at": belief.known_at,
            "listed": belief.listed,
            "models": by_kind[PricedModel],
            "scores": by_kind[ModelQuality],
            "capacity": by_kind[CapacityRow],
            "doubts": dict(belief.doubts),
            "alarms": belief.alarms,
        }
    )


def belief_of(text: bytes) -> Belief:
    """Raises FeedUnreadable for what another version of Hedgerow has written otherwise."""
    try:
        found = _decode(text)
    except (ValueError, RecursionError) as error:
        raise FeedUnreadable(
            f"what was kept of a feed cannot be read: {error}; it is fetched anew"
        ) from error
    return Belief(
        source=found.source,
        version=found.version,
        as_of=found.as_of,
        known_at=found.known_at,
        listed=found.listed,
        standings={**found.models, **found.scores, **found.capacity},
        doubts=found.doubts,
        alarms=found.alarms,
    )
