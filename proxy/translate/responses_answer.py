"""A whole chat completion as a Response."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from proxy.errors import UpstreamFailed
from proxy.translate.responses_fields import beside
from proxy.translate.responses_object import (
    ResponseObject,
    ending_of,
    failure,
    stem_of,
    usage_from_chat,
)
from proxy.translate.responses_output import Logprobs, Output, Written
from proxy.wires.body import ABSENT, UNREADABLE, encode


class _Choice(msgspec.Struct, gc=False):
    message: Written
    logprobs: Logprobs | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice]
    id: str = ""
    created: int | float | None = None
    model: str | None = None
    object: str = ""
    usage: msgspec.Raw = ABSENT


_answer = msgspec.json.Decoder(_Answer, float_hook=Decimal).decode


def answer_from_chat(answer: bytes, request: bytes) -> bytes:
    """The answer to a Responses request out of the answer to the same as a chat.

    Raises UpstreamFailed for what is no chat completion.
    """
    try:
        chat = _answer(answer)
    except UNREADABLE as error:
        raise UpstreamFailed(f"the provider's answer is no chat completion: {error}") from None
    if not chat.choices:
        raise UpstreamFailed("the provider's answer has no choices")
    choice = chat.choices[0]
    ending = ending_of(choice.finish_reason)
    stem = stem_of(chat.id, answer)
    output = Output(stem)
    output.write(choice.message, choice.logprobs)
    output.end(is_whole=ending.status == "completed")
    response = ResponseObject(request)
    response.begin(stem, chat.created or 0, chat.model or "")
    return encode(
        response.told(
            ending,
            output.items(),
            usage=usage_from_chat(chat.usage),
            error=None if ending.problem is None else failure(ending.problem),
            more=beside(answer, _Answer),
        )
    )
