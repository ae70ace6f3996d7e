"""StreamRelay: a provider's bytes to the client's, however they are cut on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import Money
from ledger.usage import TokenUsage
from proxy.errors import UpstreamFailed
from proxy.relay import EVENT_LIMIT, MALFORMED_LIMIT, StreamRelay
from proxy.tellers import DONE, ChunkTeller, ToldAsChunks
from proxy.wires.chat import ChunkReader

COST = Money(12_345)
USAGE = {"prompt_tokens": 3, "completion_tokens": 2}


def relaying(*, wants_usage: bool, choices: int = 1) -> StreamRelay:
    """Chunks of a chat to a client that speaks chat."""
    return StreamRelay(ChunkReader(choices), ChunkTeller(ToldAsChunks()), wants_usage=wants_usage)


def chunk(text: str | None = None, *, finish: str | None = None, **more: Any) -> str:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}}
    return json.dumps({"choices": [choice | {"finish_reason": finish}]} | more)


def usage_chunk() -> str:
    return json.dumps({"choices": [], "usage": USAGE})


def framed(*events: str) -> bytes:
    return "".join(f"data: {one}\n\n" for one in events).encode()


def data_of(stream: bytes) -> list[str]:
    """The events of a stream as a client by the standard reads them."""
    events: list[str] = []
    lines: list[str] = []
    for line in stream.decode().split("\n"):
        if line.startswith("data:"):
            lines.append(line.removeprefix("data:").removeprefix(" "))
        elif line == "" and lines:
            events.append("\n".join(lines))
            lines = []
    return events


@dataclass(frozen=True)
class Written:
    """A stream on the wire, and what is in it."""

    raw: bytes
    texts: list[str]


@st.composite
def streams(draw: st.DrawFn) -> Written:
    """Complete answers in every spelling that the standard allows."""
    texts = draw(st.lists(st.text(max_size=8), min_size=1, max_size=6))
    events = [chunk(one) for one in texts] + [chunk(finish="stop"), usage_chunk(), "[DONE]"]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    space = draw(st.sampled_from(["", " "]))
    wire = ""
    for one in events:
        wire += draw(st.sampled_from(["", f": a comment{end}", f": alone{end}{end}", end]))
        wire += draw(st.sampled_from(["", f"event: message{end}id: 7{end}"]))
        wire += f"data:{space}{one}{end}{end}"
    return Written(wire.encode(), texts)


@given(streams(), st.booleans(), st.data())
def test_where_the_bytes_are_cut_does_not_matter(
    written: Written, wants_usage: bool, data: st.DataObject
) -> None:
    """Any split into reads gives the same output, the same usage and the same measures."""
    places = data.draw(st.lists(st.integers(0, len(written.raw)), max_size=12))
    relay = relaying(wants_usage=wants_usage)
    passed = b""
    for start, end in zip([0, *sorted(places)], [*sorted(places), len(written.raw)], strict=True):
        passed += relay.feed(written.raw[start:end])

    events = [json.loads(one) for one in data_of(passed)]
    assert [one["choices"][0]["delta"].get("content") for one in events] == [*written.texts, None]
    assert relay.complete
    assert relay.done
    assert relay.usage == TokenUsage(3, 2)
    assert relay.used(99) == (TokenUsage(3, 2), False)
    assert relay.text_bytes == sum(len(one.encode()) for one in written.texts)
    assert relay.pieces == len(written.texts) + 1

    *closing, done = data_of(relay.close(COST))
    assert done == "[DONE]"
    assert [json.loads(one) for one in closing] == (
        [{"choices": [], "usage": USAGE | {"cost": 0.000012345}}] if wants_usage else []
    )


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_at_all_are_survived(junk: bytes, place: int) -> None:
    """Whatever a provider sends: no exception, and nothing of it makes a cut answer look whole."""
    relay = relaying(wants_usage=True)
    passed = relay.feed(framed(chunk("a")) + junk[:place]) + relay.feed(junk[place:] + b"\n\n")
    assert DONE not in passed
    assert relay.complete == (b"data:[DONE]" in junk or b"data: [DONE]" in junk)


@pytest.mark.parametrize(
    "events",
    [
        [json.dumps({"error": {"message": "gone"}})],
        [json.dumps({"error": "gone"})],
        [json.dumps({"object": "error", "message": "gone", "code": 500})],
        [json.dumps({"choices": [{"delta": {"content": "x"}}], "error": {"message": "gone"}})],
    ],
)
def test_an_error_is_never_content(events: list[str]) -> None:
    """An error event, in whatever shape, ends the answer: neither it nor what follows is passed."""
    relay = relaying(wants_usage=True)
    first = relay.feed(framed(chunk("a")))
    assert relay.feed(framed(*events, chunk("b"), chunk(finish="stop"), "[DONE]")) == b""
    assert data_of(first) == [chunk("a")]
    assert relay.fault is not None
    assert not relay.complete


@pytest.mark.parametrize(
    "nonsense", ["<html>?</html>", '{"choices":[{"delta":{"content":3}}]}', "{", '"[DONE]"']
)
def test_what_makes_no_sense_is_passed_over(nonsense: str) -> None:
    """The rest of the answer is sound, and reaches the client whole; too much of it is a fault."""
    relay = relaying(wants_usage=False)
    wire = framed(chunk("a"), nonsense, chunk("b"), chunk(finish="stop"), "[DONE]")
    assert data_of(relay.feed(wire)) == [chunk("a"), chunk("b"), chunk(finish="stop")]
    assert relay.complete

    relay = relaying(wants_usage=False)
    relay.feed(framed(*[nonsense] * (MALFORMED_LIMIT + 1), chunk(finish="stop"), "[DONE]"))
    assert relay.fault is not None
    assert not relay.complete


def test_an_event_named_error_is_one() -> None:
    """The name counts, where the data does not say `error` itself."""
    relay = relaying(wants_usage=False)
    assert relay.feed(b'event: error\ndata: {"message": "overloaded"}\n\n') == b""
    assert relay.fault == "overloaded"


def test_a_broken_end_is_an_error_to_every_client() -> None:
    """The last event has a top-level error with its four keys, finish_reason error, no [DONE]."""
    (event,) = data_of(relaying(wants_usage=False).broken(UpstreamFailed("a broke off")))
    last = json.loads(event)
    assert last["error"].keys() == {"message", "type", "param", "code"}
    assert last["choices"][0]["finish_reason"] == "error"


def test_an_answer_is_whole_when_all_its_choices_are() -> None:
    """One of two choices that has finished does not make the other whole."""
    relay = relaying(wants_usage=False, choices=2)
    relay.feed(framed(chunk("a"), chunk(finish="stop")))
    assert not relay.complete
    relay.feed(framed(chunk(finish="stop").replace('"index": 0', '"index": 1')))
    assert relay.complete


def test_data_in_several_lines_stays_one_event() -> None:
    """JSON that a provider broke into data lines is the same JSON for the client."""
    relay = relaying(wants_usage=False)
    passed = relay.feed(b'data: {"choices":[],\ndata: "id":"x"}\n\n')
    assert [json.loads(one) for one in data_of(passed)] == [{"choices": [], "id": "x"}]


def test_usage_in_every_chunk_is_passed_on_but_for_the_last() -> None:
    """Running usage is relayed with its text, one event late; the last one has the cost."""
    relay = relaying(wants_usage=True)
    passed = relay.feed(framed(chunk("a", usage=USAGE), chunk("b", usage=USAGE)))
    assert [json.loads(one)["choices"][0]["delta"]["content"] for one in data_of(passed)] == ["a"]
    assert relay.used(99) == (TokenUsage(3, 2), True)  # more may come
    (last, _) = data_of(relay.close(COST))
    assert json.loads(last)["usage"] == USAGE | {"cost": 0.000012345}


def test_text_after_the_last_usage_is_charged_too() -> None:
    """A usage of nought in the first chunk makes what follows no gift: it is estimated."""
    relay = relaying(wants_usage=False)
    early = {"prompt_tokens": 3, "completion_tokens": 0}
    relay.feed(framed(chunk("", usage=early), chunk("x" * 400)))
    assert relay.used(99) == (TokenUsage(3, 100), True)


def test_what_was_delivered_without_usage_is_estimated() -> None:
    """By bytes of text at four to a token, and never fewer tokens than pieces."""
    relay = relaying(wants_usage=False)
    relay.feed(framed(*[chunk("x")] * 30))
    assert relay.used(99) == (TokenUsage(99, 30), True)
    relay.feed(framed(chunk("ü" * 200)))
    assert relay.used(99) == (TokenUsage(99, 108), True)  # 430 bytes


def test_an_endless_event_is_nonsense() -> None:
    """Memory is bounded: an event that does not end within the limit is a fault."""
    relay = relaying(wants_usage=False)
    relay.feed(b"data: " + b"x" * EVENT_LIMIT)
    assert relay.fault is not None


@pytest.mark.parametrize(
    "delta",
    [
        {"function_call": {"name": "f", "arguments": "x" * 400}},
        {"tool_calls": [{"index": 0, "function": {"arguments": "x" * 400}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "x" * 400}}]},
        {"reasoning_content": "x" * 400},
        {"reasoning_details": [{"type": "reasoning.text", "text": "x" * 400}]},
        {"refusal": "x" * 400},
        {"content": "x" * 400},
    ],
    ids=lambda delta: next(iter(delta)),
)
def test_all_that_is_written_counts(delta: dict[str, object]) -> None:
    """Whatever form a provider writes in, one event of 400 characters is about a hundred tokens."""
    relay = relaying(wants_usage=False)
    event = json.dumps({"choices": [{"index": 0, "delta": delta}]})
    relay.feed(f"data: {event}\n\n".encode())
    usage, estimated = relay.used(prompt_tokens=1)
    assert estimated
    assert 100 <= (usage.completion or 0) <= 130
