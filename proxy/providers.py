"""Provider: a host that we buy from, what it speaks, and our accounts there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from proxy.endpoints import Endpoint

MaxTokensField = Literal["max_tokens", "max_completion_tokens"]

OPENAI_WIRE = frozenset(Endpoint) - {
    Endpoint.RESPONSES,
    Endpoint.MESSAGES,
    Endpoint.COUNT_TOKENS,
    Endpoint.FILES,
    Endpoint.BATCHES,
}
"""What a host that speaks the OpenAI wire is asked for, unless more is known of it: where it lacks
one of these it answers 404, and the next offer is asked."""


@dataclass(frozen=True, slots=True)
class Account:
    """One of our accounts at a provider.

    name: what logs and the books call it; never its key.
    parallel: how many requests it may have at once; requests_per_minute: how many may begin in a
    minute; None where it is not limited.
    """

    name: str
    api_key: str | None
    parallel: int | None = None
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Prefill:
    """How a provider is handed the beginning of its answer, as the last message of a chat: fields
    of that message, and of the request."""

    message: Mapping[str, object] = field(default_factory=dict)
    request: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provider:
    """How a provider is asked.

    base_url: without a slash at its end; `litellm://NAME` for one that LiteLLM speaks to.
    endpoints: what it speaks itself; the rest is translated, where it can be, or not asked of it.
    key_header: the header that carries the key; key_prefix: what stands before it.
    headers: sent with every request. query: put after every URL, as in `api-version=2024-10-21`.
    max_tokens_field: how it wants to be told a limit on a chat completion.
    paths: endpoints that it has under another path. prefill: None where it has no such thing.
    is_strict: it refuses fields of a chat that it does not know. takes_preferences: it is
    OpenRouter, or routes by the same words.
    """

    name: str
    base_url: str
    accounts: tuple[Account, ...]
    endpoints: frozenset[Endpoint] = OPENAI_WIRE
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    max_tokens_field: MaxTokensField = "max_tokens"
    paths: Mapping[Endpoint, str] = field(default_factory=dict)
    prefill: Prefill | None = None
    is_strict: bool = False
    takes_preferences: bool = False

    def url(self, endpoint: Endpoint) -> str:
        path = self.paths.get(endpoint, endpoint.value)
        return f"{self.base_url}/{path}" + (f"?{self.query}" if self.query else "")

    def headers_for(self, account: Account, content_type: str) -> dict[str, str]:
        headers = {"Content-Type": content_type, "Accept-Encoding": "identity", **self.headers}
        if account.api_key is not None:
            headers[self.key_header] = self.key_prefix + account.api_key
        return headers
