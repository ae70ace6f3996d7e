"""Meter: what a plain answer used, and what an attempt without usage may have used."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from ledger.usage import TokenUsage
from proxy.dialects.openai import Written, usage_in

BYTES_PER_TOKEN = 4
INTER_TOKEN_MS_UNKNOWN = 50.0


class _Choice(msgspec.Struct, gc=False):
    message: Written | None = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice]
    usage: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """A chat completion: its usage, None if it named none, and how much text it carried."""

    usage: TokenUsage | None
    text_bytes: int


def read_plain(body: bytes) -> PlainAnswer | None:
    """None for what is no chat completion: the provider talks nonsense."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not answer.choices:
        return None
    text = sum(one.message.text_bytes for one in answer.choices if one.message)
    return PlainAnswer(usage_in(answer.usage), text)


def estimate_delivered(prompt_tokens: int, text_bytes: int, pieces: int) -> TokenUsage:
    """Usage by what was delivered: never fewer tokens than pieces of the stream."""
    return TokenUsage(prompt_tokens, max(pieces, math.ceil(text_bytes / BYTES_PER_TOKEN)))


def estimate_unseen(
    prompt_tokens: int, elapsed_ms: float, inter_token_ms: float | None, most: int
) -> TokenUsage:
    """Usage of an answer that never came: as much as could be written in the time that passed."""
    written = elapsed_ms / (inter_token_ms or INTER_TOKEN_MS_UNKNOWN)
    return TokenUsage(prompt_tokens, min(most, math.ceil(written)))
