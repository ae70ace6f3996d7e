"""Audio: speech from a text, and the text of speech. Sold by the character, by the second, or by
tokens: of text in one direction, of sound in the other."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import msgspec

from benchmarks.offers import Task
from ledger.money import Money
from ledger.usage import TokenUsage
from proxy.endpoints import Endpoint
from proxy.errors import Invalid, ProxyError
from proxy.meter import BYTES_PER_TOKEN
from proxy.providers import Provider
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, UNREADABLE, is_given, unpriced
from proxy.wires.chat import ChunkReader
from proxy.wires.duration import most_seconds, seconds_told
from proxy.wires.events import error_in, framed
from proxy.wires.multipart import Form, Part, read_form
from proxy.wires.unlimited import UnlimitedWire
from proxy.wires.usage import chat_usage, responses_usage
from proxy.wires.vocabulary import WORDS, for_router
from proxy.wires.wire import Ask, Heard, Plain

MOST_AUDIO_TOKENS_PER_S = 32
"""Of sound. OpenAI makes 20 a second and reads 10, Gemini makes 25 and reads 32, Voxtral 12.5."""
AUDIO_TOKENS_PER_S = 21
"""Of sound that is made, where nobody counts it: by OpenAI's prices, 0.015 USD a minute or 12 USD a
million tokens."""
CHARACTERS_PER_S = 15
"""Of reading aloud."""
MOST_SECONDS_PER_CHARACTER = 0.5
"""The same of what is longer to say than to write: a Chinese character takes a quarter of a second,
a digit of a large number half of one."""
SLOWEST = 0.25
"""The least `speed` of speech."""
MOST_TEXT_TOKENS_PER_S = 25
"""Of what is said; fast English has 8, a script that is cut into bytes three times as many."""


# -- speech


class SpeechRequest(msgspec.Struct, gc=False):
    """The fields that routing, holding and metering need."""

    input: str
    model: str = ""
    speed: float | None = None
    stream_format: str | None = None

    @property
    def most_completion_tokens(self) -> int:
        speed = min(1.0, max(SLOWEST, self.speed or 1.0))
        seconds = len(self.input) * MOST_SECONDS_PER_CHARACTER / speed
        return math.ceil(seconds * MOST_AUDIO_TOKENS_PER_S)


class _Failure(msgspec.Struct, gc=False):
    error: msgspec.Raw = ABSENT


_speech = msgspec.json.Decoder(SpeechRequest).decode
_failure = msgspec.json.Decoder(_Failure).decode
_OURS_OF_SPEECH = WORDS.union(SpeechRequest.__struct_fields__)


class SpeechWire(UnlimitedWire):
    """POST /audio/speech. Its answer is sound, or with `stream_format: sse` events with sound."""

    endpoint = Endpoint.SPEECH

    def ask(self, body: bytes, content_type: str) -> Ask:  # noqa: ARG002 - a wire's door
        """most_completion_tokens: nobody lets a client limit them; they are held all the same."""
        request = bodies.read(_speech, body, "a speech request")
        fields = bodies.fields_of(body, _OURS_OF_SPEECH)
        if not request.input:
            raise Invalid("input is empty: give a text", param="input", code="invalid_type")
        ask = Ask(
            model=request.model,
            task=Task.SPEECH,
            prompt_bytes=len(body),
            stream=request.stream_format == "sse",
            most_completion_tokens=request.most_completion_tokens,
            units=len(request.input),
        )
        return for_router(ask, fields)

    def plain(self, body: bytes, ask: Ask) -> Plain | None:
        """Sound says nothing of its usage: the characters are those of the request; the tokens can
        be told by its length, which is said as text of as many tokens."""
        if not body or _is_failure(body):
            return None
        seconds = seconds_told(body, 0, len(body)) or ask.units / CHARACTERS_PER_S
        tokens = math.ceil(seconds * AUDIO_TOKENS_PER_S)
        return Plain(TokenUsage(None, None, units=ask.units), tokens * BYTES_PER_TOKEN)

    def reader(self, ask: Ask) -> AudioReader:
        return AudioReader(characters=ask.units)

    def with_cost(self, body: bytes, cost: Money) -> bytes:  # noqa: ARG002 - there is no place
        return body


def _is_failure(body: bytes) -> bool:
    """An error where sound should be."""
    try:
        return body.startswith(b"{") and is_given(_failure(body).error)
    except UNREADABLE:
        return False


# -- transcriptions and translations

_ELSEWHERE = ("url", "file_url", "file_id")
"""Audio that a host fetches itself, or has; nobody here knows how long it is."""
_OURS_OF_FORMS = frozenset(("model", "file", "stream", *_ELSEWHERE))
_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("false", "0", "no", "off", "f", "n", ""), False),
}


class _Duration(msgspec.Struct, gc=False):
    """OpenAI's and vLLM's seconds; Mistral's."""

    seconds: float | None = None
    prompt_audio_seconds: float | None = None


class _Transcript(msgspec.Struct, gc=False):
    """duration: of verbose and diarized answers; some write the number as text."""

    text: str
    duration: float | str | None = None
    usage: msgspec.Raw = ABSENT


_transcript = msgspec.json.Decoder(_Transcript).decode
_duration = msgspec.json.Decoder(_Duration | None).decode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class TranscriptionsWire:
    """POST /audio/transcriptions and /audio/translations: a form with a file, answered in JSON, as
    text, as subtitles, or as events."""

    def __init__(self, endpoint: Literal[Endpoint.TRANSCRIPTIONS, Endpoint.TRANSLATIONS]) -> None:
        self.endpoint: Endpoint = endpoint

    def ask(self, body: bytes, content_type: str) -> Ask:
        """prompt_bytes: tokens of sound, and the bytes of all that is not sound."""
        form = read_form(body, content_type)
        form.refuse_lookalikes(_OURS_OF_FORMS)
        model, file = form.text("model"), _file_of(form)
        if not model:
            raise Invalid("model is missing: name one", param="model", code="invalid_type")
        seconds = most_seconds(body, file.start, file.end)
        others = len(body) - (file.end - file.start)
        return Ask(
            model=model,
            task=Task.TRANSCRIPTION,
            prompt_bytes=seconds * MOST_AUDIO_TOKENS_PER_S + others,
            stream=self.endpoint is Endpoint.TRANSCRIPTIONS and _boolean(form, "stream"),
            most_completion_tokens=seconds * MOST_TEXT_TOKENS_PER_S,
            units=seconds,
        )

    def rewrite(
        self,
        body: bytes,
        content_type: str,
        provider: Provider,  # noqa: ARG002 - all are told the same
        model: str,
        limit: int | None,  # noqa: ARG002 - there is no such field
    ) -> bytes:
        return read_form(body, content_type).with_text("model", model)

    def plain(self, body: bytes, ask: Ask) -> Plain | None:  # noqa: ARG002 - a wire's door
        """Text and subtitles say nothing of their usage; what is JSON may."""
        try:
            body.decode()
            _object(body)
        except msgspec.DecodeError:
            return Plain(None, len(body))
        except (UnicodeDecodeError, RecursionError):
            return None
        try:
            answer = _transcript(body)
        except UNREADABLE:
            return None
        return Plain(_usage_of(answer.usage, answer.duration), len(answer.text.encode()))

    def reader(self, ask: Ask) -> AudioReader:  # noqa: ARG002 - a wire's door
        return AudioReader()

    def with_cost(self, body: bytes, cost: Money) -> bytes:
        try:
            return bodies.with_cost(body, cost)
        except UNREADABLE:
            return body  # text, or subtitles


def _file_of(form: Form) -> Part:
    for part in form.parts:
        if part.name in _ELSEWHERE:
            raise unpriced(part.name, f"the audio that {part.name} stands for, of unknown length,")
        if part.is_file and part.name != "file":
            raise unpriced(part.name[:50], f"a file beside `file`, {part.name[:50]},")
    file = form.part("file")
    if file is None or file.start == file.end:
        why = "file is missing or empty: send the audio in it"
        raise Invalid(why, param="file", code="invalid_type")
    return file


def _boolean(form: Form, name: str) -> bool:
    said = (form.text(name) or "").lower()
    if said not in _BOOLEANS:
        why = f"{name} is {said[:50]!r}: write true or false"
        raise Invalid(why, param=name, code="invalid_type")
    return _BOOLEANS[said]


def _usage_of(usage: msgspec.Raw, duration: float | str | None = None) -> TokenUsage | None:
    """Tokens, seconds or both: what it does not name is None; all of it if it names nothing."""
    tokens = responses_usage(usage) or chat_usage(usage)
    try:
        billed = (_duration(usage) if is_given(usage) else None) or _Duration()
    except msgspec.DecodeError:
        billed = _Duration()
    said = (billed.seconds, billed.prompt_audio_seconds, duration)
    seconds = _whole_seconds(next((one for one in said if one is not None), None))
    return tokens if seconds is None else replace(tokens or TokenUsage(None, None), units=seconds)


def _whole_seconds(said: float | str | None) -> int | None:
    """Begun seconds counted whole; None for what makes no sense."""
    try:
        seconds = float(said) if said is not None else -1.0
    except ValueError:
        return None
    return math.ceil(seconds) if 0 <= seconds < 2**31 else None


# -- events

_BYTES_PER_AUDIO_TOKEN = 1067
"""In base64, of MP3 at 128 kbit/s: a token is 50 ms."""


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: msgspec.Raw = ABSENT
    audio: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT


_event = msgspec.json.Decoder(_Event).decode
_LAST = {"transcript.text.done", "speech.audio.done"}


class AudioReader:
    """A stream of sound, or of the text of sound. Its last event says what was used; vLLM's text
    comes in chunks, as of a chat.

    characters: of the text that is spoken, which no event says.
    """

    ending = None

    def __init__(self, characters: int | None = None) -> None:
        self._characters = characters
        self._chunks = ChunkReader(choices=1)
        self._is_done = False

    @property
    def complete(self) -> bool:
        return self._is_done or self._chunks.complete

    def read(self, name: bytes, data: bytes) -> Heard | None:
        if data == b"[DONE]":
            return self._chunks.read(name, data)
        try:
            event = _event(data)
        except UNREADABLE:
            return None
        if name == b"error" or event.type == "error":
            return Heard(fault=error_in(data))
        if not event.type:
            return self._chunks.read(name, data)
        if event.type in _LAST:
            self._is_done = True
            usage = _usage_of(event.usage)
            if usage is not None and self._characters is not None:
                usage = replace(usage, units=self._characters)
            return Heard(usage=usage, keeps=True)
        text_bytes = max(0, len(bytes(event.delta)) - 2)
        audio_tokens = math.ceil(len(bytes(event.audio)) / _BYTES_PER_AUDIO_TOKEN)
        pieces = event.type.endswith(".delta")
        return Heard(text_bytes=text_bytes + audio_tokens * BYTES_PER_TOKEN, pieces=pieces)

    def with_cost(self, data: bytes, cost: Money) -> bytes:
        return data if data == b"[DONE]" else bodies.with_cost(data, cost)


def broken(error: ProxyError) -> bytes:
    """The end of a stream that was cut: an error where clients look for one."""
    return framed(error.body())
