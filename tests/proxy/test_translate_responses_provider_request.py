"""Chat requests as Responses requests: what is said otherwise, what is carried, what is refused.
OpenAI's types are the judge: a strict host refuses what they do not know."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses.response_create_params import ResponseCreateParams
from pydantic import TypeAdapter

from proxy.errors import Invalid, Untranslatable
from proxy.translate.responses_provider import request_from_chat

Json = dict[str, Any]
USER: Json = {"role": "user", "content": "x"}
PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBE"
LOGPROBS = ["message.output_text.logprobs"]
SCHEMA: Json = {"type": "object", "properties": {}}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


# -- the judge


@cache
def requests_known() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseCreateParams)


def read_out(value: Any) -> Any:
    """Iterables are only checked while they are read."""
    if isinstance(value, dict):
        return {name: read_out(one) for name, one in value.items()}
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value
    return [read_out(one) for one in value]


def named(item: Json) -> Json:
    """The types ask for an id and a status where the API does without: of what it once wrote."""
    once = {"id": "i", "status": "completed"}
    if item.get("role") == "assistant" and isinstance(item["content"], list):
        parts = [part | ({"annotations": []} if "text" in part else {}) for part in item["content"]]
        return once | item | {"content": parts}
    return {"id": "i"} | item if item.get("type") == "reasoning" else item


def translated(request: Json) -> Json:
    """A chat request as a Responses request that has no field which OpenAI's types do not know."""
    asked: Json = json.loads(request_from_chat(encoded(request)))
    full = asked | {"input": [named(one) for one in asked["input"]]}
    assert read_out(requests_known().validate_python(full)) == full
    assert asked["store"] is False
    return asked


def asked(*messages: Json, **fields: Any) -> Json:
    return {"model": "m", "messages": list(messages) or [USER]} | fields


def items(*messages: Json) -> list[Json]:
    told: list[Json] = translated(asked(*messages))["input"]
    return told


def function(name: str = "f", **more: Any) -> Json:
    return {"type": "function", "function": {"name": name} | more}


def custom(name: str = "c", **more: Any) -> Json:
    return {"type": "custom", "custom": {"name": name} | more}


def calling(*calls: Json, **more: Any) -> Json:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)} | more


def answered(call_id: str, content: object = "done") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


# -- all of it


def test_a_request_of_the_official_client() -> None:
    """What a client of chats asks, as a client of responses would have asked it."""
    seen: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(200, content=b"{}")

    client = openai.OpenAI(
        api_key="k", http_client=httpx.Client(transport=httpx.MockTransport(handle))
    )
    request: Any = {  # as a client may write it: its types are many
        "model": "o3-pro",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
                ],
            },
            {
                "role": "assistant",
                "content": "I look.",
                "annotations": [],
                "tool_calls": [
                    {"id": "1"} | function(arguments='{"at": 1}'),
                    {"id": "2"} | custom(input="ls"),
                ],
            },
            answered("2", "a b"),
            answered("1", [{"type": "text", "text": "a cat"}]),
            {"role": "developer", "content": "Say it in French."},
            {"role": "user", "content": "So?", "name": "ann"},
        ],
        "tools": [
            function(description="F", parameters=SCHEMA, strict=True),
            custom(format={"type": "grammar", "grammar": {"syntax": "regex", "definition": "a"}}),
        ],
        "tool_choice": function(),
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "cat", "description": "A cat", "schema": SCHEMA},
        },
        "verbosity": "low",
        "reasoning_effort": "high",
        "max_completion_tokens": 500,
        "temperature": 1,
        "top_p": 0.5,
        "logprobs": True,
        "top_logprobs": 3,
        "seed": 1,
        "metadata": {"a": "b"},
        "store": True,
        "n": 1,
        "stop": None,
        "logit_bias": {},
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "modalities": ["text"],
        "prediction": {"type": "content", "content": "x"},
        "user": "u1",
        "safety_identifier": "s1",
        "service_tier": "default",
        "prompt_cache_key": "p",
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
    }
    with client.chat.completions.create(**request):
        pass
    assert translated(json.loads(seen[0])) == {
        "model": "o3-pro",
        "instructions": "Be brief.",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": PNG, "detail": "low"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
                ],
            },
            {"role": "assistant", "content": "I look."},
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": '{"at": 1}'},
            {"type": "custom_tool_call", "call_id": "2", "name": "c", "input": "ls"},
            {"type": "custom_tool_call_output", "call_id": "2", "output": "a b"},
            {
                "type": "function_call_output",
                "call_id": "1",
                "output": [{"type": "input_text", "text": "a cat"}],
            },
            {"role": "developer", "content": "Say it in French."},
            {"role": "user", "content": "So?"},
        ],
        "tools": [
            {
                "type": "function",
                "name": "f",
                "description": "F",
                "parameters": SCHEMA,
                "strict": True,
            },
            {
                "type": "custom",
                "name": "c",
                "format": {"type": "grammar", "syntax": "regex", "definition": "a"},
            },
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": False,
        "text": {
            "format": {
                "type": "json_schema",
                "name": "cat",
                "description": "A cat",
                "schema": SCHEMA,
                "strict": False,
            },
            "verbosity": "low",
        },
        "reasoning": {"effort": "high"},
        "max_output_tokens": 500,
        "temperature": 1,
        "top_p": 0.5,
        "include": LOGPROBS,
        "top_logprobs": 3,
        "metadata": {"a": "b"},
        "store": False,
        "user": "u1",
        "safety_identifier": "s1",
        "service_tier": "default",
        "prompt_cache_key": "p",
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }


def test_the_least_of_a_request() -> None:
    """Nothing is asked for that the client did not, but that nothing be kept."""
    assert translated(asked()) == {"model": "m", "input": [USER], "store": False}


def test_nothing_is_kept() -> None:
    """Whatever was asked for, and even if it is asked for in a way that only some hosts hear."""
    assert translated(asked(store=True))["store"] is False
    with pytest.raises(Invalid, match="Store is written store"):
        translated(asked(Store=True))


def test_what_is_not_known_passes() -> None:
    """Some provider may know it; digit by digit."""
    body = encoded(asked(top_k=0, safety={"x": 1})).replace(b'"top_k": 0', b'"top_k": 1.10')
    told = request_from_chat(body)
    assert b'"top_k":1.10' in told
    assert json.loads(told)["safety"] == {"x": 1}


def test_a_cached_prefix_is_marked_where_it_was() -> None:
    """OpenAI's own mark stays; Anthropic's is a hint that strict hosts refuse."""
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    hint = {"cache_control": {"type": "ephemeral"}}
    part = {"type": "text", "text": "x"} | mark | hint
    told = translated(
        asked(
            {"role": "system", "content": [part]},
            {"role": "user", "content": [part]} | hint,
            tools=[function() | hint],
            **hint,
        )
    )
    marked = [{"type": "input_text", "text": "x"} | mark]
    assert [one["content"] for one in told["input"]] == [marked, marked]


# -- messages


@pytest.mark.parametrize(
    ("first", "instructions"),
    [
        ({"role": "system", "content": "A"}, "A"),
        ({"role": "developer", "content": [{"type": "text", "text": "A"}]}, "A"),
        ({"role": "system", "content": [{"type": "text", "text": one} for one in "AB"]}, None),
        ({"role": "system", "content": ""}, None),
        ({"role": "user", "content": "A"}, None),
    ],
)
def test_instructions(first: Json, instructions: str | None) -> None:
    """The first message of the system, if it is one text; what comes later stays in its place."""
    told = translated(asked(first, {"role": "system", "content": "C"}, USER))
    assert told.get("instructions") == instructions
    assert [one["role"] for one in told["input"]][-2:] == ["system", "user"]
    assert len(told["input"]) == (2 if instructions else 3)


def test_instructions_that_must_be_input() -> None:
    """Where there is nothing else; and where the input must have the word JSON in it."""
    system = {"role": "system", "content": "Write JSON."}
    assert translated(asked(system))["input"] == [system]
    told = translated(asked(system, USER, response_format={"type": "json_object"}))
    assert told["input"] == [system, USER]
    assert told["text"] == {"format": {"type": "json_object"}}


def test_what_the_assistant_said() -> None:
    """Its texts are one; a refusal stays one; a message that says nothing beside its calls is
    none."""
    parts = [{"type": "text", "text": one} for one in "ab"]
    refusing = {"type": "refusal", "refusal": "No."}
    call = {"id": "1"} | function(arguments="{}")
    refused = {"type": "message", "role": "assistant"}
    told = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    for message, expected in (
        ({"content": parts}, [{"role": "assistant", "content": "ab"}]),
        ({"content": ""}, [{"role": "assistant", "content": ""}]),
        ({"content": None, "refusal": "No."}, [refused | {"content": [refusing]}]),
        (
            {"content": [*parts, refusing], "refusal": None},
            [refused | {"content": [{"type": "output_text", "text": "ab"}, refusing]}],
        ),
        ({"content": "", "tool_calls": [call]}, [told]),
        ({"content": None, "function_call": None, "audio": None, "tool_calls": None}, []),
    ):
        assert items({"role": "assistant"} | message, USER) == [*expected, USER]


SEALED: Json = {"type": "reasoning.encrypted", "data": "gAAA", "format": "openai-responses-v1"}


def test_reasoning_goes_back_in_front() -> None:
    """Encrypted by this wire, with the id that it had; and not at all where nothing follows."""
    details = [SEALED | {"id": "rs_1", "index": 0}, SEALED | {"id": "block_0", "index": 1}]
    turn = calling({"id": "1"} | function(), reasoning_details=details, reasoning_content="Hm")
    told = items(USER, turn, answered("1"))
    sealed = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    assert told[1:3] == [sealed | {"id": "rs_1"}, sealed]
    assert [one.get("type") for one in told[3:]] == ["function_call", "function_call_output"]
    empty = {"role": "assistant", "content": None, "reasoning_details": details}
    assert items(USER, empty, USER) == [USER, USER]


@pytest.mark.parametrize(
    "detail",
    [
        {"type": "reasoning.text", "text": "Hm", "signature": "s", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "x", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "x"},
        {"type": "reasoning.summary", "summary": "Hm", "format": "openai-responses-v1"},
        {"type": 3},
    ],
)
def test_what_others_thought_is_left_out(detail: Json) -> None:
    """It cannot be read there; and words alone were never needed again."""
    said = {"role": "assistant", "content": "42"}
    thinking = said | {"reasoning": "Hm", "reasoning_details": [detail]}
    assert items(USER, thinking, USER) == [USER, said, USER]


# -- the other fields


def test_a_limit() -> None:
    """The smaller of the two, if the client set both."""
    assert "max_output_tokens" not in translated(asked())
    assert translated(asked(max_tokens=7))["max_output_tokens"] == 7
    assert translated(asked(max_tokens=7, max_completion_tokens=5))["max_output_tokens"] == 5


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("required", "required"),
        ("none", "none"),
        (custom(), {"type": "custom", "name": "c"}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [function()]}},
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}],
            },
        ),
    ],
)
def test_which_tool(choice: object, expected: object) -> None:
    """Each choice has its own; without tools none is said to be called by saying nothing."""
    told = translated(asked(tools=[function(), custom()], tool_choice=choice))
    assert told["tool_choice"] == expected
    bare = translated(asked(tools=[], tool_choice="auto", parallel_tool_calls=True))
    assert bare == translated(asked())


def test_noise_on_the_line() -> None:
    """Whether a stream has it is the client's choice; without a stream it says nothing."""
    noise = {"include_obfuscation": True}
    assert translated(asked(stream=True, stream_options=noise))["stream_options"] == noise
    assert "stream_options" not in translated(asked(stream=False, stream_options=noise))
    usage = {"include_usage": True}
    assert "stream_options" not in translated(asked(stream=True, stream_options=usage))


def test_a_tool_is_as_strict_as_in_a_chat() -> None:
    """There strict is what is not said otherwise; here it is not."""
    told = translated(asked(tools=[function(), function(strict=None), function(strict=True)]))
    assert [one["strict"] for one in told["tools"]] == [False, False, True]
    plain_text = custom(description="C", format={"type": "text"})
    (tool,) = translated(asked(tools=[plain_text]))["tools"]
    assert tool == {
        "type": "custom",
        "name": "c",
        "description": "C",
        "format": {"type": "text"},
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reasoning_effort": "none"}, {"effort": "none"}),
        ({"reasoning_effort": None}, None),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"effort": "low", "summary": "auto"}),
        ({"reasoning": {"summary": "auto"}, "reasoning_effort": "low"},
         {"effort": "low", "summary": "auto"}),
        ({"reasoning": {"summary": "auto", "exclude": True}}, None),
        ({"reasoning": {"max_tokens": 9000}}, {"effort": "medium"}),
        ({"reasoning": {"effort": "high"}, "reasoning_effort": "low"}, {"effort": "high"}),
        ({"reasoning": {"enabled": False}}, {"effort": "none"}),
    ],
)  # fmt: skip
def test_effort(fields: Json, expected: Json | None) -> None:
    """How much to think; and to show it only if that is asked for."""
    assert translated(asked(**fields)).get("reasoning") == expected


def test_what_is_included() -> None:
    """Logprobs as a chat asks for them; encrypted reasoning by this wire's own word."""
    assert translated(asked(logprobs=True))["include"] == LOGPROBS
    assert translated(asked(logprobs=False, top_logprobs=0)) == translated(asked())
    both = translated(asked(include=["reasoning.encrypted_content"], logprobs=True))
    assert both["include"] == ["reasoning.encrypted_content", *LOGPROBS]


# -- what is refused


def part(**fields: Any) -> Json:
    return {"role": "user", "content": [fields]}


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (asked(n=2), "n"),
        (asked(stop="END"), "stop"),
        (asked(stop=["END"]), "stop"),
        (asked(logit_bias={"5": 1}), "logit_bias"),
        (asked(frequency_penalty=0.5), "frequency_penalty"),
        (asked(presence_penalty=-1), "presence_penalty"),
        (asked(modalities=["text", "audio"]), "modalities"),
        (asked(audio={"voice": "alloy"}), "audio"),
        (asked(moderation={"model": "m"}), "moderation"),
        (asked(web_search_options={}), "web_search_options"),
        (asked(search_parameters={}), "search_parameters"),
        (asked(functions=[{"name": "f"}]), "functions"),
        (asked(function_call={"name": "f"}), "function_call"),
        (asked(background=True), "background"),
        (asked(previous_response_id="resp_1"), "previous_response_id"),
        (asked(conversation="conv_1"), "conversation"),
        (asked(prompt={"id": "p"}), "prompt"),
        (asked(context_management=[{"type": "compaction"}]), "context_management"),
        (asked(input="x"), "input"),
        (asked(instructions="x"), "instructions"),
        (asked(max_output_tokens=5), "max_output_tokens"),
        (asked(text={"verbosity": "low"}), "text"),
        (asked(include=["file_search_call.results"]), "include"),
        (asked(include=LOGPROBS), "include"),
        (asked(reasoning={"mode": "pro"}), "reasoning.mode"),
        (asked(tools=[{"type": "web_search"}]), "tools.0"),
        (asked(tools=[function(), {"type": "function"}]), "tools.1"),
        (asked(tools=[function()], tool_choice={"type": "web_search"}), "tool_choice"),
        (asked(response_format={"type": "json_schema"}), "response_format"),
        (
            asked(response_format={"type": "json_schema", "json_schema": {"name": "n"}}),
            "response_format",
        ),
        (asked(response_format={"type": "xml"}), "response_format"),
        (asked(USER | {"name": "ann"}, USER | {"name": "bob"}), "messages"),
        (asked({"role": "assistant", "content": None}), "messages"),
        (asked({"role": "function", "name": "f", "content": "x"}), "messages.0"),
        (asked(calling({"id": "1", "type": "computer"})), "messages.0.tool_calls.0"),
        (asked(calling(function_call={"name": "f", "arguments": ""})), "messages.0"),
        (asked({"role": "assistant", "audio": {"id": "a"}}), "messages.0"),
        (
            asked({"role": "assistant", "content": [{"type": "image_url"}]}),
            "messages.0.content.0",
        ),
        (asked(part(type="input_audio", input_audio={})), "messages.0.content.0"),
        (asked(part(type="image_url")), "messages.0.content.0"),
        (asked(part(type="file", file={"file_id": "f"})), "messages.0.content.0"),
        (asked(part(type="file", file={"file_id": "f", "file_data": PDF})), "messages.0.content.0"),
        (asked(part(type="file")), "messages.0.content.0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_response_cannot_be_told(request_: Json, param: str) -> None:
    """It is refused, and the field is named: nothing of it is dropped without a word."""
    with pytest.raises(Untranslatable) as refused:
        request_from_chat(encoded(request_))
    assert refused.value.param == param


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        encoded({"model": "m"}),
        encoded(asked({"role": "critic", "content": "x"})),
        encoded(asked(top_logprobs=3)),
        encoded(asked(top_logprobs=21, logprobs=True)),
        encoded(asked(max_tokens=0)),
        encoded(asked(STOP="END")),
    ],
)
def test_what_is_no_request(body: bytes) -> None:
    """It is the client's fault, and said so."""
    with pytest.raises(Invalid) as refused:
        request_from_chat(body)
    assert not isinstance(refused.value, Untranslatable)
