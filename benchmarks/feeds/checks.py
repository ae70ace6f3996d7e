"""Checks: what of a reading is believed, beside what was believed before.

A bad entry is doubted alone: its last good value stays, with its age. A bad document is refused as
a whole, and everything stays.

So that a real change is not locked out for ever, what is doubted is believed after all

- when it was said in the same words in `TIMES` readings over `FOR` or more, or
- when what another feed says of the same offer confirms it, or
- when the operator says so (`hedgerow market refresh --accept`).

Time alone does not make a price of what is none (zero, negative, no number), nor what is wrong by a
unit, nor what was never asked by anybody: wrong files stay wrong for weeks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from benchmarks.alarms import Alarm, AlarmName
from benchmarks.errors import FeedRefused
from benchmarks.feeds.beliefs import Belief, Doubt, Standing
from benchmarks.feeds.plausibility import (
    Objection,
    changed,
    confirmed,
    disagrees,
    figures,
    implausible,
)
from benchmarks.feeds.reading import CapacityRow, Entry, PricedModel, Reading
from ledger.rates import RateCard

TIMES = 3
FOR = timedelta(hours=1)
STALE_AFTER = timedelta(days=45)
"""A document that was stated so long ago is said to be old; one older than the last good one is
refused."""
FEW = 0.5
"""A document with less than this share of the entries that the last good one had is refused."""
_IN_TIME = frozenset(
    (
        AlarmName.JUMP,
        AlarmName.DISAGREES,
        AlarmName.MISSING,
        AlarmName.TOO_FEW,
        AlarmName.STALE,
    )
)
_ADVICE = {
    AlarmName.ZERO: "if it is free, give the offer a price in the configuration",
    AlarmName.NEGATIVE: "tell whoever keeps the feed, or give the offer a price of your own",
    AlarmName.NOT_A_NUMBER: "tell whoever keeps the feed, or give the offer a price of your own",
    AlarmName.GONE: "give the offer a price in the configuration, or take it out",
    AlarmName.DUPLICATE: "tell whoever keeps the feed",
    AlarmName.MALFORMED: "look at the address of the feed, or at the file",
    AlarmName.HTML: "look at the address of the feed, and at its key",
    AlarmName.UNREACHABLE: "look at the address and the key of the feed, the network, or the file",
    AlarmName.STALE: "look whether the feed is still kept up",
    AlarmName.TRUNCATED: "it is asked for again",
    AlarmName.TOO_LARGE: "look at the address of the feed",
}
_ACCEPT = "if it is right, run `hedgerow market refresh --accept {}`"

Peers = Callable[[PricedModel], Collection[RateCard]]
"""What the other feeds ask for the offers that an entry is of."""


def nobody_else(_: PricedModel) -> Collection[RateCard]:
    return ()


@dataclass(frozen=True, slots=True)
class Terms:
    """feed: how alarms call the document. wants: whether an entry is of anything that is for sale
    here; others are left out. accepted: keys that the operator believes. is_own_word: what the
    operator has written himself is believed as it is, and what he has taken out is gone."""

    feed: str
    wants: Callable[[Entry], bool]
    peers: Peers = nobody_else
    accepted: Collection[str] = ()
    is_own_word: bool = False


def check(reading: Reading, last: Belief, terms: Terms) -> Belief:
    """What is believed from now on: the moment is the reading's."""
    now = reading.known_at
    try:
        doubts = _whole(reading, last, terms)
    except FeedRefused as error:
        return refused(error, last, terms.feed, now)
    judge = _Judge(reading, last, terms, dict(doubts))
    faults = {one.key: Objection(one.name, one.value) for one in reading.faults}
    unpriced = {one.key for one in reading.models() if one.rates is None}
    for entry in _newest(reading.entries):
        if terms.wants(entry):
            judge.hear(entry, faults.pop(entry.key, None) if entry.key in unpriced else None)
    for key, one in last.standings.items():
        if key not in judge.standings and terms.wants(one.entry) and not terms.is_own_word:
            gone = Objection(AlarmName.GONE, "not named any more")
            judge.keep(key, one, faults.pop(key, gone))
    for key, objection in faults.items():
        if key in judge.standings:  # a figure of it alone was left out
            judge.alarm(key, objection, None)
    return Belief(
        source=reading.source,
        version=reading.version,
        as_of=reading.as_of,
        known_at=now,
        listed=reading.listed,
        standings=judge.standings,
        doubts=judge.doubts,
        alarms=tuple(judge.alarms),
    )


def refused(error: FeedRefused, last: Belief, feed: str, now: datetime) -> Belief:
    """The belief after a document that is none: as it was, with an alarm."""
    doubt = Doubt(str(error), now, 1)
    before = last.doubts.get("")
    if before is not None and before.said == doubt.said:
        doubt = replace(before, times=before.times + 1)
    value = error.value
    alarm = Alarm(error.name, feed, "", value, _age(last.known_at, now), _advice(error.name, feed))
    kept = tuple(one for one in last.alarms if one.what)  # those of entries stay true
    return replace(last, doubts={**last.doubts, "": doubt}, alarms=(alarm, *kept))


def _whole(reading: Reading, last: Belief, terms: Terms) -> Mapping[str, Doubt]:
    """The doubts that go on, if the document is one. Raises FeedRefused."""
    doubts = {key: one for key, one in last.doubts.items() if key}
    found = None
    if not reading.listed:
        found = FeedRefused(AlarmName.TOO_FEW, "no entries")
    elif reading.listed < last.listed * FEW:
        value = f"{reading.listed} entries, where it had {last.listed}"
        found = FeedRefused(AlarmName.TOO_FEW, value)
    elif last.as_of is not None and reading.as_of < last.as_of:
        value = f"of {_moment(reading.as_of)}, older than that of {_moment(last.as_of)}"
        found = FeedRefused(AlarmName.STALE, value)
    if found is None or terms.is_own_word or terms.feed in terms.accepted:
        return doubts
    before = last.doubts.get("")
    if reading.listed and _has_stayed(before, str(found), reading.known_at):
        return doubts
    raise found


def _has_stayed(before: Doubt | None, said: str, now: datetime) -> bool:
    """Whether the same was doubted often enough, for long enough."""
    if before is None or before.said != said:
        return False
    return before.times + 1 >= TIMES and now - before.since >= FOR


def _newest(entries: Iterable[Entry]) -> Iterable[Entry]:
    """Each once: of a series of GPU-hours, its last row."""
    found: dict[str, Entry] = {}
    for one in entries:
        before = found.get(one.key)
        if isinstance(one, CapacityRow) and isinstance(before, CapacityRow) and one.at < before.at:
            continue
        found[one.key] = one
    return found.values()


class _Judge:
    """Hears the entries of one reading, one by one."""

    def __init__(
        self, reading: Reading, last: Belief, terms: Terms, doubts: dict[str, Doubt]
    ) -> None:
        self._reading = reading
        self._last = last
        self._terms = terms
        self._before = doubts
        self.doubts: dict[str, Doubt] = {}
        self.standings: dict[str, Standing[Entry]] = {}
        self.alarms: list[Alarm] = []
        now, as_of = reading.known_at, reading.as_of
        if now - as_of > STALE_AFTER and not terms.is_own_word:
            self.alarm("", Objection(AlarmName.STALE, f"it is of {_moment(as_of)}"), None)

    def hear(self, entry: Entry, fault: Objection | None) -> None:
        """Believe an entry, or what was believed before. fault: why it has no price."""
        key, last = entry.key, self._last.standings.get(entry.key)
        objection = fault or self._objection(entry, last)
        if objection is None:
            self._believe(entry, last)
        elif last is not None:
            self.keep(key, last, objection, entry)
        else:
            self.alarm(key, objection, None)
            self._doubt(key, objection, entry)
            if isinstance(entry, PricedModel) and fault is not None:
                self._believe(entry, None)  # what it can do is known, if not what it costs

    def keep(
        self, key: str, last: Standing[Entry], objection: Objection, said: Entry | None = None
    ) -> None:
        """Stay with what was believed."""
        entry = last.entry
        if isinstance(entry, PricedModel) and isinstance(said, PricedModel):
            entry = replace(entry, stats=said.stats)  # how it does is another question
        self.standings[key] = replace(last, entry=entry)
        self.alarm(key, objection, last)
        self._doubt(key, objection, said)

    def alarm(self, key: str, objection: Objection, last: Standing[Entry] | None) -> None:
        good = "" if last is None else f"{_said(last.entry)}, {_age(last.seen_at, self._now)}"
        advice = _advice(objection.name, key or self._terms.feed)
        self.alarms.append(
            Alarm(objection.name, self._terms.feed, key, objection.value, good, advice)
        )

    @property
    def _now(self) -> datetime:
        return self._reading.known_at

    def _objection(self, entry: Entry, last: Standing[Entry] | None) -> Objection | None:
        if self._terms.is_own_word or entry.key in self._terms.accepted:
            return None
        found: list[Objection] = [] if last is None else list(changed(last.entry, entry))
        found += self._wandered(entry, last)
        found += implausible(entry)
        if isinstance(entry, PricedModel) and (rates := entry.rates) is not None:
            peers = tuple(self._terms.peers(entry))
            if last is None:
                found += disagrees(rates, peers)
            found = [one for one in found if not confirmed(one, rates, peers)]
        if lasting := [one for one in found if one.name not in _IN_TIME]:
            return lasting[0]
        before = self._before.get(entry.key)
        if not found or _has_stayed(before, _words(found[0], entry), self._now):
            return None
        return found[0]

    def _wandered(self, entry: Entry, last: Standing[Entry] | None) -> Iterable[Objection]:
        """Small steps that are a jump together, within the time that a jump has to stay."""
        before = None if last is None else self._before_it_changed(last)
        if before is None:
            return []
        return [one for one in changed(before[0], entry) if one.name is not AlarmName.MISSING]

    def _before_it_changed(self, last: Standing[Entry]) -> tuple[Entry, datetime] | None:
        """What it was lately, and until when."""
        if last.before is None or last.before_until is None:
            return None
        is_lately = self._now - last.before_until < FOR
        return (last.before, last.before_until) if is_lately else None

    def _believe(self, entry: Entry, last: Standing[Entry] | None) -> None:
        reading = self._reading
        if last is not None:
            entry = _filled_in(entry, last.entry)
        if last is not None and _prices(last.entry) == _prices(entry):
            self.standings[entry.key] = replace(last, entry=entry, seen_at=self._now)
        else:
            before = None
            # From what is believed after all, jumps are counted anew.
            is_priced = isinstance(entry, PricedModel)
            if is_priced and last is not None and not any(changed(last.entry, entry)):
                before = self._before_it_changed(last) or (last.entry, self._now)
                before = None if any(changed(before[0], entry)) else before
            self.standings[entry.key] = Standing(
                *(entry, reading.version, reading.as_of, self._now, self._now), *(before or ())
            )

    def _doubt(self, key: str, objection: Objection, said: Entry | None) -> None:
        words, before = _words(objection, said), self._before.get(key)
        if before is not None and before.said == words:
            self.doubts[key] = replace(before, times=before.times + 1)
        else:
            self.doubts[key] = Doubt(words, self._now, 1)


def _words(objection: Objection, said: Entry | None) -> str:
    """All that an entry says, so that other words are another doubt."""
    if said is None:
        return f"{objection.name}: {objection.value}"
    return "; ".join(f"{name} {value:f}" for name, value in sorted(figures(said).items()))


def _filled_in(entry: Entry, last: Entry) -> Entry:
    """What a feed does not say this time, it has not taken back."""
    if not isinstance(entry, PricedModel) or not isinstance(last, PricedModel):
        return entry
    known = {
        name: before
        for name in _FACTS
        if getattr(entry, name) is None and (before := getattr(last, name)) is not None
    }
    return replace(entry, **known) if known else entry


_FACTS = ("context_tokens", "max_output_tokens", "features", "parameters", "quantization", "task")


def _prices(entry: Entry) -> object:
    if isinstance(entry, PricedModel):
        batches = (entry.batch_rates, entry.batch_overrides)
        return entry.rates, entry.overrides, batches, entry.tiers, entry.valid_until
    return entry


def _said(entry: Entry) -> str:
    """What an entry costs, in few words."""
    if not isinstance(entry, PricedModel):
        return ", ".join(f"{name} {value:f}" for name, value in figures(entry).items())
    if entry.rates is None:
        return "no price"
    if entry.rates.per:
        return f"{entry.rates.unit:f} USD per {entry.rates.per}"
    return f"{entry.rates.input:f} in, {entry.rates.output:f} out"


def _advice(name: AlarmName, key: str) -> str:
    return _ADVICE.get(name) or _ACCEPT.format(f"'{key}'")


def _age(since: datetime | None, now: datetime) -> str:
    if since is None:
        return ""
    minutes = max(0, int((now - since).total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} min old"
    return f"{minutes // 60} h old" if minutes < 2880 else f"{minutes // 1440} days old"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
