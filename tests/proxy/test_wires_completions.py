"""Completions: what is written is what is held for, and what clients of old still get."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Feature, Task
from ledger.money import usd
from ledger.usage import TokenUsage
from proxy.endpoints import Endpoint
from proxy.errors import Invalid
from proxy.relay import StreamRelay
from proxy.tellers import ChunkTeller, ToldAsChunks
from proxy.wires.completions import CompletionsWire
from tests.proxy.wire_clients import PROVIDER, talk

WIRE = CompletionsWire()
JSON = "application/json"
ANSWER = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "text": " world", "finish_reason": "stop", "logprobs": None}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def ask(**fields: Any) -> Any:
    return WIRE.ask(raw({"model": "m", "prompt": "hi"} | fields), JSON)


texts = st.lists(st.text(), min_size=1, max_size=4)
tokens = st.lists(st.integers(0, 200_000), min_size=1, max_size=4)
prompts = st.text() | texts | tokens | st.lists(tokens, min_size=1, max_size=4)


@given(prompts, st.integers(1, 8) | st.none(), st.integers(1, 8) | st.none())
def test_every_text_that_is_written_is_a_choice(
    prompt: Any, n: int | None, best_of: int | None
) -> None:
    """For each prompt as many as the larger of `n` and `best_of`: those that are thrown away are
    billed too."""
    many = not isinstance(prompt, str) and not isinstance(prompt[0], int)
    asked = ask(prompt=prompt, n=n, best_of=best_of)
    assert asked.choices == (len(prompt) if many else 1) * max(n or 1, best_of or 1)
    assert asked.task is Task.COMPLETION


@given(st.lists(st.lists(st.integers(0, 200_000), max_size=50), min_size=1, max_size=5))
def test_the_body_is_longer_than_its_tokens_are_many(prompt: list[list[int]]) -> None:
    """Also where a prompt is written in tokens, even in tokens of one digit."""
    body = json.dumps({"model": "m", "prompt": prompt}, separators=(",", ":")).encode()
    assert WIRE.ask(body, JSON).prompt_bytes >= sum(map(len, prompt))


@pytest.mark.parametrize("prompt", [[], [1, "a"], ["a", [1]], [1, [1]]], ids=str)
def test_a_prompt_has_one_form(prompt: Any) -> None:
    """Nobody can tell how many texts are written for a mixture."""
    with pytest.raises(Invalid) as refused:
        ask(prompt=prompt)
    assert (refused.value.param, refused.value.code) == ("prompt", "invalid_type")


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 0, "echo": True, "logprobs": 1}, 0),
        ({"max_tokens": 5, "max_completion_tokens": 9}, 9),
    ],
    ids=str,
)
def test_what_is_held_is_all_that_may_be_written(fields: dict[str, Any], most: int | None) -> None:
    """No limit is none, whatever a host's default; of two the larger counts, and only one is
    sent."""
    assert ask(**fields).most_completion_tokens == most
    sent = WIRE.rewrite(raw({"model": "m", "prompt": "hi"} | fields), JSON, PROVIDER, "m", most)
    limits = {name: value for name, value in json.loads(sent).items() if name.startswith("max_")}
    assert limits == ({} if most is None else {"max_tokens": most})


@pytest.mark.parametrize(
    ("logprobs", "needs"), [(None, False), (False, False), (0, True), (5, True), (True, True)]
)
def test_log_probabilities_need_an_offer_that_has_them(logprobs: Any, needs: bool) -> None:
    """0 asks for those of the tokens that were chosen."""
    assert (Feature.LOGPROBS in ask(logprobs=logprobs).features) == needs


@pytest.mark.parametrize(
    "extra",
    [
        {"prompt_embeds": "AAAA"},
        {"plugins": [{"id": "web"}]},
        {"search_parameters": {"mode": "on"}},
        {"speed": "fast"},
    ],
    ids=str,
)
def test_what_is_billed_apart_is_refused(extra: dict[str, Any]) -> None:
    """What no rate card prices is refused by its name."""
    with pytest.raises(Invalid) as refused:
        ask(**extra)
    assert (refused.value.code, refused.value.param) == ("unpriced_feature", next(iter(extra)))


def test_the_official_client_sends_what_is_understood_and_reads_what_is_told() -> None:
    """A plain answer: its usage, its text, and its cost where the client finds it."""
    told = WIRE.with_cost(raw(ANSWER), usd("0.25"))
    sent, made = talk(
        lambda client: client.completions.create(
            model="m", prompt=["a", "b"], n=2, best_of=3, max_tokens=7, suffix="z"
        ),
        told,
    )
    assert sent.path == Endpoint.COMPLETIONS
    asked = sent.ask()
    assert (asked.choices, asked.most_completion_tokens, asked.stream) == (6, 7, False)
    assert made.usage is not None
    assert made.usage.model_dump()["cost"] == 0.25
    plain = WIRE.plain(told, asked)
    assert plain is not None
    assert (plain.usage, plain.text_bytes) == (TokenUsage(1, 2), 6)


def test_a_stream_is_read_by_the_official_client_to_its_end() -> None:
    """Chunks with `text`, the usage that was asked for, and the cost in it; whole only when every
    choice of every prompt has ended."""

    def chunk(**fields: Any) -> bytes:
        return b"data: " + raw(ANSWER | {"choices": [], "usage": None} | fields) + b"\n\n"

    def piece(index: int, text: str, reason: str | None = None) -> bytes:
        return chunk(choices=[{"index": index, "text": text, "finish_reason": reason}])

    body = {"model": "m", "prompt": ["a", "b"], "stream": True}
    body["stream_options"] = {"include_usage": True}
    asked = WIRE.ask(raw(body), JSON)
    relay = StreamRelay(WIRE.reader(asked), ChunkTeller(ToldAsChunks()), wants_usage=True)
    told = relay.feed(piece(0, "x", "stop"))
    finished = [relay.complete]
    told += relay.feed(piece(1, "yz") + piece(1, "", "length"))
    assert [*finished, relay.complete] == [False, True]
    told += relay.feed(chunk(usage=ANSWER["usage"]) + b"data: [DONE]\n\n")
    assert relay.used(1) == (TokenUsage(1, 2), False)
    told += relay.close(usd("0.25"))

    sent, chunks = talk(
        lambda client: list(client.completions.create(model="m", prompt=["a", "b"], stream=True)),
        told,
        "text/event-stream",
    )
    assert "".join(choice.text for one in chunks for choice in one.choices) == "xyz"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.model_dump()["cost"] == 0.25
    assert json.loads(sent.rewritten("theirs"))["stream_options"] == {"include_usage": True}
