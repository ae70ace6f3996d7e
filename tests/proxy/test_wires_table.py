"""What holds for every wire: no bytes make it stumble, and nothing is changed but what it says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.offers import Task
from ledger.money import usd
from ledger.usage import TokenUsage
from proxy.endpoints import Endpoint
from proxy.errors import Invalid
from proxy.wires import audio, completions, embeddings, images, moderations, rerank
from proxy.wires.table import WIRES
from proxy.wires.wire import Ask, Plain
from tests.proxy.wire_clients import PROVIDER

JSON = "application/json"
REQUESTS: dict[Endpoint, tuple[type[msgspec.Struct], dict[str, Any]]] = {
    Endpoint.COMPLETIONS: (completions.CompletionRequest, {"model": "m", "prompt": "hi"}),
    Endpoint.EMBEDDINGS: (embeddings.EmbeddingsRequest, {"model": "m", "input": ["a", "b"]}),
    Endpoint.MODERATIONS: (moderations.ModerationRequest, {"model": "m", "input": "hi"}),
    Endpoint.IMAGES: (images.ImagesRequest, {"model": "m", "prompt": "a cat"}),
    Endpoint.SPEECH: (audio.SpeechRequest, {"model": "m", "input": "hi", "voice": "alloy"}),
    Endpoint.RERANK: (
        rerank.RerankRequest,
        {"model": "m", "query": "q", "documents": ["a", {"text": "b"}]},
    ),
}
"""The wires of this kind whose requests are JSON, each with a good one."""
here = st.sampled_from(sorted(REQUESTS))

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
counts = st.none() | st.booleans() | st.integers(-9, 2**33) | st.floats() | st.text(max_size=3)
ANSWER_FIELDS = ("choices", "data", "results", "text", "duration", "meta", "error", "content")
USAGE_FIELDS = (
    *("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"),
    *("seconds", "prompt_audio_seconds", "search_units", "type"),
)
usages = st.dictionaries(st.sampled_from(USAGE_FIELDS), counts)
answers = st.fixed_dictionaries(
    {},
    optional={
        **{name: values | st.lists(values, max_size=2) for name in ANSWER_FIELDS},
        "usage": usages | values,
        "meta": st.fixed_dictionaries({"billed_units": usages | values}) | values,
    },
)


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def test_every_wire_stands_under_its_own_endpoint() -> None:
    """Nothing is answered by the wire of another endpoint; what has no wire is known."""
    assert {endpoint: wire.endpoint for endpoint, wire in WIRES.items()} == {
        endpoint: endpoint for endpoint in WIRES
    }
    assert set(Endpoint) - set(WIRES) == {Endpoint.COUNT_TOKENS, Endpoint.FILES, Endpoint.BATCHES}


@pytest.mark.parametrize("endpoint", sorted(WIRES))
@settings(max_examples=25)
@given(body=st.binary() | answers.map(raw) | values.map(raw) | st.text().map(str.encode))
def test_any_bytes_are_an_answer_or_are_none(endpoint: Endpoint, body: bytes) -> None:
    """No answer makes an exception; what is taken has counts that the books can hold, and can be
    given its cost."""
    wire = WIRES[endpoint]
    ask = Ask("m", Task.CHAT, 10, most_completion_tokens=5, units=3)
    plain = wire.plain(body, ask)
    if plain is None:
        return
    assert isinstance(plain, Plain)
    assert plain.text_bytes >= 0
    usage = plain.usage or TokenUsage(None, None)
    for count in (usage.prompt, usage.completion, usage.cached, usage.units):
        assert count is None or 0 <= count < 2**33
    assert isinstance(wire.with_cost(body, usd("0.5")), bytes)


@given(here, st.data())
def test_any_object_is_asked_for_or_is_invalid(endpoint: Endpoint, data: st.DataObject) -> None:
    """No JSON object makes another exception; what is refused says why; what is taken has bounds
    that are no less than nothing, and can be rewritten."""
    struct, good = REQUESTS[endpoint]
    names = st.sampled_from(struct.__struct_fields__) | st.text()
    extra = data.draw(st.dictionaries(names, values))
    refused: list[Invalid] = []
    for body in (raw(extra), raw(good | extra)):
        try:
            ask = WIRES[endpoint].ask(body, JSON)
        except Invalid as refusal:
            refused.append(refusal)
            continue
        assert ask.model == json.loads(body)["model"]
        assert min(ask.prompt_bytes, ask.choices) >= 1
        assert min(ask.units, ask.most_completion_tokens or 0) >= 0
        sent = WIRES[endpoint].rewrite(body, JSON, PROVIDER, "theirs", 7)
        assert WIRES[endpoint].ask(sent, JSON).model == "theirs"
    assert {one.code for one in refused} <= {"invalid_json", "invalid_type", "unpriced_feature"}
    assert all(one.message for one in refused)


@given(here, st.binary() | st.text().map(str.encode))
def test_any_bytes_are_asked_for_or_are_invalid(endpoint: Endpoint, body: bytes) -> None:
    """What is no JSON object is refused as well."""
    with pytest.raises(Invalid):
        WIRES[endpoint].ask(body, JSON)


@given(here, st.data())
def test_unknown_fields_pass_through_untouched(endpoint: Endpoint, data: st.DataObject) -> None:
    """Every field that is not ours arrives with the value, and the very digits, that it had."""
    struct, good = REQUESTS[endpoint]
    ours = {name.lower() for name in struct.__struct_fields__}
    names = st.text().filter(lambda name: name.lower() not in ours)
    body = raw(data.draw(st.dictionaries(names, values)) | good)
    WIRES[endpoint].ask(body, JSON)
    sent = WIRES[endpoint].rewrite(body, JSON, PROVIDER, "theirs", None)
    before, after = (json.loads(one, parse_float=str, parse_int=str) for one in (body, sent))
    assert after == before | {"model": "theirs"}
    assert list(after) == list(before)


@given(here, st.data())
def test_lookalikes_are_refused(endpoint: Endpoint, data: st.DataObject) -> None:
    """A host that takes no notice of case would read them; we held for something else."""
    struct, good = REQUESTS[endpoint]
    name = data.draw(st.sampled_from(struct.__struct_fields__))
    with pytest.raises(Invalid) as refused:
        WIRES[endpoint].ask(raw(good | {name.title(): 5}), JSON)
    assert (refused.value.code, refused.value.param) == ("invalid_type", name.title())


@pytest.mark.parametrize("endpoint", sorted(set(REQUESTS) - {Endpoint.COMPLETIONS}))
def test_a_limit_is_held_and_not_sent(endpoint: Endpoint) -> None:
    """None of these endpoints knows such a field: many would refuse it."""
    body = raw(REQUESTS[endpoint][1])
    sent = json.loads(WIRES[endpoint].rewrite(body, JSON, PROVIDER, "theirs", 7))
    assert sent == json.loads(body) | {"model": "theirs"}


@pytest.mark.parametrize(
    "endpoint", sorted(set(REQUESTS) - {Endpoint.COMPLETIONS, Endpoint.SPEECH})
)
def test_there_is_no_stream_where_none_can_be_asked_for(endpoint: Endpoint) -> None:
    """However a client says it, the answer is read whole."""
    ask = WIRES[endpoint].ask(raw(REQUESTS[endpoint][1] | {"stream": False}), JSON)
    assert not ask.stream
    with pytest.raises(AssertionError, match=str(ask.task)):
        WIRES[endpoint].reader(ask)
