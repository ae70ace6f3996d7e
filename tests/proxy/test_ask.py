"""What may be asked: every body is understood or refused by name, and none is held for less than
it is sent for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Invalid, Untranslatable
from proxy.providers import Account, Provider
from proxy.translate.messages_provider import request_from_chat
from proxy.translate.responses import request_to_chat
from proxy.wires.chat import ChatRequest, ChatWire
from proxy.wires.completions import CompletionsWire
from proxy.wires.embeddings import EmbeddingsWire
from proxy.wires.messages import MessagesWire
from proxy.wires.moderations import ModerationsWire
from proxy.wires.responses import ResponsesWire
from proxy.wires.vocabulary import WORDS
from proxy.wires.wire import Ask, Wire
from tests.serving import HELLO, MODEL, asking, serving

PROVIDER = Provider("a", "http://a/v1", (Account("1", None),))
FIELDS = sorted(WORDS.union(ChatRequest.__struct_fields__))
GOOD: dict[str, Any] = {"model": MODEL, "messages": HELLO}

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


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def parse(body: bytes) -> Ask:
    return ChatWire().ask(body, "application/json")


def rewritten(body: bytes, limit: int | None) -> bytes:
    return ChatWire().rewrite(body, "application/json", PROVIDER, "m", limit)


def understood(body: bytes) -> Ask | Invalid:
    try:
        return parse(body)
    except Invalid as refused:
        return refused


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(), values))
def test_any_object_is_an_ask_or_is_invalid(extra: dict[str, Any]) -> None:
    """No JSON object makes another exception; what is refused has a code and a message; what is
    taken can be rewritten for a provider."""
    for body in (extra, GOOD | extra | {"stream": True}):
        found = understood(raw(body))
        if isinstance(found, Invalid):
            assert found.code in (
                *("invalid_json", "invalid_type", "unpriced_feature"),
                "not_honoured",
            )
        else:
            sent = parse(rewritten(raw(body), limit=7))
            assert sent.wants_usage == body.get("stream", False)
            assert sent.most_completion_tokens == 7


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_an_ask_or_are_invalid(body: bytes) -> None:
    """What is no JSON at all is refused as well."""
    with pytest.raises(Invalid):
        parse(body)


@given(st.dictionaries(st.text().filter(lambda name: name not in FIELDS), values))
def test_unknown_fields_pass_through_untouched(extra: dict[str, Any]) -> None:
    """Every field that is not ours arrives with the value, and the very digits, that it had."""
    body = raw(extra | GOOD)
    before = json.loads(body, parse_float=str, parse_int=str)
    after = json.loads(rewritten(body, limit=None), parse_float=str, parse_int=str)
    assert after == before | {"model": "m"}
    assert list(after) == list(before)


PARTS = [{"type": "text", "text": "x"}, {"type": "input_audio", "input_audio": {}}]


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("model", 1, "model"),
        ("messages", "x", "messages"),
        ("messages", [], "messages"),
        ("messages", [{"content": 1}], "messages[0].content"),
        ("messages", [{"content": [{"type": 1}]}], "messages[0].content[0].type"),
        ("messages", [{"role": "user", "content": PARTS}], "messages"),
        ("stream", "true", "stream"),
        ("stream_options", [], "stream_options"),
        ("stream_options", {"include_usage": 1}, "stream_options.include_usage"),
        ("max_tokens", 0, "max_tokens"),
        ("max_tokens", -1, "max_tokens"),
        ("max_tokens", 1.5, "max_tokens"),
        ("max_tokens", True, "max_tokens"),
        ("max_tokens", "8", "max_tokens"),
        ("max_tokens", 2**31, "max_tokens"),
        ("max_tokens", 10**30, "max_tokens"),
        ("max_completion_tokens", 0, "max_completion_tokens"),
        ("n", 0, "n"),
        ("n", 129, "n"),
        ("tools", {}, "tools"),
        ("response_format", "json", "response_format"),
        ("logprobs", 1, "logprobs"),
        ("service_tier", 7, "service_tier"),
        ("modalities", ["text", "audio"], "modalities"),
        ("audio", {"voice": "alloy"}, "audio"),
        ("web_search_options", {}, "web_search_options"),
    ],
)
def test_a_refusal_names_the_field(field: str, value: object, param: str) -> None:
    """`param` is the path of what is wrong, and the message names it too."""
    with pytest.raises(Invalid) as refused:
        parse(raw(GOOD | {field: value}))
    assert refused.value.param == param
    assert param in refused.value.message


@pytest.mark.parametrize(
    ("wire", "body", "param", "told"),
    [
        (ChatWire(), {"messages": HELLO}, "model", "model is missing"),
        (ChatWire(), {"model": MODEL}, "messages", "messages is missing: a chat request"),
        (MessagesWire(), {"model": MODEL, "max_tokens": 1}, "messages", "messages is missing"),
        (EmbeddingsWire(), {"model": MODEL}, "input", "input is missing"),
        (ModerationsWire(), {"model": MODEL}, "input", "input is missing"),
        (CompletionsWire(), {"prompt": "x"}, "model", "model is missing"),
        (MessagesWire(), {"model": MODEL, "messages": [{}]}, "messages[0].content", "is missing"),
        (ChatWire(), GOOD | {"max_tokens": "8"}, "max_tokens", "a string: write a whole number"),
        (ChatWire(), GOOD | {"max_tokens": 1.5}, "max_tokens", "write a whole number"),
        (ChatWire(), GOOD | {"max_tokens": 0}, "max_tokens", "too small: write 1 or more"),
        (ChatWire(), GOOD | {"n": 129}, "n", "too large: write 128 or less"),
        (ChatWire(), GOOD | {"model": None}, "model", "null: write a string"),
        (ChatWire(), GOOD | {"tools": {}}, "tools", "an object: write a list"),
        (ChatWire(), GOOD | {"stream": "yes"}, "stream", "a string: write true or false"),
        (CompletionsWire(), {"model": MODEL, "prompt": 3}, "prompt", "write a string or a list"),
        (ChatWire(), [], None, "a chat request is an object, not a list"),
    ],
)
def test_a_refusal_says_what_to_write(wire: Wire, body: object, param: str, told: str) -> None:
    """A client reads which field it is, what it is and what it should be: not the words of our
    decoder."""
    with pytest.raises(Invalid) as refused:
        wire.ask(raw(body), "application/json")
    assert refused.value.param == param
    assert told in refused.value.message
    assert not re.search(r"`|Expected|Object|\bint\b|\bstr\b", refused.value.message)


def test_what_is_read_only_to_be_translated_is_refused_in_the_same_words() -> None:
    """A field that routing does not need is named with its path."""
    item = {"type": "function_call", "call_id": 1, "name": "f", "arguments": "{}"}
    with pytest.raises(Invalid) as refused:
        request_to_chat(raw({"model": MODEL, "input": [item]}))
    assert refused.value.param == "input[0].call_id"
    assert refused.value.message == "input[0].call_id is a number: write a string"


@pytest.mark.parametrize(
    ("extra", "param", "mend"),
    [
        ({"previous_response_id": "r"}, "previous_response_id", "whole conversation in input"),
        ({"conversation": {"id": "c"}}, "conversation", "send the whole of it in input"),
        ({"prompt": {"id": "p"}}, "prompt", "write it out in instructions and input"),
        ({"background": True}, "background", "leave background out"),
        ({"input": [{"type": "item_reference", "id": "i"}]}, "input", "send the item itself"),
        ({"input": [{"id": "i"}]}, "input", "send the item itself"),
    ],
)
def test_what_is_not_kept_here_says_what_to_send(
    extra: dict[str, Any], param: str, mend: str
) -> None:
    """It is no question of prices: there is nothing here that it could stand for."""
    with pytest.raises(Invalid) as refused:
        ResponsesWire().ask(raw({"model": MODEL, "input": "x"} | extra), "application/json")
    assert refused.value.param == param
    assert refused.value.message.startswith("Hedgerow keeps no ")
    assert mend in refused.value.message


@pytest.mark.parametrize(
    "extra",
    [
        {"n": 2},
        {"temperature": 1.5},
        {"tool_choice": "perhaps"},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "custom", "custom": {"name": "f"}}]},
        {"messages": [{"role": "function", "name": "f", "content": "x"}]},
    ],
    ids=str,
)
def test_a_wire_is_not_called_by_the_name_of_one_host(extra: dict[str, Any]) -> None:
    """Others than Anthropic speak Messages, with other models than Claude."""
    with pytest.raises(Untranslatable) as refused:
        request_from_chat(raw(GOOD | extra), 100)
    assert "Messages wire" in refused.value.message
    assert not re.search("claude|anthropic", refused.value.message, re.IGNORECASE)


@pytest.mark.parametrize(
    "extra",
    [
        '"x":NaN',
        '"x":Infinity',
        '"x":01',
        '"x":tru',
        '"x":[1,]',
        '"x":"\\ud800"',
        '"\\ud800":1',
        '"x":"\x01"',
        '"x":' + "[" * 50_000 + "]" * 50_000,
        '"max_tokens":1' + "0" * 5000,
    ],
)
def test_what_is_almost_json_is_refused(extra: str) -> None:
    """NaN, lone surrogates, control characters, nesting without end: 400, and no exception."""
    with pytest.raises(Invalid):
        parse(raw(GOOD)[:-1] + f",{extra}}}".encode())


@pytest.mark.parametrize("value", ["1e999", "123456789012345678901234567890", "-0.0", "1E+2"])
def test_numbers_that_no_machine_holds_pass_through(value: str) -> None:
    """A number that we need not understand is passed on digit by digit, inside our own options
    too."""
    options = f',"x":{value},"stream":true,"stream_options":{{"x":{value}}}}}'
    body = raw(GOOD)[:-1] + options.encode()
    parse(body)
    sent = rewritten(body, limit=None)
    assert sent.count(f'"x":{value}'.encode()) == 2
    assert b'"include_usage":true' in sent


@pytest.mark.parametrize(
    "twice",
    [
        '"max_tokens":1,"max_tokens":40',
        '"max_tokens":40,"max_tokens":1',
        '"max_tokens":1,"max\\u005ftokens":40',
        '"max_tokens":1,"max_completion_tokens":40',
        '"max_tokens":1,"n":1,"n":40',
    ],
)
async def test_nothing_is_smuggled_past_the_hold(tmp_path: Path, twice: str) -> None:
    """What the provider is sent names each field once, and allows no more than was held."""
    async with serving(tmp_path) as proxy:
        tail = f',"sandbox":{{"output_tokens":100}},{twice}}}'
        body = raw(asking(max_tokens=None))[:-1] + tail.encode()
        reply = await proxy.post(body)
        assert reply.status == 200
        (exchange,) = proxy.a.tally.exchanges
        pairs = json.loads(exchange.body, object_pairs_hook=list)
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names))
        sent = dict(pairs)
        limits = [sent[name] for name in ("max_tokens", "max_completion_tokens") if name in sent]
        most = max(limits) * sent.get("n", 1)
        assert (exchange.completion_tokens or 0) <= most
        ((held, overrun),) = await proxy.read(
            lambda store: store.sql.execute(
                "SELECT held_nanos, overrun_nanos FROM entries"
            ).fetchall()
        )
        assert overrun == 0
        assert held == len(body) * 1000 + most * 2000


@pytest.mark.parametrize(
    "extra",
    [
        {"search_parameters": {"mode": "on"}},
        {"plugins": [{"id": "web"}]},
        {"speed": "fast"},
        {"tools": [{"type": "web_search"}]},
        {"messages": [{"role": "user", "content": [{"image_url": {"url": "x"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
    ],
    ids=str,
)
def test_what_is_billed_apart_is_refused(extra: dict[str, Any]) -> None:
    """What no rate card prices is refused by its name, not passed on and booked as text."""
    found = understood(raw(GOOD | extra))
    assert isinstance(found, Invalid)
    assert (found.code, found.param) == ("unpriced_feature", next(iter(extra)))


@pytest.mark.parametrize("name", ["N", "Max_Tokens", "MAX_COMPLETION_TOKENS", "Service_Tier"])
def test_lookalikes_are_refused(name: str) -> None:
    """A decoder that takes no notice of case would read them; we held for something else."""
    found = understood(raw(GOOD | {name: 5}))
    assert isinstance(found, Invalid)
    assert (found.code, found.param) == ("invalid_type", name)
