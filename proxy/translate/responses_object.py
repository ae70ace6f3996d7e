"""The Response object: what was asked for, said back, and what became of it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from proxy.wires.body import tree_of
from proxy.wires.usage import chat_usage

Json = dict[str, Any]

_ECHOED: Json = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_options": None,
    "prompt_cache_retention": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""What a request means that says nothing. How a provider then samples is not known: null."""


class Ending(NamedTuple):
    """What a finish_reason says of a response. problem: why it failed."""

    status: str
    incomplete_reason: str | None = None
    problem: str | None = None


_COMPLETED = Ending("completed")
_OUT_OF_TOKENS = Ending("incomplete", "max_output_tokens")
_ENDINGS = {
    "stop": _COMPLETED,
    "tool_calls": _COMPLETED,
    "function_call": _COMPLETED,
    "length": _OUT_OF_TOKENS,
    "content_filter": Ending("incomplete", "content_filter"),
    # Not OpenAI's words, but said by those who speak its wire.
    "eos": _COMPLETED,
    "end_turn": _COMPLETED,
    "stop_sequence": _COMPLETED,
    "max_tokens": _OUT_OF_TOKENS,
    "model_length": _OUT_OF_TOKENS,
}


def ending_of(finish_reason: str | None) -> Ending:
    """An answer that came whole without a reason is complete; one that ended for a reason that is
    none of a whole answer's has failed."""
    if not finish_reason:
        return _COMPLETED
    failed = f"the provider ended its answer with finish_reason {finish_reason[:60]!r}"
    return _ENDINGS.get(finish_reason) or Ending("failed", problem=failed)


def stem_of(chat_id: str, data: bytes) -> str:
    """What ids are made of: the chat's own id, or the data of one that has none."""
    return chat_id.removeprefix("chatcmpl-") or sha256(data).hexdigest()[:32]


class ResponseObject:
    """Of one request: what does not change while it is answered."""

    def __init__(self, request: bytes) -> None:
        asked = tree_of(request)
        given = {key: asked[key] for key in _ECHOED if bytes(asked.get(key, b"null")) != b"null"}
        for key in ("reasoning", "text"):
            if key in given:
                given[key] = _ECHOED[key] | tree_of(given[key])
        self._echoed = _ECHOED | given
        self._asked_model = asked.get("model")
        self.begin("", 0, "")

    def begin(self, stem: str, created: float, model: str) -> None:
        """The chat's own words. Without a model's name, the one that was asked for."""
        self._head: Json = {"id": f"resp_{stem}", "object": "response", "created_at": created}
        self._model = model or self._asked_model

    def told(
        self,
        ending: Ending,
        output: list[Json],
        *,
        usage: Json | None = None,
        error: Json | None = None,
        more: dict[str, msgspec.Raw] | None = None,
    ) -> Json:
        """more: what a provider says besides; a name of ours is ours. `store` is false whatever
        was asked for: nothing is kept here."""
        reason = ending.incomplete_reason
        response = {
            **self._head,
            "status": ending.status,
            "error": error,
            "incomplete_details": None if reason is None else {"reason": reason},
            "model": self._model,
            "output": output,
            "usage": usage,
            "store": False,
            **self._echoed,
        }
        for key, value in (more or {}).items():
            # Of what was asked for, only the tier may turn out to be another.
            if key not in response or (key == "service_tier" and bytes(value) != b"null"):
                response[key] = value
        return response


def failure(message: str, status: int = 502) -> Json:
    """The error of a failed response: of OpenAI's codes for it, two are ours."""
    return {"code": "rate_limit_exceeded" if status == 429 else "server_error", "message": message}


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_details = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode


def usage_from_chat(raw: msgspec.Raw) -> Json | None:
    """A chat's usage as a response's: the same counts by other names. None if it makes no sense.

    What else stands there (its cost) is carried. The wire has no null for a count of cached,
    written or reasoning tokens: what is unknown is 0 here.
    """
    counted = chat_usage(raw)
    if counted is None or counted.prompt is None or counted.completion is None:
        return None
    tree: Json = dict(_decode(raw))
    prompt = _details(tree.pop("prompt_tokens_details", b"null")) or {}
    completion = _details(tree.pop("completion_tokens_details", b"null")) or {}
    for name in _COUNTS:
        tree.pop(name, None)
    return {
        "input_tokens": counted.prompt,
        "input_tokens_details": prompt
        | {"cached_tokens": counted.cached or 0, "cache_write_tokens": counted.cache_write or 0},
        "output_tokens": counted.completion,
        "output_tokens_details": completion | {"reasoning_tokens": counted.reasoning or 0},
        "total_tokens": counted.prompt + counted.completion,
    } | tree
