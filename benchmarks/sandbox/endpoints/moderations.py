"""POST /v1/moderations, in OpenAI's words. It costs nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from benchmarks.sandbox.bill import Bill
from benchmarks.sandbox.refusal import Refusal, wrong
from benchmarks.sandbox.wire import Plain, Turn, Wish, decoded

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
MAX_INPUTS = 1_000


class Part(Struct, frozen=True):
    type: str
    text: str = ""


class ModerationRequest(Struct, frozen=True):
    """input: a text, texts, or the parts of one message."""

    model: str
    input: str | list[str | Part]
    sandbox: Wish = Wish()

    stream = False

    @property
    def texts(self) -> list[str]:
        if isinstance(self.input, str):
            return [self.input]
        parts = [one.text for one in self.input if isinstance(one, Part)]
        return [" ".join(parts)] if parts else [one for one in self.input if isinstance(one, str)]

    def words(self) -> list[str]:
        return [word for text in self.texts for word in text.split()]

    def answer(self, turn: Turn) -> Plain:
        return Plain(Bill(), partial(self._write, turn))

    def _write(self, turn: Turn, _with_usage: bool) -> bytes:
        results = [judgement(text) for text in self.texts]
        whole = {"id": f"modr-{turn.id}", "model": self.model, "results": results}
        return msgspec.json.encode(whole)


def judgement(text: str) -> dict[str, Any]:
    """A text is flagged in the categories whose names are among its words."""
    words = set(text.lower().split())
    found = {name: name in words for name in CATEGORIES}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": {name: 0.9 if flagged else 0.01 for name, flagged in found.items()},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }


_decoder = msgspec.json.Decoder(ModerationRequest)


def read(body: bytes, _content_type: str) -> ModerationRequest | Refusal:
    request = decoded(_decoder, body)
    if isinstance(request, Refusal):
        return request
    if not request.input or not 1 <= len(request.texts) <= MAX_INPUTS:
        return wrong("input", f"a text, the parts of a message, or at most {MAX_INPUTS} texts")
    return request
