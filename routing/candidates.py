"""Candidate: an offer that can serve a request, with its expected cost and its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import overload

import msgspec

from benchmarks.snapshot import Listing
from ledger.bid_prices import BidPrice
from ledger.money import ZERO, Money
from routing.intent import RoutingIntent


class Place(StrEnum):
    """Which group of the order a candidate stands in; groups before costs."""

    READY = "ready"
    SLOW = "slow"
    UNPROVEN = "unproven"
    """A quality is wanted, and nobody has measured its."""
    ENDED = "ended"
    """A feed says that its provider has ended it; feeds are wrong now and then."""
    RESTING = "resting"


class First(StrEnum):
    """Why the first candidate is the first."""

    VALUE = "value"
    """Of its cost, and of what its luck is worth."""
    TIE = "tie"
    """It was drawn from those that are as good."""
    EXPLORED = "explored"
    """It may be better than the best, and is not known well."""
    ASKED = "asked"
    """The request says which come first."""


class PlannedDraw(msgspec.Struct, frozen=True):
    """What an attempt is to take of capacity that we own. otherwise: what it costs if nothing is
    left of it. is_overage: nothing is: its provider bills what goes beyond the quota. cost: what
    that is worth to later requests. then: what to draw on before it is paid for, if so much is not
    left of this one."""

    bid: BidPrice
    otherwise: Money
    is_overage: bool = False
    cost: Money = ZERO
    then: PlannedDraw | None = None


class Candidate(msgspec.Struct, frozen=True):
    """An offer that can serve the request, and the numbers that say where it stands.

    intent: the request, as this offer's model would have it. cached_tokens: of the prompt, those
    that are likely in its provider's cache: they are in the expected cost. is_probe: it rested
    after failures, and this request is the one that tries it again. draw: on capacity that we own;
    its cost is what that is worth to later requests. is_at_limit: our accounts
    at its provider have no headroom for it now.
    """

    listing: Listing
    intent: RoutingIntent
    expected_cost: Money
    place: Place
    cached_tokens: int = 0
    is_probe: bool = False
    draw: PlannedDraw | None = None
    is_at_limit: bool = False

    @property
    def is_owned(self) -> bool:
        """Whether capacity that we own would serve it."""
        return self.draw is not None and not self.draw.is_overage

    @property
    def undrawn(self) -> Candidate:
        """The same when there was nothing left to draw: as its provider then bills it."""
        if self.draw is None:
            return self
        bid, otherwise = self.draw.bid, self.draw.otherwise
        beyond = bid.commitment.overage_rate is not None
        draw = PlannedDraw(bid, otherwise, is_overage=True) if beyond else None
        return msgspec.structs.replace(self, draw=draw, expected_cost=otherwise)

    @property
    def drawn_next(self) -> Candidate:
        """The same when so much was not left where it was to draw: on the next commitment that
        would serve it, and after the last one undrawn."""
        then = None if self.draw is None else self.draw.then
        if then is None:
            return self.undrawn
        return msgspec.structs.replace(self, draw=then, expected_cost=then.cost)


class Candidates(Sequence[Candidate]):
    """Candidates in order, each made of its number when it is looked at: most requests need the
    first alone."""

    __slots__ = ("_made", "_make", "_numbers")

    def __init__(self, numbers: Sequence[int], make: Callable[[int], Candidate]) -> None:
        self._numbers = numbers
        self._make = make
        self._made: dict[int, Candidate] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> Candidate: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Candidate, ...]: ...
    def __getitem__(self, at: int | slice) -> Candidate | tuple[Candidate, ...]:
        if isinstance(at, slice):
            return tuple(map(self.__getitem__, range(len(self._numbers))[at]))
        number = self._numbers[at]
        found = self._made.get(number)
        if found is None:
            found = self._made[number] = self._make(number)
        return found

    def __iter__(self) -> Iterator[Candidate]:
        return map(self.__getitem__, range(len(self._numbers)))
