"""Refusal: an answer that is an error, in OpenAI's shape."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from benchmarks.sandbox.behaviour import Behaviour, Fault


@dataclass(frozen=True, slots=True)
class Refusal:
    """Status, and the four keys that an OpenAI error always has."""

    status: int
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        return msgspec.json.encode(
            {
                "error": {
                    "message": self.message,
                    "type": self.type,
                    "param": self.param,
                    "code": self.code,
                }
            }
        )


def wrong_key() -> Refusal:
    return Refusal(401, "Incorrect API key provided.", code="invalid_api_key")


def unknown_url(method: str, path: str) -> Refusal:
    return Refusal(404, f"Unknown request URL: {method} {path}.", code="unknown_url")


def unknown_model(model: str) -> Refusal:
    message = f"The model {model!r} does not exist or you do not have access to it."
    return Refusal(404, message, param="model", code="model_not_found")


def no_json(why: str) -> Refusal:
    return Refusal(400, f"We could not parse the JSON body of your request: {why}.")


def too_large(max_bytes: int) -> Refusal:
    return Refusal(413, f"The request body is larger than {max_bytes} bytes.")


def too_long(context_tokens: int, prompt_tokens: int) -> Refusal:
    message = (
        f"This model's maximum context length is {context_tokens} tokens. "
        f"However, your messages resulted in {prompt_tokens} tokens."
    )
    return Refusal(400, message, param="messages", code="context_length_exceeded")


def of_fault(fault: Fault | None, behaviour: Behaviour) -> Refusal | None:
    """The error answer that a fault is, or None for the faults that are no error answer."""
    if fault is Fault.HTTP_401:
        return wrong_key()
    if fault is Fault.HTTP_429:
        return Refusal(
            429,
            f"Rate limit reached. Please try again in {behaviour.retry_after_s}s.",
            type="requests",
            code="rate_limit_exceeded",
            headers={"retry-after": str(behaviour.retry_after_s)},
        )
    if fault is Fault.HTTP_500:
        message = "The server had an error while processing your request."
        return Refusal(500, message, type="server_error")
    return None
