"""POST /v1/audio/speech, in OpenAI's words: real sound files, of silence.

Where nobody asks for a format it is WAV; OpenAI's own is MP3.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from benchmarks.sandbox.bill import Bill
from benchmarks.sandbox.refusal import Refusal, wrong
from benchmarks.sandbox.wire import Turn, Wish, decoded

SAMPLES_PER_SECOND = 8_000
SAMPLES_PER_CHARACTER = 160
"""50 characters are a second."""
CHARACTERS_PER_STEP = 50
SILENCE = b"\x80"
MAX_CHARACTERS = 4_096
FORMATS = {None: "audio/wav", "wav": "audio/wav", "pcm": "audio/pcm"}


class SpeechRequest(Struct, frozen=True):
    """voice: a name, or an object with the id of one's own."""

    model: str
    input: Annotated[str, Meta(min_length=1, max_length=MAX_CHARACTERS)]
    voice: str | dict[str, Any]
    response_format: str | None = None
    stream_format: str | None = None
    sandbox: Wish = Wish()

    stream = False

    def words(self) -> list[str]:
        return self.input.split()

    def answer(self, turn: Turn) -> Sound:  # noqa: ARG002 - silence is the same everywhere
        return Sound(len(self.input), FORMATS[self.response_format])


_decoder = msgspec.json.Decoder(SpeechRequest)


def read(body: bytes, _content_type: str) -> SpeechRequest | Refusal:
    request = decoded(_decoder, body)
    if isinstance(request, Refusal):
        return request
    if request.response_format not in FORMATS:
        return wrong("response_format", "a sandbox provider makes wav and pcm")
    if request.stream_format not in (None, "audio"):
        return wrong("stream_format", "a sandbox provider sends audio")
    return request


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono, eight bits a sample, sent a second at a time. A Stream, without events."""

    characters: int
    content_type: str

    @property
    def bill(self) -> Bill:
        return Bill(units=self.characters, unit="character")

    @property
    def steps(self) -> int:
        return math.ceil(self.characters / CHARACTERS_PER_STEP)

    def ticks(
        self,
        tokens_per_tick: int,
        *,
        with_usage: bool,  # noqa: ARG002 - sound does not say what it cost
    ) -> Iterator[tuple[bytes, int]]:
        head = self._head() if self.content_type == FORMATS["wav"] else b""
        per_tick = tokens_per_tick * CHARACTERS_PER_STEP
        for start in range(0, self.characters, per_tick):
            spoken = min(per_tick, self.characters - start)
            yield head + SILENCE * (spoken * SAMPLES_PER_CHARACTER), 0
            head = b""

    def closing(self, *, with_usage: bool, with_done: bool) -> bytes:  # noqa: ARG002 - as above
        return b""

    def malformed(self) -> bytes:
        return b""

    def error(self) -> bytes:
        return b""

    def _head(self) -> bytes:
        samples = self.characters * SAMPLES_PER_CHARACTER
        form = struct.pack("<HHIIHH", 1, 1, SAMPLES_PER_SECOND, SAMPLES_PER_SECOND, 1, 8)
        sizes = [struct.pack("<I", one) for one in (36 + samples, len(form), samples)]
        return b"RIFF" + sizes[0] + b"WAVEfmt " + sizes[1] + form + b"data" + sizes[2]
