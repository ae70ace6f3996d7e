"""There and back: what goes through both translations is what it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.translate.messages_client import answer_from_chat, request_to_chat
from proxy.translate.messages_provider import EventsToChat, answer_to_chat, request_from_chat

Json = dict[str, Any]


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


# -- requests: Messages, chat, Messages

WORDS = st.text(min_size=1, max_size=9).filter(lambda text: not text.isspace())
INPUTS = st.dictionaries(st.text(max_size=4), st.integers() | WORDS | st.booleans(), max_size=3)
TEXTS = st.builds(lambda text: {"type": "text", "text": text}, WORDS)
IMAGES: st.SearchStrategy[Json] = st.sampled_from(
    [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/gif", "data": "R0lG"},
        },
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
    ]
)
THOUGHTS: st.SearchStrategy[Json] = st.one_of(
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "c2ln"}, st.text()),
    st.just({"type": "redacted_thinking", "data": "Zm9v"}),
)
MARKS: st.SearchStrategy[Json] = st.sampled_from(
    [
        {},
        {"cache_control": {"type": "ephemeral"}},
        {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
)


def some(draw: st.DrawFn, blocks: st.SearchStrategy[Json], least: int = 0) -> list[Json]:
    return [one | draw(MARKS) for one in draw(st.lists(blocks, min_size=least, max_size=3))]


@st.composite
def talks(draw: st.DrawFn) -> list[Json]:
    """User and assistant by turns; each call of a tool is answered in the next turn."""
    turns = [{"role": "user", "content": some(draw, TEXTS | IMAGES, 1)}]
    for number in range(draw(st.integers(0, 3))):
        ids = [f"t{number}_{i}" for i in range(draw(st.integers(0, 2)))]
        calls = [
            {"type": "tool_use", "id": one, "name": "f", "input": draw(INPUTS)} | draw(MARKS)
            for one in ids
        ]
        thoughts = draw(st.lists(THOUGHTS, max_size=2))
        said = some(draw, TEXTS, 0 if calls else 1)
        results = [
            {
                "type": "tool_result",
                "tool_use_id": one,
                "content": draw(st.lists(TEXTS, min_size=1)),
            }
            | draw(MARKS)
            for one in ids
        ]
        asked = some(draw, TEXTS | IMAGES, 0 if results else 1)
        turns.append({"role": "assistant", "content": thoughts + said + calls})
        turns.append({"role": "user", "content": results + asked})
    return turns


TOOL = {"name": "f", "description": "F", "input_schema": {"type": "object", "properties": {}}}
CHOICES: list[Json] = [
    {"type": "auto"},
    {"type": "any", "disable_parallel_tool_use": True},
    {"type": "tool", "name": "f"},
    {"type": "none"},
]
FORMAT = {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}}


@st.composite
def requests(draw: st.DrawFn) -> Json:
    """What can be said in a chat, written as `request_from_chat` writes it."""
    request: Json = {"model": "claude-opus-5", "max_tokens": draw(st.integers(1, 9999))}
    request["messages"] = draw(talks())
    fields: Json = {
        "system": some(draw, TEXTS, 1),
        "tools": [TOOL | draw(MARKS), TOOL | {"name": "g", "strict": True}],
        "stop_sequences": ["END", "\n\n"],
        "output_config": {"format": FORMAT},
        "metadata": {"user_id": "u"},
        "service_tier": "standard_only",
        "temperature": 0.25,
        "top_k": 5,
        "cache_control": {"type": "ephemeral"},
        "stream": draw(st.booleans()),
    }
    for name in draw(st.sets(st.sampled_from(sorted(fields)))):
        request[name] = fields[name]
    if "tools" in request:
        request |= draw(st.sampled_from([{}, *({"tool_choice": one} for one in CHOICES)]))
    if effort := draw(st.sampled_from(["", "low", "high", "max"])):
        request["thinking"] = {"type": "adaptive", "display": "summarized"}
        request["output_config"] = request.get("output_config", {}) | {"effort": effort}
    return request


@given(requests())
def test_a_request_comes_back_as_it_was(request: Json) -> None:
    """Nothing is lost on the way through a chat request, and nothing is added."""
    there = request_to_chat(encoded(request))
    assert json.loads(request_from_chat(there, default_max_tokens=1)) == request


# -- thinking: Messages, a client of OpenAI's, Messages


@st.composite
def contents(draw: st.DrawFn) -> list[Json]:
    """An answer that thinks now and then. Its text is one: a chat keeps no two apart."""
    thoughts = draw(st.lists(THOUGHTS, min_size=1, max_size=4))
    said = draw(st.lists(TEXTS, max_size=1))
    calls = [
        {"type": "tool_use", "id": f"t{i}", "name": "f", "input": one}
        for i, one in enumerate(draw(st.lists(INPUTS, max_size=2)))
    ]
    content = said + calls
    for thought in thoughts:
        content.insert(draw(st.integers(0, len(content))), thought)
    return content


def message(content: list[Json]) -> Json:
    usage = {"input_tokens": 1, "output_tokens": 1}
    ended = {"stop_reason": "tool_use", "stop_sequence": None, "usage": usage}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"} | {
        "content": content,
        **ended,
    }


def chunks_of(said: Json) -> list[ChatCompletionChunk]:
    """The same in a stream, each block in pieces."""
    events: list[Json] = [{"type": "message_start", "message": said | {"content": []}}]
    for index, block in enumerate(said["content"]):
        opening, deltas = dict(block), []
        for name, kind in (("text", "text_delta"), ("thinking", "thinking_delta")):
            if name in block:
                opening[name] = ""
                deltas += [{"type": kind, name: sign} for sign in block[name]]
        if "signature" in block:
            opening["signature"] = ""
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        if "input" in block:
            opening["input"] = {}
            deltas.append({"type": "input_json_delta", "partial_json": json.dumps(block["input"])})
        at = {"index": index}
        events.append({"type": "content_block_start", **at, "content_block": opening})
        events += [{"type": "content_block_delta", **at, "delta": one} for one in deltas]
        events.append({"type": "content_block_stop", **at})
    events.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}})
    chat = EventsToChat()
    return [
        ChatCompletionChunk.model_validate_json(chunk)
        for event in events
        for chunk in chat.event(encoded(event))
    ]


def sent_back(answered: Json) -> Any:
    """The turn of the assistant, in the next request of a client that sends all that it got."""
    results = [
        {"role": "tool", "tool_call_id": one["id"], "content": "done"}
        for one in answered.get("tool_calls") or ()
    ]
    asked = [{"role": "user", "content": "x"}, answered, *results, {"role": "user", "content": "?"}]
    request = request_from_chat(encoded({"model": "m", "messages": asked}), 10)
    return json.loads(request)["messages"][1]["content"]


@given(contents())
def test_thinking_comes_back_in_its_place(content: list[Json]) -> None:
    """Signed and whole, where it was: Anthropic refuses it otherwise. Whether the client had the
    answer whole, in a stream, or keeps the pieces of a stream as they came."""
    said = message(content)
    whole = ChatCompletion.model_validate_json(answer_to_chat(encoded(said)))
    assert sent_back(whole.choices[0].message.to_dict()) == content

    chunks = chunks_of(said)
    state = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(chunk)
    streamed = state.current_completion_snapshot.choices[0].message.to_dict()
    assert sent_back(streamed) == content

    deltas = [choice.delta.to_dict() for chunk in chunks for choice in chunk.choices]
    pieces: list[Any] = [one for delta in deltas for one in delta.get("reasoning_details", ())]  # type: ignore[attr-defined]
    assert sent_back(streamed | {"reasoning_details": pieces}) == content


@pytest.mark.parametrize(
    "detail",
    [
        {"type": "reasoning.text", "text": "Hm"},
        {"type": "reasoning.text", "text": "Hm", "signature": "s", "format": "google-gemini-v1"},
        {"type": "reasoning.summary", "summary": "Hm"},
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"},
    ],
)
def test_what_claude_did_not_sign_is_left_out(detail: Json) -> None:
    """It would be refused; and what others thought was never needed again."""
    answered = {"role": "assistant", "content": "42", "reasoning_content": "Hm"}
    turn = sent_back(answered | {"reasoning_details": [detail]})
    assert turn == [{"type": "text", "text": "42"}]


# -- answers: Messages, chat, Messages


@given(contents())
def test_an_answer_comes_back_as_it_was(content: list[Json]) -> None:
    """But for the order: a chat has its thoughts first, then its text, then its calls."""
    back = json.loads(answer_from_chat(answer_to_chat(encoded(message(content)))))
    thoughts = [one for one in content if one["type"] in ("thinking", "redacted_thinking")]
    rest = [one for one in content if one not in thoughts]
    assert back == message(thoughts + rest)
