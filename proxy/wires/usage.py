"""How each wire counts tokens, as one TokenUsage. Counts that make no sense are no counts."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ledger.usage import TokenUsage

Count = Annotated[int, msgspec.Meta(le=2**31 - 1)]
"""More tokens than any answer has are no count: the books could not hold them."""


class _Written(msgspec.Struct, gc=False):
    """What was written to a cache, by how long it is kept."""

    ephemeral_1h_input_tokens: Count | None = None


class _PromptDetails(msgspec.Struct, gc=False):
    """cache_creation_token_details: LiteLLM's."""

    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_creation_token_details: _Written | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: Count | None = None


class ChatUsage(msgspec.Struct, gc=False):
    """OpenAI's, of chats and all that is older: prompt_tokens include the cached ones."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: Count | None = None
    """DeepSeek's name for cached_tokens."""

    def counted(self) -> TokenUsage | None:
        """None unless both counts are there and make sense."""
        prompt, completion = self.prompt_tokens, self.completion_tokens
        if prompt is None or completion is None or prompt < 0 or completion < 0:
            return None
        details = self.prompt_tokens_details or _PromptDetails()
        reasoning = (self.completion_tokens_details or _CompletionDetails()).reasoning_tokens
        if reasoning and reasoning > 0 and self.total_tokens == prompt + completion + reasoning:
            completion += reasoning  # xAI counts reasoning beside completion_tokens, not in them
        cached = details.cached_tokens
        written = _within(details.cache_write_tokens, prompt)
        return TokenUsage(
            prompt=prompt,
            completion=completion,
            cached=_within(self.prompt_cache_hit_tokens if cached is None else cached, prompt),
            cache_write=written,
            reasoning=_within(reasoning, completion),
            cache_write_1h=_for_an_hour(details.cache_creation_token_details, written),
        )


class InputUsage(msgspec.Struct, gc=False):
    """Of endpoints whose answer has no tokens: embeddings and their like."""

    prompt_tokens: Count | None = None
    total_tokens: Count | None = None
    input_tokens: Count | None = None

    def counted(self) -> TokenUsage | None:
        known = (self.prompt_tokens, self.input_tokens, self.total_tokens)
        prompt = next((one for one in known if one is not None), None)
        return None if prompt is None or prompt < 0 else TokenUsage(prompt, 0)


class ResponsesUsage(msgspec.Struct, gc=False):
    """OpenAI's, of responses, images and transcriptions: input_tokens include the cached ones."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: int | None = None
    input_tokens_details: _PromptDetails | None = None
    output_tokens_details: _CompletionDetails | None = None

    def counted(self) -> TokenUsage | None:
        """None unless both counts are there and make sense."""
        return ChatUsage(
            prompt_tokens=self.input_tokens,
            completion_tokens=self.output_tokens,
            total_tokens=self.total_tokens,
            prompt_tokens_details=self.input_tokens_details,
            completion_tokens_details=self.output_tokens_details,
        ).counted()


class MessagesUsage(msgspec.Struct, gc=False):
    """Anthropic's. Its `input_tokens` exclude what was read from or written to the cache."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_creation: _Written | None = None
    service_tier: Any = None

    @property
    def tier(self) -> str | None:
        return tier_in(self.service_tier)

    def counted(self) -> TokenUsage | None:
        """None unless both counts are there and make sense. `prompt` includes the cached ones."""
        plain, completion = self.input_tokens, self.output_tokens
        read, written = self.cache_read_input_tokens, self.cache_creation_input_tokens
        counts = (plain, completion, read or 0, written or 0)
        if plain is None or completion is None or min(one or 0 for one in counts) < 0:
            return None
        return TokenUsage(
            prompt=plain + (read or 0) + (written or 0),
            completion=completion,
            cached=read,
            cache_write=written,
            cache_write_1h=_for_an_hour(self.cache_creation, written),
        )

    def updated(self, later: MessagesUsage) -> MessagesUsage:
        """A stream's counts are cumulative, and a later event names only some of them."""

        def newer(name: str) -> Any:
            new, old = getattr(later, name), getattr(self, name)
            return old if new is None else new

        return MessagesUsage(*[newer(name) for name in self.__struct_fields__])


_chat = msgspec.json.Decoder(ChatUsage).decode
_input = msgspec.json.Decoder(InputUsage).decode
_responses = msgspec.json.Decoder(ResponsesUsage).decode


def chat_usage(raw: msgspec.Raw) -> TokenUsage | None:
    """What a `usage` field says; None if it is not there, null, or cannot be read."""
    try:
        return _chat(raw).counted()
    except msgspec.DecodeError:
        return None


def input_usage(raw: msgspec.Raw) -> TokenUsage | None:
    """The same where an answer has no tokens of its own."""
    try:
        return _input(raw).counted()
    except msgspec.DecodeError:
        return None


def responses_usage(raw: msgspec.Raw) -> TokenUsage | None:
    """The same of responses, images and transcriptions."""
    try:
        return _responses(raw).counted()
    except msgspec.DecodeError:
        return None


def tier_in(said: object) -> str | None:
    """What a `service_tier` field says; None if it is not there, null, or no word."""
    return said if isinstance(said, str) else None


def _for_an_hour(kept: _Written | None, written: int | None) -> int | None:
    """None where nobody says how long it is kept, and where nothing is."""
    if not written:
        return None
    return None if kept is None else _within(kept.ephemeral_1h_input_tokens, written)


def _within(part: int | None, whole: int) -> int | None:
    """A part that is no part of its whole is not believed."""
    return part if part is not None and 0 <= part <= whole else None
