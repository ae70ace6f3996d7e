"""There and back: chat, Responses, chat. What both can say comes back as it was."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from proxy.translate import messages_client, responses
from proxy.translate.responses_provider import EventsToChat, answer_to_chat, request_from_chat
from proxy.wires.events import taken_apart

Json = dict[str, Any]


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


# -- requests

WORDS = st.text(min_size=1, max_size=9)
TEXTS = st.builds(lambda text: {"type": "text", "text": text}, WORDS)
DATA = "data:application/pdf;base64,JVBE"
SHOWN: st.SearchStrategy[Json] = st.sampled_from(
    [
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lG", "detail": "low"}},
        {"type": "file", "file": {"file_data": DATA, "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": DATA}},
    ]
)
PARTS = st.one_of(
    st.lists(TEXTS | SHOWN, min_size=2, max_size=3), st.lists(SHOWN, min_size=1, max_size=1)
)
CONTENTS = WORDS | PARTS


@st.composite
def calls(draw: st.DrawFn, name: str) -> Json:
    if draw(st.booleans()):
        return {"id": name, "type": "custom", "custom": {"name": "c", "input": draw(st.text())}}
    words = draw(st.sampled_from(["{}", '{"a": 1.10}', "{", ""]))
    return {"id": name, "type": "function", "function": {"name": "f", "arguments": words}}


@st.composite
def turns(draw: st.DrawFn) -> list[Json]:
    """The assistant's, the results of its calls, and what the user says then."""
    ids = [f"call_{number}" for number in range(draw(st.integers(0, 2)))]
    said: Json = {"role": "assistant", "content": draw(st.none() | WORDS if ids else WORDS)}
    if draw(st.booleans()):
        said["refusal"] = draw(WORDS)
    if ids:
        said["tool_calls"] = [draw(calls(one)) for one in ids]
    results = [{"role": "tool", "tool_call_id": one, "content": draw(CONTENTS)} for one in ids]
    role = draw(st.sampled_from(["user", "system"]))
    return [said, *results, {"role": role, "content": draw(CONTENTS)}]


TOOLS: list[Json] = [
    {"type": "function", "function": {"name": "f", "strict": False}},
    {
        "type": "function",
        "function": {
            "name": "g",
            "description": "G",
            "parameters": {"type": "object", "properties": {}},
            "strict": True,
        },
    },
    {"type": "custom", "custom": {"name": "c"}},
    {
        "type": "custom",
        "custom": {
            "name": "d",
            "description": "D",
            "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}},
        },
    },
]
FUNCTION: Json = {"type": "function", "function": {"name": "f"}}
CUSTOM: Json = {"type": "custom", "custom": {"name": "c"}}
CHOICES: list[object] = [
    *("auto", "none", "required"),
    *(FUNCTION, CUSTOM),
    {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [FUNCTION, CUSTOM]}},
]
SCHEMA: Json = {"name": "n", "schema": {"type": "object"}, "strict": True}


@st.composite
def requests(draw: st.DrawFn) -> Json:
    """What both can say, written as `request_to_chat` writes it."""
    first: list[Json] = draw(st.sampled_from([[], [{"role": "system", "content": "Be brief."}]]))
    talk = [{"role": "user", "content": draw(CONTENTS)}]
    for turn in draw(st.lists(turns(), max_size=3)):
        talk += turn
    request: Json = {"model": "o3-pro", "messages": [*first, *talk]}
    fields: Json = {
        "max_completion_tokens": draw(st.integers(1, 9999)),
        "tools": draw(st.lists(st.sampled_from(TOOLS), min_size=1)),
        "response_format": draw(
            st.sampled_from(
                [{"type": "json_object"}, {"type": "json_schema", "json_schema": SCHEMA}]
            )
        ),
        "verbosity": "low",
        "reasoning_effort": draw(st.sampled_from(["none", "minimal", "high", "max"])),
        "temperature": 0.25,
        "top_p": 0.5,
        "top_logprobs": draw(st.integers(0, 20)),
        "user": "u",
        "safety_identifier": "s",
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "top_k": 5,
        "stream": draw(st.booleans()),
    }
    for name in draw(st.sets(st.sampled_from(sorted(fields)))):
        request[name] = fields[name]
    if "top_logprobs" in request:
        request["logprobs"] = True
    if request.get("stream"):
        request["stream_options"] = {"include_usage": True}
    if "tools" in request:
        choice = draw(st.sampled_from(CHOICES))
        more: Json = {"parallel_tool_calls": draw(st.booleans()), "tool_choice": choice}
        request |= draw(st.sampled_from([{}, more]))
    return request


@given(requests())
def test_a_request_comes_back_as_it_was(request: Json) -> None:
    """Nothing is lost on the way through a Responses request, and nothing is added."""
    there = request_from_chat(encoded(request))
    assert json.loads(responses.request_to_chat(there)) == request


# -- answers

TEXT = st.text(alphabet='abc äß€😀\n"\\{}', max_size=12)
USAGE: Json = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 7},
    "cost": 1.23e-07,
}
HEAD: Json = {"id": "chatcmpl-7", "created": 1763600000, "model": "o3-pro"}


@st.composite
def answers(draw: st.DrawFn) -> Json:
    """A chat completion, as this wire writes one."""
    count = draw(st.integers(0, 2))
    text, refusal, thought = draw(TEXT), draw(TEXT), draw(TEXT)
    message: Json = {"role": "assistant", "content": text or (None if count or refusal else "")}
    if thought:
        message["reasoning_content"] = thought
    if refusal:
        message["refusal"] = refusal
    choice: Json = {"index": 0, "message": message}
    if text and not refusal and draw(st.booleans()):
        cited = {"start_index": 0, "end_index": len(text), "title": "t", "url": "https://a.test"}
        message["annotations"] = [{"type": "url_citation", "url_citation": cited}] * 2
    if text and draw(st.booleans()):
        at = [{"token": one, "logprob": -0.5, "bytes": None} for one in text]
        tokens = [one | {"top_logprobs": [one]} for one in at]
        choice["logprobs"] = {"content": tokens, "refusal": None}
    if count:
        message["tool_calls"] = [draw(calls(f"call_{number}")) for number in range(count)]
    whole = "tool_calls" if count else "stop"
    choice["finish_reason"] = draw(st.sampled_from([whole, "length", "content_filter"]))
    said = HEAD | {"object": "chat.completion", "choices": [choice], "usage": USAGE}
    return said | draw(st.sampled_from([{}, {"service_tier": "flex"}]))


REQUEST = encoded({"model": "o3-pro", "input": "x"})


def unsealed(answer: bytes) -> Json:
    """Without what the other direction puts beside reasoning, to know it when it comes back."""
    told: Json = json.loads(answer)
    message = told["choices"][0]["message"]
    details = message.pop("reasoning_details", [])
    assert len(details) == ("reasoning_content" in message)
    return told


@given(answers())
def test_an_answer_comes_back_as_it_was(answer: Json) -> None:
    """Text, reasoning, refusal, calls, citations, logprobs, why it ended, what it cost."""
    there = responses.answer_from_chat(encoded(answer), REQUEST)
    assert unsealed(answer_to_chat(there)) == answer


def chunks_of(answer: Json, cuts: list[int]) -> list[bytes]:
    """The same in a stream: its words in pieces, cut at these places."""
    choice = answer["choices"][0]
    message = choice["message"]
    deltas: list[Json] = [{"role": "assistant"}]
    for field in ("reasoning_content", "content", "refusal"):
        words = message.get(field) or ""
        places = sorted({min(one, len(words)) for one in cuts} | {0, len(words)})
        deltas += [{field: words[a:b]} for a, b in pairwise(places)]
    if "annotations" in message:
        deltas.append({"annotations": message["annotations"]})
    for index, call in enumerate(message.get("tool_calls", ())):
        deltas.append({"tool_calls": [{"index": index, **call}]})
    choices: list[Json] = [{"index": 0, "delta": one, "finish_reason": None} for one in deltas]
    if "logprobs" in choice:
        spoken = next(one for one in choices if "content" in one["delta"])
        spoken["logprobs"] = choice["logprobs"]
    choices.append({"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]})
    head = HEAD | {"object": "chat.completion.chunk"}
    chunks = [encoded(head | {"choices": [one]}) for one in choices]
    return [*chunks, encoded(head | {"choices": [], "usage": USAGE})]


@given(answers(), st.lists(st.integers(0, 12), max_size=3))
def test_a_stream_comes_back_as_it_was(answer: Json, cuts: list[int]) -> None:
    """What the other direction makes of chunks is chunks of the same answer again, and whoever
    makes a response of them anew has the response."""
    there, back = responses.EventsFromChat(REQUEST), EventsToChat()
    events = b"".join([there.chunk(one) for one in chunks_of(answer, cuts)]) + there.close()
    frames = [taken_apart(one) for one in events.split(b"\n\n") if one]
    data = [frame[1] for frame in frames if frame is not None]
    chunks = [chunk for one in data for chunk in back.event(one)]

    again = responses.EventsFromChat(REQUEST)
    told = b"".join([again.chunk(one) for one in chunks]) + again.close()
    *_, last = [frame for one in told.split(b"\n\n") if one and (frame := taken_apart(one))]
    final, first = (json.loads(one)["response"] for one in (last[1], data[-1]))
    for said in (final, first):
        for item in said["output"]:
            item.pop("encrypted_content", None)
    assert final == first


# -- reasoning, through a client that keeps all that it gets


def sealed(*names: str) -> Json:
    """A response whose reasoning is encrypted."""
    thoughts = [
        {"type": "reasoning", "id": one, "encrypted_content": f"g{one}"}
        | {"summary": [{"type": "summary_text", "text": "Hm"}]}
        for one in names
    ]
    call = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    return {"id": "resp_7", "model": "m", "status": "completed", "output": [*thoughts, call]}


def events_of(said: Json) -> list[bytes]:
    done = [
        {"type": "response.output_item.done", "output_index": i, "item": item}
        for i, item in enumerate(said["output"])
    ]
    begun = {"type": "response.created", "response": said | {"output": []}}
    ended = {"type": "response.completed", "response": said}
    return [encoded(one) for one in (begun, *done, ended)]


def expected(*names: str) -> list[Json]:
    sent = [
        {"type": "reasoning", "id": one, "summary": [], "encrypted_content": f"g{one}"}
        for one in names
    ]
    return [*sent, {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}]


def sent_back(*messages: Any) -> list[Json]:
    body = encoded({"model": "m", "messages": [{"role": "user", "content": "x"}, *messages]})
    told: list[Json] = json.loads(request_from_chat(body))["input"]
    return [one for one in told if one.get("type") in ("reasoning", "function_call")]


@given(st.lists(st.integers(0, 99).map("rs_{}".format), max_size=3, unique=True))
def test_encrypted_reasoning_comes_back(names: list[str]) -> None:
    """Whether the client had the answer whole, or in a stream that OpenAI's client put together."""
    said = sealed(*names)
    whole = json.loads(answer_to_chat(encoded(said)))["choices"][0]["message"]
    assert sent_back(whole) == expected(*names)
    state, chunks = ChatCompletionStreamState(), EventsToChat()
    for event in events_of(said):
        for chunk in chunks.event(event):
            state.handle_chunk(ChatCompletionChunk.model_validate_json(chunk))
    streamed = state.current_completion_snapshot.choices[0].message.to_dict()
    assert sent_back(streamed) == expected(*names)


@given(st.lists(st.integers(0, 99).map("rs_{}".format), max_size=3, unique=True))
def test_encrypted_reasoning_comes_back_through_messages(names: list[str]) -> None:
    """A client of Anthropic's keeps it as redacted thinking."""
    message = json.loads(messages_client.answer_from_chat(answer_to_chat(encoded(sealed(*names)))))
    turn = {"role": "assistant", "content": message["content"]}
    asked = {"role": "user", "content": "x"}
    result = {"type": "tool_result", "tool_use_id": "1", "content": "done"}
    talk = [asked, turn, {"role": "user", "content": [result]}]
    request = {"model": "m", "max_tokens": 99, "messages": talk}
    chat = json.loads(messages_client.request_to_chat(encoded(request)))
    assert sent_back(*chat["messages"][1:]) == expected(*names)


def test_a_request_of_a_messages_client() -> None:
    """What Claude's own clients send goes through: system, marks of the cache, tools, effort."""
    mark = {"cache_control": {"type": "ephemeral"}}
    said = {
        "model": "m",
        "max_tokens": 99,
        "system": [{"type": "text", "text": "Be brief."} | mark],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"} | mark]}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}} | mark],
        "thinking": {"type": "enabled", "budget_tokens": 9000},
        "stream": True,
    }
    told = json.loads(request_from_chat(messages_client.request_to_chat(encoded(said))))
    assert told == {
        "model": "m",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
        "tools": [
            {
                "type": "function",
                "name": "f",
                "parameters": {"type": "object"},
                "strict": False,
            }
        ],
        "reasoning": {"effort": "medium"},
        "max_output_tokens": 99,
        "stream": True,
        "store": False,
    }
