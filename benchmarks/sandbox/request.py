"""ChatRequest: the part of a chat completion request that a sandbox provider reads."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from benchmarks.sandbox.behaviour import Fault
from benchmarks.sandbox.refusal import Refusal, no_json

MAX_CHOICES = 128

_Count = Annotated[int, Meta(ge=1, le=10_000_000)]


class Wish(Struct, frozen=True, forbid_unknown_fields=True):
    """What only a sandbox understands: the field `sandbox`, unknown to everybody on the way."""

    output_tokens: _Count | None = None
    fault: Fault | None = None


class Part(Struct, frozen=True):
    type: str
    text: str = ""


class Message(Struct, frozen=True):
    role: str
    content: str | list[Part] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return " ".join(part.text for part in self.content)
        return self.content or ""


class Function(Struct, frozen=True):
    name: str


class Tool(Struct, frozen=True):
    function: Function


class StreamOptions(Struct, frozen=True):
    include_usage: bool = False


class ResponseFormat(Struct, frozen=True):
    type: str


class ChatRequest(Struct, frozen=True):
    """What is not named here is taken and not looked at."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: _Count | None = None
    max_completion_tokens: _Count | None = None
    n: Annotated[int, Meta(ge=1, le=MAX_CHOICES)] | None = None
    tools: list[Tool] | None = None
    response_format: ResponseFormat | None = None
    sandbox: Wish = Wish()

    def words(self) -> list[str]:
        """The prompt as tokens: the words of all messages, in order."""
        return [word for message in self.messages for word in message.text().split()]

    def last_user_text(self) -> str:
        return next((one.text() for one in reversed(self.messages) if one.role == "user"), "")

    @property
    def wants_usage_chunk(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def wants_json(self) -> bool:
        kinds = ("json_object", "json_schema")
        return self.response_format is not None and self.response_format.type in kinds

    def called_tool(self) -> str | None:
        """The first tool, if there is one and the last user message says "tool"."""
        if self.tools and "tool" in self.last_user_text():
            return self.tools[0].function.name
        return None


_decoder = msgspec.json.Decoder(ChatRequest)


def read_request(body: bytes) -> ChatRequest | Refusal:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        return Refusal(400, f"Invalid request: {error}.")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return no_json(str(error))
