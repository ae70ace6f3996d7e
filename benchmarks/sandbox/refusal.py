"""Refusal: an answer that is an error, in the shape of the wire that it is told on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from email.utils import formatdate

import msgspec

from benchmarks.sandbox.behaviour import Behaviour
from benchmarks.sandbox.faults import RATE_LIMITED, Fault

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Status, and the four keys that an OpenAI error always has.

    in_anthropic: the message, where Anthropic words it otherwise.
    """

    status: int
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    in_anthropic: str | None = None

    def body(self) -> bytes:
        """In OpenAI's shape."""
        return msgspec.json.encode({"error": self.error()})

    def error(self) -> dict[str, str | None]:
        return {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }

    def anthropic_body(self, request_id: str | None) -> bytes:
        """In Anthropic's shape: the type follows from the status."""
        error = {
            "type": _ANTHROPIC_TYPES[self.status],
            "message": self.in_anthropic or self.message,
        }
        return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})


def wrong_key() -> Refusal:
    return Refusal(
        401,
        "Incorrect API key provided.",
        code="invalid_api_key",
        in_anthropic="invalid x-api-key",
    )


def unknown_url(method: str, path: str) -> Refusal:
    return Refusal(404, f"Unknown request URL: {method} {path}.", code="unknown_url")


def unknown_model(model: str) -> Refusal:
    message = f"The model {model!r} does not exist or you do not have access to it."
    return Refusal(
        404, message, param="model", code="model_not_found", in_anthropic=f"model: {model}"
    )


def no_such(kind: str, id: str) -> Refusal:  # noqa: A002 - the field's word
    return Refusal(404, f"No such {kind} object: {id}", param="id")


def no_json(why: str) -> Refusal:
    return Refusal(400, f"We could not parse the JSON body of your request: {why}.")


def wrong(param: str, why: str) -> Refusal:
    return Refusal(400, f"Invalid {param!r}: {why}.", param=param, in_anthropic=f"{param}: {why}")


def no_version() -> Refusal:
    return Refusal(400, "anthropic-version: header is required")


def too_large(max_bytes: int) -> Refusal:
    return Refusal(413, f"The request body is larger than {max_bytes} bytes.")


def too_long(context_tokens: int, prompt_tokens: int, param: str) -> Refusal:
    message = (
        f"This model's maximum context length is {context_tokens} tokens. "
        f"However, your messages resulted in {prompt_tokens} tokens."
    )
    return Refusal(
        400,
        message,
        param=param,
        code="context_length_exceeded",
        in_anthropic=f"prompt is too long: {prompt_tokens} tokens > {context_tokens} maximum",
    )


def filtered() -> Refusal:
    return Refusal(
        400,
        "The prompt was rejected by the content filter. Please modify your prompt and retry.",
        param="prompt",
        code="content_filter",
        in_anthropic="Output blocked by content filtering policy",
    )


def server_error() -> Refusal:
    message = "The server had an error while processing your request."
    return Refusal(500, message, type="server_error")


def rate_limited(headers: dict[str, str], behaviour: Behaviour) -> Refusal:
    return Refusal(
        429,
        f"Rate limit reached. Please try again in {behaviour.retry_after_s:g}s.",
        type="requests",
        code="rate_limit_exceeded",
        headers=headers,
    )


def of_fault(
    fault: Fault | None, behaviour: Behaviour, now_s: float, prompt: str = "prompt"
) -> Refusal | None:
    """The error answer that a fault is, or None for the faults that are no error answer.

    prompt: the field that a prompt that is too long is blamed on.
    """
    if fault is Fault.HTTP_401:
        return wrong_key()
    if fault in RATE_LIMITED:
        return rate_limited(_retry_after(fault, behaviour.retry_after_s, now_s), behaviour)
    if fault is Fault.HTTP_500:
        return server_error()
    if fault is Fault.CONTENT_FILTER:
        return filtered()
    if fault is Fault.CONTEXT:
        return too_long(behaviour.context_tokens, behaviour.context_tokens + 1, prompt)
    return None


def _retry_after(fault: Fault | None, seconds: float, now_s: float) -> dict[str, str]:
    if fault is Fault.RETRY_AFTER_MS:
        return {"retry-after-ms": str(math.ceil(seconds * 1000))}
    if fault is Fault.RETRY_AFTER_DATE:
        # A date has whole seconds: rounded up, as nobody may come back too early.
        return {"retry-after": formatdate(math.ceil(now_s + seconds), usegmt=True)}
    return {"retry-after": str(math.ceil(seconds))}
