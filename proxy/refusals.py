"""Refusals: what a provider's answer that is no 200 says, and who is at fault.

A caller's mistake is passed on in the provider's words. What is ours (a key, an account, a name, a
URL), or nobody's (too busy, out of order), is another offer's chance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from proxy.errors import Refused
from proxy.wires.body import UNREADABLE

OUR_ACCOUNT = frozenset((401, 402, 403))
"""Statuses by which a provider refuses our key, or our account there."""
OUR_NAMES = frozenset((404, 405))
"""Statuses by which it does not know the model by that name, or the URL."""
MAYBE_BILLED = frozenset((*range(201, 300), 504, 524))
"""Statuses after which the model behind may have written all the same: a gateway gave up waiting
for it, or it is a success of a kind that we do not know."""


class Fault(StrEnum):
    """Whose fault a refusal is."""

    CALLER = "caller"
    TOO_LONG = "too_long"
    """The caller's, at this offer: another may take longer prompts."""
    ACCOUNT = "account"
    OFFER = "offer"
    BUSY = "busy"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider's refusal. `error`: as the client would be told it."""

    status: int
    fault: Fault
    error: Refused

    @property
    def maybe_billed(self) -> bool:
        return self.status in MAYBE_BILLED


def read_refusal(status: int, body: bytes) -> Refusal:
    """What a status that is no 200, and its body, mean."""
    said = _read(body)
    code = None if said.code is None else str(said.code)
    message = said.message or f"the provider refused the request with status {status}"
    fault = _fault(status, code or said.type or "", message)
    if fault is Fault.TOO_LONG:
        code = "context_length_exceeded"
    elif fault is Fault.CALLER and code is None and _FILTER_WORDS.search(message):
        code = "content_filter"
    return Refusal(status, fault, Refused(message, said.param, code, upstream_status=status))


_FILTER_WORDS = re.compile(r"content.(filter|management|policy)", re.IGNORECASE)
_CREDIT_WORDS = re.compile(
    r"credit balance is too low|insufficient (balance|credit)", re.IGNORECASE
)
"""How Anthropic, and others who say 400 of it, say that our account is empty."""
_CONTEXT_CODES = {"context_length_exceeded", "context_window_exceeded", "string_above_max_length"}
_CONTEXT_WORDS = re.compile(
    r"context.{0,20}(length|window|size)|(prompt|input) is too long|too many (input )?tokens"
    r"|maximum (sequence|prompt|input) length|longer than the model|exceeds? the (model's )?max",
    re.IGNORECASE,
)
"""How OpenAI, Anthropic, vLLM, SGLang, llama.cpp, Together, Groq, Mistral, Bedrock and Gemini say
that a prompt is too long."""


def _fault(status: int, code: str, message: str) -> Fault:
    if status == 429:
        return Fault.BUSY
    if status in OUR_ACCOUNT or (status == 400 and _CREDIT_WORDS.search(message)):
        return Fault.ACCOUNT
    if status in OUR_NAMES:
        return Fault.OFFER
    if 400 <= status < 500 and status != 408:
        too_long = code in _CONTEXT_CODES or _CONTEXT_WORDS.search(message)
        return Fault.TOO_LONG if too_long else Fault.CALLER
    return Fault.PROVIDER


class _TheirError(msgspec.Struct):
    message: str = ""
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class _ErrorBody(msgspec.Struct):
    """OpenAI's and Anthropic's shape; some write the error as a string, vLLM and FastAPI at the
    top."""

    error: _TheirError | str | None = None
    message: str | None = None
    detail: str | None = None


def _read(body: bytes) -> _TheirError:
    """The error in a refusal; without a message if it has none that can be read."""
    try:
        said = msgspec.json.decode(body, type=_ErrorBody)
    except UNREADABLE:
        return _TheirError()
    if isinstance(said.error, _TheirError):
        return said.error
    return _TheirError(said.error or said.message or said.detail or "")
