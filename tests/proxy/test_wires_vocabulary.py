"""OpenRouter's words in a request: each is understood or refused by name, and none goes on."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Offer
from proxy.endpoints import Endpoint
from proxy.errors import Invalid
from proxy.legs import Body, leg_to
from proxy.limits import OutputLimit
from proxy.providers import Account, Provider
from proxy.terms import MAX_COST_HEADER, OFFER_HEADER, SESSION_HEADER
from proxy.wires.table import WIRES
from proxy.wires.vocabulary import MOST_MODELS, WORDS
from proxy.wires.wire import Ask
from routing.preferences import NO_PREFERENCES, MaxPrice, Preferences, Sort, Wish

JSON = "application/json"
HELLO = [{"role": "user", "content": "hi"}]
REQUESTS: dict[Endpoint, dict[str, Any]] = {
    Endpoint.CHAT: {"messages": HELLO},
    Endpoint.COMPLETIONS: {"prompt": "hi"},
    Endpoint.RESPONSES: {"input": "hi"},
    Endpoint.MESSAGES: {"messages": HELLO, "max_tokens": 5},
    Endpoint.EMBEDDINGS: {"input": "hi"},
    Endpoint.MODERATIONS: {"input": "hi"},
    Endpoint.IMAGES: {"prompt": "hi"},
    Endpoint.SPEECH: {"input": "hi", "voice": "alloy"},
    Endpoint.RERANK: {"query": "hi", "documents": ["a"]},
}
every_wire = pytest.mark.parametrize("endpoint", sorted(REQUESTS))
PROVIDER = Provider("a", "http://a/v1", (Account("1", None),), frozenset(Endpoint))
OPENROUTER = Provider(
    "or", "http://or/v1", (Account("1", None),), frozenset(Endpoint), takes_preferences=True
)
FULL: dict[str, Any] = {
    "order": ["b", "a/fp8"],
    "only": ["a", "b"],
    "ignore": ["c"],
    "allow_fallbacks": False,
    "require_parameters": True,
    "data_collection": "deny",
    "zdr": True,
    "enforce_distillable_text": False,
    "quantizations": ["fp8", "unknown"],
    "sort": {"by": "throughput", "partition": "none"},
    "preferred_max_latency": {"p50": 1, "p99": 2.5},
    "preferred_min_throughput": 40,
    "max_price": {"prompt": "0.5", "completion": 1.25, "request": 0},
}
ASKED: dict[str, Any] = {
    "provider": FULL,
    "models": ["m", "n", "n"],
    "route": "fallback",
    "session_id": "s",
    "usage": {"include": True},
    "transforms": [],
    "plugins": [],
    "preset": None,
    "debug": {},
}


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def asked(extra: dict[str, Any], endpoint: Endpoint = Endpoint.CHAT, model: str = "m") -> Ask:
    return WIRES[endpoint].ask(raw({"model": model} | REQUESTS[endpoint] | extra), JSON)


def understood(extra: dict[str, Any]) -> Ask | Invalid:
    try:
        return asked(extra)
    except Invalid as refused:
        return refused


def preferred(**provider: Any) -> Preferences:
    return asked({"provider": provider}).preferences


@every_wire
def test_every_word_is_understood_by_every_wire(endpoint: Endpoint) -> None:
    """The same words mean the same wherever they stand."""
    found = asked(ASKED, endpoint)
    assert found.preferences == Preferences(
        order=("b", "a/fp8"),
        only=frozenset({"a", "b"}),
        ignore=frozenset({"c"}),
        allow_fallbacks=False,
        require_parameters=True,
        data_collection=False,
        zdr=True,
        quantizations=frozenset({"fp8", "unknown"}),
        sort=Sort.THROUGHPUT,
        by_model=False,
        max_latency=(Wish(0.50, 1000), Wish(0.99, 2500)),
        min_throughput=(Wish(0.50, 40),),
        max_price=MaxPrice(Decimal("0.5"), Decimal("1.25"), Decimal(0)),
    )
    assert (found.model, found.fallbacks, found.session) == ("m", ("n",), "s")


@every_wire
def test_what_asks_for_nothing_changes_nothing(endpoint: Endpoint) -> None:
    """Without a word, or with words that say what holds anyway, a request is the same."""
    plain = asked({}, endpoint)
    assert plain.preferences is NO_PREFERENCES
    harmless: tuple[dict[str, Any], ...] = (
        {"provider": None, "models": None, "route": None, "session_id": None, "usage": None},
        {"provider": {}, "models": [], "usage": {"include": False}},
        {"provider": {"allow_fallbacks": True, "data_collection": "allow", "zdr": False}},
        {"provider": {"sort": None, "max_price": {}, "preferred_max_latency": {}}},
    )
    for extra in harmless:
        found = asked(extra, endpoint)
        assert found.preferences == NO_PREFERENCES
        assert (found.fallbacks, found.session) == ((), None)


@every_wire
def test_models_alone_name_the_first(endpoint: Endpoint) -> None:
    """Without `model`, the first of `models` is it; without both, a request has none."""
    extra = {"models": ["one", "two"]}
    found = WIRES[endpoint].ask(raw(REQUESTS[endpoint] | extra), JSON)
    assert (found.model, found.fallbacks) == ("one", ("two",))
    none: tuple[dict[str, Any], ...] = ({}, {"models": []}, {"model": ""})
    for nothing in none:
        with pytest.raises(Invalid) as refused:
            WIRES[endpoint].ask(raw(REQUESTS[endpoint] | nothing), JSON)
        assert refused.value.param == "model"
        assert "model is missing" in refused.value.message


@pytest.mark.parametrize(
    ("extra", "param", "told"),
    [
        ({"provider": []}, "provider", "an object"),
        ({"provider": {"orders": ["a"]}}, "provider.orders", "leave it out"),
        ({"provider": {"order": "a"}}, "provider.order", "write a list"),
        ({"provider": {"order": ["a", 1]}}, "provider.order[1]", "write a string"),
        ({"provider": {"only": [""]}}, "provider.only[0]", "too short"),
        ({"provider": {"ignore": ["x"] * 101}}, "provider.ignore", "100 entries or fewer"),
        ({"provider": {"allow_fallbacks": "no"}}, "provider.allow_fallbacks", "true or false"),
        ({"provider": {"data_collection": "no"}}, "provider.data_collection", "allow or deny"),
        ({"provider": {"quantizations": ["fp7"]}}, "provider.quantizations[0]", "bf16"),
        ({"provider": {"sort": "exacto"}}, "provider.sort", "price, throughput or latency"),
        ({"provider": {"sort": 1}}, "provider.sort", "a number"),
        ({"provider": {"sort": {"by": "x"}}}, "provider.sort.by", "price, throughput or"),
        ({"provider": {"sort": {"partition": "x"}}}, "provider.sort.partition", "model or none"),
        ({"provider": {"sort": {"dir": "up"}}}, "provider.sort.dir", "leave it out"),
        ({"provider": {"preferred_max_latency": 0}}, "provider.preferred_max_latency", "more than"),
        (
            {"provider": {"preferred_min_throughput": {"p95": 1}}},
            "provider.preferred_min_throughput.p95",
            "leave it out",
        ),
        ({"provider": {"max_price": {"prompt": -1}}}, "provider.max_price.prompt", "no price"),
        ({"provider": {"max_price": {"prompt": "NaN"}}}, "provider.max_price.prompt", "no price"),
        ({"provider": {"max_price": {"image": 1e30}}}, "provider.max_price.image", "no price"),
        ({"provider": {"max_price": {"output": 1}}}, "provider.max_price.output", "leave it out"),
        (
            {"provider": {"enforce_distillable_text": True}},
            "provider.enforce_distillable_text",
            "leave",
        ),
        ({"models": "m"}, "models", "write a list"),
        ({"models": [1]}, "models[0]", "write a string"),
        ({"models": ["m"] * (MOST_MODELS + 1)}, "models", f"{MOST_MODELS} entries or fewer"),
        ({"route": "best"}, "route", "fallback or sort"),
        ({"session_id": "s" * 257}, "session_id", "256 characters or fewer"),
        ({"session_id": 1}, "session_id", "write a string"),
        ({"usage": {"include": 1}}, "usage.include", "true or false"),
        ({"plugins": [{"id": "web"}]}, "plugins", "leave it out"),
        ({"preset": "p"}, "preset", "leave it out"),
        ({"transforms": ["middle-out"]}, "transforms", "leave transforms out"),
        ({"debug": {"echo_upstream_body": True}}, "debug", "leave debug out"),
        ({"Provider": {}}, "Provider", "is written provider"),
    ],
    ids=str,
)
def test_a_refusal_names_the_field(extra: dict[str, Any], param: str, told: str) -> None:
    """`param` is the path of what is wrong; the message names it, and says what to write."""
    with pytest.raises(Invalid) as refused:
        asked(extra)
    assert refused.value.param == param
    assert param in refused.value.message
    assert told in refused.value.message


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
mutated = st.dictionaries(
    st.sampled_from(sorted(FULL)) | st.text(max_size=3),
    values | st.dictionaries(st.sampled_from(["p50", "by", "prompt"]), values),
)


@given(st.dictionaries(st.sampled_from(sorted(WORDS)), values | mutated))
def test_whatever_they_hold_it_is_understood_or_refused(extra: dict[str, Any]) -> None:
    """No value makes another exception; a refusal names one of the fields."""
    found = understood(extra)
    if isinstance(found, Ask):
        hash(found.preferences)
    elif found.code != "invalid_json":
        assert (found.param or "").split(".")[0].split("[")[0] in extra


def test_the_older_name_of_a_partition() -> None:
    """`route: sort` puts the offers of all models into one order, as `partition: none` does."""
    assert asked({"route": "fallback"}).preferences.by_model
    assert not asked({"route": "sort"}).preferences.by_model
    assert not preferred(sort={"partition": "none"}).by_model


def test_the_parameters_are_named_as_offers_name_them() -> None:
    """Two names of one parameter are one; what every provider takes, or is null, is none."""
    wants = {"provider": {"require_parameters": True}}
    more: dict[str, Any] = {
        "max_completion_tokens": 5,
        "max_tokens": 5,
        "seed": 1,
        "top_k": None,
        "tools": [],
        "stream": True,
        "user": "u",
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": {}},
        "foo": 1,
    }
    assert asked(wants | more).parameters == {
        *("max_tokens", "seed", "tools", "temperature", "response_format", "structured_outputs"),
        "foo",
    }
    assert asked(more).parameters == frozenset()  # nobody asks
    response = {"instructions": "i", "text": {"format": {"type": "json_object"}}, "top_p": 1}
    found = asked(wants | response | {"max_output_tokens": 3}, Endpoint.RESPONSES)
    assert found.parameters == {"response_format", "top_p", "max_tokens"}
    plain = asked(wants | {"text": {"verbosity": "low"}}, Endpoint.RESPONSES)
    assert plain.parameters == frozenset()
    message = {"system": "s", "stop_sequences": ["x"], "thinking": {"type": "disabled"}}
    assert asked(wants | message, Endpoint.MESSAGES).parameters == {
        *("max_tokens", "stop", "reasoning"),
    }


TALKS = (Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.MESSAGES)


def sent(endpoint: Endpoint, to: frozenset[Endpoint], provider: Provider = PROVIDER) -> Any:
    """What a provider that speaks `to` is sent."""
    named = Provider(
        provider.name,
        provider.base_url,
        provider.accounts,
        to,
        takes_preferences=provider.takes_preferences,
    )
    wire, body = WIRES[endpoint], raw({"model": "m"} | REQUESTS[endpoint] | ASKED)
    leg = leg_to(named, Offer("a", "up"), Body(wire, body, {}, 0), wire.ask(body, JSON))
    return json.loads(leg.request("up", OutputLimit(5, 5)))


@pytest.mark.parametrize(
    ("endpoint", "to"),
    [*((one, one) for one in sorted(REQUESTS)), *((a, b) for a in TALKS for b in TALKS if a != b)],
)
def test_no_provider_is_sent_a_word_of_it(endpoint: Endpoint, to: Endpoint) -> None:
    """Neither as it came nor translated; the rest of the request goes on."""
    body = sent(endpoint, frozenset({to}))
    assert body["model"] == "up"
    assert not WORDS & body.keys()


@pytest.mark.parametrize("endpoint", TALKS)
def test_openrouter_is_sent_what_holds_for_its_endpoints(endpoint: Endpoint) -> None:
    """Conditions and wishes, and the session; not the names of our providers and models."""
    body = sent(endpoint, frozenset({endpoint}), OPENROUTER)
    ours = ("order", "only", "ignore", "allow_fallbacks", "enforce_distillable_text")
    assert body["provider"] == {name: one for name, one in FULL.items() if name not in ours}
    assert body["session_id"] == "s"
    assert WORDS & body.keys() == {"provider", "session_id"}


def test_the_page_has_every_word() -> None:
    """docs/routing.md has a row for each field of `provider`, each word beside it and each header,
    and for no other."""
    page = (Path(__file__).parents[2] / "docs" / "routing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page, flags=re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)[:`]", row)}
    assert named == (set(FULL) | WORDS | {"service_tier"}) - {"provider"}
    headers = {name for row in rows for name in re.findall(r"`(x-[a-z-]+)", row)}
    assert headers == {OFFER_HEADER, MAX_COST_HEADER, SESSION_HEADER}
