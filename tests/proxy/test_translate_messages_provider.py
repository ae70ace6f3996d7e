"""Chat completions from a provider that speaks Messages. The official clients are the judges: what
OpenAI's makes of the chunks must be what it makes of the whole answer, and what it sends must be a
request in which Anthropic's types know every field."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import openai
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParams
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from proxy.errors import Invalid, Untranslatable, UpstreamFailed
from proxy.translate.messages_provider import EventsToChat, answer_to_chat, request_from_chat

Json = dict[str, Any]
LIMIT = 4096
USAGE: Json = {
    "input_tokens": 30,
    "output_tokens": 20,
    "cache_read_input_tokens": 60,
    "cache_creation_input_tokens": 10,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0},
    "output_tokens_details": {"thinking_tokens": 7},
    "service_tier": "standard",
}
COUNTED: Json = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 7},
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0},
    "service_tier": "standard",
}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


# -- the judges


@cache
def types_of(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read_out(value: Any) -> Any:
    """Iterables are only checked while they are read."""
    if isinstance(value, dict):
        return {name: read_out(one) for name, one in value.items()}
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value
    return [read_out(one) for one in value]


def translated(request: Json, **more: Any) -> Json:
    """A chat request as a Messages request, which has no field that Anthropic's types do not know:
    Anthropic refuses what it does not know."""
    asked: Json = json.loads(request_from_chat(encoded(request), LIMIT, **more))
    known = read_out(types_of(MessageCreateParams).validate_python(asked))
    sampled = {"temperature", "top_p", "top_k"}  # the newest types have forgotten them
    assert {name: one for name, one in asked.items() if name not in sampled} == known
    return asked


def heard(chunks: list[bytes]) -> Json:
    """What the official client makes of the chunks."""
    state = ChatCompletionStreamState()
    for one in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(one))
    said: Json = state.current_completion_snapshot.to_dict()
    for call in said["choices"][0]["message"].get("tool_calls") or ():
        del call["index"]  # a stream's own
    return plain(said)


def plain(said: Json) -> Json:
    """Without what is not there, and by what name it came."""
    message = {name: one for name, one in said["choices"][0]["message"].items() if one is not None}
    message.pop("parsed", None)
    for call in message.get("tool_calls", ()):
        call["function"].pop("parsed_arguments", None)
    choice = {name: one for name, one in said["choices"][0].items() if one is not None}
    choice.pop("stop_reason", None)  # the client's accumulator keeps no field but those it knows
    told = {name: one for name, one in said.items() if name != "object" and one is not None}
    return told | {"choices": [choice | {"message": message}]}


# -- answers


@dataclass(frozen=True)
class Answer:
    """A message, and events that say the same."""

    whole: bytes
    events: list[bytes]


def message(*content: Json, **more: Any) -> bytes:
    said = {"id": "msg_7", "type": "message", "role": "assistant", "model": "m"}
    ended = {"stop_reason": "end_turn", "stop_sequence": None, "usage": USAGE}
    return encoded(said | {"content": list(content)} | ended | more)


def event(**fields: Any) -> bytes:
    return encoded(fields)


def started() -> bytes:
    """Its output_tokens are only a beginning."""
    usage = {**USAGE, "output_tokens": 1}
    empty: Json = {"content": [], "stop_reason": None, "usage": usage}
    return event(type="message_start", message=json.loads(message()) | empty)


def ended(**more: Any) -> list[bytes]:
    delta = {"stop_reason": "end_turn", "stop_sequence": None} | more
    usage = {"output_tokens": 20}
    return [
        event(type="message_delta", delta=delta, usage=usage),
        event(type="message_stop"),
    ]


def streamed(events: list[bytes]) -> list[bytes]:
    chunks = EventsToChat()
    return [chunk for one in events for chunk in chunks.event(one)]


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


TEXT = st.text(max_size=12)
INPUTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=3)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[Json, list[Json]]:
    """A block, and what it is streamed as: its opening and its deltas."""
    kind = draw(st.sampled_from(["text", "thinking", "redacted_thinking", "tool_use", "server"]))
    if kind == "text":
        text = draw(TEXT)
        block: Json = {"type": "text", "text": text, "citations": None}
        deltas = [{"type": "text_delta", "text": one} for one in draw(cut(text))]
        return block, [block | {"text": ""}, *deltas]
    if kind == "thinking":
        text, signature = draw(TEXT), draw(st.sampled_from(["c2ln", ""]))
        block = {"type": "thinking", "thinking": text, "signature": signature}
        deltas = [{"type": "thinking_delta", "thinking": one} for one in draw(cut(text))]
        signed = {"type": "signature_delta", "signature": signature}
        return block, [block | {"thinking": "", "signature": ""}, *deltas, signed]
    if kind == "redacted_thinking":
        block = {"type": "redacted_thinking", "data": "Zm9v"}
        return block, [block]
    number = str(draw(st.integers(0, 99)))
    given_ = draw(INPUTS)
    block = {"type": "tool_use", "id": f"toolu_{number}", "name": "f", "input": given_}
    if kind == "server":
        block |= {"type": "server_tool_use", "name": "web_search"}
    written = json.dumps(given_) if given_ else ""
    deltas = [{"type": "input_json_delta", "partial_json": one} for one in draw(cut(written))]
    return block, [block | {"input": {}}, *deltas]


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Blocks of every kind in any order, and pings between."""
    events, content = [started()], []
    for index, (block, (opening, *deltas)) in enumerate(draw(st.lists(blocks(), max_size=5))):
        content.append(block)
        events.append(event(type="content_block_start", index=index, content_block=opening))
        for delta in deltas:
            events.append(event(type="content_block_delta", index=index, delta=delta))
            events += draw(st.sampled_from([[], [event(type="ping")]]))
        events.append(event(type="content_block_stop", index=index))
    how: Json = draw(
        st.sampled_from(
            [
                {"stop_reason": "end_turn"},
                {"stop_reason": "stop_sequence", "stop_sequence": "END"},
                {"stop_reason": "tool_use"},
                {"stop_reason": "max_tokens"},
                {
                    "stop_reason": "refusal",
                    "stop_details": {"type": "refusal", "category": "bio", "explanation": "No."},
                },
            ]
        )
    )
    return Answer(message(*content, **how), [*events, *ended(**how)])


@given(answers())
def test_what_is_drawn_is_what_anthropic_sends(answer: Answer) -> None:
    """The examples are no inventions: Anthropic's own types know them."""
    Message.model_validate_json(answer.whole)
    for one in answer.events:
        if json.loads(one)["type"] != "ping":
            types_of(RawMessageStreamEvent).validate_json(one)


@given(answers())
def test_chunks_say_what_the_whole_answer_says(answer: Answer) -> None:
    """However it is cut, the client ends with the same completion: text, reasoning and its
    signatures, calls, finish_reason, usage."""
    expected = ChatCompletion.model_validate_json(answer_to_chat(answer.whole)).to_dict()
    said = heard(streamed(answer.events))
    for one in (said, expected):
        for call in one["choices"][0]["message"].get("tool_calls", ()):  # type: ignore[index]
            function = call["function"]
            function["arguments"] = json.loads(function["arguments"])
    assert said == plain(expected)


def test_text_goes_out_at_once() -> None:
    """Each piece of text is a chunk before the next is here."""
    chunks = EventsToChat()
    chunks.event(started())
    text = {"type": "text", "text": ""}
    chunks.event(event(type="content_block_start", index=0, content_block=text))
    for piece in ("Hel", "lo"):
        delta = {"type": "text_delta", "text": piece}
        (chunk,) = chunks.event(event(type="content_block_delta", index=0, delta=delta))
        assert json.loads(chunk)["choices"][0]["delta"] == {"content": piece}


@pytest.mark.parametrize(
    ("how", "finish", "more"),
    [
        ({"stop_reason": "end_turn"}, "stop", {}),
        ({"stop_reason": "stop_sequence", "stop_sequence": "E"}, "stop", {"stop_reason": "E"}),
        ({"stop_reason": "max_tokens"}, "length", {}),
        ({"stop_reason": "model_context_window_exceeded"}, "length", {}),
        ({"stop_reason": "pause_turn"}, "length", {}),
        ({"stop_reason": "tool_use"}, "tool_calls", {}),
        ({"stop_reason": "refusal"}, "content_filter", {}),
    ],
)
def test_why_it_stopped(how: Json, finish: str, more: Json) -> None:
    """Each stop_reason has its finish_reason, whole and streamed."""
    whole = json.loads(answer_to_chat(message({"type": "text", "text": "x"}, **how)))["choices"][0]
    *_, last, _ = [json.loads(one) for one in streamed([started(), *ended(**how)])]
    for choice in (whole, last["choices"][0]):
        assert choice["finish_reason"] == finish
        assert choice.items() >= more.items()


def test_usage_includes_the_cache() -> None:
    """prompt_tokens are all input tokens; what else there is, the cost above all, is carried. The
    last counts of a stream are the true ones."""
    whole = json.loads(answer_to_chat(message(usage=USAGE | {"cost": 0.001})))
    assert whole["usage"] == COUNTED | {"cost": 0.001}
    *_, chunk = streamed([started(), *ended()])
    assert json.loads(chunk)["choices"] == []
    assert json.loads(chunk)["usage"] == COUNTED


def test_usage_that_nobody_asked_for() -> None:
    """Then there is no last chunk."""
    chunks = EventsToChat(usage=False)
    said = [chunk for one in [started(), *ended()] for chunk in chunks.event(one)]
    assert [json.loads(one)["choices"] != [] for one in said] == [True, True]


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": 3}, {"input_tokens": -1}])
def test_usage_that_nobody_told(usage: object) -> None:
    """No count is no nought: the answer has no usage."""
    assert "usage" not in json.loads(answer_to_chat(message(usage=usage)))


def test_a_count_that_is_not_told_again_stays() -> None:
    """Null in message_delta takes nothing back."""
    nulls = {"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 20}
    delta = event(type="message_delta", delta={"stop_reason": "end_turn"}, usage=nulls)
    *_, chunk = streamed([started(), delta, event(type="message_stop")])
    assert json.loads(chunk)["usage"] == COUNTED


def test_an_end_that_comes_in_two() -> None:
    """Only the event with the stop_reason ends the choice; the counts of both are heard."""
    early = event(type="message_delta", delta={}, usage={"output_tokens": 5})
    chunks = [json.loads(one) for one in streamed([started(), early, *ended()])]
    reasons = [one["finish_reason"] for chunk in chunks for one in chunk["choices"]]
    assert reasons == [None, "stop"]
    assert chunks[-1]["usage"] == COUNTED


def test_an_answer_without_a_word() -> None:
    """Its content is empty, and there: not every client expects null without calls."""
    assert json.loads(answer_to_chat(message()))["choices"][0]["message"]["content"] == ""
    assert heard(streamed([started(), *ended()]))["choices"][0]["message"]["content"] == ""
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    assert json.loads(answer_to_chat(message(call)))["choices"][0]["message"]["content"] is None


def test_numbers_are_not_written_anew() -> None:
    """A call's arguments are the input, digit by digit."""
    whole = message({"type": "tool_use", "id": "t", "name": "f", "input": 0})
    whole = whole.replace(b'"input": 0', b'"input": {"n":1.10,"big":123456789012345678901234}')
    (call,) = json.loads(answer_to_chat(whole))["choices"][0]["message"]["tool_calls"]
    assert call["function"]["arguments"] == '{"n":1.10,"big":123456789012345678901234}'


def test_when_it_was_made_is_the_callers() -> None:
    """A message does not tell: what is not known is 0, as the field must be there."""
    assert json.loads(answer_to_chat(message()))["created"] == 0
    assert json.loads(answer_to_chat(message(), created=9))["created"] == 9
    (chunk,) = EventsToChat(created=9).event(started())
    assert json.loads(chunk)["created"] == 9


def test_an_error_is_one_to_the_client() -> None:
    """An error in a stream becomes a chunk at which OpenAI's client raises."""
    overloaded = {"type": "overloaded_error", "message": "Overloaded"}
    chunks = streamed([started(), event(type="error", error=overloaded)])
    stream = b"".join(b"data: " + one + b"\n\n" for one in chunks)
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, content=stream, headers={"content-type": "text/event-stream"})
    )
    client = openai.OpenAI(api_key="k", http_client=httpx.Client(transport=transport))
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(client.chat.completions.create(model="m", messages=[], stream=True))


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"[]", b"\xff", b'{"type":"error","error":{"type":"api_error","message":"gone"}}', b"{}"],
)
def test_nonsense_is_the_providers_failure(nonsense: bytes) -> None:
    """What is no message is an error that says whose."""
    with pytest.raises(UpstreamFailed):
        answer_to_chat(nonsense)


def test_an_event_that_is_none() -> None:
    """Bad JSON is the provider's failure; an event of a later version is passed over."""
    with pytest.raises(UpstreamFailed):
        EventsToChat().event(b"{")
    assert EventsToChat().event(event(type="something_new", sense="?")) == []


# -- requests


def asked(*messages: Json, **fields: Any) -> Json:
    return {"model": "m", "messages": list(messages) or [USER]} | fields


PNG = "iVBORw0KGgo="
USER: Json = {"role": "user", "content": "x"}
HELLO: Json = {"role": "user", "content": [{"type": "text", "text": "x"}]}
LOOK: Any = {"name": "look", "description": "Looks", "parameters": {"properties": {}}}


def test_a_request_of_the_official_client() -> None:
    """All that a client can ask of every provider, as Anthropic's clients would have asked it."""
    seen: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(200, content=answer_to_chat(message()))

    client = openai.OpenAI(
        api_key="k", http_client=httpx.Client(transport=httpx.MockTransport(handle))
    )
    request: Any = {  # as a client may write it: its types are many
        "model": "claude-opus-5",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"},
                    },
                    {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
                    {
                        "type": "file",
                        "file": {
                            "filename": "a.pdf",
                            "file_data": "data:application/pdf;base64,JVBE",
                        },
                    },
                ],
            },
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {
                        "id": "t1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"at": 1}'},
                    },
                    {
                        "id": "functions.look:1",
                        "type": "function",
                        "function": {"name": "look", "arguments": ""},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "a cat"},
            {"role": "tool", "tool_call_id": "functions.look:1", "content": ""},
            {"role": "user", "content": "So?"},
            {"role": "developer", "content": "Say it in French."},
        ],
        "tools": [{"type": "function", "function": LOOK | {"strict": True}}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "stop": "END",
        "reasoning_effort": "minimal",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "cat", "description": "A cat", "schema": {"type": "object"}},
        },
        "max_completion_tokens": 50,
        "temperature": 1,
        "seed": 1,
        "metadata": {"a": "b"},
        "store": True,
        "n": 1,
        "user": "u1",
        "service_tier": "default",
        "prompt_cache_key": "p",
        "logit_bias": {},
        "frequency_penalty": 0,
    }
    client.chat.completions.create(**request)
    assert translated(json.loads(seen[0])) == {
        "model": "claude-opus-5",
        "max_tokens": 50,
        "temperature": 1,
        "system": [
            {"type": "text", "text": "Be brief."},
            {"type": "text", "text": "Say it in French."},
        ],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                    {
                        "type": "document",
                        "title": "a.pdf",
                        "source": {
                            "type": "base64",
                            "media_type": "application/pdf",
                            "data": "JVBE",
                        },
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}},
                    {"type": "tool_use", "id": "functions-2elook-3a1", "name": "look", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [{"type": "text", "text": "a cat"}],
                    },
                    {"type": "tool_result", "tool_use_id": "functions-2elook-3a1"},
                    {"type": "text", "text": "So?"},
                ],
            },
        ],
        "tools": [
            {
                "name": "look",
                "description": "Looks",
                "strict": True,
                "input_schema": {"type": "object", "properties": {}},
            }
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {
            "effort": "low",
            "format": {
                "type": "json_schema",
                "schema": {"description": "A cat", "type": "object"},
            },
        },
        "metadata": {"user_id": "u1"},
        "service_tier": "standard_only",
    }


def test_a_limit_is_always_there() -> None:
    """The smaller of the two, if the client set both; the caller's, if it set none."""
    assert translated(asked())["max_tokens"] == LIMIT
    assert translated(asked(max_tokens=7))["max_tokens"] == 7
    assert translated(asked(max_tokens=7, max_completion_tokens=5))["max_tokens"] == 5


def test_the_newer_words() -> None:
    """safety_identifier stands for user; a schema's own description is kept; jpg is jpeg."""
    schema = {"type": "object", "description": "B"}
    described = {"name": "n", "description": "A", "schema": schema}
    image = {"type": "image_url", "image_url": "data:image/jpg;base64,/9j/"}
    said = translated(
        asked(
            {"role": "user", "content": [image]},
            user="u1",
            safety_identifier="s1",
            response_format={"type": "json_schema", "json_schema": described},
        )
    )
    assert said["metadata"] == {"user_id": "s1"}
    assert said["output_config"]["format"]["schema"] == schema
    assert said["messages"][0]["content"][0]["source"]["media_type"] == "image/jpeg"


def test_the_cache_is_marked_where_it_was() -> None:
    """On a part, a whole message, a tool; in a tool's message the mark is the result's."""
    mark = {"type": "ephemeral"}
    part = {"type": "text", "text": "x", "cache_control": mark}
    said = translated(
        asked(
            {"role": "system", "content": [part, {"type": "text", "text": "y"}]},
            {"role": "user", "content": "x", "cache_control": mark},
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "t", "function": {"name": "look"}, "cache_control": mark},
                ],
            },
            {"role": "tool", "tool_call_id": "t", "content": [part]},
            tools=[
                {"type": "function", "function": LOOK, "cache_control": mark},
                {"type": "function", "function": LOOK | {"name": "see", "cache_control": mark}},
            ],
            cache_control=mark,
        )
    )
    (user, assistant, result) = (turn["content"][0] for turn in said["messages"])
    for marked in (said, said["system"][0], user, assistant, result, *said["tools"]):
        assert marked["cache_control"] == mark
    assert "cache_control" not in result["content"][0]
    assert "cache_control" not in said["system"][1]


def test_neighbours_become_one_turn() -> None:
    """And what says nothing is left out: Anthropic refuses it."""
    said = translated(
        asked(
            USER,
            {"role": "user", "content": " \n"},
            {"role": "user", "content": "y"},
            {"role": "assistant", "content": "a", "refusal": None},
            {"role": "assistant", "content": None, "refusal": "No."},
            {"role": "user", "content": [{"type": "text", "text": ""}]},
        )
    )
    texts = [[one["text"] for one in turn["content"]] for turn in said["messages"]]
    assert texts == [["x", "y"], ["a", "No."]]


@pytest.mark.parametrize(
    ("choice", "expected", "names"),
    [
        (None, None, ["look", "hear"]),
        ("auto", {"type": "auto"}, ["look", "hear"]),
        ("none", {"type": "none"}, ["look", "hear"]),
        ("required", {"type": "any"}, ["look", "hear"]),
        (
            {"type": "function", "function": {"name": "hear"}},
            {"type": "tool", "name": "hear"},
            ["look", "hear"],
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "hear"}}],
                },
            },
            {"type": "any"},
            ["hear"],
        ),
    ],
)
def test_which_tool(choice: object, expected: Json | None, names: list[str]) -> None:
    """Each choice has its own; of allowed tools no others are sent."""
    tools = [{"type": "function", "function": {"name": name}} for name in ("look", "hear")]
    said = translated(asked(tools=tools, **({} if choice is None else {"tool_choice": choice})))
    assert said.get("tool_choice") == expected
    assert [one["name"] for one in said["tools"]] == names


def test_one_call_at_a_time() -> None:
    """parallel_tool_calls belongs to the choice; where there are no tools it says nothing."""
    tools = [{"type": "function", "function": {"name": "look"}}]
    said = translated(asked(tools=tools, parallel_tool_calls=False))
    assert said["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    none = asked(tools=tools, tool_choice="none", parallel_tool_calls=False)
    assert translated(none)["tool_choice"] == {"type": "none"}
    assert "tool_choice" not in translated(asked(parallel_tool_calls=False, tool_choice="auto"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        (
            {"reasoning_effort": "xhigh"},
            {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "xhigh"},
            },
        ),
        (
            {"reasoning": {"effort": "high", "exclude": True}},
            {
                "thinking": {"type": "adaptive", "display": "omitted"},
                "output_config": {"effort": "high"},
            },
        ),
        (
            {"reasoning": {"max_tokens": 9000}},
            {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "medium"},
            },
        ),
        ({"reasoning": {"enabled": False}}, {"thinking": {"type": "disabled"}}),
        (
            {"reasoning_effort": "low", "thinking": {"type": "adaptive"}},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
        ({"output_config": {"effort": "max"}}, {"output_config": {"effort": "max"}}),
    ],
)
def test_effort(fields: Json, expected: Json) -> None:
    """How much to think, in Claude's words; Anthropic's own fields pass as they are."""
    said = translated(asked(**fields))
    assert {name: said[name] for name in ("thinking", "output_config") if name in said} == expected


@pytest.mark.parametrize(
    ("model", "is_old"),
    [
        ("claude-3-7-sonnet-latest", True),
        ("claude-3-5-haiku-20241022", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-opus-4-1", True),
        ("claude-opus-4-5-20251101", True),
        ("claude-haiku-4-5", True),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("claude-sonnet-4.5", True),
        ("claude-sonnet-4@20250514", True),
        ("claude-opus-4-6", False),
        ("claude-opus-4-6-20260205", False),
        ("claude-opus-4-8", False),
        ("claude-sonnet-5", False),
        ("claude-haiku-5-5", False),
        ("claude-mythos-preview", False),
        ("good-and-cheap", False),
    ],
)
def test_models_before_effort(model: str, is_old: bool) -> None:
    """They are told a budget; the model's name at the provider decides."""
    said = translated(asked(reasoning_effort="medium", max_tokens=20_000), model=model)
    if is_old:
        assert said["thinking"] == {"type": "enabled", "budget_tokens": 8192}
        assert "output_config" not in said
    else:
        assert said["thinking"]["type"] == "adaptive"


def test_a_budget_of_the_clients_own() -> None:
    """`reasoning.max_tokens` is one; for the newer models it becomes a level."""
    asks = asked(reasoning={"max_tokens": 2000, "exclude": True}, max_tokens=9000)
    budget = {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}
    assert translated(asks, model="claude-haiku-4-5")["thinking"] == budget
    assert translated(asks)["output_config"] == {"effort": "low"}


def test_a_budget_leaves_room_for_the_answer() -> None:
    """It is less than max_tokens, at least 1024, or refused: thinking is not left out silently."""
    for most in (1025, 1200, 5000, 100_000):
        said = translated(asked(reasoning_effort="max", max_tokens=most), model="claude-haiku-4-5")
        assert 1024 <= said["thinking"]["budget_tokens"] < most
    with pytest.raises(Untranslatable) as refused:
        translated(asked(reasoning_effort="low", max_tokens=1024), model="claude-haiku-4-5")
    assert refused.value.param == "max_tokens"


def calling(**call: Any) -> Json:
    return {"role": "assistant", "tool_calls": [{"id": "t", "type": "function"} | call]}


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "nonsense"])
def test_arguments_that_are_no_object(arguments: str) -> None:
    """They are kept, under the name that Anthropic gives them."""
    call = calling(function={"name": "f", "arguments": arguments})
    (_, turn) = translated(asked(USER, call))["messages"]
    assert turn["content"][0]["input"] == {"INVALID_JSON": arguments}


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (asked(n=2), "n"),
        (asked(logprobs=True), "logprobs"),
        (asked(top_logprobs=3), "top_logprobs"),
        (asked(logit_bias={"5": 1}), "logit_bias"),
        (asked(frequency_penalty=0.5), "frequency_penalty"),
        (asked(presence_penalty=-1), "presence_penalty"),
        (asked(verbosity="low"), "verbosity"),
        (asked(modalities=["text", "audio"]), "modalities"),
        (asked(audio={"voice": "alloy"}), "audio"),
        (asked(web_search_options={}), "web_search_options"),
        (asked(functions=[{"name": "f"}]), "functions"),
        (asked(temperature=1.2), "temperature"),
        (asked(reasoning_effort="enormous"), "reasoning_effort"),
        (asked(response_format={"type": "json_object"}), "response_format"),
        (asked(response_format={"type": "json_schema", "json_schema": {}}), "response_format"),
        (asked(tools=[{"type": "custom", "custom": {"name": "f"}}]), "tools.0"),
        (asked(tool_choice={"type": "custom", "custom": {"name": "f"}}), "tool_choice"),
        (asked(speed="fast"), "speed"),
        (asked(inference_geo="us"), "inference_geo"),
        (asked(mcp_servers=[{"type": "url"}]), "mcp_servers"),
        (asked(container="c"), "container"),
        (asked(context_management={"edits": []}), "context_management"),
        (asked(system="x"), "system"),
        (asked(stop_sequences=["x"]), "stop_sequences"),
        (asked({"role": "system", "content": "x"}), "messages"),
        (asked({"role": "function", "name": "f", "content": "x"}), "messages.0"),
        (asked(USER | {"name": "ann"}, USER | {"name": "bob"}), "messages"),
        (
            asked(calling(type="custom", custom={"name": "f", "input": "x"})),
            "messages.0.tool_calls.0",
        ),
        (
            asked({"role": "assistant", "function_call": {"name": "f", "arguments": ""}}),
            "messages.0",
        ),
        (asked({"role": "assistant", "audio": {"id": "a"}}), "messages.0"),
        (
            asked({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}),
            "messages.0.content.0",
        ),
        (
            asked({"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}),
            "messages.0.content.0",
        ),
        (
            asked(
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA"}}
                    ],
                }
            ),
            "messages.0.content.0",
        ),
        (
            asked(
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}]}
            ),
            "messages.0.content.0",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_claude_cannot_be_told(request_: Json, param: str) -> None:
    """It is refused, and the field is named: nothing of it is dropped without a word."""
    with pytest.raises(Untranslatable) as refused:
        request_from_chat(encoded(request_), LIMIT)
    assert refused.value.param == param


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", encoded({"model": "m"}), encoded(asked({"role": "critic", "content": "x"}))],
)
def test_what_is_no_request(body: bytes) -> None:
    """It is the client's fault, and said so."""
    with pytest.raises(Invalid) as refused:
        request_from_chat(body, LIMIT)
    assert not isinstance(refused.value, Untranslatable)
