"""RouteDecision: the offers in order, each with its expected cost and the reason for its place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from benchmarks.snapshot import Listing
from ledger.money import Money
from routing.eligibility import Refusal
from routing.intent import RoutingIntent


class Place(StrEnum):
    """Which group of the order a candidate stands in; groups before costs."""

    READY = "ready"
    SLOW = "slow"
    RESTING = "resting"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An offer that can serve the request, and the numbers that say where it stands.

    is_probe: it rested after failures, and this request is the one that tries it again.
    """

    listing: Listing
    expected_cost: Money
    place: Place
    is_probe: bool


@dataclass(frozen=True, slots=True)
class SecondOffer:
    """The offer that is asked, too, when the first has not begun its answer by then.

    chance: that it comes to that; expected_extra_cost: what it is expected to add to the cost of
    any such request, as if both offers billed in full. Both None where nothing was seen of the
    first. share_millionths: of the requests for which it is planned no more get it.
    """

    candidate: Candidate
    after_ms: float
    chance: float | None
    expected_extra_cost: Money | None
    share_millionths: int


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """What to try, in order, and what not to try. Holds all that `explain` needs.

    first_listed: what would have been asked without a router. second: None where requests are not
    hedged.
    """

    intent: RoutingIntent
    snapshot_version: int
    first_listed: Listing | None
    candidates: tuple[Candidate, ...]
    refused: tuple[Refusal, ...]
    second: SecondOffer | None = None
