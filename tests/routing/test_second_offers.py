"""Second offers: when, which, how likely, at what expected cost, and for how many requests."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Offer
from benchmarks.snapshot import Listing
from benchmarks.traffic.observations import UNSEEN, Seen
from ledger.money import Money
from routing.candidates import Candidate, Place
from routing.limits import MILLIONTHS, SecondOfferRule
from routing.second_offers import (
    LEAST_ATTEMPTS,
    MOST_SAVED,
    SecondOffers,
    chance_of_silence,
    second_offer,
)
from tests.routing.market import intent, quote

P95 = SecondOfferRule(None, 50_000)
SEEN = replace(UNSEEN, attempts=100, ttft_ms_p50=400.0, ttft_ms_p95=900.0)


def candidate(
    name: str, cost: int, seen: Seen = SEEN, place: Place = Place.READY, *, is_probe: bool = False
) -> Candidate:
    listing = Listing(Offer(name, "m"), quote("1", "2"), seen)
    return Candidate(listing, intent(), Money(cost), place, is_probe=is_probe)


A, B = candidate("a", 1000), candidate("b", 3001)


def test_after_the_95th_percentile_of_the_first() -> None:
    """One request in twenty comes to that; its extra cost is the second's, rounded up."""
    found = second_offer((A, B), P95, 0.0)
    assert found is not None
    assert (found.candidate, found.after_ms) == (B, 900.0)
    assert found.chance == pytest.approx(0.05)
    assert found.expected_extra_cost == 151


def test_a_plain_answer_has_the_time_that_it_takes_to_write() -> None:
    """It comes as a whole: later by that much, and as likely not to."""
    stream, plain = second_offer((A, B), P95, 0.0), second_offer((A, B), P95, 5000.0)
    assert stream is not None
    assert plain == replace(stream, after_ms=5900.0)


@pytest.mark.parametrize(
    ("seen", "after_ms", "chance"),
    [
        (UNSEEN, None, None),
        (replace(SEEN, attempts=LEAST_ATTEMPTS - 1), None, None),
        (replace(SEEN, ttft_ms_p95=None, ttft_ms_p50=None), None, None),
        (UNSEEN, 800.0, None),
        (SEEN, 400.0, 0.5),
        (SEEN, 0.001, 1.0),
        (replace(SEEN, ttft_ms_p50=900.0), 899.0, 1.0),
        (replace(SEEN, ttft_ms_p50=900.0), 900.0, 0.05),
    ],
)
def test_what_nobody_knows_yet(seen: Seen, after_ms: float | None, chance: float | None) -> None:
    """Without its percentile there is no second offer by that; with a delay of one's own there is,
    and its chance and cost are unknown, not zero."""
    first = candidate("a", A.expected_cost, seen)
    found = second_offer((first, B), P95, 0.0)
    if after_ms is None:
        assert found is None
        return
    rule = SecondOfferRule(after_ms, 50_000)
    found = second_offer((first, B), rule, 0.0)
    assert found is not None
    assert found.chance == (None if chance is None else pytest.approx(chance, abs=1e-6))
    assert (found.expected_extra_cost is None) == (chance is None)


@given(
    st.floats(1, 1e5), st.floats(1.01, 100), st.lists(st.floats(0.1, 1e6), min_size=2, max_size=2)
)
def test_the_chance_is_that_of_the_lognormal(
    median_ms: float, ratio: float, times: list[float]
) -> None:
    """As a normal distribution of the logarithm says; and it falls with time."""
    seen = replace(SEEN, ttft_ms_p50=median_ms, ttft_ms_p95=median_ms * ratio)
    sigma = math.log(ratio) / NormalDist().inv_cdf(0.95)
    sooner, later = sorted(times)
    for at_ms in (sooner, later):
        expected = 1 - NormalDist(math.log(median_ms), sigma).cdf(math.log(at_ms))
        assert chance_of_silence(at_ms, seen) == pytest.approx(expected, abs=1e-9)
    assert (chance_of_silence(sooner, seen) or 0) >= (chance_of_silence(later, seen) or 0)


candidates = st.lists(
    st.builds(
        candidate,
        st.just("x"),
        st.integers(0, 10**9),
        st.just(SEEN),
        st.sampled_from(Place),
        is_probe=st.booleans(),
    ),
    max_size=5,
).map(tuple)


@given(candidates)
def test_only_offers_that_are_well(several: tuple[Candidate, ...]) -> None:
    """The next in order that neither rests nor is on trial; none if the first does or is."""
    well = [one.place is not Place.RESTING and not one.is_probe for one in several]
    found = second_offer(several, P95, 0.0)
    if not several or not well[0] or True not in well[1:]:
        assert found is None
    else:
        assert found is not None
        assert found.candidate is several[well.index(True, 1)]


@given(st.integers(1, MILLIONTHS), st.lists(st.booleans(), max_size=300))
def test_never_more_than_their_share(share: int, wants: list[bool]) -> None:
    """Of any run of requests, from any of them on, no more than the share and what was saved; and
    with nothing saved up in vain, none less."""
    offers, taken, could, saved = SecondOffers(), [], 0, 0
    for want in wants:
        offers.earn("m", share)
        saved = min(saved + share, MOST_SAVED * MILLIONTHS)
        had = offers.take("m") if want else False
        could = want and saved >= MILLIONTHS
        assert had == could
        saved -= MILLIONTHS * had
        taken.append(had)
    for begin in range(len(taken)):
        most = MOST_SAVED if begin else 0
        assert sum(taken[begin:]) <= share * (len(taken) - begin) / MILLIONTHS + most
    assert offers.asked == sum(taken)


def test_one_that_was_not_asked_is_given_back() -> None:
    """A model's second offers are its own, and what was not used is there for the next request."""
    offers = SecondOffers()
    offers.earn("m", MILLIONTHS)
    assert not offers.take("n")
    assert offers.take("m")
    assert not offers.take("m")
    offers.give_back("m")
    assert offers.take("m")
    assert offers.asked == 1
