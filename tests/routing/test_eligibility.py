"""Eligibility: each reason refuses what it names, and the unknown refuses nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from benchmarks.offers import Feature, Offer, Task
from benchmarks.snapshot import Listing
from benchmarks.traffic.observations import UNSEEN
from ledger.usage import Unit
from routing.eligibility import SURELY_TOO_LONG, Reason, refusal
from routing.intent import RoutingIntent
from routing.preferences import Preferences
from tests.routing.market import AT, AT_NS, MODEL, intent, intents, listings, quote, quote_per

TOOLS, VISION = frozenset({Feature.TOOLS}), frozenset({Feature.VISION})
CHATS = frozenset({Task.CHAT})


def listing(offer: Offer, *, priced: bool = True) -> Listing:
    return Listing(offer, quote("1", "1") if priced else None, UNSEEN)


ANY = Offer("acme", MODEL)


@pytest.mark.parametrize(
    ("offer", "wanted", "reason"),
    [
        (ANY, intent(), None),
        (ANY, intent(10**9, longest=10**9, features=TOOLS), None),
        (replace(ANY, features=frozenset()), intent(), None),
        (replace(ANY, features=TOOLS), intent(features=TOOLS), None),
        (replace(ANY, features=VISION), intent(features=TOOLS), Reason.LACKS_FEATURE),
        (replace(ANY, features=frozenset()), intent(features=TOOLS), Reason.LACKS_FEATURE),
        (replace(ANY, context_tokens=1000), intent(1000 * SURELY_TOO_LONG), None),
        (
            replace(ANY, context_tokens=1000),
            intent(1000 * SURELY_TOO_LONG + 1),
            Reason.CONTEXT_TOO_SHORT,
        ),
        (replace(ANY, max_output_tokens=100), intent(longest=100), None),
        (replace(ANY, max_output_tokens=100), intent(longest=None), None),
        (replace(ANY, max_output_tokens=100), intent(longest=101), Reason.OUTPUT_TOO_SHORT),
        (ANY, intent(features=VISION), Reason.COST_UNBOUNDED),
        (replace(ANY, context_tokens=1000), intent(features=VISION), None),
        (replace(ANY, tasks=CHATS), intent(), None),
        (replace(ANY, tasks=CHATS), intent(task=Task.COMPLETION), Reason.WRONG_TASK),
        (replace(ANY, tasks=CHATS | {Task.COMPLETION}), intent(task=Task.COMPLETION), None),
        (replace(ANY, tasks=frozenset()), intent(), Reason.WRONG_TASK),
        (
            replace(ANY, tasks=CHATS, features=frozenset()),
            intent(features=TOOLS, task=Task.IMAGE),
            Reason.WRONG_TASK,
        ),
        *((ANY, intent(task=task), Reason.COST_UNBOUNDED if task.unit else None) for task in Task),
        *((replace(ANY, tasks=frozenset({task})), intent(task=task), None) for task in Task),
    ],
)
def test_each_reason(offer: Offer, wanted: RoutingIntent, reason: Reason | None) -> None:
    """An offer is refused for the reason named, at the very limit and not before it."""
    refused = refusal(listing(offer), wanted, AT_NS)
    assert (refused.reason if refused else None) is reason
    if refused is not None:
        assert refused.offer == offer
        assert refused.why


@pytest.mark.parametrize("per", Unit)
@pytest.mark.parametrize("task", Task)
def test_what_is_priced_by_units_needs_their_count(per: Unit, task: Task) -> None:
    """An offer priced by a unit serves work that is counted in that unit, once it is counted."""
    offer = Listing(ANY, quote_per(per, "0.01"), UNSEEN)
    for units in (0, 1, 50):
        refused = refusal(offer, intent(task=task, units=units), AT_NS)
        if task.unit is per and units:
            assert refused is None
        else:
            assert refused is not None
            assert refused.reason is Reason.COST_UNBOUNDED
            assert per in refused.why


def test_each_unit_is_what_some_work_is_counted_in() -> None:
    """No unit is without work, and no two kinds of work share one."""
    counted = [task.unit for task in Task if task.unit is not None]
    assert sorted(counted) == sorted(Unit)


@pytest.mark.parametrize("task", [one for one in Task if not one.is_writing])
def test_limits_of_a_text_refuse_no_list_of_texts(task: Task) -> None:
    """An embedding of a thousand short texts is longer than any of them may be, and no client sets
    a limit to what a transcription may say."""
    tasks = frozenset({task, Task.COMPLETION})
    short = replace(ANY, context_tokens=100, max_output_tokens=10, tasks=tasks)
    wanted = intent(10**6, longest=10**6, task=task)
    assert refusal(listing(short), wanted, AT_NS) is None
    assert refusal(listing(short), replace(wanted, task=Task.COMPLETION), AT_NS) is not None


def test_an_unknown_price_is_not_free() -> None:
    """An offer without a quote is refused before anything else is looked at."""
    refused = refusal(listing(ANY, priced=False), intent(), AT_NS)
    assert refused is not None
    assert refused.reason is Reason.NO_PRICE


def test_a_price_that_has_lapsed_is_unknown() -> None:
    """A quote refuses its offer from the moment on until which it was valid, and says so."""
    one = listing(ANY)
    assert one.quote is not None
    until = replace(one, quote=replace(one.quote, valid_until=AT))
    assert refusal(until, intent(), AT_NS - 10**9) is None
    refused = refusal(until, intent(), AT_NS)
    assert refused is not None
    assert refused.reason is Reason.PRICE_LAPSED
    assert AT.isoformat() in refused.why


@pytest.mark.parametrize(
    ("own", "wanted", "is_served"),
    [
        *((own, None, True) for own in (None, "default", "on_demand")),
        *((own, None, False) for own in ("flex", "priority", "fast", "scale")),
        *((own, "flex", False) for own in (None, "default", "priority")),
        *((own, "priority", True) for own in (None, "default", "priority", "fast")),
        *(("flex", "flex", True), ("flex", "priority", False), ("scale", "scale", True)),
    ],
)
def test_tiers(own: str | None, wanted: str | None, is_served: bool) -> None:
    """At one's own tier, by whatever word; who wants to be served faster may be served as usual;
    a tier that was not asked for serves whoever names it."""
    offer = replace(ANY, service_tier=own)
    refused = refusal(listing(offer), replace(intent(), service_tier=wanted), AT_NS)
    assert (refused is None) is is_served
    assert refused is None or refused.reason is Reason.OTHER_TIER
    if own is not None and wanted is None:
        named = replace(
            intent(), preferences=Preferences(only=frozenset({f"{ANY.provider}/{own}"}))
        )
        assert refusal(listing(offer), named, AT_NS) is None


def test_the_sentence_has_the_numbers() -> None:
    """What is missing is named, with how much there is and how much was asked for."""
    short = refusal(listing(replace(ANY, context_tokens=1000)), intent(5000), AT_NS)
    assert short is not None
    assert "1000" in short.why
    assert "5000" in short.why
    bare = refusal(listing(replace(ANY, features=frozenset())), intent(features=TOOLS), AT_NS)
    assert bare is not None
    assert "tools" in bare.why
    other = refusal(listing(replace(ANY, tasks=CHATS)), intent(task=Task.EMBEDDING), AT_NS)
    assert other is not None
    assert other.why.startswith("does chat, not embedding;")


@given(listings(), intents)
def test_what_is_unknown_refuses_nothing(found: tuple[Listing, ...], wanted: RoutingIntent) -> None:
    """Forgetting a limit of an offer never makes it refused, except where its cost is unbounded."""
    for one in found:
        if refusal(one, wanted, AT_NS) is None:
            for vaguer in (
                replace(one.offer, max_output_tokens=None),
                replace(one.offer, context_tokens=None),
                replace(one.offer, features=None),
                replace(one.offer, tasks=None),
            ):
                refused = refusal(replace(one, offer=vaguer), wanted, AT_NS)
                assert refused is None or refused.reason is Reason.COST_UNBOUNDED
