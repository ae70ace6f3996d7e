"""The breaker against a naive model, and the promises that its page makes."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from routing.breaker import (
    FAILURES_TO_OPEN,
    FIRST_REST_S,
    LONGEST_REST_S,
    Breakers,
    Health,
)

OFFERS = ("a", "b")
offers = st.sampled_from(OFFERS)


@dataclass
class Naive:
    """One offer: closed with a count of failures, resting until a time, or being probed."""

    state: str = "closed"
    failures: int = 0
    until_s: float = 0.0
    next_rest_s: float = FIRST_REST_S

    def health(self, now_s: float) -> Health:
        if self.state == "closed":
            return Health.CLOSED
        if self.state == "probed" or now_s < self.until_s:
            return Health.OPEN
        return Health.HALF_OPEN

    def rest(self, now_s: float) -> None:
        self.state, self.until_s = "resting", now_s + self.next_rest_s
        self.next_rest_s = min(self.next_rest_s * 2, LONGEST_REST_S)

    def failed(self, now_s: float, retry_after_s: float | None) -> None:
        self.failures += 1
        if retry_after_s is not None:
            self.state, self.until_s = "resting", now_s + min(retry_after_s, LONGEST_REST_S)
        elif self.state == "probed" or (
            self.state == "closed" and self.failures >= FAILURES_TO_OPEN
        ):
            self.rest(now_s)


class BreakerMachine(RuleBasedStateMachine):
    """Attempts that begin and end in any order, at two offers."""

    def __init__(self) -> None:
        super().__init__()
        self.breakers = Breakers()
        self.naive = {one: Naive() for one in OFFERS}
        self.now_s = 0.0
        self.failed_at_s: dict[str, float] = {}

    @rule(seconds=st.sampled_from([0.0, 0.4, 1.0, 3.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(offer=offers)
    def attempt(self, offer: str) -> None:
        self.breakers.attempt(offer, self.now_s)
        if self.naive[offer].health(self.now_s) is Health.HALF_OPEN:
            self.naive[offer].state = "probed"

    @rule(offer=offers, ago_s=st.sampled_from([0.0, 0.5, 20.0]))
    def succeeded(self, offer: str, ago_s: float) -> None:
        began_s = self.now_s - ago_s
        self.breakers.succeeded(offer, began_s)
        if began_s >= self.failed_at_s.get(offer, began_s):
            self.naive[offer] = Naive()
            self.failed_at_s.pop(offer, None)

    @rule(offer=offers)
    def unjudged(self, offer: str) -> None:
        self.breakers.unjudged(offer)
        if self.naive[offer].state == "probed":
            self.naive[offer].state = "resting"

    @rule(offer=offers, retry_after_s=st.none() | st.sampled_from([0.0, 0.7, 5.0, 3600.0]))
    def failed(self, offer: str, retry_after_s: float | None) -> None:
        self.breakers.failed(offer, self.now_s, retry_after_s)
        self.naive[offer].failed(self.now_s, retry_after_s)
        self.failed_at_s[offer] = self.now_s

    @invariant()
    def they_agree(self) -> None:
        for name, naive in self.naive.items():
            for later_s in (0.0, 0.5, 5.0, LONGEST_REST_S):
                at_s = self.now_s + later_s
                assert self.breakers.health(name, at_s) is naive.health(at_s)


BreakerMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
TestBreaker = BreakerMachine.TestCase


def opened(at_s: float) -> Breakers:
    breakers = Breakers()
    for _ in range(FAILURES_TO_OPEN):
        assert breakers.health("a", at_s) is Health.CLOSED
        breakers.failed("a", at_s)
    return breakers


def test_an_offer_that_keeps_failing_rests_at_once() -> None:
    """It is open in the very moment of the last failure, and on trial when its rest is over."""
    breakers = opened(at_s=50.0)
    assert breakers.health("a", 50.0) is Health.OPEN
    assert breakers.health("a", 50.0 + FIRST_REST_S - 0.001) is Health.OPEN
    assert breakers.health("a", 50.0 + FIRST_REST_S) is Health.HALF_OPEN
    assert breakers.health("b", 50.0) is Health.CLOSED


def test_one_request_tries_it() -> None:
    """While one probe is under way the offer is open to all others; its success closes it."""
    breakers = opened(at_s=0.0)
    breakers.attempt("a", 2.0)
    assert breakers.health("a", 2.0) is Health.OPEN
    assert breakers.health("a", 1000.0) is Health.OPEN
    breakers.succeeded("a", began_s=2.0)
    assert breakers.health("a", 2.0) is Health.CLOSED
    breakers.failed("a", 2.0)
    assert breakers.health("a", 2.0) is Health.CLOSED


def test_what_began_before_an_outage_says_nothing_of_it() -> None:
    """A long stream that ends well after the failures began neither closes nor calms a breaker."""
    breakers = Breakers()
    for _ in range(FAILURES_TO_OPEN):
        breakers.failed("a", 10.0)
        breakers.succeeded("a", began_s=9.0)
    assert breakers.health("a", 10.0) is Health.OPEN


def test_a_client_that_leaves_is_no_verdict() -> None:
    """A probe that ended without a word of the offer leaves it on trial for the next request."""
    breakers = opened(at_s=0.0)
    breakers.attempt("a", 2.0)
    breakers.unjudged("a")
    assert breakers.health("a", 2.0) is Health.HALF_OPEN


def test_rests_grow_and_stop_growing() -> None:
    """Each failed probe doubles the rest, up to the longest."""
    breakers, now_s, rests = opened(at_s=0.0), 0.0, []
    for _ in range(6):
        rest_s = next(
            tenth / 10
            for tenth in range(200)
            if breakers.health("a", now_s + tenth / 10) is Health.HALF_OPEN
        )
        rests.append(rest_s)
        now_s += rest_s
        breakers.attempt("a", now_s)
        breakers.failed("a", now_s)
    assert rests == [1, 2, 4, 8, 10, 10]


def test_a_burst_of_failures_is_one_failure_of_the_offer() -> None:
    """Fifty requests that were under way and fail together do not rest it for the longest time."""
    breakers = Breakers()
    for _ in range(50):
        breakers.failed("a", 0.0)
    assert breakers.health("a", FIRST_REST_S) is Health.HALF_OPEN


def test_too_many_requests_rests_for_as_long_as_it_says() -> None:
    """A 429 opens at once, for retry-after seconds, at most the longest rest."""
    breakers = Breakers()
    breakers.failed("a", 0.0, retry_after_s=4.0)
    assert breakers.health("a", 3.9) is Health.OPEN
    assert breakers.health("a", 4.0) is Health.HALF_OPEN
    breakers.failed("b", 0.0, retry_after_s=3600.0)
    assert breakers.health("b", LONGEST_REST_S) is Health.HALF_OPEN
