"""Owning: what a worker's router knows of the capacity that we own.

The commitments and what they are worth are read of the books every second; how much is left of them
this worker's slices say at any moment. While the books cannot be read, the router goes by what it
knew: the holds are exact, whatever it thinks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from benchmarks.snapshot import Listing
from hedge.bids.minute import MinutePrices
from hedgerow.background import beside
from hedgerow.bidding import rate_now
from ledger.allowances import Allowance, allowance
from ledger.bid_prices import BidPrice
from ledger.book import Book
from ledger.commitments import Commitment, CommitmentKind
from ledger.errors import StoreUnavailable
from ledger.money import ZERO, Money
from ledger.store import Store
from proxy.clock import Clock
from proxy.house import House

log = logging.getLogger("hedgerow")

LOOK_EVERY_S = 0.25
READ_EVERY = 4
"""In looks."""
IDLE_PART = 0.5
"""A minute's capacity lies idle while so much of it is left."""
PACE_MARGIN = 1.25
"""How much faster than until now a quota may be used up in the rest of its window..."""
LEAST_SEEN = 0.05
"""...of which such a part must be over."""


@asynccontextmanager
async def owning(house: House, minutes: Mapping[str, MinutePrices]) -> AsyncIterator[None]:
    """Keep the router's word on what we own fresh, until the block ends. minutes: by commitment,
    what capacity by the minute is worth."""
    owner = Owner(house.book, house.clock, minutes)
    await owner.look(house)
    async with beside(_keep_looking(owner, house), "the look at commitments"):
        yield


async def _keep_looking(owner: Owner, house: House) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        await owner.look(house)


@dataclass(frozen=True, slots=True)
class _Held:
    """What the books say: commitments, and what a million capacity units of each are worth."""

    commitments: tuple[Commitment, ...] = ()
    rates: Mapping[str, Money] | None = None


class Owner:
    """Looks at what one worker may draw."""

    def __init__(self, book: Book, clock: Clock, minutes: Mapping[str, MinutePrices]) -> None:
        self._book = book
        self._clock = clock
        self._minutes = minutes
        self._looks = 0
        self._held = _Held()
        self._allowances: dict[str, Allowance] = {}
        self._is_away = False

    async def look(self, house: House) -> None:
        """Let the router know what there is to draw now."""
        try:
            if self._looks % READ_EVERY == 0:
                self._held = await self._book.run(self._read)
            self._looks += 1
            bids = await self._bids()
            self._is_away = False
        except StoreUnavailable as error:
            if not self._is_away:
                log.warning("what we own is taken to be as it was: %s", error)
            self._is_away = True
            return
        owned = by_offer(bids, house.market.snapshot.models) if bids else {}
        if owned or house.routing.owned:
            house.routing.owned = owned

    def _read(self, store: Store) -> _Held:
        active = store.commitments.active(self._clock.now_ns())
        if not active:
            return _Held()
        return _Held(tuple(active), store.commitments.bid_prices())

    async def _bids(self) -> list[BidPrice]:
        """The first to be drawn at the same cost comes first."""
        if not self._held.commitments:
            return []
        now_ns, rates = self._clock.now_ns(), self._held.rates or {}
        ordered = sorted(self._held.commitments, key=lambda one: (one.apply_order, one.id))
        known = self._allowances
        self._allowances = {
            one.id: known[one.id]
            if one.id in known and now_ns < known[one.id].until_ns
            else allowance(one, now_ns)
            for one in ordered
        }
        now = list(self._allowances.values())
        await self._book.known([one.capacity for one in now])
        left = self._book.may_be_left
        return [
            BidPrice(one, partial(left, one.capacity), self._rate(one, rates, now_ns))
            for one in now
        ]

    def _rate(self, one: Allowance, rates: Mapping[str, Money], now_ns: int) -> Money:
        """What a million of its units are worth now."""
        minutes = self._minutes.get(one.commitment.id)
        if minutes is None:
            return rates.get(one.commitment.id, ZERO)
        return rate_now(minutes, self._book.may_be_left(one.capacity), now_ns)


def by_offer(
    bids: Sequence[BidPrice], models: Mapping[str, tuple[Listing, ...]]
) -> dict[str, tuple[BidPrice, ...]]:
    """Which of them serve which offer, in their order."""
    found: dict[str, tuple[BidPrice, ...]] = {}
    for listings in models.values():
        for listing in listings:
            offer = listing.offer
            its = tuple(
                one for one in bids if one.commitment.covers_offer(offer.provider, offer.model)
            )
            if its:
                found[offer.id] = its
    return found


def lies_idle(owned: Mapping[str, Sequence[BidPrice]], now_ns: int) -> bool:
    """Whether anything of it would be lost if nobody but those who wait took it."""
    return any(is_idle(one, now_ns) for bids in owned.values() for one in bids)


def is_idle(bid: BidPrice, now_ns: int) -> bool:
    """Of capacity by the minute much is left of this one; a quota is not used up by its end, even
    if more of it is used from now on than until now."""
    own = bid.allowance
    if now_ns >= own.until_ns or not own.micro_units:
        return False
    left = bid.left()
    if bid.commitment.kind is CommitmentKind.THROUGHPUT:
        return left >= IDLE_PART * own.micro_units
    since_ns = max(own.capacity.window_start_ns, bid.commitment.starts_ns)
    seen = (now_ns - since_ns) / (own.until_ns - since_ns)
    if seen < LEAST_SEEN:
        return False
    return (own.micro_units - left) * (1 - seen) / seen * PACE_MARGIN <= left
