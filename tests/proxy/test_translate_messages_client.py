"""Anthropic's clients, served in chat completions. The official client is the judge: what it makes
of the events must be what it makes of the whole answer, and what it sends must become a request by
OpenAI's own types."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParams
from pydantic import TypeAdapter

from proxy.errors import Invalid, ProxyError, RateLimited, Untranslatable, UpstreamFailed
from proxy.translate.messages_client import EventsFromChat, answer_from_chat, request_to_chat

Json = dict[str, Any]
USAGE: Json = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 7},
}
REQUEST = b'{"model":"ours","max_tokens":10,"stream":true,"messages":[]}'


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


# -- the judges


def client_of(answer: bytes, media_type: str, seen: list[bytes] | None = None) -> Any:
    """The official client, and a host that answers everything alike."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(request.content)
        return httpx2.Response(200, content=answer, headers={"content-type": media_type})

    return anthropic.Anthropic(
        api_key="k",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(handle)),
    )


def heard(stream: bytes) -> Message:
    """What the official client makes of the events."""
    client = client_of(stream, "text/event-stream")
    with client.messages.stream(model="m", max_tokens=1, messages=[]) as events:
        message: Message = events.get_final_message()
    return message


def plain(message: Message) -> Json:
    """Without what is not there."""
    told: Json = json.loads(message.to_json(exclude_none=True))
    told["usage"].pop("cost", None)  # the client's accumulator keeps no field but those it knows
    for block in told["content"]:
        block.pop("parsed_output", None)
    return told


def events_in(stream: bytes) -> list[Json]:
    lines = stream.decode().split("\n")
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    names = [line[7:] for line in lines if line.startswith("event: ")]
    assert names == [event["type"] for event in events]
    return events


@cache
def chat_types() -> TypeAdapter[Any]:
    return TypeAdapter(CompletionCreateParams)


def read_out(value: Any) -> Any:
    """Iterables are only checked while they are read."""
    if isinstance(value, dict):
        return {name: read_out(one) for name, one in value.items()}
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value
    return [read_out(one) for one in value]


def translated(request: Json) -> Json:
    """A Messages request as a chat request, which OpenAI's types allow."""
    chat: Json = json.loads(request_to_chat(encoded(request)))
    read_out(chat_types().validate_python(chat))
    return chat


# -- answers


@dataclass(frozen=True)
class Answer:
    """A chat completion, and chunks that say the same."""

    whole: bytes
    chunks: list[bytes]


def chunk(delta: Json, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish} | more
    return encoded({"id": "chatcmpl-7", "model": "m", "created": 1, "choices": [choice]})


def usage_chunk(usage: Json) -> bytes:
    return encoded({"id": "chatcmpl-7", "model": "m", "choices": [], "usage": usage})


def whole(message: Json, finish: str = "stop", usage: Json | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    answer = {"id": "chatcmpl-7", "model": "m", "created": 1, "choices": [choice | more]}
    return encoded(answer | {"usage": USAGE if usage is None else usage})


def streamed(chunks: list[bytes]) -> bytes:
    events = EventsFromChat(REQUEST)
    return b"".join([events.chunk(one) for one in chunks]) + events.close()


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    """Into pieces, some of them empty."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


@st.composite
def calls_cut(draw: st.DrawFn, calls: list[Json]) -> list[Json]:
    """Their deltas: they begin in their order, then those of several are mixed."""
    queues, mixed = [], []
    for index, call in enumerate(calls):
        first = {"index": index, **call, "function": call["function"] | {"arguments": ""}}
        pieces = draw(cut(call["function"]["arguments"]))
        queues.append([{"index": index, "function": {"arguments": piece}} for piece in pieces])
        mixed.append({"tool_calls": [first]})
        for _ in range(draw(st.integers(0, 4))):
            mixed += draw(next_of(queues))
    while queues:
        mixed += draw(next_of(queues))
        queues = [one for one in queues if one]
    return mixed


@st.composite
def next_of(draw: st.DrawFn, queues: list[list[Json]]) -> list[Json]:
    queue = draw(st.sampled_from(queues))
    return [{"tool_calls": [queue.pop(0)]}] if queue else []


INPUTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=3)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Reasoning, text, a refusal and calls, in any pieces."""
    thought, said = draw(st.text(max_size=20)), draw(st.text(max_size=20))
    refused = draw(st.sampled_from(["", "No."]))
    named = draw(st.sampled_from(["reasoning", "reasoning_content"]))
    calls = [
        {
            "id": f"call_{i}",
            "type": "function",
            "function": {"name": f"f{i}", "arguments": json.dumps(given) if given else ""},
        }
        for i, given in enumerate(draw(st.lists(INPUTS, max_size=3)))
    ]
    finish = draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))
    usage = draw(st.sampled_from([USAGE, USAGE | {"cost": 0.5}, {}]))
    message: Json = {"content": said or None}
    message |= {named: thought} if thought else {}
    message |= {"refusal": refused} if refused else {}
    message |= {"tool_calls": calls} if calls else {}
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{named: piece} for piece in draw(cut(thought))]
    deltas += [{"content": piece} for piece in draw(cut(said))]
    deltas += [{"refusal": refused}] if refused else []
    deltas += draw(calls_cut(calls))
    alone = draw(st.booleans())  # the finish_reason comes with the last delta, or after it
    *first, last = [*deltas, {}] if alone else deltas
    chunks = [*(chunk(one) for one in first), chunk(last, finish), usage_chunk(usage)]
    return Answer(whole(message, finish, usage), chunks)


@given(answers())
def test_events_say_what_the_whole_answer_says(answer: Answer) -> None:
    """However it is cut, and however its calls are mixed, the client ends with the same message."""
    expected = Message.model_validate_json(answer_from_chat(answer.whole))
    assert plain(heard(streamed(answer.chunks))) == plain(expected)


@given(answers())
def test_events_stand_in_their_order(answer: Answer) -> None:
    """Blocks come one after the other: begun, written, ended; none is written to before or after.
    The stop_reason stands in the last event but one."""
    events = events_in(streamed(answer.chunks))
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    now: int | None = None
    begun = 0
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert (now, event["index"]) == (None, begun)
            now, begun = begun, begun + 1
        else:
            assert event["index"] == now
            now = None if event["type"] == "content_block_stop" else now
    assert now is None


def test_text_goes_out_at_once() -> None:
    """Each piece of text is out before the next is here."""
    events = EventsFromChat(REQUEST)
    for piece in ("Hel", "lo", " you"):
        delta = events_in(events.chunk(chunk({"content": piece})))[-1]["delta"]
        assert delta == {"type": "text_delta", "text": piece}


def test_arguments_go_out_at_once() -> None:
    """Those of the second call too, once the first is whole."""
    events = EventsFromChat(REQUEST)
    for index in (0, 1):
        named = {"index": index, "id": f"c{index}", "function": {"name": "f", "arguments": ""}}
        events.chunk(chunk({"tool_calls": [named]}))
        for piece in ('{"a"', ":1}"):
            more = {"index": index, "function": {"arguments": piece}}
            told = events_in(events.chunk(chunk({"tool_calls": [more]})))[-1]
            assert (told["index"], told["delta"]["partial_json"]) == (index, piece)


@pytest.mark.parametrize(
    ("calls", "ids"),
    [
        ([{"id": "a", "index": 0}, {"id": "b", "index": 0}], ["a", "b"]),
        ([{"id": "a"}, {"id": "b"}], ["a", "b"]),
        ([{}, {}], ["toolu_7_0", "toolu_7_1"]),
        ([{"index": 0}, {"index": 1, "id": ""}], ["toolu_7_0", "toolu_7_1"]),
    ],
)
def test_calls_are_told_apart(calls: list[Json], ids: list[str]) -> None:
    """By their index, else by their id, else by their name; one without an id gets one."""
    deltas = [
        {"tool_calls": [one | {"function": {"name": f"f{i}", "arguments": f'{{"n":{i}}}'}}]}
        for i, one in enumerate(calls)
    ]
    message = heard(streamed([*map(chunk, deltas), chunk({}, "tool_calls")]))
    assert [(one.type, one.id, one.name, one.input) for one in message.content] == [  # type: ignore[union-attr]
        ("tool_use", ids[i], f"f{i}", {"n": i}) for i in range(2)
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        [{"id": "a"}, {"function": {"name": "f"}}, {"function": {"arguments": '{"n":1}'}}],
        [{"id": "a", "function": {"name": "f", "arguments": {"n": 1}}}],
        [
            {"id": "a", "function": {"name": "f", "arguments": None}},
            {"id": "a", "function": {"name": "f", "arguments": '{"n":1}'}},
        ],
    ],
    ids=["the name later", "arguments as JSON", "everything repeated"],
)
def test_a_call_in_odd_pieces(pieces: list[Json]) -> None:
    """Not every provider writes them as OpenAI does."""
    deltas = [{"tool_calls": [{"index": 0} | one]} for one in pieces]
    (block,) = heard(streamed([*map(chunk, deltas), chunk({}, "tool_calls")])).content
    assert block.to_dict() == {"type": "tool_use", "id": "a", "name": "f", "input": {"n": 1}}


def test_an_id_that_comes_late() -> None:
    """The call was announced by another: it stays one call."""
    deltas = [
        {"index": 0, "function": {"name": "f", "arguments": ""}},
        {"index": 0, "id": "late", "function": {"arguments": '{"n":1}'}},
    ]
    (block,) = heard(streamed([chunk({"tool_calls": [one]}) for one in deltas])).content
    assert block.to_dict() == {
        "type": "tool_use",
        "id": "toolu_7_0",
        "name": "f",
        "input": {"n": 1},
    }


@pytest.mark.parametrize(
    ("finish", "more", "expected"),
    [
        ("stop", {}, ("end_turn", None)),
        ("stop", {"stop_reason": "END"}, ("stop_sequence", "END")),
        ("stop", {"matched_stop": "END"}, ("stop_sequence", "END")),
        ("stop", {"stop_reason": 128009}, ("end_turn", None)),
        ("eos", {}, ("end_turn", None)),
        ("length", {}, ("max_tokens", None)),
        ("model_length", {}, ("model_context_window_exceeded", None)),
        ("tool_calls", {}, ("tool_use", None)),
        ("content_filter", {}, ("refusal", None)),
    ],
)
def test_why_it_stopped(finish: str, more: Json, expected: tuple[str, str | None]) -> None:
    """Each finish_reason has its stop_reason; the sequence is told where the provider tells it."""
    one = Message.model_validate_json(answer_from_chat(whole({"content": "x"}, finish, **more)))
    other = heard(streamed([chunk({"content": "x"}, finish, **more)]))
    assert (one.stop_reason, one.stop_sequence) == expected
    assert (other.stop_reason, other.stop_sequence) == expected


def test_calls_are_to_be_made_whatever_the_reason() -> None:
    """A client runs tools when the stop_reason says so: some providers say `stop` with calls."""
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = json.loads(answer_from_chat(whole({"tool_calls": [call]}, "stop")))
    assert said["stop_reason"] == "tool_use"


def test_a_refusal_is_text_and_a_reason() -> None:
    """What the model said instead is shown, and it is no answer."""
    message = Message.model_validate_json(answer_from_chat(whole({"refusal": "I cannot."})))
    assert message.content[0].text == "I cannot."  # type: ignore[union-attr]
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.explanation == "I cannot."


def test_usage_excludes_the_cache() -> None:
    """input_tokens are those that were neither read from nor written to it; the cost is carried,
    and the last usage of a stream says the same."""
    expected = {
        "input_tokens": 30,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 10,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 7},
        "cost": 0.001,
    }
    usage = USAGE | {"cost": 0.001}
    assert json.loads(answer_from_chat(whole({"content": "x"}, usage=usage)))["usage"] == expected
    events = events_in(streamed([chunk({"content": "x"}, "stop"), usage_chunk(usage)]))
    assert events[-2]["usage"] == expected


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "many"}, "free"])
def test_usage_that_nobody_told(usage: object) -> None:
    """A message must name both counts: 0, where there are none."""
    answer = json.loads(whole({"content": "x"})) | {"usage": usage}
    message = Message.model_validate_json(answer_from_chat(encoded(answer)))
    assert (message.usage.input_tokens, message.usage.output_tokens) == (0, 0)


def test_thinking_is_what_it_was_at_its_provider() -> None:
    """Signed, redacted and unsigned thoughts become the blocks that the client sends back; what
    another provider encrypted is carried inside of one."""
    details = [
        {"type": "reasoning.text", "text": "Hm", "index": 0, "format": "anthropic-claude-v1"},
        {"type": "reasoning.text", "signature": "sig", "index": 0},
        {"type": "reasoning.encrypted", "data": "Zm9v", "index": 1},
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1", "index": 2},
        {"type": "reasoning.text", "text": "So", "index": 3},
    ]
    chunks = [chunk({"reasoning": one.get("text"), "reasoning_details": [one]}) for one in details]
    message = heard(streamed([*chunks, chunk({"content": "42"}, "stop")]))
    blocks = [one.to_dict() for one in message.content]
    assert blocks[0] == {"type": "thinking", "thinking": "Hm", "signature": "sig"}
    assert blocks[1] == {"type": "redacted_thinking", "data": "Zm9v"}
    assert blocks[3] == {"type": "thinking", "thinking": "So", "signature": ""}
    back = translated(
        {
            "model": "m",
            "max_tokens": 9,
            "messages": [
                {"role": "assistant", "content": blocks[:-1]},
                {"role": "user", "content": "?"},
            ],
        }
    )
    assert back["messages"][0]["reasoning_content"] == "HmSo"
    assert back["messages"][0]["reasoning_details"] == [
        details[0] | {"signature": "sig"},
        details[2] | {"format": "anthropic-claude-v1"},
        details[3],
    ]


def test_a_signature_ends_its_block() -> None:
    """At once: a client need not wait for what follows."""
    events = EventsFromChat(REQUEST)
    events.chunk(chunk({"reasoning_content": "Hm"}))
    signed = {"type": "reasoning.text", "signature": "sig"}
    (delta, stop) = events_in(events.chunk(chunk({"reasoning_details": [signed]})))
    assert delta["delta"] == {"type": "signature_delta", "signature": "sig"}
    assert stop["type"] == "content_block_stop"


def test_thoughts_are_told_apart() -> None:
    """By their index, though none is signed; whole and streamed alike."""
    details = [{"type": "reasoning.text", "text": one, "index": i} for i, one in enumerate("ab")]
    message = json.loads(answer_from_chat(whole({"content": "", "reasoning_details": details})))
    assert [one["thinking"] for one in message["content"]] == ["a", "b"]
    said = heard(streamed([chunk({"reasoning_details": [one]}) for one in details]))
    assert plain(said)["content"] == message["content"]


def test_mistral_writes_in_parts() -> None:
    """Thinking and text in one list."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
        {"type": "text", "text": "42"},
    ]
    message = json.loads(answer_from_chat(whole({"content": parts})))
    assert [one["type"] for one in message["content"]] == ["thinking", "text"]


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "nonsense"])
def test_arguments_that_are_no_object(arguments: str) -> None:
    """They are kept, under the name that Anthropic gives them."""
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}
    (block,) = json.loads(answer_from_chat(whole({"tool_calls": [call]})))["content"]
    assert block["input"] == {"INVALID_JSON": arguments}


# -- what breaks


@pytest.mark.parametrize("before", [[], [chunk({"content": "Hal"})]])
@pytest.mark.parametrize("error", [UpstreamFailed("it broke off"), RateLimited("slowly")])
def test_a_cut_answer_never_looks_whole(before: list[bytes], error: ProxyError) -> None:
    """The client raises, with our words; nothing says that the message had an end."""
    events = EventsFromChat(REQUEST)
    stream = b"".join([events.chunk(one) for one in before]) + events.broken(error)
    assert all(one["type"] not in ("message_delta", "message_stop") for one in events_in(stream))
    with pytest.raises(anthropic.APIStatusError, match=error.message):
        heard(stream)


@pytest.mark.parametrize("finish", ["error", "abort", "insufficient_system_resource"])
def test_a_provider_that_broke_off_says_so(finish: str) -> None:
    """These finish_reasons are no end: whole, the answer fails; streamed, it ends in an error."""
    with pytest.raises(UpstreamFailed, match=finish):
        answer_from_chat(whole({"content": "Hal"}, finish))
    stream = streamed([chunk({"content": "Hal"}), chunk({}, finish), chunk({"content": "x"})])
    assert events_in(stream)[-1]["type"] == "error"
    with pytest.raises(anthropic.APIStatusError, match=finish):
        heard(stream)


@pytest.mark.parametrize("nonsense", [b"", b"[]", b'{"choices":3}', b"\xff"])
def test_nonsense_is_the_providers_failure(nonsense: bytes) -> None:
    """Neither a whole answer nor a chunk: an error that says whose."""
    with pytest.raises(UpstreamFailed):
        answer_from_chat(nonsense)
    with pytest.raises(UpstreamFailed):
        EventsFromChat(REQUEST).chunk(nonsense)


def test_an_answer_without_a_word() -> None:
    """A stream that only ends is a message without content, of the model that was asked for."""
    message = heard(streamed([]))
    assert (message.content, message.model, message.stop_reason) == ([], "ours", "end_turn")


# -- requests


PNG = "iVBORw0KGgo="
CACHE = {"type": "ephemeral", "ttl": "1h"}


def test_a_request_of_the_official_client() -> None:
    """All that a client can ask of every provider, as OpenAI's clients would have asked it."""
    seen: list[bytes] = []
    client = client_of(answer_from_chat(whole({"content": "x"})), "application/json", seen)
    client.messages.create(
        model="m",
        max_tokens=50,
        system=[{"type": "text", "text": "Be brief.", "cache_control": CACHE}],
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "A tool?", "signature": ""},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1.5}},
                    {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "a cat"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t2",
                        "is_error": True,
                        "content": [{"type": "text", "text": "too dark"}],
                        "cache_control": CACHE,
                    },
                    {"type": "text", "text": "So?"},
                ],
            },
            {"role": "system", "content": "Say it in French."},
        ],
        tools=[
            {
                "name": "look",
                "description": "Looks",
                "input_schema": {"type": "object", "properties": {"at": {"type": "number"}}},
                "strict": True,
                "input_examples": [{"at": 1}],
            }
        ],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        stop_sequences=["END"],
        thinking={"type": "enabled", "budget_tokens": 10_000},
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        metadata={"user_id": "u1"},
        service_tier="standard_only",
        extra_body={"temperature": 0.1, "top_k": 40, "min_p": 0.05},
    )
    assert translated(json.loads(seen[0])) == {
        "model": "m",
        "max_tokens": 50,
        "temperature": 0.1,
        "top_k": 40,
        "min_p": 0.05,
        "messages": [
            {
                "role": "system",
                "content": [{"type": "text", "text": "Be brief.", "cache_control": CACHE}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
                ],
            },
            {
                "role": "assistant",
                "content": "I look.",
                "reasoning_content": "A tool?",
                "tool_calls": [
                    {
                        "id": "t1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"at": 1.5}'},
                    },
                    {
                        "id": "t2",
                        "type": "function",
                        "function": {"name": "look", "arguments": "{}"},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "a cat"},
            {
                "role": "tool",
                "tool_call_id": "t2",
                "content": [{"type": "text", "text": "Error: too dark", "cache_control": CACHE}],
            },
            {"role": "user", "content": "So?"},
            {"role": "system", "content": "Say it in French."},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "look",
                    "description": "Looks",
                    "strict": True,
                    "parameters": {
                        "type": "object",
                        "properties": {"at": {"type": "number"}},
                        "examples": [{"at": 1}],
                    },
                },
            }
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "stop": ["END"],
        "reasoning_effort": "medium",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "output", "strict": True, "schema": {"type": "object"}},
        },
        "user": "u1",
        "service_tier": "default",
    }


def asked(**fields: Any) -> Json:
    return {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "x"}]} | fields


def saying(*blocks: Json) -> Json:
    return asked(messages=[{"role": "user", "content": list(blocks)}])


def answered(*blocks: Json) -> Json:
    user = {"role": "user", "content": "?"}
    return asked(messages=[{"role": "assistant", "content": list(blocks)}, user])


CALL: Json = {"type": "tool_use", "id": "t", "name": "f", "input": {}}


def test_what_says_nothing_new_is_no_obstacle() -> None:
    """Claude Code sends these with every request: they ask for what happens anyway."""
    keep = {"type": "clear_thinking_20251015", "keep": "all"}
    chat = translated(
        asked(
            context_management={"edits": [keep]},
            thinking={"type": "adaptive"},
            diagnostics={"previous_message_id": None},
            mcp_servers=[],
            container=None,
            speed="standard",
            service_tier="auto",
            inference_geo="global",
            tools=[{"name": "f", "input_schema": {}, "eager_input_streaming": True, "type": None}],
            stream=True,
            messages=[
                {"role": "assistant", "content": [CALL | {"caller": {"type": "direct"}}]},
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "url", "url": "https://x.test/a.png"},
                            "transformations": {"oversized_image": "downsize"},
                        }
                    ],
                },
            ],
        )
    )
    assert chat.keys() == {
        *("model", "max_tokens", "messages", "tools", "stream", "stream_options")
    }
    assert chat["stream_options"] == {"include_usage": True}


def test_numbers_are_not_written_anew() -> None:
    """A tool's input is the same, digit by digit."""
    body = (
        b'{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use",'
        b'"id":"t","name":"f","input":{"n":1.10,"big":123456789012345678901234567890}}]},'
        b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}]}'
    )
    (assistant, tool) = json.loads(request_to_chat(body))["messages"]
    arguments = assistant["tool_calls"][0]["function"]["arguments"]
    assert arguments == '{"n":1.10,"big":123456789012345678901234567890}'
    assert tool == {"role": "tool", "tool_call_id": "t", "content": ""}


@pytest.mark.parametrize(
    ("content", "said"),
    [("too dark", "Error: too dark"), ("Error: too dark", "Error: too dark"), ("", "Error:")],
)
def test_a_failure_says_so(content: str, said: str) -> None:
    """In words, once: a chat has no other sign for it."""
    result = {"type": "tool_result", "tool_use_id": "t", "content": content, "is_error": True}
    assert translated(saying(result))["messages"][0]["content"] == said


def test_what_a_tool_shows_is_seen() -> None:
    """A chat's tool returns text alone: its image follows, and says whose it is."""
    image = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}
    chat = translated(
        saying(
            {"type": "tool_result", "tool_use_id": "t1", "content": [image]},
            {"type": "tool_result", "tool_use_id": "t2", "content": "done"},
            {"type": "text", "text": "Well?"},
        )
    )
    (first, second, user) = chat["messages"]
    assert (first["tool_call_id"], second["tool_call_id"]) == ("t1", "t2")
    assert first["content"] == "(It is shown in the next message.)"
    (whose, shown, said) = user["content"]
    assert "t1" in whose["text"]
    assert shown == {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    assert said["text"] == "Well?"


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        (
            {
                "type": "document",
                "title": "T",
                "source": {"type": "text", "media_type": "text/plain", "data": "D"},
            },
            [{"type": "text", "text": "T"}, {"type": "text", "text": "D"}],
        ),
        (
            {
                "type": "document",
                "title": "a.pdf",
                "context": "C",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            },
            [
                {"type": "text", "text": "C"},
                {
                    "type": "file",
                    "file": {
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,JVBE",
                    },
                },
            ],
        ),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "text", "text": "D"}]},
                "citations": {"enabled": False},
            },
            [{"type": "text", "text": "D"}],
        ),
        (
            {
                "type": "search_result",
                "title": "T",
                "source": "https://x.test",
                "content": [{"type": "text", "text": "found", "citations": None}],
            },
            [{"type": "text", "text": "T\nhttps://x.test"}, {"type": "text", "text": "found"}],
        ),
    ],
    ids=["text", "pdf", "content", "search result"],
)
def test_sources_are_shown(block: Json, parts: list[Json]) -> None:
    """Documents and search results say the same as parts."""
    (message,) = translated(saying(block, {"type": "text", "text": "?"}))["messages"]
    assert message["content"] == [*parts, {"type": "text", "text": "?"}]


def test_a_system_message_that_has_had_its_turn() -> None:
    """`clear_at: next_user_message`: it is not shown once the user has spoken again."""
    once = {"role": "system", "content": "Now!", "clear_at": "next_user_message"}
    user = {"role": "user", "content": "x"}
    answered = {"role": "assistant", "content": "y"}
    roles = [one["role"] for one in translated(asked(messages=[user, once]))["messages"]]
    assert roles == ["user", "system"]
    later = translated(asked(messages=[user, once, answered, user]))["messages"]
    assert [one["role"] for one in later] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "between_tools"}}, "none"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, "none"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8192}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 100_000}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
        ({"output_config": {"effort": "xhigh"}}, "xhigh"),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, None),
        ({}, None),
    ],
)
def test_effort(fields: Json, effort: str | None) -> None:
    """How much to think, in chat's one word; nothing where it is left to the model."""
    assert translated(asked(**fields)).get("reasoning_effort") == effort


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (asked(container="c1"), "container"),
        (asked(mcp_servers=[{"type": "url"}]), "mcp_servers"),
        (asked(context_management={"edits": [{"type": "compact_20260112"}]}), "context_management"),
        (
            asked(context_management={"edits": [{"type": "clear_thinking_20251015"}]}),
            "context_management",
        ),
        (asked(speed="fast"), "speed"),
        (asked(inference_geo="us"), "inference_geo"),
        (asked(fallbacks="default"), "fallbacks"),
        (asked(thread={"type": "create"}), "thread"),
        (asked(max_tokens=0), "max_tokens"),
        (asked(n=5), "n"),
        (asked(modalities=["audio"]), "modalities"),
        (asked(max_completion_tokens=5), "max_completion_tokens"),
        (asked(thinking={"type": "deep"}), "thinking"),
        (asked(output_config={"task_budget": {"total": 9}}), "output_config.task_budget"),
        (asked(output_config={"format": {"type": "grammar"}}), "output_config.format"),
        (asked(tool_choice={"type": "some"}), "tool_choice"),
        (asked(tools=[{"type": "web_search_20260318", "name": "web_search"}]), "tools.0"),
        (asked(tools=[{"type": "bash_20250124", "name": "bash"}]), "tools.0"),
        (asked(tools=[{"name": "f", "defer_loading": True}]), "tools.0.defer_loading"),
        (
            asked(tools=[{"name": "f", "allowed_callers": ["code_execution_20260120"]}]),
            "tools.0.allowed_callers",
        ),
        (asked(messages=[{"role": "assistant", "content": "The answer is"}]), "messages"),
        (
            asked(
                messages=[{"role": "system", "content": "x", "output_config": {"effort": "low"}}]
            ),
            "messages.0",
        ),
        (
            saying({"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}}),
            "messages.0.content.0",
        ),
        (
            saying({"type": "image", "source": {"type": "file", "file_id": "f"}}),
            "messages.0.content.0",
        ),
        (
            saying(
                {
                    "type": "document",
                    "citations": {"enabled": True},
                    "source": {"type": "text", "data": "D"},
                }
            ),
            "messages.0.content.0",
        ),
        (
            saying(
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "tool_reference", "tool_name": "f"}],
                }
            ),
            "messages.0.content.0.content.0",
        ),
        (
            saying(
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "s",
                    "content": {"error_code": "unavailable"},
                }
            ),
            "messages.0.content.0",
        ),
        (saying({"type": "container_upload", "file_id": "f"}), "messages.0.content.0"),
        (
            saying({"type": "tool_result", "tool_use_id": "t", "toolset_name": "browser"}),
            "messages.0.content.0",
        ),
        (answered(CALL | {"toolset_name": "browser"}), "messages.0.content.0"),
        (answered(CALL | {"caller": {"type": "code_execution"}}), "messages.0.content.0"),
        (
            saying(
                {
                    "type": "image",
                    "source": {"type": "url", "url": "https://x.test/a.png"},
                    "transformations": {"oversized_image": "error"},
                }
            ),
            "messages.0.content.0",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_chat_cannot_say(request_: Json, param: str) -> None:
    """It is refused, and the field is named: nothing of it is dropped without a word."""
    with pytest.raises(Untranslatable) as refused:
        request_to_chat(encoded(request_))
    assert refused.value.param == param


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        encoded(asked(messages="x")),
        encoded(asked(messages=[{"role": "tool", "content": "x"}])),
        encoded(saying({"type": "image"})),
        encoded(saying({"type": "tool_result", "content": 3})),
    ],
)
def test_what_is_no_request(body: bytes) -> None:
    """It is the client's fault, and said so."""
    with pytest.raises(Invalid) as refused:
        request_to_chat(body)
    assert not isinstance(refused.value, Untranslatable)
