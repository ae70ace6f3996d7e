"""Chat completions told as Responses, whole and streamed. The judge is OpenAI's own client."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any, get_args

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

from proxy.errors import ProxyError, RateLimited, UpstreamFailed, UpstreamLate
from proxy.translate.responses import EventsFromChat, answer_from_chat, request_to_chat
from proxy.translate.responses_events import ANSWER_LIMIT

Json = dict[str, Any]

REQUEST: Json = {"model": "oak", "input": "Name a tree.", "stream": True}
USAGE: Json = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12, "cost": 0.000000123}
HEAD: Json = {"id": "chatcmpl-1a2b", "created": 1763600000, "model": "oak-70b"}
EVENTS: dict[str, type[BaseModel]] = {
    get_args(event.model_fields["type"].annotation)[0]: event
    for event in get_args(get_args(ResponseStreamEvent)[0])
}
CALL: Json = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "plant", "arguments": '{"tree":"oak"}'},
}


def encoded(value: Json) -> bytes:
    return json.dumps(value).encode()


def completion(message: Json, finish: str | None = "stop", **more: Any) -> Json:
    """A whole chat completion."""
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    return HEAD | {"object": "chat.completion", "choices": [choice], "usage": USAGE} | more


def chunk(delta: Json, finish: str | None = None, **more: Any) -> bytes:
    """One chunk of a streamed chat completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return encoded(HEAD | {"object": "chat.completion.chunk", "choices": [choice]} | more)


LAST = encoded(HEAD | {"object": "chat.completion.chunk", "choices": [], "usage": USAGE})


def plain(message: Json, finish: str | None = "stop", request: Json = REQUEST, **more: Any) -> Json:
    """A whole answer, translated, as JSON."""
    answer = answer_from_chat(encoded(completion(message, finish, **more)), encoded(request))
    told: Json = json.loads(answer)
    Response.model_validate(told)
    return told


def streamed(*chunks: bytes, request: Json = REQUEST) -> bytes:
    events = EventsFromChat(encoded(request))
    return b"".join([events.chunk(one) for one in chunks]) + events.close()


def broken_after(*chunks: bytes, error: ProxyError, request: Json = REQUEST) -> bytes:
    events = EventsFromChat(encoded(request))
    return b"".join([events.chunk(one) for one in chunks]) + events.broken(error)


def read(stream: bytes) -> list[Json]:
    """The events of a stream: each is whole, named after its type, numbered, and as documented."""
    assert stream.endswith(b"\n\n")
    events = []
    for position, event in enumerate(stream[:-2].split(b"\n\n")):
        name, data = event.split(b"\n")
        told = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + told["type"].encode()
        assert told["sequence_number"] == position
        EVENTS[told["type"]].model_validate(told)
        events.append(told)
    return events


def names(events: list[Json]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def client(body: bytes, content_type: str) -> openai.OpenAI:
    """OpenAI's client, to whom every request is answered so."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body, headers={"content-type": content_type})

    transport = httpx.Client(transport=httpx.MockTransport(answer))
    return openai.OpenAI(
        api_key="none", base_url="http://127.0.0.1/v1", max_retries=0, http_client=transport
    )


def as_client_reads(answer: bytes) -> Any:
    with client(answer, "application/json") as reader:
        return reader.responses.parse(model="oak", input="Name a tree.")


def as_client_accumulates(stream: bytes) -> tuple[Any, dict[tuple[int, int], str]]:
    """The final response, and each text and call as the deltas made it grow."""
    grown: dict[tuple[int, int], str] = {}
    with (
        client(stream, "text/event-stream") as reader,
        reader.responses.stream(model="oak", input="Name a tree.") as events,
    ):
        for event in events:
            if event.type == "response.output_text.delta":
                grown[event.output_index, event.content_index] = event.snapshot
            elif event.type == "response.function_call_arguments.delta":
                grown[event.output_index, 0] = event.snapshot
        return events.get_final_response(), grown


ASKED: Json = {"role": "user", "content": "Name a tree."}


def sent_back(message: Json) -> list[Json]:
    """The messages of the next chat request, when a client sends an answer's items back."""
    whole = answer_from_chat(encoded(completion(message)), encoded(REQUEST))
    items = [item.to_dict() for item in Response.model_validate_json(whole).output]
    chat = json.loads(request_to_chat(encoded({"model": "oak", "input": [ASKED, *items]})))
    told: list[Json] = chat["messages"]
    return told


# -- what providers write, whole and in pieces

text = st.text(alphabet='abc äß€😀\n\r\u2028"\\{}', max_size=12)
word = st.text(alphabet="abcé", min_size=1, max_size=6)


@st.composite
def pieces(draw: st.DrawFn, whole: str) -> list[str]:
    cuts = draw(st.lists(st.integers(0, len(whole)), max_size=3))
    return [whole[a:b] for a, b in pairwise([0, *sorted(cuts), len(whole)])]


@st.composite
def calls(draw: st.DrawFn, position: int) -> Json:
    words, name = draw(text), draw(word)
    if draw(st.booleans()):
        call: Json = {"type": "custom", "custom": {"name": name, "input": words}}
    else:
        call = {"type": "function", "function": {"name": name, "arguments": words}}
    if draw(st.booleans()):  # Gemini's
        call["extra_content"] = {"google": {"thought_signature": draw(word)}}
    return {"id": f"call_{position}"} | call


@st.composite
def messages(draw: st.DrawFn) -> Json:
    message: Json = {"role": "assistant", "content": draw(text)}
    if draw(st.booleans()):
        field = draw(st.sampled_from(["reasoning_content", "reasoning"]))
        message[field] = draw(text.filter(bool))
        if draw(st.booleans()):
            detail = {"type": "reasoning.text", "text": message[field], "index": 0}
            message["reasoning_details"] = [detail | {"signature": draw(word)}]
            if draw(st.booleans()):
                hidden = {"type": "reasoning.encrypted", "data": draw(word), "index": 1}
                message["reasoning_details"].append(hidden)
    if draw(st.booleans()):
        message["refusal"] = draw(text.filter(bool))
    if draw(st.booleans()) and message["content"]:
        cited = {"start_index": 0, "end_index": 1, "title": draw(word), "url": "https://a.example"}
        message["annotations"] = [{"type": "url_citation", "url_citation": cited}]
    count = draw(st.integers(0, 3))
    if count:
        message["tool_calls"] = [draw(calls(position)) for position in range(count)]
    return message


@st.composite
def deltas(draw: st.DrawFn, message: Json) -> list[Json]:
    """What a provider would stream of a message: its calls perhaps several at a time."""
    told: list[Json] = [{"role": "assistant", "content": ""}]
    for field in ("reasoning_content", "reasoning"):
        details = message.get("reasoning_details")
        for piece in draw(pieces(message.get(field, ""))) if field in message else ():
            told.append({field: piece})
            if details is not None:
                head = {"type": "reasoning.text", "index": 0}
                told[-1]["reasoning_details"] = [head | {"text": piece}]
        if field in message and details is not None:
            end = {"type": "reasoning.text", "index": 0, "signature": details[0]["signature"]}
            told.append({"content": "", "reasoning_details": [end, *details[1:]]})
    told += [{"content": piece} for piece in draw(pieces(message["content"]))]
    if "annotations" in message:
        told.append({"annotations": message["annotations"]})
    if "refusal" in message:
        told += [{"refusal": piece} for piece in draw(pieces(message["refusal"]))]
    waiting: list[list[Json]] = []
    for index, call in enumerate(message.get("tool_calls", ())):
        kind = call["type"]
        field = "arguments" if kind == "function" else "input"
        first = call | {"index": index, kind: call[kind] | {field: ""}}
        more = draw(pieces(call[kind][field]))
        waiting.append([first, *({"index": index, kind: {field: one}} for one in more)])
    begun: list[list[Json]] = []
    while waiting or any(begun):
        if waiting and (not any(begun) or draw(st.booleans())):
            begun.append(waiting.pop(0))
            sequence = begun[-1]
        else:
            sequence = draw(st.sampled_from([one for one in begun if one]))
        told.append({"tool_calls": [sequence.pop(0)]})
    return told


@st.composite
def streams(draw: st.DrawFn) -> tuple[Json, list[bytes]]:
    """A chat completion, and the chunks of the same."""
    message = draw(messages())
    finish = draw(st.sampled_from(["stop", "tool_calls", "eos", None]))
    told = draw(deltas(message))
    ends_apart = draw(st.booleans())
    chunks = [chunk(delta) for delta in (told if ends_apart else told[:-1])]
    chunks.append(chunk({} if ends_apart else told[-1], finish))
    return completion(message, finish), [*chunks, LAST]


# -- properties


@given(streams())
def test_a_stream_is_the_answer_in_pieces(both: tuple[Json, list[bytes]]) -> None:
    """However it was cut up: OpenAI's client makes of the events what it makes of the answer; its
    texts and calls grow to what they are in the end; and every event is as documented."""
    answer, chunks = both
    whole = answer_from_chat(encoded(answer), encoded(REQUEST))
    stream = streamed(*chunks)

    events = read(stream)
    assert events[-1]["response"] == json.loads(whole)
    final, grown = as_client_accumulates(stream)
    assert final.to_dict() == as_client_reads(whole).to_dict()
    for (item, part), snapshot in grown.items():
        written = final.output[item]
        said = written.arguments if written.type == "function_call" else written.content[part].text
        assert snapshot == said


@given(streams())
def test_events_come_in_order(both: tuple[Json, list[bytes]]) -> None:
    """Items are added in order, then their parts, then deltas that make up what is then done, and
    all that was added is done before the end."""
    events = read(streamed(*both[1]))
    assert names(events)[:2] == ["created", "in_progress"]
    assert names(events)[-1] == "completed"
    items: list[Json] = []
    parts: dict[tuple[int, int], str] = {}
    calls: dict[int, str] = {}
    for event in events[2:-1]:
        kind, item = event["type"].removeprefix("response."), event["output_index"]
        place = (item, event.get("content_index", -1))
        match kind:
            case "output_item.added":
                assert item == len(items)
                assert event["item"]["status"] == "in_progress"
                items.append({})
            case "content_part.added":
                assert items[item] == {}
                assert place not in parts
                assert not any(value for key, value in event["part"].items() if key != "type")
                parts[place] = ""
            case "output_text.delta" | "refusal.delta" | "reasoning_text.delta":
                parts[place] += event["delta"]
            case "output_text.done" | "refusal.done" | "reasoning_text.done":
                assert event["refusal" if kind == "refusal.done" else "text"] == parts[place]
            case "function_call_arguments.delta" | "custom_tool_call_input.delta":
                calls[item] = calls.get(item, "") + event["delta"]
            case "function_call_arguments.done":
                assert event["arguments"] == calls.get(item, "")
            case "custom_tool_call_input.done":
                assert event["input"] == calls.get(item, "")
            case "output_item.done":
                items[item] = event["item"]
            case other:
                assert other in ("content_part.done", "output_text.annotation.added")
    assert items == events[-1]["response"]["output"]
    assert {item["status"] for item in items} <= {"completed"}


@given(messages())
def test_what_a_client_sends_back_is_what_the_provider_wrote(message: Json) -> None:
    """A turn's items, read by OpenAI's client and sent as the next input, are the message again:
    its text, calls, and reasoning with its signatures, as far as this provider wrote them."""
    wrote = {key: value for key, value in message.items() if key != "annotations"}
    wrote["content"] = message["content"] or None
    if wrote.keys() <= {"role", "content", *_THOUGHTS} and wrote["content"] is None:
        assert sent_back(message) == [ASKED]  # reasoning that led to nothing is no message
    else:
        assert sent_back(message) == [ASKED, wrote]


_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details")


@given(streams(), st.data())
def test_a_broken_stream_never_looks_finished(
    both: tuple[Json, list[bytes]], data: st.DataObject
) -> None:
    """Wherever it is cut, OpenAI's client raises the error; those who read on find a failed
    response, in which nothing that was being written is complete."""
    cut = data.draw(st.integers(0, len(both[1])))
    error = UpstreamLate("oak was silent for 30 s")
    stream = broken_after(*both[1][:cut], error=error)

    with pytest.raises(openai.APIError, match="oak was silent for 30 s") as raised:
        as_client_accumulates(stream)
    assert raised.value.code == "upstream_timeout"
    events = read(stream)
    assert names(events)[-2:] == ["error", "failed"]
    assert not {"completed", "incomplete"} & set(names(events))
    failed = events[-1]["response"]
    assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
    done = [one["output_index"] for one in events if one["type"] == "response.output_item.done"]
    for position, item in enumerate(failed["output"]):
        assert item["status"] == ("completed" if position in done else "incomplete")


# -- streams


def test_a_text_is_passed_on_at_once() -> None:
    """A delta of text is one event, and goes out with the chunk that brought it."""
    events = EventsFromChat(encoded(REQUEST))
    events.chunk(chunk({"role": "assistant", "content": "Oa"}))
    told = events.chunk(chunk({"content": "k."}))
    assert told.startswith(b"event: response.output_text.delta\ndata: {")
    assert told.count(b"\n\n") == 1
    assert b'"delta":"k."' in told


def test_reasoning_is_done_when_the_text_begins() -> None:
    """Who shows that a model thinks, learns that it does no longer; and so for text and calls."""
    deltas = ({"reasoning_content": "Hm."}, {"content": "Oak."}, {"tool_calls": [CALL]})
    stream = streamed(*[chunk(delta) for delta in deltas])
    told = [
        (event["type"].removeprefix("response.output_item."), event["item"]["type"])
        for event in read(stream)
        if "output_item" in event["type"]
    ]
    assert told == [
        ("added", "reasoning"),
        ("done", "reasoning"),
        ("added", "message"),
        ("done", "message"),
        ("added", "function_call"),
        ("done", "function_call"),
    ]


def test_what_comes_back_to_its_kind_is_an_item_of_its_own() -> None:
    """Text after a call cannot be put before it any more: the order is what was written."""
    stream = streamed(
        chunk({"content": "First"}),
        chunk({"tool_calls": [CALL | {"index": 0}]}),
        chunk({"content": ", then."}),
        chunk({}, "stop"),
    )
    final, _ = as_client_accumulates(stream)
    assert [item.type for item in final.output] == ["message", "function_call", "message"]
    assert final.output_text == "First, then."


def nameless(arguments: str, **more: Any) -> Json:
    return {"function": {"arguments": arguments}} | more


def named(name: str, arguments: str = "", **more: Any) -> Json:
    return {"type": "function", "function": {"name": name, "arguments": arguments}} | more


@pytest.mark.parametrize(
    "told",
    [
        [named("f", index=0, id="a"), nameless("1", index=0), named("g", index=1, id="b"),
         nameless("2", index=1)],
        [named("f", index=0, id="a"), named("g", index=1, id="b"), nameless("2", index=1),
         nameless("1", index=0)],
        [named("f", "1", id="a"), named("g", "2", id="b")],
        [named("f", id="a"), nameless("1"), named("g", id="b"), nameless("2")],
        [named("f", "1", index=0, id="a"), named("g", "2", index=0, id="b")],
        [named("f", index=0, id="a"), named("f", "1", index=0, id="a"),
         named("g", "2", index=1, id="b")],
        [named("f", id="a"), named("f", "1", id="a"), named("g", "2", id="b")],
        [nameless("1", index=0, id="a"), named("f", index=0), named("g", "2", index=1, id="b")],
        [named("f", index=0, id="a"), nameless("1", index=0, id=""),
         named("g", "2", index=1, id="b")],
    ],
    ids=["openai", "at once", "no index", "no index, in pieces", "always 0", "name and id repeated",
         "repeated without index", "name late", "empty id"],
)  # fmt: skip
def test_calls_are_told_apart(told: list[Json]) -> None:
    """However a provider numbers its calls: f gets 1 and g gets 2."""
    stream = streamed(*[chunk({"tool_calls": [one]}) for one in told], chunk({}, "tool_calls"))
    final, _ = as_client_accumulates(stream)
    calls = [(one.name, one.arguments, one.call_id) for one in final.output]
    assert calls == [("f", "1", "a"), ("g", "2", "b")]


def test_a_call_without_an_id_gets_one() -> None:
    """A client answers a call by its id; two calls of a response have two."""
    message = {"tool_calls": [named("f"), named("f", id="")]}
    ids = [item["call_id"] for item in plain(message)["output"]]
    assert ids == ["call_1a2b_0", "call_1a2b_1"]


def test_a_call_without_a_name_is_no_call() -> None:
    """Nobody can answer it: the response fails, and says why."""
    told = chunk({"tool_calls": [nameless("1", index=0)]}, "tool_calls")
    assert names(read(streamed(told)))[-2:] == ["error", "failed"]
    with pytest.raises(UpstreamFailed, match="without naming it"):
        plain({"tool_calls": [nameless("1")]})


def test_arguments_that_are_no_string_are_their_json() -> None:
    """Some providers write the JSON itself; its numbers stay as they were."""
    call = {"id": "a", "function": {"name": "f", "arguments": {"n": 1.50}}}
    body = encoded(completion({"tool_calls": [call]})).replace(b"1.5", b"1.50")
    (item,) = json.loads(answer_from_chat(body, encoded(REQUEST)))["output"]
    assert item["arguments"] == '{"n": 1.50}'


def test_azure_begins_with_a_chunk_that_says_nothing() -> None:
    """Its chunk of filter results has no id, no model and no time: the next has."""
    filters = {"id": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{}]}
    first, *_, last = read(streamed(encoded(filters), chunk({"content": "Oak."}, "stop"), LAST))
    assert first["response"]["id"] == last["response"]["id"] == "resp_1a2b"
    assert first["response"]["created_at"] == 1763600000


def test_repeated_finish_reasons_and_running_usage_end_nothing_early() -> None:
    """Gemini has said stop in every chunk, others count in every chunk: the last one counts."""
    counts = [USAGE | {"completion_tokens": n, "total_tokens": 5 + n} for n in (1, 2)]
    stream = streamed(
        chunk({"content": "Oa"}, "stop", usage=counts[0]),
        chunk({"content": "k."}, "length", usage=counts[1]),
        chunk({"content": ""}),
    )
    last = read(stream)[-1]["response"]
    assert last["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [part["text"] for item in last["output"] for part in item["content"]] == ["Oak."]
    assert last["usage"]["output_tokens"] == 2


def test_a_stream_of_nothing_is_no_answer() -> None:
    """A provider that says [DONE] and nothing else has failed."""
    with pytest.raises(openai.APIError, match="before it began"):
        as_client_accumulates(streamed())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{", "no chunk of a chat completion"),
        (b'{"choices":[{"delta":{"tool_calls":["f"]}}]}', "no known form"),
        (b'{"choices":[{"delta":{"content":7}}]}', "no chunk of a chat completion"),
        (b'{"choices":' + b"[" * 100_000, "no chunk of a chat completion"),
        (b'{"error":{"message":"overloaded"}}', "overloaded"),
        (b" " * (ANSWER_LIMIT + 1), "longer than"),
    ],
    ids=["no JSON", "no call", "no text", "too deep", "an error", "endless"],
)
def test_nonsense_is_the_providers_failure(data: bytes, why: str) -> None:
    """What is no chunk raises UpstreamFailed, whose end can then be told."""
    events = EventsFromChat(encoded(REQUEST))
    told = events.chunk(chunk({"content": "Oak"}))
    with pytest.raises(UpstreamFailed, match=why) as raised:
        events.chunk(data)
    assert names(read(told + events.broken(raised.value)))[-1] == "failed"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"choices":[]}', b'{"choices":[{}]}'])
def test_an_answer_that_is_none_is_the_providers_failure(body: bytes) -> None:
    """The same of whole answers."""
    with pytest.raises(UpstreamFailed, match="the provider's answer"):
        answer_from_chat(body, encoded(REQUEST))


def test_a_rate_limit_keeps_its_code() -> None:
    """Of the codes that a failed response may have, OpenAI's word for it."""
    events = read(broken_after(chunk({"content": "Oak"}), error=RateLimited("too many")))
    assert events[-1]["response"]["error"] == {"code": "rate_limit_exceeded", "message": "too many"}


# -- endings


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("", "completed", None),
        (None, "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("model_length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("error", "failed", None),
        ("insufficient_system_resource", "failed", None),
    ],
)
def test_endings(finish: str | None, status: str, reason: str | None) -> None:
    """Only a whole answer is completed; what was written last in another is incomplete."""
    message = {"content": "Oak.", "tool_calls": [CALL]}
    told = plain(message, finish)
    assert told["status"] == status
    assert told["incomplete_details"] == (None if reason is None else {"reason": reason})
    assert (told["error"] is not None) == (status == "failed")
    last = "completed" if status == "completed" else "incomplete"
    assert [item["status"] for item in told["output"]] == ["completed", last]

    events = read(streamed(chunk(message, finish), LAST))
    assert events[-1]["type"] == f"response.{status}"
    assert events[-1]["response"] == told
    assert ("error" in names(events)) == (status == "failed")


def test_what_was_written_last_is_incomplete() -> None:
    """Of calls that were written at once, the one that was cut off."""
    told = [named("f", index=0, id="a"), named("g", "2", index=1, id="b"), nameless("1", index=0)]
    stream = streamed(*[chunk({"tool_calls": [one]}) for one in told], chunk({}, "length"))
    items = read(stream)[-1]["response"]["output"]
    assert [(item["name"], item["status"]) for item in items] == [
        ("f", "incomplete"),
        ("g", "completed"),
    ]


# -- what an answer says


def test_the_request_is_said_back() -> None:
    """As OpenAI does; but nothing is kept here, and nothing is known of a provider's defaults."""
    schema = {"type": "json_schema", "name": "tree", "schema": {"type": "object"}}
    request = {
        "model": "oak",
        "input": "Name a tree.",
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": False,
        "text": {"format": schema},
        "reasoning": {"effort": "low"},
        "metadata": {"shop": "7"},
        "temperature": 0.2,
        "max_output_tokens": 50,
        "store": True,
        "user": "ann",
    }
    told = plain({"content": "Oak."}, request=request)
    for name in request.keys() - {"model", "input", "store", "reasoning"}:
        assert told[name] == request[name]
    assert told["reasoning"] == {"effort": "low", "summary": None}
    assert (told["store"], told["model"]) == (False, "oak-70b")

    told = plain({"content": "Oak."})
    assert (told["temperature"], told["tool_choice"], told["tools"]) == (None, "auto", [])
    assert told["text"] == {"format": {"type": "text"}}


def test_a_request_written_over_several_lines_breaks_no_event() -> None:
    """What is said back as it was written may hold line ends; an event's data may not."""
    request = json.dumps(REQUEST | {"tools": [{"type": "function", "name": "f"}]}, indent=1)
    events = EventsFromChat(request.replace("\n", "\r\n").encode())
    for event in read(events.chunk(chunk({"content": "Oak."})) + events.close()):
        assert event.get("response", {}).get("tools", [{"name": "f"}])[0]["name"] == "f"


def test_usage_by_other_names() -> None:
    """The same counts, and the cost to the last digit; what a wire without null cannot leave open
    is 0."""
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    body = encoded(completion({"content": "Oak."}, usage=usage | {"cost": "COST"}))
    body = body.replace(b'"COST"', b"0.000000000000000000123")
    told = json.loads(answer_from_chat(body, encoded(REQUEST)), parse_float=Decimal)
    assert told["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0, "audio_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 12,
        "cost": Decimal("0.000000000000000000123"),
    }
    bare = plain({"content": "Oak."}, usage={"prompt_tokens": 5, "completion_tokens": 7})["usage"]
    assert bare["output_tokens_details"] == {"reasoning_tokens": 0}


def test_usage_is_the_usage_that_is_charged() -> None:
    """xAI counts reasoning beside the completion: together they are the output."""
    details = {"completion_tokens_details": {"reasoning_tokens": 10}}
    told = plain({"content": "Oak."}, usage=USAGE | {"total_tokens": 22} | details)["usage"]
    assert (told["output_tokens"], told["total_tokens"]) == (17, 22)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -1, "completion_tokens": 1}, 7])
def test_usage_that_makes_no_sense_is_none(usage: object) -> None:
    """None is not zero."""
    assert plain({"content": "Oak."}, usage=usage)["usage"] is None


def test_logprobs_stand_with_their_text() -> None:
    """In the deltas, and all of them in the end; to the last digit; no bytes are no null."""
    token = '{"token":"Oak","logprob":-0.10000000000000000001,"bytes":null,"top_logprobs":[]}'
    body = f'{{"choices":[{{"delta":{{"content":"Oak"}},"logprobs":{{"content":[{token}]}}}}]}}'
    stream = streamed(body.encode(), chunk({}, "stop"))
    read(stream)
    assert stream.count(b'"logprob":-0.10000000000000000001') == 5  # delta, 3 done, completed
    final, _ = as_client_accumulates(stream)
    assert final.output[0].content[0].logprobs[0].bytes == []


def test_a_refusal_is_a_part_of_the_message() -> None:
    """Beside the text, in the order in which they were written."""
    (item,) = plain({"content": "No.", "refusal": "I will not."})["output"]
    assert [part["type"] for part in item["content"]] == ["output_text", "refusal"]


def test_citations_stand_flat() -> None:
    """A client finds the pages that an answer names."""
    cited = {"start_index": 0, "end_index": 3, "title": "Oak", "url": "https://oak.example"}
    message = {"content": "Oak", "annotations": [{"type": "url_citation", "url_citation": cited}]}
    answer = answer_from_chat(encoded(completion(message)), encoded(REQUEST))
    (citation,) = as_client_reads(answer).output[0].content[0].annotations
    assert (citation.type, citation.url) == ("url_citation", "https://oak.example")

    told = read(streamed(chunk(message, "stop")))
    assert names(told)[3:6] == [
        *("content_part.added", "output_text.delta", "output_text.annotation.added")
    ]
    assert told[3]["part"]["annotations"] == []  # it says what there was then


def test_thoughts_between_texts_are_reasoning() -> None:
    """Mistral writes a content in parts."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    told = plain({"content": [thought, {"type": "text", "text": "Oak."}]})["output"]
    assert [item["type"] for item in told] == ["reasoning", "message"]
    assert told[0]["content"][0]["text"] == "Hm."
    assert "encrypted_content" not in told[0]


def test_the_same_thought_under_two_names_is_one() -> None:
    """vLLM wrote both for a while."""
    message = {"reasoning": "Hm.", "reasoning_content": "Hm.", "content": "Oak."}
    assert sent_back(message)[1:] == [
        {"role": "assistant", "content": "Oak.", "reasoning_content": "Hm."}
    ]


def test_an_empty_answer_has_no_items() -> None:
    """No text is no message, whole and streamed."""
    assert plain({"content": None})["output"] == plain({"content": ""})["output"] == []
    final, _ = as_client_accumulates(streamed(chunk({"role": "assistant", "content": ""}, "stop")))
    assert (final.output, final.output_text) == ([], "")


def test_what_a_provider_says_besides_is_carried() -> None:
    """Sources of an answer, whole and streamed; but what a response itself says stands."""
    more: Json = {"citations": ["https://oak.example"], "status": "fine", "service_tier": "flex"}
    whole = plain({"content": "Oak [1]."}, **more)
    last = read(streamed(chunk({"content": "Oak [1]."}, "stop", **more), LAST))[-1]["response"]
    assert whole == last
    assert (last["citations"], last["status"]) == (more["citations"], "completed")
    assert last["service_tier"] == "flex"


def test_ids_are_derived() -> None:
    """From the chat's, or from the data of one that has none: the same each time, never empty."""
    assert plain({"content": "Oak."})["id"] == "resp_1a2b"
    first, second = (plain({"content": "Oak."}, id="") for _ in range(2))
    assert first["id"] == second["id"]
    assert len(first["id"]) > len("resp_")
    assert plain({"content": "Oak."}, model="")["model"] == "oak"
    assert first["output"][0]["id"].startswith("msg_")


def test_what_is_no_utf8_is_the_providers_fault() -> None:
    """Bytes that no UTF-8 has, in a field that metering does not read, raise UpstreamFailed."""
    message = encoded(completion({"content": "Oak."}, model="oak-70b"))
    with pytest.raises(UpstreamFailed, match="no chat completion"):
        answer_from_chat(message.replace(b"oak-70b", b"oak-\xff"), encoded(REQUEST))
    with pytest.raises(UpstreamFailed, match="no chunk"):
        EventsFromChat(encoded(REQUEST)).chunk(
            chunk({"content": "Oak."}).replace(b"oak-70b", b"oak-\xff")
        )
