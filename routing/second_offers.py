"""Second offers: which one, when, what it is expected to cost, and how many requests may have one.

A first offer that has not begun its answer by a certain time is given company: a second one is
asked for the same, and whichever begins first is passed on. All of it is known beforehand, from
the decision alone; whether a request may have a second offer at that time is a matter of the share
of requests that may (`SecondOffers`), so that an outage does not double the bill. In hedgerow.yaml
it goes by its usual name, `hedge`; here that word means contracts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from benchmarks.traffic.observations import Seen
from ledger.money import Money
from routing.candidates import Candidate, Place
from routing.limits import MILLIONTHS, SecondOfferRule

MOST_SAVED = 10
"""Second offers that quiet times save up for one outage, per model."""
LEAST_ATTEMPTS = 20
"""Of fewer, nobody knows the 95th percentile."""
_Z_95 = 1.6448536269514722


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


def second_offer(
    candidates: Sequence[Candidate], rule: SecondOfferRule, writing_ms: float
) -> SecondOffer | None:
    """The second offer for a request that goes to the first of `candidates`.

    None if no other one is well, or if the delay depends on what nobody knows yet. writing_ms: how
    long an answer takes that is whole when it begins; 0 for a stream.
    """
    if not candidates or not _is_well(candidates[0]):
        return None
    second = next((one for one in islice(candidates, 1, None) if _is_well(one)), None)
    seen, after_ms = candidates[0].listing.seen, rule.after_ms
    if after_ms is None and seen.attempts >= LEAST_ATTEMPTS:
        after_ms = seen.ttft_ms_p95
    if second is None or after_ms is None:
        return None
    chance = chance_of_silence(after_ms, seen)
    extra = None if chance is None else Money(math.ceil(chance * second.expected_cost))
    return SecondOffer(second, after_ms + writing_ms, chance, extra, rule.share_millionths)


def chance_of_silence(after_ms: float, seen: Seen) -> float | None:
    """The chance that an offer has not begun its answer by then; None if nothing is known of it.

    By the lognormal distribution through its two percentiles: that is the shape of most.
    """
    median_ms, p95_ms = seen.ttft_ms_p50, seen.ttft_ms_p95
    if median_ms is None or p95_ms is None:
        return None
    if not 0 < median_ms < p95_ms:  # all the same: only that is known
        return 1.0 if after_ms < p95_ms else 0.05
    if after_ms <= 0:
        return 1.0
    deviations = math.log(after_ms / median_ms) / math.log(p95_ms / median_ms) * _Z_95
    return 0.5 * math.erfc(deviations / math.sqrt(2))


def _is_well(one: Candidate) -> bool:
    """Whether it can be relied on to answer: not one that failed lately."""
    return one.place is not Place.RESTING and not one.is_probe


class SecondOffers:
    """How many second offers may still be asked, per model: never more than their share of all the
    requests that had one planned.

    asked, won: how many were asked, and how many of these began first.
    """

    def __init__(self) -> None:
        self._saved: dict[str, int] = {}
        self.asked = 0
        self.won = 0

    def earn(self, model: str, share_millionths: int) -> None:
        """One more request that had a second offer planned, whether it came to need it or not."""
        saved = self._saved.get(model, 0) + share_millionths
        self._saved[model] = min(saved, MOST_SAVED * MILLIONTHS)

    def take(self, model: str) -> bool:
        """Take one, if there is one; `give_back` it if it was not asked after all."""
        if self._saved.get(model, 0) < MILLIONTHS:
            return False
        self._saved[model] -= MILLIONTHS
        self.asked += 1
        return True

    def give_back(self, model: str) -> None:
        self._saved[model] += MILLIONTHS
        self.asked -= 1
