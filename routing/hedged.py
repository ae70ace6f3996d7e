"""Hedged requests: which offer is asked as the second, when, and what that is expected to cost.

A first offer that has not begun its answer by a certain time is given company: a second one is
asked for the same, and whichever begins first is passed on. All of it is known beforehand, from
the decision alone; whether a request may have a second offer at that time is a matter of the share
of requests that may (`SecondOffers`), so that an outage does not double the bill.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

from benchmarks.traffic.observations import Seen
from ledger.money import Money
from routing.candidates import Candidate, Place
from routing.decision import SecondOffer
from routing.second_offers import HedgeRule

LEAST_ATTEMPTS = 20
"""Of fewer, nobody knows the 95th percentile."""
_Z_95 = 1.6448536269514722


def second_offer(
    candidates: Sequence[Candidate], rule: HedgeRule, writing_ms: float
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
