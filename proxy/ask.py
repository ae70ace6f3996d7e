"""Ask: what a chat request asks for. Only what we need is parsed; the rest passes through."""

from __future__ import annotations

from typing import Annotated

import msgspec

from benchmarks.offers import Feature
from proxy.errors import Invalid

Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
_ABSENT = msgspec.Raw()


class StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class Part(msgspec.Struct, gc=False):
    type: str = ""


class Message(msgspec.Struct, gc=False):
    content: str | list[Part] | None = None


class Tool(msgspec.Struct, gc=False):
    type: str = "function"


class Ask(msgspec.Struct, gc=False):
    """The fields of a chat request that routing, holding and metering need."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    tools: list[Tool] | None = None
    response_format: Part | None = None
    logprobs: bool | None = None
    service_tier: str | None = None
    modalities: list[str] | None = None
    audio: msgspec.Raw = _ABSENT
    web_search_options: msgspec.Raw = _ABSENT
    search_parameters: msgspec.Raw = _ABSENT
    plugins: msgspec.Raw = _ABSENT
    models: msgspec.Raw = _ABSENT
    speed: msgspec.Raw = _ABSENT

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage is True

    @property
    def most_completion_tokens(self) -> int | None:
        """The client's limit per choice; the larger of the two fields if it set both."""
        limits = [one for one in (self.max_tokens, self.max_completion_tokens) if one is not None]
        return max(limits) if limits else None

    @property
    def features(self) -> frozenset[Feature]:
        needs = set()
        if self.tools:
            needs.add(Feature.TOOLS)
        if self.response_format is not None and self.response_format.type == "json_schema":
            needs.add(Feature.JSON_SCHEMA)
        if self.logprobs:
            needs.add(Feature.LOGPROBS)
        if any(part.type == "image_url" for part in _parts(self)):
            needs.add(Feature.VISION)
        return frozenset(needs)


_decode = msgspec.json.Decoder(Ask).decode
_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_OURS = frozenset(Ask.__struct_fields__)


def parse(body: bytes) -> Ask:
    """Raises Invalid, naming the field, for what is no chat request or cannot be priced."""
    try:
        body.decode()  # msgspec lets bad UTF-8 through inside what it does not decode
        ask = _decode(body)
    except UnicodeDecodeError as error:
        raise Invalid(
            f"the body is not UTF-8: byte {error.start} is invalid", code="invalid_json"
        ) from None
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        param = where.strip("`").removeprefix("$.") or None
        raise Invalid(
            f"the body is no chat request: {what}" + (f" at {param}" if param else ""),
            param=param,
            code="invalid_type",
        ) from None
    except msgspec.DecodeError as error:
        raise Invalid(f"the body is not JSON: {error}", code="invalid_json") from None
    except RecursionError:
        raise Invalid("the body is nested too deeply", code="invalid_json") from None
    if not ask.messages:
        raise Invalid("messages is empty: give at least one", param="messages", code="invalid_type")
    _refuse_lookalikes(body)
    _refuse_unpriced(ask)
    return ask


def _refuse_lookalikes(body: bytes) -> None:
    """`N` or `Max_Tokens` are nothing to us, and to some providers the same as ours."""
    for key in _keys(body):
        if key not in _OURS and key.lower() in _OURS:
            raise Invalid(
                f"{key[:50]} is written {key.lower()}", param=key[:50], code="invalid_type"
            )


_PRICED_PARTS = {"text", "image_url", "refusal"}
"""A part without a type is what its other fields make it, to some providers."""
_BILLED_APART = ("audio", "web_search_options", "search_parameters", "plugins", "models", "speed")


def _refuse_unpriced(ask: Ask) -> None:
    """A rate card prices text and images at one tier; the rest would be billed and not booked."""
    if unpriced := _unpriced(ask):
        param, what = unpriced
        raise Invalid(
            f"{what} is billed at prices that are not known here: leave it out",
            param=param,
            code="unpriced_feature",
        )


def _unpriced(ask: Ask) -> tuple[str, str] | None:
    """The first field with something that no card prices, and what it is."""
    if ask.service_tier not in (None, "auto", "default"):
        return "service_tier", f"service_tier {ask.service_tier[:50]}"
    if ask.modalities is not None and ask.modalities != ["text"]:
        return "modalities", "more than text in modalities"
    for name in _BILLED_APART:
        if _given(getattr(ask, name)):
            return name, name
    for tool in ask.tools or ():
        if tool.type not in ("function", "custom"):
            return "tools", f"a {tool.type[:50]} in tools, which the provider runs itself,"
    for part in _parts(ask):
        if part.type not in _PRICED_PARTS:
            return "messages", f"a part of type {part.type[:50] or '(none)'} in messages"
    return None


def _parts(ask: Ask) -> list[Part]:
    return [
        part
        for message in ask.messages
        if isinstance(message.content, list)
        for part in message.content
    ]


def _given(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in (b"", b"null", b"false")
