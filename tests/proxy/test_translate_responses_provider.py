"""Chat completions from a provider that speaks Responses. OpenAI's own client is the judge on both
sides: its types know what is drawn, and what it makes of the chunks must be what it makes of the
whole answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from ledger.money import Money
from proxy.errors import UpstreamFailed
from proxy.relay import StreamRelay
from proxy.tellers import DONE, ChunkTeller, ToldAsChunks
from proxy.translate.responses_provider import EventsToChat, answer_to_chat
from proxy.wires.events import framed
from proxy.wires.responses import ResponseReader

Json = dict[str, Any]
USAGE: Json = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 7},
    "total_tokens": 120,
}
COUNTED: Json = {
    "prompt_tokens": 100,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "completion_tokens": 20,
    "completion_tokens_details": {"reasoning_tokens": 7},
    "total_tokens": 120,
}
COMPLETED: Json = {"status": "completed", "incomplete_details": None}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


# -- what a provider sends


def response(*output: Json, **more: Any) -> Json:
    said = {"id": "resp_7", "object": "response", "created_at": 1763600000, "model": "o3-pro"}
    asked = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
    ended = COMPLETED | {"output": list(output), "usage": USAGE, "service_tier": "default"}
    return said | asked | ended | more


def spoken(*parts: Json, name: str = "msg_1") -> Json:
    said = {"id": name, "type": "message", "role": "assistant", "status": "completed"}
    return said | {"content": list(parts)}


def text(words: str, **more: Any) -> Json:
    return {"type": "output_text", "text": words, "annotations": [], "logprobs": []} | more


def called(words: str, **more: Any) -> Json:
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f"}
    return call | {"arguments": words, "status": "completed"} | more


def thought(*summary: str, **more: Any) -> Json:
    parts = [{"type": "summary_text", "text": one} for one in summary]
    return {"type": "reasoning", "id": "rs_1", "summary": parts} | more


class Stream:
    """Events, numbered as they come."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        empty = response(status="in_progress", usage=None, service_tier="auto")
        self.add("created", response=empty)
        self.add("in_progress", response=empty)

    def add(self, kind: str, **fields: Any) -> None:
        number = len(self.events)
        self.events.append({"type": f"response.{kind}", "sequence_number": number, **fields})

    def end(self, said: Json) -> list[bytes]:
        self.add(said["status"], response=said)
        return [encoded(one) for one in self.events]


@dataclass(frozen=True)
class Answer:
    """A response, and events that say the same."""

    whole: bytes
    events: list[bytes]


TEXT = st.text(alphabet='abc äß€😀\n"\\{}', max_size=12)
WORD = st.text(alphabet="abcé", min_size=1, max_size=6)


@st.composite
def cut(draw: st.DrawFn, whole: str) -> list[str]:
    places = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=3)))
    return [whole[a:b] for a, b in pairwise([0, *places, len(whole)])]


def likely(token: str) -> Json:
    at = {"token": token, "logprob": -0.25, "bytes": list(token.encode())}
    return at | {"top_logprobs": [dict(at)]}


@st.composite
def items(draw: st.DrawFn, position: int) -> Json:
    kind = draw(st.sampled_from(["message", "reasoning", "function", "custom", "hosted"]))
    if kind == "message":
        parts = []
        for _ in range(draw(st.integers(0, 2))):
            words = draw(TEXT)
            if draw(st.booleans()):
                parts.append({"type": "refusal", "refusal": words})
                continue
            cited = {"type": "url_citation", "start_index": 0, "end_index": len(words)}
            cited |= {"title": "t", "url": "https://a.test"}
            filed = {"type": "file_citation", "file_id": "f", "filename": "f", "index": 0}
            notes = draw(st.sampled_from([[], [cited], [cited, filed, cited]])) if words else []
            tokens = [likely(sign) for sign in words] if draw(st.booleans()) else []
            parts.append(text(words, annotations=notes, logprobs=tokens))
        return spoken(*parts, name=f"msg_{position}")
    if kind == "reasoning":
        more = draw(st.sampled_from([{}, {"encrypted_content": "gAAA"}]))
        if draw(st.booleans()):
            content = [{"type": "reasoning_text", "text": one} for one in draw(st.lists(TEXT))]
            return thought(id=f"rs_{position}", content=content, **more)
        return thought(*draw(st.lists(TEXT, max_size=3)), id=f"rs_{position}", **more)
    if kind == "function":
        return called(draw(TEXT), id=f"fc_{position}", call_id=f"call_{position}", name=draw(WORD))
    if kind == "custom":
        call = {"type": "custom_tool_call", "id": f"ctc_{position}", "call_id": f"call_{position}"}
        return call | {"name": draw(WORD), "input": draw(TEXT)}
    action = {"type": "search", "query": "q", "queries": ["q"]}
    said = {"type": "web_search_call", "id": f"ws_{position}", "status": "completed"}
    return said | {"action": action}


@st.composite
def told(draw: st.DrawFn, stream: Stream, place: int, item: Json) -> None:
    """The events of one item."""
    empty: Json = {
        name: [] if isinstance(one, list) else "" if name in ("arguments", "input") else one
        for name, one in item.items()
        if name != "encrypted_content"
    }
    stream.add("output_item.added", output_index=place, item=empty)
    at = {"output_index": place, "item_id": item["id"]}
    for kind, field, event in (
        ("function_call", "arguments", "function_call_arguments.delta"),
        ("custom_tool_call", "input", "custom_tool_call_input.delta"),
    ):
        if item["type"] == kind:
            for piece in draw(cut(item[field])):
                stream.add(event, **at, delta=piece)
    for i, part in enumerate(item.get("summary", ())):
        for piece in draw(cut(part["text"])):
            stream.add("reasoning_summary_text.delta", **at, summary_index=i, delta=piece)
    for i, part in enumerate(item.get("content", ())):
        where = at | {"content_index": i}
        if part["type"] == "refusal":
            for piece in draw(cut(part["refusal"])):
                stream.add("refusal.delta", **where, delta=piece)
            continue
        for piece in draw(cut(part["text"])):
            if part["type"] == "reasoning_text":
                stream.add("reasoning_text.delta", **where, delta=piece)
                continue
            tokens = [likely(sign) for sign in piece] if part["logprobs"] else []
            stream.add("output_text.delta", **where, delta=piece, logprobs=tokens)
    stream.add("output_item.done", output_index=place, item=item)


ENDS: list[Json] = [
    COMPLETED,
    {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
    {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
]


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Items of every kind in any order."""
    output = [draw(items(position)) for position in range(draw(st.integers(0, 5)))]
    stream = Stream()
    for place, item in enumerate(output):
        draw(told(stream, place, item))
    said = response(*output, **draw(st.sampled_from(ENDS)))
    return Answer(encoded(said), stream.end(said))


# -- the judges


@cache
def events_known() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseStreamEvent)


def streamed(events: list[bytes], **how: Any) -> list[bytes]:
    chunks = EventsToChat(**how)
    return [chunk for one in events for chunk in chunks.event(one)]


def plain(said: Json) -> Json:
    """Without what is not there, and by what name it came."""
    message = {name: one for name, one in said["choices"][0]["message"].items() if one is not None}
    message.pop("parsed", None)
    for call in message.get("tool_calls", ()):
        call.get("function", {}).pop("parsed_arguments", None)
    choice = {name: one for name, one in said["choices"][0].items() if one is not None}
    told = {name: one for name, one in said.items() if name != "object" and one is not None}
    told.pop("service_tier", None)  # the client's accumulator looks for it in the first chunk only
    return told | {"choices": [choice | {"message": message}]}


def heard(chunks: list[bytes]) -> Json:
    """What the official client makes of the chunks. It knows no calls but functions': the chunks of
    others are made into some before it hears them, and afterwards made what they were."""
    state, customs = ChatCompletionStreamState(), set()
    for one in chunks:
        said = json.loads(one)
        for call in [call for c in said["choices"] for call in c["delta"].get("tool_calls", ())]:
            if "custom" in call:
                customs.add(call["index"])
                custom = call.pop("custom")
                call["function"] = {"arguments": custom.pop("input"), **custom}
                call.update({"type": "function"} if "type" in call else {})
        state.handle_chunk(ChatCompletionChunk.model_validate(said))
    snapshot: Json = state.current_completion_snapshot.to_dict()
    for cited in snapshot["choices"][0]["message"].get("annotations") or ():
        del cited["index"]  # a stream's own
    for call in snapshot["choices"][0]["message"].get("tool_calls") or ():
        if call.pop("index") in customs:
            function = call.pop("function")
            call["type"] = "custom"
            call["custom"] = {"name": function["name"], "input": function["arguments"]}
    return plain(snapshot)


def message_of(*output: Json, **more: Any) -> Json:
    """The message of a whole answer."""
    whole = answer_to_chat(encoded(response(*output, **more)))
    message: Json = json.loads(whole)["choices"][0]["message"]
    return message


# -- properties


@given(answers())
def test_what_is_drawn_is_what_openai_sends(answer: Answer) -> None:
    """The examples are no inventions: OpenAI's own types know them."""
    Response.model_validate_json(answer.whole)
    for one in answer.events:
        events_known().validate_json(one)


@given(answers())
def test_chunks_say_what_the_whole_answer_says(answer: Answer) -> None:
    """However it is cut, the client ends with the same completion: text, reasoning, refusal, calls,
    logprobs, citations, finish_reason, usage."""
    expected = ChatCompletion.model_validate_json(answer_to_chat(answer.whole)).to_dict()
    assert heard(streamed(answer.events)) == plain(expected)


@given(answers())
def test_items_that_come_whole(answer: Answer) -> None:
    """A provider that tells nothing bit by bit, or no item before its last event, or never that one
    is done, is heard too."""
    expected = plain(json.loads(answer_to_chat(answer.whole)))
    whole = [one for one in answer.events if json.loads(one)["type"][-6:] != ".delta"]
    done = [one for one in whole if ".added" not in json.loads(one)["type"]]
    bits = [one for one in answer.events if ".done" not in json.loads(one)["type"]]
    for events in (whole, done, bits, [whole[0], whole[-1]], [whole[-1]]):
        assert heard(streamed(events)) == expected


@given(answers())
def test_nothing_is_said_twice(answer: Answer) -> None:
    """All text of the chunks is all text of the items, in its order."""
    pieces = [one["delta"] for c in streamed(answer.events) for one in json.loads(c)["choices"]]
    said = [
        part for item in json.loads(answer.whole)["output"] if item["type"] == "message"
        for part in item["content"]
    ]  # fmt: skip
    for field, where in (("content", "text"), ("refusal", "refusal")):
        words = "".join(part.get(where, "") for part in said)
        assert "".join(one.get(field, "") for one in pieces) == words


def test_text_goes_out_at_once() -> None:
    """Each piece of text is a chunk before the next is here."""
    chunks, stream = EventsToChat(), Stream()
    chunks.event(encoded(stream.events[0]))
    for piece in ("Hel", "lo"):
        at = {"output_index": 0, "content_index": 0, "item_id": "m", "logprobs": []}
        stream.add("output_text.delta", **at, delta=piece)
        (chunk,) = chunks.event(encoded(stream.events[-1]))
        assert json.loads(chunk)["choices"][0]["delta"] == {"content": piece}


def test_calls_at_once_stay_apart() -> None:
    """Their deltas may come in turns; each says whose it is."""
    stream = Stream()
    for place in (1, 2):
        opening = called("", call_id=f"call_{place}")
        stream.add("output_item.added", output_index=place, item=opening)
    for words in ("{", '"n":1', "}"):
        for place in (2, 1):
            delta = {"output_index": place, "item_id": "fc", "delta": words}
            stream.add("function_call_arguments.delta", **delta)
    calls = heard(streamed(stream.end(response())))["choices"][0]["message"]["tool_calls"]
    assert [call["id"] for call in calls] == ["call_1", "call_2"]
    assert [call["function"]["arguments"] for call in calls] == ['{"n":1}'] * 2


# -- single answers


@pytest.mark.parametrize(
    ("output", "how", "finish"),
    [
        ([spoken(text("x"))], ENDS[0], "stop"),
        ([spoken(text("x"))], {"status": None}, "stop"),
        ([spoken({"type": "refusal", "refusal": "No."})], ENDS[0], "stop"),
        ([called("{}")], ENDS[0], "tool_calls"),
        ([called("{")], ENDS[1], "length"),
        ([spoken(text("x"))], ENDS[2], "content_filter"),
        ([spoken(text("x"))], {"status": "incomplete"}, "length"),
        ([], {"status": "incomplete", "incomplete_details": {"reason": "new"}}, "length"),
        ([spoken(text("x"))], {"status": None, "incomplete_details": {"reason": "new"}}, "length"),
    ],
)
def test_why_it_stopped(output: list[Json], how: Json, finish: str) -> None:
    """Whole and streamed. What was cut never looks finished."""
    said = response(*output, **how)
    whole = json.loads(answer_to_chat(encoded(said)))
    assert whole["choices"][0]["finish_reason"] == finish
    ended = {"type": f"response.{how['status'] or 'completed'}", "response": said}
    *_, last, _ = streamed([encoded(ended)])
    assert json.loads(last)["choices"][0]["finish_reason"] == finish


def test_reasoning_in_several_parts() -> None:
    """Each begins a paragraph; what was encrypted comes beside it, as OpenRouter's clients keep
    it."""
    first = thought("**A**", "**B**", encrypted_content="gAAA")
    other = thought("C", id="rs_2", encrypted_content="gBBB")
    message = message_of(first, other, spoken(text("x")))
    assert message["reasoning_content"] == "**A**\n\n**B**\n\nC"
    assert message["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": data, "id": name}
        | {"format": "openai-responses-v1", "index": index}
        for index, (name, data) in enumerate([("rs_1", "gAAA"), ("rs_2", "gBBB")])
    ]


def test_citations_count_in_the_whole_text() -> None:
    """In a response they count in their part."""
    cited = {"type": "url_citation", "start_index": 1, "end_index": 2, "title": "t", "url": "u"}
    parts = [text("Ab"), text("cDe", annotations=[cited])]
    message = message_of(spoken(*parts))
    (citation,) = message["annotations"]
    inner = citation["url_citation"]
    assert message["content"][inner["start_index"] : inner["end_index"]] == "D"
    assert inner == {"start_index": 3, "end_index": 4, "title": "t", "url": "u"}


def test_citations_of_several_messages() -> None:
    """OpenAI's client puts the lists together."""
    cited = {"type": "url_citation", "start_index": 0, "end_index": 1, "title": "t", "url": "u"}
    stream = Stream()
    for place in (0, 1):
        item = spoken(text("x", annotations=[cited]), name=f"msg_{place}")
        stream.add("output_item.done", output_index=place, item=item)
    message = heard(streamed(stream.end(response())))["choices"][0]["message"]
    starts = [one["url_citation"]["start_index"] for one in message["annotations"]]
    assert starts == [0, 1]


def test_logprobs_are_not_written_anew() -> None:
    """Digit by digit; a token without bytes has null for them."""
    whole = encoded(response(spoken(text("x", logprobs=[likely("x") | {"bytes": []}]))))
    told = answer_to_chat(whole.replace(b"-0.25", b"-0.1000000000000000000001"))
    assert told.count(b"-0.1000000000000000000001") == 2
    (token,) = json.loads(told)["choices"][0]["logprobs"]["content"]
    assert token["bytes"] is None
    assert token["top_logprobs"][0]["bytes"] == [120]


def test_usage_and_what_it_cost() -> None:
    """The same counts by other names; what else there is, the cost above all, is carried as it
    was written."""
    whole = encoded(response(usage=USAGE | {"cost": 0.5, "prompt_tokens": 1}))
    whole = whole.replace(b'"cost": 0.5', b'"cost": 0.00000012300')
    told = answer_to_chat(whole)
    assert b'"cost":0.00000012300' in told
    assert json.loads(told)["usage"] == COUNTED | {"cost": 1.23e-07}
    ended = b'{"type":"response.completed","response":' + whole + b"}"
    *_, chunk = streamed([ended])
    assert json.loads(chunk)["choices"] == []
    assert json.loads(chunk)["usage"] == COUNTED | {"cost": 1.23e-07}


def test_usage_that_nobody_asked_for() -> None:
    """Then there is no last chunk."""
    events = Stream().end(response())
    assert all(json.loads(one)["choices"] for one in streamed(events, usage=False))


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": 3}, USAGE | {"output_tokens": -1}])
def test_usage_that_nobody_told(usage: object) -> None:
    """No count is no nought: the answer has no usage."""
    said = response(usage=usage)
    assert "usage" not in json.loads(answer_to_chat(encoded(said)))
    assert all("usage" not in json.loads(one) for one in streamed(Stream().end(said)))


def test_the_tier_that_it_ran_in() -> None:
    """Not the one that was asked for, which is all that the first events know."""
    said = response(service_tier="flex")
    assert json.loads(answer_to_chat(encoded(said)))["service_tier"] == "flex"
    tiers = [json.loads(one).get("service_tier") for one in streamed(Stream().end(said))]
    assert tiers == [None, "flex", None]


def test_an_answer_without_a_word() -> None:
    """Its content is empty, and there; beside a call or a refusal it is null."""
    assert message_of()["content"] == ""
    assert message_of(called("{}"))["content"] is None
    assert message_of(spoken(text(""), text("")), called("{}"))["content"] is None
    assert message_of(spoken({"type": "refusal", "refusal": "No."}))["content"] is None


def test_when_it_was_made() -> None:
    """A response tells; where one does not, it is the caller's."""
    said = response()
    assert json.loads(answer_to_chat(encoded(said), created=9))["created"] == 1763600000
    assert json.loads(answer_to_chat(encoded(said | {"created_at": 7.9})))["created"] == 7
    del said["created_at"]
    assert json.loads(answer_to_chat(encoded(said), created=9))["created"] == 9
    *_, chunk = streamed(Stream().end(said)[-1:], created=9)
    assert json.loads(chunk)["created"] == 9


def test_a_failed_response_says_why() -> None:
    """In the provider's words."""
    error = {"code": "server_error", "message": "Overloaded"}
    with pytest.raises(UpstreamFailed, match=r"^Overloaded$"):
        answer_to_chat(encoded(response(status="failed", error=error)))


# -- on the line


def relay() -> StreamRelay:
    teller = ChunkTeller(ToldAsChunks(), EventsToChat().event)
    return StreamRelay(ResponseReader(), teller, wants_usage=True)


@given(answers())
def test_a_relayed_stream_ends_with_its_cost(answer: Answer) -> None:
    """What the client gets last is the usage, with what was booked for it."""
    line = relay()
    passed = b"".join([line.feed(framed(one)) for one in answer.events])
    assert line.complete
    assert b'"usage"' not in passed
    assert b'"finish_reason":"' not in passed
    *chunks, done, rest = (passed + line.close(Money(123))).split(b"\n\n")
    assert (done + b"\n\n", rest) == (DONE, b"")
    said = heard([one.removeprefix(b"data: ") for one in chunks])
    assert said["usage"] == COUNTED | {"cost": 1.23e-07}
    assert said == plain(json.loads(answer_to_chat(answer.whole)) | {"usage": said["usage"]})


@given(answers(), st.data())
def test_a_cut_stream_never_looks_finished(answer: Answer, data: st.DataObject) -> None:
    """Without its last event there is no finish_reason but the error's, and no [DONE]."""
    line = relay()
    kept = data.draw(st.integers(0, len(answer.events) - 1))
    passed = b"".join([line.feed(framed(one)) for one in answer.events[:kept]])
    assert not line.complete
    frames = (passed + line.broken(UpstreamFailed("gone"))).split(b"\n\n")[:-1]
    *chunks, last = [json.loads(one.removeprefix(b"data: ")) for one in frames]
    assert {one["finish_reason"] for chunk in chunks for one in chunk["choices"]} <= {None}
    assert last["error"]["message"] == "gone"


# -- what goes wrong


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "server_error", "message": "Overloaded", "param": None},
        {"type": "error", "error": {"type": "server_error", "message": "Overloaded"}},
        {
            "type": "response.failed",
            "response": response(
                status="failed", error={"code": "server_error", "message": "Overloaded"}
            ),
        },
    ],
    ids=["flat", "nested", "failed"],
)
def test_an_error_is_one_to_the_client(event: Json) -> None:
    """In a stream it becomes a chunk at which OpenAI's client raises."""
    chunks = streamed([encoded(Stream().events[0]), encoded(event)])
    assert json.loads(chunks[-1])["error"]["type"] in ("api_error", "server_error")
    stream = b"".join(b"data: " + one + b"\n\n" for one in chunks)
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, content=stream, headers={"content-type": "text/event-stream"})
    )
    client = openai.OpenAI(api_key="k", http_client=httpx.Client(transport=transport))
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(client.chat.completions.create(model="m", messages=[], stream=True))


def test_an_error_that_says_nothing() -> None:
    """It is one all the same."""
    failed = {"type": "response.failed", "response": response(status="failed")}
    (chunk,) = streamed([encoded(failed)])
    assert json.loads(chunk)["error"]["message"] == "the provider broke its answer off"


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b'{"error":{"message":"gone"}}',
        encoded(response(status="failed", error={"code": "server_error", "message": "gone"})),
        encoded(response(status="cancelled")),
        encoded(response(status="in_progress")),
        encoded(response({"type": "function_call"})),
    ],
)
def test_what_is_no_answer_is_the_providers_failure(nonsense: bytes) -> None:
    """Also a response that failed, or is not there yet."""
    with pytest.raises(UpstreamFailed):
        answer_to_chat(nonsense)


def test_an_event_that_is_none() -> None:
    """Bad JSON is the provider's failure; an event or an item of a later version is passed over,
    and so is the end that some hosts borrow from chats."""
    for nonsense in (b"{", b"[]", b'{"type":"response.completed","response":[]}'):
        with pytest.raises(UpstreamFailed):
            EventsToChat().event(nonsense)
    later = {"type": "response.telepathy.delta", "delta": {"x": 1}, "item_id": 3}
    item = {"type": "telepathy", "arguments": {"x": 1}, "content": "y"}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    for event in (encoded(later), encoded(done), b"[DONE]"):
        assert EventsToChat().event(event) == []
    assert message_of(item, spoken(text("x")))["content"] == "x"
