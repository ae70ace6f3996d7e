"""Reasoning between turns: what a provider must see again goes through the client's hands.

Some providers refuse the next step of a tool loop unless they are given their reasoning back as
they wrote it, with its signatures (Anthropic, DeepSeek, Kimi); others refuse a field that they do
not know (Groq). So a reasoning item carries, where OpenAI's has its encrypted content, in which
field its words stood and the details that came with them. It is not encrypted: it is the client's
own answer. Coming back, it is put where it stood; reasoning without it is not ours, or only a
summary, or encrypted by somebody else: nobody on this way can read it, and it is left out.

The words alone go back within the current turn only, as OpenAI itself does it: no provider needs
them later. Details go back always: their provider decides.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from decimal import Decimal
from typing import Any, Literal

import msgspec

from proxy.errors import Invalid
from proxy.wires.responses import OUR_THOUGHTS

Field = Literal["reasoning_content", "reasoning"]
"""Where a chat's provider writes the words: vLLM, DeepSeek and their like; OpenRouter, Groq."""
WORDS: tuple[Field, ...] = ("reasoning_content", "reasoning")
DETAILS = "reasoning_details"
"""OpenRouter's, with what a provider wants to see unchanged: signatures, encrypted thoughts."""
_GROWING = ("text", "summary", "data")


class Origin(msgspec.Struct, gc=False, omit_defaults=True):
    """How a provider wrote its reasoning. field: None if its words cannot go back."""

    field: Field | None = None
    details: list[dict[str, Any]] = []

    def sealed(self) -> str | None:
        """As encrypted content; None if there is nothing to say."""
        if self.field is None and not self.details:
            return None
        return OUR_THOUGHTS + urlsafe_b64encode(_encode(self)).decode()


_encode = msgspec.json.Encoder(decimal_format="number", order="sorted").encode
_decode = msgspec.json.Decoder(Origin, float_hook=Decimal).decode


def origin_in(encrypted: str | None, where: str) -> Origin | None:
    """None for what is not ours. Raises Invalid for what was, and is not as it was given."""
    if encrypted is None or not encrypted.startswith(OUR_THOUGHTS):
        return None
    try:
        return _decode(urlsafe_b64decode(encrypted.removeprefix(OUR_THOUGHTS)))
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise Invalid(
            f"{where} is not as it was given ({error}): send it back unchanged, or leave it out",
            param=where,
            code="invalid_type",
        ) from None


def merge(details: list[dict[str, Any]], more: list[dict[str, Any]]) -> None:
    """Put a stream's pieces of details together: one block comes in many, its signature last.

    Pieces of a block follow each other and agree in type and index.
    """
    for piece in more:
        last = details[-1] if details else None
        if last is None or any(last.get(key) != piece.get(key) for key in ("type", "index")):
            details.append(dict(piece))
            continue
        for key, value in piece.items():
            if key in _GROWING and isinstance(last.get(key), str) and isinstance(value, str):
                last[key] += value
            elif value is not None:
                last[key] = value
