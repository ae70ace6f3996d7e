"""Terms of a request outside its body: suffixes of model names, and headers."""

from __future__ import annotations

import pytest

from benchmarks.offers import Task
from ledger.money import Money
from proxy.errors import Invalid
from proxy.terms import on_terms, unknown_model
from proxy.wires.wire import Ask
from routing.preferences import NO_PREFERENCES, Preferences, Sort

KNOWN = ("oak", "elm", "ash:floor", "a:b")


def named(model: str, *fallbacks: str, **more: object) -> Ask:
    return on_terms(
        Ask(model, Task.CHAT, 10, fallbacks=fallbacks, **more),  # type: ignore[arg-type]
        {},
        KNOWN,
    )


@pytest.mark.parametrize(
    ("written", "model", "sort", "tier"),
    [
        ("oak", "oak", None, None),
        ("oak:floor", "oak", Sort.PRICE, "flex"),
        ("oak:nitro", "oak", Sort.THROUGHPUT, "priority"),
        ("oak:nitro:floor", "oak", Sort.PRICE, "flex"),
        ("a:b:nitro", "a:b", Sort.THROUGHPUT, "priority"),
        ("ash:floor", "ash:floor", None, None),
        ("ash:floor:floor", "ash:floor", Sort.PRICE, "flex"),
        ("ash:nitro", "ash:nitro", None, None),
        ("oak:free", "oak:free", None, None),
        ("oak:free:floor", "oak:free:floor", None, None),
        ("nobody:floor", "nobody:floor", None, None),
        (":floor", ":floor", None, None),
        ("", "", None, None),
    ],
)
def test_suffixes(written: str, model: str, sort: Sort | None, tier: str | None) -> None:
    """`:floor` and `:nitro` are an order, the last one counts; a name of the configuration is
    always that, and what is no such name stays as it was written."""
    found = named(written)
    assert found.model == model
    assert found.preferences.sort is sort
    assert found.preferences.tiers == ({tier} if tier else frozenset())


def test_without_a_suffix_nothing_is_made_anew() -> None:
    """The same request comes back: most are so."""
    plain = Ask("oak", Task.CHAT, 10)
    assert on_terms(plain, {}, KNOWN) is plain
    assert plain.preferences is NO_PREFERENCES


def test_suffixes_in_models() -> None:
    """They are taken off there too; two names of one model are one."""
    found = named("oak", "elm:nitro", "oak:nitro", "elm")
    assert (found.model, found.fallbacks) == ("oak", ("elm",))
    assert found.preferences.sort is Sort.THROUGHPUT


def test_one_request_has_one_order() -> None:
    """Suffixes and `provider.sort` that speak against each other are refused, by name."""
    by_price = Preferences(sort=Sort.PRICE)
    assert named("oak:floor", preferences=by_price).preferences.sort is Sort.PRICE
    for ask, param in (
        (("oak:nitro", "elm:floor"), "models"),
        (("elm", "oak:nitro", "elm:floor"), "models"),
    ):
        with pytest.raises(Invalid) as refused:
            named(*ask)
        assert refused.value.param == param
    with pytest.raises(Invalid) as refused:
        named("oak:nitro", preferences=by_price)
    assert refused.value.param == "model"
    with pytest.raises(Invalid) as refused:
        named("oak", "elm:nitro", preferences=by_price)
    assert refused.value.param == "models"


def test_who_names_an_order_or_a_tier_is_not_sold_another() -> None:
    """`:floor` lets flex compete, but not where providers, or the usual tier, are asked for."""
    assert named("oak:floor", preferences=Preferences(order=("a",))).preferences.tiers == set()
    for tier, is_open in (("default", False), ("standard_only", False), ("auto", True)):
        assert bool(named("oak:floor", service_tier=tier).preferences.tiers) is is_open


def test_headers() -> None:
    """An offer, the most that it may cost, and a session, which the body knows better."""
    headers = {
        "x-hedgerow-offer": "a/oak",
        "x-hedgerow-max-cost-usd": "0.0123456789",
        "x-session-id": "h",
    }
    found = on_terms(Ask("oak", Task.CHAT, 10), headers, KNOWN)
    assert found.preferences.offer_id == "a/oak"
    assert found.max_cost == Money(12_345_678)
    assert found.session == "h"
    assert on_terms(Ask("oak", Task.CHAT, 10, session="b"), headers, KNOWN).session == "b"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        *(("x-hedgerow-max-cost-usd", one) for one in ("", "x", "0", "-1", "NaN", "inf", "1e9")),
        ("x-session-id", ""),
        ("x-session-id", "s" * 257),
    ],
)
def test_a_wrong_header_is_refused_by_name(header: str, value: str) -> None:
    """It is neither ignored nor taken for no limit."""
    with pytest.raises(Invalid) as refused:
        on_terms(Ask("oak", Task.CHAT, 10), {header: value}, KNOWN)
    assert refused.value.param == header
    assert header in refused.value.message


def test_the_hint_of_a_suffix_that_is_nothing_here() -> None:
    """OpenRouter's other suffixes are told apart from names that nobody knows."""
    assert ":floor and :nitro are" in unknown_model("oak:free", ["oak"]).message
    assert ":floor" not in unknown_model("oak:free", ["elm"]).message
    assert ":floor" not in unknown_model("oak:x", ["oak"]).message
