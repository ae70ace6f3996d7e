"""Whom a request's preferences refuse: each by itself, at the very limit, and what is unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Offer, Task
from benchmarks.quotes import Override, Quote, UtcHours
from benchmarks.snapshot import Listing
from benchmarks.traffic.observations import UNSEEN
from ledger.rates import RateCard
from ledger.usage import Unit
from routing.decide import Moment, Wanted, decide
from routing.eligibility import Reason, refusal
from routing.intent import RoutingIntent
from routing.limits import Limits
from routing.preferences import NO_PREFERENCES, MaxPrice, Preferences
from routing.state import State
from tests.routing.market import AT, AT_NS, MODEL, intent, listings, quote, quote_per, snapshot

ANY = Offer("acme", MODEL)
FLEX = replace(ANY, service_tier="flex")
EU = replace(ANY, region="eu", quantization="FP8")
QUOTE = quote("1", "2", request_usd="0.001")


def only(*names: str) -> Preferences:
    return Preferences(only=frozenset(names))


def ignoring(*names: str) -> Preferences:
    return Preferences(ignore=frozenset(names))


def of(*levels: str) -> Preferences:
    return Preferences(quantizations=frozenset(levels))


def paying(**most: str) -> Preferences:
    return Preferences(max_price=MaxPrice(**{name: Decimal(one) for name, one in most.items()}))


DENY, ZDR = Preferences(data_collection=False), Preferences(zdr=True)
TRAINS, NOT_TRAINS = replace(ANY, may_train=True), replace(ANY, may_train=False)
KEEPS, FORGETS = replace(ANY, keeps_nothing=False), replace(ANY, keeps_nothing=True)
TAKES = Preferences(require_parameters=True)


@pytest.mark.parametrize(
    ("offer", "wanted", "reason"),
    [
        (ANY, Preferences(offer_id=ANY.id), None),
        (ANY, Preferences(offer_id="acme/other"), Reason.OTHER_OFFER),
        (ANY, only("acme"), None),
        (ANY, only("b", "acme"), None),
        (ANY, only("b"), Reason.NOT_ALLOWED_PROVIDER),
        (ANY, only(), Reason.NOT_ALLOWED_PROVIDER),
        (EU, only("acme/eu"), None),
        (EU, only("acme/us"), Reason.NOT_ALLOWED_PROVIDER),
        (FLEX, only("acme"), Reason.NOT_ALLOWED_PROVIDER),
        (FLEX, only("acme/flex"), None),
        (FLEX, replace(only("acme"), tiers=frozenset({"flex"})), None),
        (ANY, ignoring("b"), None),
        (ANY, ignoring("acme"), Reason.IGNORED_PROVIDER),
        (EU, ignoring("acme/us"), None),
        (EU, ignoring("acme/eu"), Reason.IGNORED_PROVIDER),
        (FLEX, ignoring("acme"), Reason.IGNORED_PROVIDER),
        (ANY, Preferences(only=frozenset({"acme"}), ignore=frozenset({"acme"})), "ignored"),
        (ANY, DENY, Reason.MAY_TRAIN),
        (TRAINS, DENY, Reason.MAY_TRAIN),
        (NOT_TRAINS, DENY, None),
        (FORGETS, DENY, None),
        (KEEPS, DENY, Reason.MAY_TRAIN),
        (ANY, ZDR, Reason.MAY_KEEP),
        (KEEPS, ZDR, Reason.MAY_KEEP),
        (NOT_TRAINS, ZDR, Reason.MAY_KEEP),
        (FORGETS, ZDR, None),
        (TRAINS, NO_PREFERENCES, None),
        (EU, of("fp8"), None),
        (EU, of("bf16", "unknown"), Reason.OTHER_QUANTIZATION),
        (ANY, of("unknown"), None),
        (ANY, of("fp8"), Reason.OTHER_QUANTIZATION),
        (ANY, TAKES, Reason.LACKS_PARAMETER),
        (replace(ANY, parameters=frozenset({"seed", "tools"})), TAKES, None),
        (replace(ANY, parameters=frozenset({"tools"})), TAKES, Reason.LACKS_PARAMETER),
        (ANY, paying(), None),
        (ANY, paying(prompt="1", completion="2", request="0.001"), None),
        (ANY, paying(prompt="0.99"), Reason.TOO_DEAR),
        (ANY, paying(completion="1.99"), Reason.TOO_DEAR),
        (ANY, paying(request="0.0009"), Reason.TOO_DEAR),
        (ANY, paying(image="0", audio="0"), None),
    ],
)
def test_each_preference(offer: Offer, wanted: Preferences, reason: Reason | str | None) -> None:
    """An offer is refused for the reason named, and the sentence says more than its name."""
    asked = replace(intent(), preferences=wanted, parameters=frozenset({"seed"}))
    refused = refusal(Listing(offer, QUOTE, UNSEEN), asked, AT_NS)
    if reason is None:
        assert refused is None
    else:
        assert refused is not None
        assert refused.reason.startswith(reason)
        assert len(refused.why) > len(refused.reason)


def test_what_was_asked_for_by_its_tier_goes_by_its_provider() -> None:
    """`only: [acme]` with `service_tier: flex` means the flex offers of acme, too."""
    asked = replace(intent(), preferences=only("acme"), service_tier="flex")
    assert refusal(Listing(FLEX, QUOTE, UNSEEN), asked, AT_NS) is None


TIERS = (None, "flex", "priority", "default", "fast")


@pytest.mark.parametrize(
    ("wanted", "tier", "served"),
    [
        (NO_PREFERENCES, None, {None, "default"}),
        (NO_PREFERENCES, "flex", {"flex"}),
        (NO_PREFERENCES, "priority", {None, "default", "priority", "fast"}),
        (Preferences(tiers=frozenset({"flex"})), None, {None, "default", "flex"}),
        (Preferences(tiers=frozenset({"priority"})), None, {None, "default", "priority", "fast"}),
        (Preferences(order=("acme/flex",)), None, {None, "default", "flex"}),
        (Preferences(order=("acme",)), None, {None, "default"}),
        (only("acme"), None, {None, "default"}),
        (only("acme"), "flex", {"flex"}),
        (only("acme"), "priority", {None, "default", "priority", "fast"}),
        (only("acme/fast"), None, {"priority", "fast"}),
        (only("acme", "acme/flex"), None, {None, "default", "flex"}),
        (replace(only("acme"), tiers=frozenset({"flex"})), None, {None, "default", "flex"}),
        (Preferences(offer_id=FLEX.id), None, {"flex"}),
    ],
)
def test_which_tiers_serve(wanted: Preferences, tier: str | None, served: set[str | None]) -> None:
    """One that costs another price serves those who ask for it, by its name or otherwise; `flex`
    is never served dearer, `priority` is served as usual where there is no better."""
    asked = replace(intent(), preferences=wanted, service_tier=tier)
    offers = {one: Listing(replace(ANY, service_tier=one), QUOTE, UNSEEN) for one in TIERS}
    assert {one for one in TIERS if refusal(offers[one], asked, AT_NS) is None} == served


@pytest.mark.parametrize(
    ("task", "unit", "most", "is_refused"),
    [
        (Task.IMAGE, Unit.IMAGE, paying(image="0.04"), False),
        (Task.IMAGE, Unit.IMAGE, paying(image="0.039"), True),
        (Task.IMAGE, Unit.IMAGE, paying(audio="0"), False),
        (Task.SPEECH, Unit.CHARACTER, paying(audio="1"), True),
        (Task.SPEECH, Unit.CHARACTER, paying(image="0"), False),
        (Task.TRANSCRIPTION, Unit.SECOND, paying(audio="1"), True),
    ],
)
def test_prices_of_other_things_than_tokens(
    task: Task, unit: Unit, most: Preferences, is_refused: bool
) -> None:
    """An image has a price to be held against; of sound, a limit per token says nothing."""
    asked = replace(intent(task=task, units=1), preferences=most)
    refused = refusal(Listing(ANY, quote_per(unit, "0.04"), UNSEEN), asked, AT_NS)
    assert (refused is not None) is is_refused


def test_thinking_is_output() -> None:
    """Where tokens of reasoning cost more, they are what the limit is held against."""
    card = replace(RateCard.of(Decimal(1), Decimal(2)), reasoning=Decimal(4))
    thinking = Listing(ANY, Quote(card, None, (), "test", AT), UNSEEN)
    for most, is_refused in (("4", False), ("3.99", True)):
        asked = replace(intent(), preferences=paying(completion=most))
        assert (refusal(thinking, asked, AT_NS) is not None) is is_refused


def test_the_price_is_that_of_this_request_at_this_moment() -> None:
    """Dear for long prompts, cheap at night: one table decides for all of them."""
    card, dear, cheap = (RateCard.of(Decimal(one), Decimal(one)) for one in (2, 5, 1))
    night = UtcHours(22 * 60, 6 * 60)
    overrides = (Override(dear, above_prompt_tokens=1000), Override(cheap, hours=night))
    market = snapshot(Listing(ANY, Quote(card, None, overrides, "test", AT), UNSEEN))
    state, midnight = State(), int(AT.timestamp())
    assert midnight % 86_400 == 0
    noon = midnight + int(timedelta(hours=12).total_seconds())

    def is_sold(prompt_tokens: int, most: str, at_s: int) -> bool:
        asked = replace(intent(prompt_tokens), preferences=paying(prompt=most))
        now = Moment(at_s * 10**9, 0.0)
        return len(decide([[Wanted(asked, Limits())]], market, state, now).candidates) == 1

    for _ in range(2):  # what was worked out once holds for no other length, or time
        assert is_sold(1000, "2", noon)
        assert not is_sold(1001, "2", noon)
        assert is_sold(1001, "5", noon)
        assert is_sold(1001, "1", midnight)
        assert not is_sold(1000, "1", noon)


maybe = st.none() | st.booleans()
policies = st.builds(
    Preferences,
    data_collection=st.booleans(),
    zdr=st.booleans(),
    quantizations=st.none() | st.frozensets(st.sampled_from(["fp8", "unknown"])),
    require_parameters=st.booleans(),
    only=st.none() | st.frozensets(st.sampled_from(["p0", "p1", "p2"])),
    ignore=st.frozensets(st.sampled_from(["p1", "p3"])),
)


@given(listings(), policies, maybe, maybe, st.none() | st.sampled_from(["fp8", "int4"]))
def test_against_a_naive_judge(
    found: tuple[Listing, ...],
    wanted: Preferences,
    may_train: bool | None,
    keeps_nothing: bool | None,
    quantization: str | None,
) -> None:
    """Who may serve it with preferences may serve it without, and the other way round unless one of
    them speaks against it."""
    plain: RoutingIntent = intent(10, 1)
    asked = replace(plain, preferences=wanted, parameters=frozenset({"seed"}))
    for one in found:
        offer = replace(
            one.offer,
            may_train=may_train,
            keeps_nothing=keeps_nothing,
            quantization=quantization,
        )
        listing = replace(one, offer=offer)
        is_wanted = (
            offer.provider not in wanted.ignore
            and (wanted.only is None or offer.provider in wanted.only)
            and (not wanted.zdr or keeps_nothing is True)
            and (wanted.data_collection or may_train is False or keeps_nothing is True)
            and (
                wanted.quantizations is None or (quantization or "unknown") in wanted.quantizations
            )
            and not wanted.require_parameters
        )
        serves = refusal(listing, plain, AT_NS) is None
        assert (refusal(listing, asked, AT_NS) is None) == (serves and is_wanted)
