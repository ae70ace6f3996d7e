"""The arguments of a call to LiteLLM: from a request's body, its headers and its path.

A body comes from a client. What it may say is listed here: LiteLLM takes its own settings
(`api_base`, `fallbacks`, the names of files with credentials) among the same arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from aiohttp import web

from proxy.endpoints import Endpoint
from proxy.litellm_fault import Fault, Refusal, invalid
from proxy.litellm_link import PARAMS_HEADER
from proxy.wires.body import UNREADABLE

CONNECT_LIMIT_S = 10.0
CALL_LIMIT_S = 3600.0
"""The proxy's own limits come first; this one is for what they forgot."""


@dataclass(frozen=True, slots=True)
class Function:
    """One of LiteLLM's. fields: those of a body that are its arguments."""

    name: str
    fields: frozenset[str]


def _function(name: str, fields: str) -> Function:
    return Function(name, frozenset(fields.split()))


FUNCTIONS = {
    Endpoint.CHAT: _function(
        "acompletion",
        "messages functions function_call temperature top_p top_k n stream stop max_tokens"
        " max_completion_tokens modalities prediction audio presence_penalty frequency_penalty"
        " logit_bias user response_format seed tools tool_choice parallel_tool_calls logprobs"
        " top_logprobs reasoning_effort verbosity service_tier thinking web_search_options",
    ),
    Endpoint.COMPLETIONS: _function(
        "atext_completion",
        "prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n presence_penalty"
        " seed stop stream suffix temperature top_p user",
    ),
    Endpoint.EMBEDDINGS: _function("aembedding", "input dimensions encoding_format user"),
    Endpoint.IMAGES: _function(
        "aimage_generation",
        "prompt n quality response_format size style user background moderation output_format"
        " output_compression",
    ),
    Endpoint.SPEECH: _function("aspeech", "input voice response_format speed instructions"),
    Endpoint.TRANSCRIPTIONS: _function(
        "atranscription", "file language prompt response_format temperature timestamp_granularities"
    ),
    Endpoint.RERANK: _function(
        "arerank",
        "query documents top_n rank_fields return_documents max_chunks_per_doc max_tokens_per_doc",
    ),
    Endpoint.MODERATIONS: _function("amoderation", "input"),
}
_UNHEARD = frozenset(
    ("metadata", "store", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")
)
"""What says nothing about the answer: a provider that has no such field need not hear it."""
_NEUTRAL: Mapping[str, object] = {
    "n": 1,
    "best_of": 1,
    "echo": False,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logprobs": False,
    "logit_bias": {},
    "tools": [],
}
"""What a provider does when it is told nothing: many clients say it, and many providers refuse to
be told."""
_ACCOUNTS = ("aws_", "azure_", "vertex_", "litellm_")
"""Some of LiteLLM's providers look for accounts among the fields that they pass on."""


def arguments(litellm: Any, function: Function, http: web.Request, body: dict[str, Any]) -> Any:
    """The keyword arguments for LiteLLM. Raises Refusal."""
    provider, params = http.match_info["provider"], _params(http)
    model = body.pop("model", None)
    if not isinstance(model, str) or not model:
        raise invalid("model is missing: name the provider's model", "model")
    body.pop("stream_options", None)
    asked = {name: value for name, value in body.items() if not _is_neutral(name, value)}
    call = params | {name: value for name, value in asked.items() if name in function.fields}
    call |= _beside(litellm, function, provider, params, asked)
    if call.get("stream"):
        if "n" in call or "best_of" in call:
            raise invalid(
                "LiteLLM streams one choice only: leave n out, or do not stream",
                "n",
                "unsupported_parameter",
            )
        call["stream_options"] = {"include_usage": True}
    limit: float | httpx.Timeout = CALL_LIMIT_S
    if function.name == "acompletion":
        call["_skip_mcp_handler"] = True  # it would call tools by itself
        limit = httpx.Timeout(CALL_LIMIT_S, connect=CONNECT_LIMIT_S)
    kind, _, key = http.headers.get("authorization", "").partition(" ")
    if key and kind.lower() == "bearer":
        call["api_key"] = key
    return call | {
        "model": f"{provider}/{model}",
        "custom_llm_provider": provider,
        "num_retries": 0,
        "max_retries": 0,
        "timeout": limit,
    }


def _is_neutral(name: str, value: object) -> bool:
    if value is None:
        return True
    neutral = _NEUTRAL.get(name)
    return value == neutral and isinstance(value, bool) == isinstance(neutral, bool)


def _params(http: web.Request) -> dict[str, Any]:
    """What the operator configured: text, mostly, so that yes and no are text, too."""
    try:
        params = msgspec.json.decode(http.headers.get(PARAMS_HEADER, "{}"), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise _unusable(f"{PARAMS_HEADER} is no JSON object: {error}") from None
    if not isinstance(params.get("extra_body", {}), dict):
        raise _unusable("extra_body is no JSON object")
    yes_or_no = {"true": True, "false": False}
    return {
        name: yes_or_no.get(value.lower(), value) if isinstance(value, str) else value
        for name, value in params.items()
    }


def _unusable(why: str) -> Refusal:
    return Refusal(Fault(500, why, setup=True))


def _beside(
    litellm: Any,
    function: Function,
    provider: str,
    params: Mapping[str, Any],
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    """What the client says beyond the fields of the endpoint: it goes into the body of a provider
    that speaks OpenAI's wire, and never among LiteLLM's arguments."""
    beyond = {name: value for name, value in asked.items() if name not in function.fields}
    for name in beyond:
        if name.lower().startswith(_ACCOUNTS):
            raise _unsayable(name, provider)
    wires = ("openai", "azure", "custom_openai", *litellm.openai_compatible_providers)
    if provider in wires and function.name in ("acompletion", "atext_completion", "aembedding"):
        together = beyond | params.get("extra_body", {})
        return {"extra_body": together} if together else {}
    for name in beyond.keys() - _UNHEARD:
        raise _unsayable(name, provider)
    return {}


def _unsayable(name: str, provider: str) -> Refusal:
    why = f"LiteLLM has no way to say {name[:50]} to {provider}: leave it out"
    return invalid(why, name[:50], "unsupported_parameter")


async def fields_of(http: web.Request) -> dict[str, Any]:
    """The fields of a request, JSON or a form. Raises Refusal."""
    try:
        if http.content_type == "multipart/form-data":
            return await _form(http)
        return msgspec.json.decode(await http.read(), type=dict[str, Any])
    except web.HTTPRequestEntityTooLarge:
        raise Refusal(Fault(413, "the body is too large", code="request_too_large")) from None
    except UNREADABLE as error:
        raise invalid(f"the body is no JSON object: {error}", code="invalid_json") from None


async def _form(http: web.Request) -> dict[str, Any]:
    form = await http.post()
    found: dict[str, Any] = {}
    for name in form:
        values = [_value(name, one) for one in form.getall(name)]
        many = name.endswith("[]")
        found[name.removesuffix("[]")] = values if many else values[-1]
    return found


def _value(name: str, value: str | bytes | bytearray | web.FileField) -> Any:
    if isinstance(value, web.FileField):
        return (value.filename, value.file.read(), value.content_type)
    if name == "temperature":
        try:
            return float(str(value))
        except ValueError:
            raise invalid("temperature is no number", "temperature") from None
    return str(value)
