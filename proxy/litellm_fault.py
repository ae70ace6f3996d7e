"""Fault: what LiteLLM raised, as an answer on OpenAI's wire.

The status decides what is booked, so it has to say whether the provider may have been at work:

    4xx, 5xx    the provider's own, or LiteLLM's refusal to ask it
    500         LiteLLM failed before it asked
    501         a package that LiteLLM needs for this provider is not installed
    503         no connection, so nothing was sent
    504         asked, and no answer that can be read: it may be billed
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpx
import msgspec

from proxy.wires.body import UNREADABLE

MESSAGE_LIMIT = 1000
_NEVER_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    httpx.ConnectTimeout,
    ConnectionRefusedError,
    socket.gaierror,
)
_NETWORKS = ("httpx", "httpcore", "aiohttp", "openai", "botocore", "requests", "urllib3")
_CODES = {
    "ContextWindowExceededError": "context_length_exceeded",
    "ContentPolicyViolationError": "content_filter",
    "RateLimitError": "rate_limit_exceeded",
    "UnsupportedParamsError": "unsupported_parameter",
}
_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
_WRAPPED = re.compile(r"^(litellm\.)?\w*(Error|Exception|Timeout)( \w+Error)?( -|:)\s*")
"""`litellm.RateLimitError: RateLimitError: OpenAIException - `, before the provider's own words."""
_ADVICE = re.compile(
    r"\s*(To drop these, set |Original exception: |Traceback \(most recent).*", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Fault:
    """An error answer. headers: when to come back. setup: it is the operator's to mend."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    setup: bool = False

    def body(self) -> bytes:
        kind = "invalid_request_error" if self.status < 500 else "api_error"
        error = {
            "message": self.message,
            "type": _TYPES.get(self.status, kind),
            "param": self.param,
            "code": self.code,
        }
        return msgspec.json.encode({"error": error})


class Refusal(Exception):
    """A call that is not made."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def invalid(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    return Refusal(Fault(400, message, param=param, code=code))


def fault_of(error: Exception, *, asked: bool) -> Fault:
    """asked: LiteLLM had begun to send the request to the provider."""
    chain = list(_causes(error))
    status, setup = _status(error, chain, asked=asked)
    said = _said(error)
    name = type(error).__name__
    param, code = said.get("param"), said.get("code")
    return Fault(
        status,
        _message(error, said),
        param=param if isinstance(param, str) else None,
        code=code if isinstance(code, str) else _CODES.get(name),
        headers=next((found for one in chain if (found := _when_to_return(one))), {}),
        setup=setup,
    )


def _status(error: Exception, chain: list[BaseException], *, asked: bool) -> tuple[int, bool]:
    answered = [one.response.status_code for one in chain if isinstance(one, httpx.HTTPStatusError)]
    said = getattr(error, "status_code", None)
    if any(isinstance(one, ImportError) for one in chain):
        return 501, True
    if any(_is_of(one, "google.auth") for one in chain):
        return 401, True  # no account, or one that Google does not know
    if type(error).__name__ == "LiteLLMUnknownProvider":
        return 404, True
    if isinstance(said, int) and 400 <= said < 500 and (said != 408 or answered):
        return said, False
    if answered:
        return answered[-1] if answered[-1] >= 400 else 502, False
    if any(isinstance(one, _NEVER_SENT) for one in chain):
        return 503, False
    if asked or any(_is_of(one, *_NETWORKS) or isinstance(one, TimeoutError) for one in chain):
        return 504, False
    return 500, True


def _is_of(error: BaseException, *packages: str) -> bool:
    module = type(error).__module__
    return any(module == one or module.startswith(f"{one}.") for one in packages)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _said(error: Exception) -> Mapping[str, Any]:
    """The provider's error as it wrote it: LiteLLM carries it apart, or in the middle of its
    message; empty if it is nowhere."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        return body
    text = str(getattr(error, "message", error))
    start, end = text.find("{"), text.rfind("}")
    try:
        found = msgspec.json.decode(text[start : end + 1])
    except UNREADABLE:
        return {}
    if not isinstance(found, dict):
        return {}
    inner = found.get("error", found)
    return inner if isinstance(inner, dict) else {"message": inner}


def _message(error: Exception, said: Mapping[str, Any]) -> str:
    if isinstance(own := said.get("message"), str) and own:
        return own[:MESSAGE_LIMIT]
    text = _ADVICE.sub("", str(getattr(error, "message", error)))
    while (shorter := _WRAPPED.sub("", text)) != text:
        text = shorter
    return " ".join(text.split())[:MESSAGE_LIMIT] or type(error).__name__


def _when_to_return(error: BaseException) -> dict[str, str]:
    for holder in (getattr(error, "response", None), error):
        headers = getattr(holder, "headers", None) or getattr(
            holder, "litellm_response_headers", None
        )
        if isinstance(headers, Mapping):
            found = {name: headers.get(name) for name in ("retry-after", "retry-after-ms")}
            return {name: value for name, value in found.items() if isinstance(value, str)}
    return {}
