"""Completions: OpenAI's first wire, a text that is continued. Engines for open models keep it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from benchmarks.offers import Feature, Task
from ledger.money import Money
from proxy.endpoints import Endpoint
from proxy.providers import Provider
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, Count, is_given, unpriced
from proxy.wires.chat import ChunkReader, StreamOptions, ask_for_usage, read_choices
from proxy.wires.inputs import Texts, count_texts
from proxy.wires.vocabulary import WORDS, for_provider, for_router
from proxy.wires.wire import Ask, Plain

Choices = Annotated[int, msgspec.Meta(ge=1, le=128)]
CountOrNone = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""0 tokens are asked for with `echo`, by those who want the log probabilities of a prompt."""


class CompletionRequest(msgspec.Struct, gc=False):
    """The fields that routing, holding and metering need."""

    model: str = ""
    prompt: Texts | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: CountOrNone | None = None
    max_completion_tokens: Count | None = None
    n: Choices | None = None
    best_of: Choices | None = None
    logprobs: int | bool | None = None
    temperature: float | None = None
    service_tier: str | None = None
    prompt_embeds: msgspec.Raw = ABSENT
    search_parameters: msgspec.Raw = ABSENT
    speed: msgspec.Raw = ABSENT

    @property
    def choices(self) -> int:
        """Texts that are written, and billed: of `best_of` for each prompt only `n` are told."""
        prompts = 1 if self.prompt is None else count_texts(self.prompt, "prompt")
        return prompts * max(self.n or 1, self.best_of or 1)

    @property
    def most_completion_tokens(self) -> int | None:
        """None without a limit: some hosts then stop after 16 tokens, others never."""
        limits = [one for one in (self.max_tokens, self.max_completion_tokens) if one is not None]
        return max(limits) if limits else None


_request = msgspec.json.Decoder(CompletionRequest).decode
_OURS = WORDS.union(CompletionRequest.__struct_fields__)
_BILLED_APART = ("prompt_embeds", "search_parameters", "speed")


class CompletionsWire:
    """POST /completions."""

    endpoint = Endpoint.COMPLETIONS

    def ask(self, body: bytes, content_type: str) -> Ask:  # noqa: ARG002 - a wire's door
        request = bodies.read(_request, body, "a completion request")
        fields = bodies.fields_of(body, _OURS)
        for name in _BILLED_APART:
            if is_given(getattr(request, name)):
                raise unpriced(name, name)
        wants_logprobs = request.logprobs is not None and request.logprobs is not False
        options = request.stream_options
        ask = Ask(
            model=request.model,
            task=Task.COMPLETION,
            prompt_bytes=len(body),
            stream=request.stream is True,
            choices=request.choices,
            most_completion_tokens=request.most_completion_tokens,
            features=frozenset({Feature.LOGPROBS} if wants_logprobs else ()),
            wants_usage=options is not None and options.include_usage is True,
            is_greedy=request.temperature == 0,
            service_tier=request.service_tier,
        )
        return for_router(ask, fields)

    def rewrite(
        self,
        body: bytes,
        content_type: str,  # noqa: ARG002 - a wire's door
        provider: Provider,
        model: str,
        limit: int | None,
    ) -> bytes:
        tree = for_provider(body, provider, model)
        if limit is not None:
            tree.pop("max_completion_tokens", None)
            tree["max_tokens"] = limit
        ask_for_usage(tree)
        return bodies.encode(tree)

    def plain(self, body: bytes, ask: Ask) -> Plain | None:  # noqa: ARG002 - a wire's door
        """With `echo`, text_bytes includes the prompt: more than was written, never less."""
        return read_choices(body)

    def reader(self, ask: Ask) -> ChunkReader:
        return ChunkReader(ask.choices)

    def with_cost(self, body: bytes, cost: Money) -> bytes:
        return bodies.with_cost(body, cost)
