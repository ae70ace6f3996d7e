"""Responses requests as chat requests: what is said otherwise, what is carried, what is refused."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import Any, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import responses as wire

from proxy.errors import Invalid, Untranslatable
from proxy.translate.responses import request_to_chat

Json = dict[str, Any]


def chat(**request: Any) -> Json:
    """The chat request that a Responses request becomes."""
    body = {"model": "oak", "input": "Name a tree."} | request
    told: Json = json.loads(request_to_chat(json.dumps(body).encode()))
    return told


def messages(*items: Json, **request: Any) -> list[Json]:
    told: list[Json] = chat(input=list(items), **request)["messages"]
    return told


def user(content: object = "Name a tree.") -> Json:
    return {"role": "user", "content": content}


def said(text: str) -> Json:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }


def called(call_id: str, name: str = "plant", arguments: str = "{}", **more: Any) -> Json:
    call = {"type": "function_call", "id": "fc_1", "status": "completed", "call_id": call_id}
    return call | {"name": name, "arguments": arguments} | more


def answered(call_id: str, output: object = "done") -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def call_in_chat(call_id: str, name: str = "plant", arguments: str = "{}") -> Json:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def thought(words: str, origin: Json) -> Json:
    sealed = "hedgerow1." + urlsafe_b64encode(json.dumps(origin).encode()).decode()
    content = [{"type": "reasoning_text", "text": words}]
    return {"type": "reasoning", "id": "rs_1", "summary": [], "content": content} | {
        "encrypted_content": sealed
    }


# -- input


def test_a_text_is_a_message_of_the_user() -> None:
    """Instructions come first, as the system's."""
    assert chat(instructions="Be brief.") == {
        "model": "oak",
        "messages": [{"role": "system", "content": "Be brief."}, user()],
    }


def test_a_conversation_with_tools() -> None:
    """Text and calls of one turn are one message; each output follows as the tool's."""
    assert messages(
        {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
        user([{"type": "input_text", "text": "Plant two."}]),
        said("Yes."),
        called("a"),
        called("b", arguments='{"n":2}'),
        answered("b", "two"),
        answered("a", [{"type": "input_text", "text": "one"}]),
        said("Done."),
        user("Thanks."),
    ) == [
        {"role": "system", "content": "Be brief."},
        user("Plant two."),
        {
            "role": "assistant",
            "content": "Yes.",
            "tool_calls": [call_in_chat("a"), call_in_chat("b", arguments='{"n":2}')],
        },
        {"role": "tool", "tool_call_id": "b", "content": "two"},
        {"role": "tool", "tool_call_id": "a", "content": "one"},
        {"role": "assistant", "content": "Done."},
        user("Thanks."),
    ]


def test_steps_of_a_tool_loop_stay_apart() -> None:
    """Each output ends the assistant's message before it."""
    loop = messages(user(), called("a"), answered("a"), called("b"), answered("b"))
    assert [message["role"] for message in loop] == ["user", *("assistant", "tool") * 2]


def test_two_answers_are_two_messages() -> None:
    """Nothing between them says that they were one."""
    assert [one["content"] for one in messages(user(), said("Oak."), said("Elm."))][1:] == [
        "Oak.",
        "Elm.",
    ]


def test_text_after_a_call_joins_its_message() -> None:
    """The output of a call must follow it: nothing may come between."""
    told = messages(user(), said("First"), called("a"), said(", then."), answered("a"))
    assert told[1] == {
        "role": "assistant",
        "content": "First, then.",
        "tool_calls": [call_in_chat("a")],
    }


def test_custom_tools_take_text() -> None:
    """A call of one, and its output."""
    call = {"type": "custom_tool_call", "call_id": "a", "name": "sh", "input": "ls"}
    told = messages(user(), call, answered("a") | {"type": "custom_tool_call_output"})
    assert told[1]["tool_calls"] == [
        {"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    ]
    assert told[2]["tool_call_id"] == "a"


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        ),
        (
            {"type": "input_image", "image_url": "https://oak.example/a.png", "detail": "low"},
            {
                "type": "image_url",
                "image_url": {"url": "https://oak.example/a.png", "detail": "low"},
            },
        ),
        (
            {"type": "input_file", "file_data": "data:application/pdf;base64,AA==",
             "filename": "a.pdf"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==",
                                      "filename": "a.pdf"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        ),
        (
            {"type": "input_text", "text": "Oak.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Oak.", "cache_control": {"type": "ephemeral"}},
        ),
    ],
    ids=["image", "image in detail", "file", "audio", "an extension"],
)  # fmt: skip
def test_parts(part: Json, told: Json) -> None:
    """In messages and in what tools give back; what is not known is carried where it stood."""
    assert messages(user([part])) == [user([told])]
    assert messages(user(), called("a"), answered("a", [part]))[-1]["content"] == [told]


def test_a_refusal_stays_one() -> None:
    """It has a field of its own, beside the text or instead of it."""
    refusal = {"type": "refusal", "refusal": "I will not."}
    assert messages(user(), said("No.") | {"content": [refusal]})[1] == {
        "role": "assistant",
        "content": None,
        "refusal": "I will not.",
    }


def test_refusals_of_one_turn_are_one() -> None:
    """Around a call they join its message, as texts do."""
    first, then = ({"type": "refusal", "refusal": text} for text in ("I will", " not."))
    around = [said("") | {"content": [part]} for part in (first, then)]
    told = messages(user(), around[0], called("a"), around[1])
    assert told[1]["refusal"] == "I will not."


def test_extensions_of_a_call_go_back() -> None:
    """Gemini refuses a call that has lost the signature of its thought."""
    signature = {"google": {"thought_signature": "x"}}
    (_, message) = messages(user(), called("a", extra_content=signature))
    assert message["tool_calls"][0]["extra_content"] == signature


# -- reasoning


def test_reasoning_goes_back_where_it_stood_within_a_turn() -> None:
    """A tool loop goes on with the words of its reasoning, in the field of the provider that wrote
    them; once the user has spoken again they are left out, details are not."""
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "x"}]
    turn = [
        thought("Hm.", {"field": "reasoning", "details": details}),
        called("a"),
        answered("a"),
    ]
    assert messages(user(), *turn)[1] == {
        "role": "assistant",
        "content": None,
        "reasoning": "Hm.",
        "reasoning_details": details,
        "tool_calls": [call_in_chat("a")],
    }
    assert messages(user(), *turn, user())[1] == {
        "role": "assistant",
        "content": None,
        "reasoning_details": details,
        "tool_calls": [call_in_chat("a")],
    }


@pytest.mark.parametrize("encrypted", [None, "gAAAAABo", ""])
def test_reasoning_that_is_not_ours_is_left_out(encrypted: str | None) -> None:
    """Summaries, and what somebody else has encrypted: no provider of chats can read them."""
    summary = [{"type": "summary_text", "text": "It thought."}]
    item = {"type": "reasoning", "summary": summary, "encrypted_content": encrypted}
    assert messages(user(), item, called("a")) == messages(user(), called("a"))


def test_reasoning_after_its_answer_belongs_to_it() -> None:
    """Some providers give their encrypted thoughts last."""
    details = [{"type": "reasoning.encrypted", "data": "x"}]
    late = thought("", {"details": details})
    told = messages(user(), said("Oak."), late, user())
    assert told[1] == {"role": "assistant", "content": "Oak.", "reasoning_details": details}
    assert messages(user(), called("a"), late, answered("a"))[1]["reasoning_details"] == details


def test_reasoning_between_calls_is_one() -> None:
    """The calls of a turn are one message, and so is what was thought on the way to them."""
    one, other = ({"type": "reasoning.encrypted", "data": data} for data in "xy")
    field = "reasoning_content"
    told = messages(
        user(),
        thought("Hm. ", {"field": field, "details": [one]}),
        called("a"),
        thought("Oh.", {"field": field, "details": [other]}),
        called("b"),
    )
    assert told[1] == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hm. Oh.",
        "reasoning_details": [one, other],
        "tool_calls": [call_in_chat("a"), call_in_chat("b")],
    }


def test_reasoning_before_an_answer_belongs_to_that_answer() -> None:
    """And not to the one before."""
    origin = {"field": "reasoning_content"}
    told = messages(user(), said("Oak."), thought("Hm.", origin), said("Elm."))
    assert told[1:] == [
        {"role": "assistant", "content": "Oak."},
        {"role": "assistant", "content": "Elm.", "reasoning_content": "Hm."},
    ]


@pytest.mark.parametrize(
    "sealed", ["", "e30", "W10=", "bm9uZQ==", "\u00e4", "eyJmaWVsZCI6ImEifQ=="]
)
def test_reasoning_that_was_changed_is_refused(sealed: str) -> None:
    """It would be a provider's words that no provider has said."""
    with pytest.raises(Invalid, match="not as it was given") as refused:
        messages(user(), {"type": "reasoning", "encrypted_content": "hedgerow1." + sealed})
    assert refused.value.param == "input[1].encrypted_content"


# -- the other fields


SCHEMA: Json = {"name": "tree", "schema": {"type": "object"}, "strict": True}
F: Json = {"type": "function", "name": "f"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"max_output_tokens": 50}, {"max_completion_tokens": 50}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"context": "auto", "mode": "standard"}}, {}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}},
         {"response_format": {"type": "json_object"}}),
        ({"text": {"format": {"type": "json_schema"} | SCHEMA}},
         {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True, "top_logprobs": 0}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"top_logprobs": 0, "include": ["reasoning.encrypted_content"]}, {}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": True, "stream_options": {"include_obfuscation": False}},
         {"stream": True,
          "stream_options": {"include_obfuscation": False, "include_usage": True}}),
        ({"stream": False, "stream_options": {}}, {"stream": False}),
        ({"store": True, "metadata": {"shop": "7"}, "max_tool_calls": 3, "truncation": "disabled",
          "background": False, "conversation": None, "messages": None}, {}),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        ({"user": "ann", "top_p": 0.5, "prompt_cache_key": "k", "safety_identifier": "s",
          "service_tier": "default", "seed": 7, "provider": {"only": ["a"]}},
         {"user": "ann", "top_p": 0.5, "prompt_cache_key": "k", "safety_identifier": "s",
          "service_tier": "default", "seed": 7, "provider": {"only": ["a"]}}),
    ],
)  # fmt: skip
def test_fields(asked: Json, told: Json) -> None:
    """By their name in a chat request; left out where they say nothing there; else as they are."""
    assert chat(**asked) == {"model": "oak", "messages": [user()]} | told


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        (F, {"type": "function", "function": {"name": "f"}}),
        (
            F | {"description": "plants", "parameters": {"type": "object"}, "strict": True}
            | {"output_schema": {}, "allowed_callers": ["direct"], "defer_loading": False},
            {"type": "function",
             "function": {"name": "f", "description": "plants", "parameters": {"type": "object"},
                          "strict": True}},
        ),
        (F | {"description": None, "parameters": None, "strict": None},
         {"type": "function", "function": {"name": "f"}}),
        (F | {"cache_control": {"type": "ephemeral"}},
         {"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}),
        ({"type": "custom", "name": "sh", "format": {"type": "text"}},
         {"type": "custom", "custom": {"name": "sh", "format": {"type": "text"}}}),
        (
            {"type": "custom", "name": "sh", "description": "runs",
             "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}},
            {"type": "custom", "custom": {"name": "sh", "description": "runs", "format": {
                "type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}}},
        ),
    ],
)  # fmt: skip
def test_tools(tool: Json, told: Json) -> None:
    """What stands flat is nested."""
    assert chat(tools=[tool], parallel_tool_calls=False) == {
        "model": "oak",
        "messages": [user()],
        "tools": [told],
        "parallel_tool_calls": False,
    }


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        (F, {"type": "function", "function": {"name": "f"}}),
        ({"type": "custom", "name": "sh"}, {"type": "custom", "custom": {"name": "sh"}}),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [F]},
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        ),
    ],
)
def test_tool_choices(choice: object, told: object) -> None:
    """All that a chat has."""
    assert chat(tools=[F], tool_choice=choice)["tool_choice"] == told


# -- what is refused


HOSTED_TOOLS = sorted(
    {
        kind
        for tool in get_args(wire.tool.Tool.__origin__)  # type: ignore[attr-defined]
        for kind in get_args(tool.model_fields["type"].annotation)
    }
    - {"function", "custom"}
)
TRANSLATED_ITEMS = {
    *("message", "reasoning", "function_call", "function_call_output"),
    *("custom_tool_call", "custom_tool_call_output"),
}
OTHER_ITEMS = sorted(
    {
        kind
        for item in get_args(get_args(wire.ResponseInputItem)[0])
        for hint in [item.model_fields["type"].annotation]
        for literal in [hint, *get_args(hint)]
        if getattr(literal, "__origin__", None) is Literal
        for kind in get_args(literal)
    }
    - TRANSLATED_ITEMS
)


@pytest.mark.parametrize("kind", HOSTED_TOOLS)
def test_hosted_tools_have_no_translation(kind: str) -> None:
    """Every tool of the wire that OpenAI runs itself, or keeps from the model."""
    with pytest.raises(Untranslatable, match=kind) as refused:
        chat(tools=[F, {"type": kind}])
    assert refused.value.param == "tools[1]"


@pytest.mark.parametrize("kind", OTHER_ITEMS)
def test_other_items_have_no_translation(kind: str) -> None:
    """Every item of the wire that is neither a message, nor reasoning, nor a client's own call."""
    with pytest.raises(Untranslatable, match=kind) as refused:
        messages(user(), {"type": kind})
    assert refused.value.param == "input[1]"


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"context": "all_turns"}}, "reasoning.context"),
        ({"reasoning": {"max_tokens": 5}}, "reasoning.max_tokens"),
        ({"text": {"voice": "alto"}}, "text.voice"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format"),
        ({"include": ["message.thoughts"]}, "include"),
        ({"tool_choice": {"type": "web_search_preview"}}, "tool_choice"),
        ({"tool_choice": {"type": "mcp", "server_label": "s"}}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}},
         "tool_choice.tools[0]"),
        ({"tools": [F | {"defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [F | {"allowed_callers": ["programmatic"]}]}, "tools[0].allowed_callers"),
        ({"n": 3}, "n"),
        ({"N": 3}, "N"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "messages"),
        ({"max_tokens": 9}, "max_tokens"),
        ({"max_completion_tokens": 9}, "max_completion_tokens"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [user([{"type": "input_image", "file_id": "file_1"}])]}, "input[0].content[0]"),
        ({"input": [user([{"type": "input_image", "image_url": "u", "detail": "original"}])]},
         "input[0].content[0].detail"),
        ({"input": [user([{"type": "input_file", "file_id": "file_1"}])]}, "input[0].content[0]"),
        ({"input": [user([{"type": "input_file", "file_url": "u"}])]}, "input[0].content[0]"),
        ({"input": [user([{"type": "input_file", "file_data": "d", "detail": "high"}])]},
         "input[0].content[0].detail"),
        ({"input": [user([{"type": "computer_screenshot"}])]}, "input[0].content[0]"),
        ({"input": [called("a", namespace="crm")]}, "input[0].namespace"),
        ({"input": [called("a", caller={"type": "program", "caller_id": "p"})]},
         "input[0].caller"),
    ],
)  # fmt: skip
def test_what_has_no_translation_is_refused(request_: Json, param: str) -> None:
    """Never left out in silence: the error names the field and says what to do."""
    with pytest.raises(Untranslatable) as refused:
        chat(**request_)
    assert (refused.value.param, refused.value.code) == (param, "not_translatable")
    assert refused.value.answer_status == 400


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["Hi"]}, "input[0]"),
        ({"input": [{"role": "user"}]}, "input[0]"),
        ({"input": [user([{"type": "input_text"}])]}, "input[0].content[0]"),
        ({"input": [user([{"type": "input_text", "text": 7}])]}, "input[0].content[0].text"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0]"),
        ({"input": [called("a") | {"arguments": {}}]}, "input[0].arguments"),
        ({"instructions": 7}, "instructions"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tool_choice": 7}, "tool_choice"),
        ({"text": {"verbosity": 7}}, "text.verbosity"),
    ],
)
def test_what_is_no_request_is_named(request_: Json, param: str) -> None:
    """The error names the field that is wrong."""
    with pytest.raises(Invalid) as refused:
        chat(**request_)
    assert not isinstance(refused.value, Untranslatable)
    assert refused.value.param == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"input":"\xff"}', b'{"a":' + b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """Nothing else is raised for it."""
    with pytest.raises(Invalid):
        request_to_chat(body)


# -- properties


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
known = st.sampled_from(
    [
        *("type", "role", "content", "text", "call_id", "name", "arguments", "input", "output"),
        *("summary", "encrypted_content", "image_url", "file_data", "refusal", "detail", "mode"),
        *("tools", "format", "effort", "caller", "namespace", "parameters", "strict", "schema"),
    ]
)
words = st.sampled_from(
    [
        *("message", "reasoning", "function_call", "function_call_output", "custom_tool_call"),
        *("input_text", "output_text", "input_image", "input_file", "refusal", "user", "assistant"),
        *("function", "custom", "allowed_tools", "grammar", "json_schema", "direct", "hedgerow1."),
    ]
)
nonsense = st.recursive(
    values | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(known, inner | words, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(
    ["input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "stream",
     "stream_options", "top_logprobs", "max_output_tokens", "parallel_tool_calls", "truncation"],
), nonsense))  # fmt: skip
def test_nonsense_is_translated_or_refused(request_: Json) -> None:
    """No request makes anything but a chat request with messages, or a 400."""
    with suppress(Invalid):
        assert chat(**request_)["messages"]


@given(st.dictionaries(st.text(min_size=1, max_size=8).map("x_{}".format), values))
def test_unknown_fields_pass_through(fields: Json) -> None:
    """A provider may know them."""
    told = chat(**fields)
    assert {name: told[name] for name in fields} == fields


def test_numbers_pass_through_as_they_were_written() -> None:
    """To the last digit."""
    body = b'{"model":"oak","input":"Hi","temperature":0.10000000000000000001,"seed":1E+2}'
    told = request_to_chat(body)
    assert b'"temperature":0.10000000000000000001' in told
    assert b'"seed":1E+2' in told
