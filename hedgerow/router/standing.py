"""Standing: what one worker's router holds in memory alone, told to all who share the books.

Each worker judges by its own breakers, accounts and purse; nothing of it is needed elsewhere but to
be shown. A word is some hundred bytes, written where the worker's other words are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from benchmarks.tables.latest import Latest, Word
from ledger.databases.sql import Sql
from ledger.money import Money
from proxy.headroom import Left
from routing.breaker import Health

if TYPE_CHECKING:
    from proxy.house import House

FRESH_S = 30.0
"""A worker that has told nothing for so long has ended, or cannot reach the books."""
AGAIN_S = 10.0
"""How often a worker tells that all is as it was."""
MOST_OFFERS = 500
"""In trouble, that one word names; those that rest longest."""

_KIND = "router"
_KEPT_S = 600.0
_NANOS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rest:
    """A breaker that is not closed, or has counted failures. until_ns: when its rest is over, in
    nanoseconds since 1970; None while it is closed."""

    offer_id: str
    health: Health
    failures: int
    until_ns: int | None


@dataclass(frozen=True, slots=True)
class Room:
    """What an account of a provider may still take, as its provider's headers say.

    parallel, requests_per_minute: by the configuration; None: not limited. requests_left,
    tokens_left: None where its provider has not told, or what it told is over. ready_at_ns: until
    then it takes no request; None: it does.
    """

    provider: str
    account: str
    in_flight: int
    parallel: int | None
    requests_per_minute: int | None
    requests_left: int | None
    tokens_left: int | None
    ready_at_ns: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one worker since it started. at_ns: when this was so.

    second_asked, second_won: second offers that were asked, and those that began first.
    rescues_tried, rescued: streams that broke off and were asked for elsewhere, and those that went
    on there. purse: what exploring may cost now.
    """

    worker: str
    at_ns: int
    rests: tuple[Rest, ...]
    rooms: tuple[Room, ...]
    second_asked: int
    second_won: int
    rescues_tried: int
    rescued: int
    purse: Money


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Standing).decode


def standing(house: House) -> Standing:
    """A worker's, now."""
    now_ns, now_s = house.clock.now_ns(), house.clock.monotonic_s()
    breakers = house.breakers
    rests = []
    for offer_id in breakers.troubled:
        health = breakers.health(offer_id, now_s)
        until_ns = None
        if health is not Health.CLOSED:
            until_ns = _later(now_ns, breakers.rests_for_s(offer_id, now_s))
        rests.append(Rest(offer_id, health, breakers.failures(offer_id), until_ns))
    rests.sort(key=lambda one: (-(one.until_ns or 0), one.offer_id))
    rooms = []
    for one in house.accounts.rooms(now_s):
        ready_ns = None
        if one.ready_at_s > now_s:
            ready_ns = _later(now_ns, one.ready_at_s - now_s)
        account = one.account
        rooms.append(
            Room(
                *(one.provider, account.name, one.in_flight),
                *(account.parallel, account.requests_per_minute),
                *(_count(one.requests_left, now_s), _count(one.tokens_left, now_s)),
                ready_ns,
            )
        )
    return Standing(
        house.called,
        now_ns,
        tuple(rests[:MOST_OFFERS]),
        tuple(rooms),
        *(house.second_offers.asked, house.second_offers.won),
        *(house.splices.tried, house.splices.matched),
        Money(int(house.routing.purse.left)),
    )


def _later(now_ns: int, by_s: float) -> int:
    """In hundredths of a second: what does not change must not seem to."""
    return round(now_ns / _NANOS_PER_S * 100 + by_s * 100) * _NANOS_PER_S // 100


def _count(left: Left | None, now_s: float) -> int | None:
    return None if left is None or left.until_s <= now_s else left.count


def tell(sql: Sql, one: Standing) -> None:
    """In place of what the worker told before. Within a transaction."""
    latest = Latest(sql, _KIND)
    latest.put(Word(one.worker, one.at_ns, _encode(one)))
    latest.forget(one.at_ns - int(_KEPT_S * _NANOS_PER_S))


def is_news(one: Standing, before: Standing | None) -> bool:
    """Whether it is worth telling after what was told before."""
    if before is None or one.at_ns - before.at_ns >= AGAIN_S * _NANOS_PER_S:
        return True
    return replace(one, at_ns=before.at_ns) != before


def told(sql: Sql, now_ns: int) -> list[Standing]:
    """Of every worker that told lately, by name. What another version has written otherwise is left
    out."""
    found = []
    for word in Latest(sql, _KIND).all(now_ns - int(FRESH_S * _NANOS_PER_S)):
        with suppress(msgspec.DecodeError):
            found.append(_decode(word.body))
    return found


def with_own(others: Iterable[Standing], own: Standing) -> tuple[Standing, ...]:
    """All workers', where one's own is known as it is now."""
    return (own, *(one for one in others if one.worker != own.worker))


def rests_by_offer(every: Iterable[Standing], now_ns: int) -> Mapping[str, tuple[Rest, ...]]:
    """The breakers that are not closed now, of all workers: a rest that is over by now makes its
    offer half-open."""
    found: dict[str, tuple[Rest, ...]] = {}
    for one in every:
        for rest in one.rests:
            if (until_ns := rest.until_ns) is not None:
                now = rest if until_ns > now_ns else replace(rest, health=Health.HALF_OPEN)
                found[rest.offer_id] = (*found.get(rest.offer_id, ()), now)
    return found
