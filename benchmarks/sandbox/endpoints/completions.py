"""POST /v1/completions, in OpenAI's words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from benchmarks.sandbox.bill import Bill
from benchmarks.sandbox.endpoints.chat import DONE, MAX_CHOICES, StreamOptions, lowest, usage_of
from benchmarks.sandbox.endpoints.texts import Texts, as_texts, is_sound, words_of
from benchmarks.sandbox.refusal import Refusal, server_error, wrong
from benchmarks.sandbox.wire import (
    EVENTS,
    Answer,
    Count,
    Plain,
    Temperature,
    Turn,
    Wish,
    cut_short,
    data_event,
    decoded,
)
from benchmarks.sandbox.words import Said, say


class CompletionRequest(Struct, frozen=True):
    """What is not named here is taken and not looked at."""

    model: str
    prompt: Texts
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    n: Annotated[int, Meta(ge=1, le=MAX_CHOICES)] | None = None
    temperature: Temperature | None = None
    sandbox: Wish = Wish()

    @property
    def choices(self) -> int:
        return len(as_texts(self.prompt)) * (self.n or 1)

    def words(self) -> list[str]:
        """The words of all prompts; a prompt of tokens has those."""
        return words_of(self.prompt)

    def answer(self, turn: Turn) -> Answer:
        answer = Completion(
            id=turn.id,
            created=turn.created,
            model=self.model,
            choices=self.choices,
            said=say(
                turn.wished(self.sandbox, self.temperature),
                lowest(self.max_tokens, turn.room),
                voice=turn.behaviour.voice,
            ),
            bill=turn.prompt_bill(self.model),
            usage_asked=self.stream_options is not None and self.stream_options.include_usage,
        )
        return answer if self.stream else answer.plain()


_decoder = msgspec.json.Decoder(CompletionRequest)


def read(body: bytes, _content_type: str) -> CompletionRequest | Refusal:
    request = decoded(_decoder, body)
    if isinstance(request, Refusal):
        return request
    if not is_sound(request.prompt):
        return wrong("prompt", "a text, texts, tokens, or lists of tokens")
    if request.choices > MAX_CHOICES:
        return wrong("prompt", f"at most {MAX_CHOICES} choices, over all prompts")
    return request


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer; every choice of it, `n` for each prompt, is the same. A Stream."""

    id: str
    created: int
    model: str
    choices: int
    said: Said
    bill: Bill
    usage_asked: bool

    content_type = EVENTS

    @property
    def steps(self) -> int:
        return len(self.said.pieces)

    @property
    def completion_tokens(self) -> int:
        return len(self.said.pieces) * self.choices

    def plain(self) -> Plain:
        return Plain(self.bill, self.write, self.completion_tokens, self.steps)

    def write(self, with_usage: bool) -> bytes:
        usage = {"usage": usage_of(self.bill, self.completion_tokens)} if with_usage else {}
        whole = self._with(self.said.text, self.said.finish)
        return msgspec.json.encode(whole | usage)

    def ticks(
        self,
        tokens_per_tick: int,
        *,
        with_usage: bool,  # noqa: ARG002 - it comes at the end
    ) -> Iterator[tuple[bytes, int]]:
        for start in range(0, len(self.said.pieces), tokens_per_tick):
            some = self.said.pieces[start : start + tokens_per_tick]
            yield self._events("".join(some)), len(some) * self.choices

    def closing(self, *, with_usage: bool, with_done: bool) -> bytes:
        events = self._events("", self.said.finish)
        if self.usage_asked and with_usage:
            usage = usage_of(self.bill, self.completion_tokens)
            events += data_event(self._head() | {"choices": [], "usage": usage})
        return events + (DONE if with_done else b"")

    def malformed(self) -> bytes:
        return cut_short(data_event(self._with(" spindle")))

    def error(self) -> bytes:
        return data_event({"error": server_error().error()})

    def _events(self, text: str, finish: str | None = None) -> bytes:
        """One event for each choice."""
        usage: dict[str, Any] = {"usage": None} if self.usage_asked else {}
        chunk = self._with(text, finish) | usage
        return b"".join(data_event(chunk | {"choices": [one]}) for one in chunk["choices"])

    def _with(self, text: str, finish: str | None = None) -> dict[str, Any]:
        choices = [
            {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
            for index in range(self.choices)
        ]
        return self._head() | {"choices": choices}

    def _head(self) -> dict[str, Any]:
        return {
            "id": f"cmpl-{self.id}",
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "fp_sandbox",
        }
