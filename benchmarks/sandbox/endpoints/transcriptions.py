"""POST /v1/audio/transcriptions and /v1/audio/translations, in OpenAI's words.

A model whose name starts with gpt-4o says its usage in tokens, streams and writes JSON alone; the
others say it in seconds.
"""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from benchmarks.sandbox.bill import Bill
from benchmarks.sandbox.form import Form, read_form
from benchmarks.sandbox.refusal import Refusal, server_error, wrong
from benchmarks.sandbox.wire import (
    EVENTS,
    JSON,
    Answer,
    Plain,
    Turn,
    Wish,
    cut_short,
    data_event,
    decoded,
)
from benchmarks.sandbox.words import Said, say

BY_TOKENS = "gpt-4o"
MAX_AUDIO_BYTES = 25 * 1024 * 1024
BYTES_PER_SECOND = 16_000
"""Of a file that is no WAV: what 128 kbit/s make."""
WORDS_PER_SECOND = 2
AUDIO_TOKENS_PER_SECOND = 10
SEGMENT_WORDS = 8
FORMATS = ("json", "text", "verbose_json", "srt", "vtt")
Task = Literal["transcribe", "translate"]


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """seconds: how long the audio is. of_words: when each word was said is asked for."""

    task: Task
    model: str
    seconds: float
    prompt: str
    form: str
    language: str
    of_words: bool
    stream: bool
    sandbox: Wish

    @property
    def by_tokens(self) -> bool:
        return self.model.startswith(BY_TOKENS)

    def words(self) -> list[str]:
        return self.prompt.split()

    def answer(self, turn: Turn) -> Answer:
        heard = max(1, round(self.seconds * WORDS_PER_SECOND))
        wished = self.sandbox.output_tokens or heard
        transcript = Transcript(self, say(wished, turn.room, voice=turn.behaviour.voice))
        return transcript if self.stream and self.by_tokens else transcript.plain()


def transcriptions(body: bytes, content_type: str) -> TranscriptionRequest | Refusal:
    return _read(body, content_type, "transcribe")


def translations(body: bytes, content_type: str) -> TranscriptionRequest | Refusal:
    return _read(body, content_type, "translate")


_wish = msgspec.json.Decoder(Wish)


def _read(body: bytes, content_type: str, task: Task) -> TranscriptionRequest | Refusal:
    form = read_form(body, content_type)
    if isinstance(form, Refusal):
        return form
    model, audio = form.text("model"), form.files.get("file")
    if model is None:
        return wrong("model", "it is missing")
    if audio is None or not audio.content:
        return wrong("file", "it is missing, or empty")
    if len(audio.content) > MAX_AUDIO_BYTES:
        return Refusal(413, f"Maximum content size limit ({MAX_AUDIO_BYTES}) exceeded.")
    written = form.text("response_format") or "json"
    allowed = ("json",) if model.startswith(BY_TOKENS) else FORMATS
    if written not in allowed:
        return wrong("response_format", f"this model writes {', '.join(allowed)}")
    wish = decoded(_wish, (form.text("sandbox") or "{}").encode())
    if isinstance(wish, Refusal):
        return wish
    return TranscriptionRequest(
        task=task,
        model=model,
        seconds=seconds_of(audio.content),
        prompt=form.text("prompt") or "",
        form=written,
        language=form.text("language") or "english",
        of_words="word" in _granularities(form),
        stream=form.text("stream") == "true",
        sandbox=wish,
    )


def _granularities(form: Form) -> list[str]:
    return form.texts.get("timestamp_granularities[]", [])


def seconds_of(audio: bytes) -> float:
    """How long a WAV is by its own head, never longer than its bytes; another by its size."""
    try:
        with wave.open(io.BytesIO(audio)) as sound:
            frame_bytes = sound.getnchannels() * sound.getsampwidth()
            frames = min(sound.getnframes(), len(audio) // frame_bytes)
            per_second = int(sound.getframerate())
            return int(frames) / per_second
    except (wave.Error, EOFError, ZeroDivisionError):
        return len(audio) / BYTES_PER_SECOND


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard. A Stream."""

    asked: TranscriptionRequest
    said: Said

    content_type = EVENTS

    @property
    def billed_seconds(self) -> int:
        return math.ceil(self.asked.seconds)

    @property
    def audio_tokens(self) -> int:
        return math.ceil(self.asked.seconds * AUDIO_TOKENS_PER_SECOND)

    @property
    def bill(self) -> Bill:
        if self.asked.by_tokens:
            return Bill(len(self.asked.words()) + self.audio_tokens)
        return Bill(units=self.billed_seconds, unit="second")

    @property
    def steps(self) -> int:
        return len(self.said.pieces)

    def plain(self) -> Plain:
        return Plain(
            bill=self.bill,
            write=self.write,
            completion_tokens=self.steps if self.asked.by_tokens else 0,
            steps=self.steps,
            content_type=JSON if "json" in self.asked.form else "text/plain; charset=utf-8",
        )

    def write(self, with_usage: bool) -> bytes:
        usage = {"usage": self._usage()} if with_usage else {}
        match self.asked.form:
            case "json":
                return msgspec.json.encode({"text": self.said.text} | usage)
            case "verbose_json":
                return msgspec.json.encode(self._verbose() | usage)
            case "srt":
                return self._subtitles(",").encode()
            case "vtt":
                return ("WEBVTT\n\n" + self._subtitles(".")).encode()
            case _:
                return self.said.text.encode() + b"\n"

    def ticks(
        self,
        tokens_per_tick: int,
        *,
        with_usage: bool,  # noqa: ARG002 - it comes at the end
    ) -> Iterator[tuple[bytes, int]]:
        for start in range(0, self.steps, tokens_per_tick):
            some = self.said.pieces[start : start + tokens_per_tick]
            yield self._delta("".join(some)), len(some)

    def closing(self, *, with_usage: bool, with_done: bool) -> bytes:
        usage = {"usage": self._usage()} if with_usage else {}
        last = {"type": "transcript.text.done", "text": self.said.text}
        return data_event(last | usage) if with_done else b""

    def malformed(self) -> bytes:
        return cut_short(self._delta(" spindle"))

    def error(self) -> bytes:
        return data_event({"error": server_error().error()})

    def _delta(self, text: str) -> bytes:
        return data_event({"type": "transcript.text.delta", "delta": text})

    def _usage(self) -> dict[str, Any]:
        if not self.asked.by_tokens:
            return {"type": "duration", "seconds": self.billed_seconds}
        words = len(self.asked.words())
        return {
            "type": "tokens",
            "input_tokens": words + self.audio_tokens,
            "input_token_details": {"text_tokens": words, "audio_tokens": self.audio_tokens},
            "output_tokens": self.steps,
            "total_tokens": words + self.audio_tokens + self.steps,
        }

    def _verbose(self) -> dict[str, Any]:
        segments = [
            {
                "id": number,
                "seek": 0,
                "start": start_s,
                "end": end_s,
                "text": text,
                "tokens": [],
                "temperature": 0.0,
                "avg_logprob": -0.1,
                "compression_ratio": 1.0,
                "no_speech_prob": 0.0,
            }
            for number, (start_s, end_s, text) in enumerate(self._timed(SEGMENT_WORDS))
        ]
        timed = [
            {"word": text.strip(), "start": start_s, "end": end_s}
            for start_s, end_s, text in self._timed(1)
        ]
        return {
            "task": self.asked.task,
            "language": self.asked.language,
            "duration": self.asked.seconds,
            "text": self.said.text,
            "segments": segments,
        } | ({"words": timed} if self.asked.of_words else {})

    def _subtitles(self, point: str) -> str:
        return "".join(
            f"{number}\n{_clock(start_s, point)} --> {_clock(end_s, point)}\n{text.strip()}\n\n"
            for number, (start_s, end_s, text) in enumerate(self._timed(SEGMENT_WORDS), 1)
        )

    def _timed(self, words: int) -> Iterator[tuple[float, float, str]]:
        """So many words at a time: begin and end in seconds, and text. All words are as long."""
        each_s = self.asked.seconds / self.steps
        for start in range(0, self.steps, words):
            some = self.said.pieces[start : start + words]
            yield start * each_s, (start + len(some)) * each_s, "".join(some)


def _clock(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{point}{milliseconds:03}"
