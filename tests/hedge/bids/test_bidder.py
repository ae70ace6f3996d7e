"""Bidders: what they say of capacity, as requests come by."""

from __future__ import annotations

import timeit

import numpy as np
import pytest

from hedge.bids.bidder import RECENT, QuotaBidder, ThroughputBidder
from hedge.bids.demand import DAY_S, Demand
from hedge.bids.wanted import Wanted

MONDAY_S = 4 * DAY_S


def two_classes(count: int, gap_s: float) -> list[Wanted]:
    """Every other request costs 1,000 elsewhere, the rest 150; all take 100 units."""
    return [
        Wanted(MONDAY_S + at * gap_s, 100.0, 1000.0 if at % 2 else 150.0) for at in range(count)
    ]


def test_before_anybody_asks_it_is_the_programs_price() -> None:
    """The dual of the plan holds until traffic says otherwise."""
    quota = QuotaBidder(Demand(MONDAY_S), start_nanos_per_unit=7.0)
    minutes = ThroughputBidder(1000.0, MONDAY_S, start_nanos_per_unit=7.0)
    assert quota.price(MONDAY_S + 5, 10.0, MONDAY_S + DAY_S) == 7.0
    assert minutes.prices(MONDAY_S + 5).price(500.0, MONDAY_S + 5) == 7.0


def test_a_quota_is_kept_for_the_dear_and_used_up_at_the_end() -> None:
    """Less than the dear half of demand is left: the price stands between the classes; with much
    left shortly before the end it is nothing."""
    bidder = QuotaBidder(Demand(MONDAY_S))
    for one in two_classes(2880, 60.0):
        bidder.note(one)
    now_s, end_s = MONDAY_S + 2 * DAY_S, MONDAY_S + 4 * DAY_S
    to_come = 2880 * 100.0
    assert 1.5 < bidder.price(now_s, 0.25 * to_come, end_s) < 10.0
    assert 1.5 < bidder.price(now_s, 0.1 * to_come, end_s) < 10.0
    assert bidder.price(end_s - 3600, 0.4 * to_come, end_s) == 0.0


def test_a_minute_is_kept_for_the_dear_until_it_will_not_fill() -> None:
    """At 70% of a mean minute: between the classes at its beginning, nothing at its end."""
    bidder = ThroughputBidder(4200.0, MONDAY_S)
    for one in two_classes(1200, 1.0):
        bidder.note(one)
    now_s = MONDAY_S + 1200
    prices = bidder.prices(now_s)
    assert 1.5 < prices.price(3500.0, now_s) < 10.0
    assert prices.price(4200.0, now_s + 40) < 1.5
    assert prices.price(200.0, now_s + 5) > 5.0


def test_memory_is_bounded_and_silence_is_cheap() -> None:
    """A year of silence is over at once, and leaves no rate; only the last requests are kept."""
    bidder = ThroughputBidder(4200.0, MONDAY_S)
    for one in two_classes(3 * RECENT, 0.1):
        bidder.note(one)
    assert len(bidder._recent) == RECENT
    later_s = MONDAY_S + 365 * DAY_S
    assert bidder.prices(later_s).price(2000.0, later_s) == pytest.approx(0.0, abs=0.05)


def test_a_price_is_read_in_microseconds() -> None:
    """On the way of every request: 2 µs at most, and ten times that on a machine that is busy."""
    bidder = ThroughputBidder(4200.0, MONDAY_S)
    for one in two_classes(600, 1.0):
        bidder.note(one)
    prices = bidder.prices(MONDAY_S + 600)
    took_s = min(timeit.repeat(lambda: prices.price(2000.0, MONDAY_S + 17.3), number=1000))
    assert took_s / 1000 < 20e-6


def test_bursts_make_it_dearer() -> None:
    """The same mean, in bursts: minutes fill more often than the mean says."""
    calm, wild = (ThroughputBidder(7800.0, MONDAY_S) for _ in range(2))
    draws = np.random.default_rng(1)
    for minute in range(120):
        for bidder, count in ((calm, 60), (wild, int(draws.choice([20, 100])))):
            for at in range(count):
                bidder.note(Wanted(MONDAY_S + 60 * minute + 60 * at / count, 100.0, 1000.0))
    now_s = MONDAY_S + 7200
    assert wild.prices(now_s).price(7000.0, now_s) > 2 * calm.prices(now_s).price(7000.0, now_s)
