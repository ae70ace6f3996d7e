"""The Anthropic wire: how it counts. Its `input_tokens` exclude what was read from or written to
the cache, where OpenAI's `prompt_tokens` include both."""

from __future__ import annotations

import msgspec

from ledger.usage import TokenUsage


class Usage(msgspec.Struct, gc=False):
    """The `usage` object of a message."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None

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
        )
