"""Speech, transcriptions and translations: what the official client sends and is told, and what
is held and charged for it."""

from __future__ import annotations

import io
import itertools
import json
import wave
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import APIError, OpenAI

from benchmarks.offers import Task
from ledger.money import usd
from ledger.usage import TokenUsage
from proxy.endpoints import Endpoint
from proxy.errors import Invalid, UpstreamFailed
from proxy.relay import StreamRelay
from proxy.tellers import NamedTeller
from proxy.wires.audio import SpeechWire, TranscriptionsWire, broken
from proxy.wires.wire import Ask, Plain
from tests.proxy.wire_clients import PROVIDER, Sent, talk

SPEECH = SpeechWire()
TRANSCRIPTIONS = TranscriptionsWire(Endpoint.TRANSCRIPTIONS)
JSON, EVENTS = "application/json", "text/event-stream"


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writing:
        writing.setnchannels(1)
        writing.setsampwidth(2)
        writing.setframerate(8_000)
        writing.writeframes(bytes(2 * round(8_000 * seconds)))
    return file.getvalue()


def events(*said: dict[str, Any], done: bool = True) -> bytes:
    told = b"".join(b"data: " + raw(one) + b"\n\n" for one in said)
    return told + b"data: [DONE]\n\n" if done else told


# -- speech


def speak(**fields: Any) -> Ask:
    return SPEECH.ask(raw({"model": "m", "input": "hello", "voice": "alloy"} | fields), JSON)


@given(st.text(min_size=1))
def test_speech_is_sold_by_the_character(text: str) -> None:
    """Of the text, not by its bytes."""
    asked = speak(input=text)
    assert (asked.task, asked.units, asked.stream) == (Task.SPEECH, len(text), False)
    assert asked.prompt_bytes > len(text.encode())


def test_there_is_no_speech_without_a_text() -> None:
    """Nobody could say what it costs."""
    with pytest.raises(Invalid) as refused:
        speak(input="")
    assert refused.value.param == "input"


@pytest.mark.parametrize("speed", [None, 0.25, 1.0, 4.0])
def test_slow_speech_is_held_longer(speed: float | None) -> None:
    """OpenAI makes 20 tokens a second; a text of large numbers takes half a second a character.
    Whether fast speech is made of fewer tokens, nobody says."""
    text = "1,234,567 " * 10
    spoken_s = 50.0 / min(1.0, speed or 1.0)
    most = speak(input=text, speed=speed).most_completion_tokens
    assert most is not None
    assert 20 * spoken_s <= most <= 50 * spoken_s


def test_the_official_client_sends_a_text_and_gets_sound() -> None:
    """Byte by byte. Its characters are known; its tokens are told by how long it is."""
    sound = wav(3.0)
    assert SPEECH.with_cost(sound, usd("0.25")) == sound
    sent, made = talk(
        lambda client: client.audio.speech.create(
            model="m", input="hello", voice={"id": "voice_1"}, response_format="wav"
        ),
        sound,
        "audio/wav",
    )
    assert made.read() == sound
    asked = sent.ask()
    assert json.loads(sent.rewritten("theirs")) == json.loads(sent.body) | {"model": "theirs"}
    plain = SPEECH.plain(sound, asked)
    assert plain is not None
    assert plain.usage == TokenUsage(None, None, units=5)
    assert plain.text_bytes / 4 == 3 * 21


def test_sound_that_does_not_tell_its_length_is_as_long_as_its_text() -> None:
    """PCM has no header: 15 characters are a second."""
    plain = SPEECH.plain(bytes(999_999), speak(input="x" * 150))
    assert plain == Plain(TokenUsage(None, None, units=150), 4 * 10 * 21)


@pytest.mark.parametrize("body", [b"", b'{"error":{"message":"no"}}', b'{"error":"no"}'])
def test_an_error_is_no_sound(body: bytes) -> None:
    """Whatever its status says."""
    assert SPEECH.plain(body, speak()) is None


def speech_events(**usage: int) -> list[dict[str, Any]]:
    parts = [{"type": "speech.audio.delta", "audio": "AAAA" * 500} for _ in range(3)]
    return [*parts, {"type": "speech.audio.done", "usage": usage}]


def test_speech_in_events_says_what_it_used() -> None:
    """Its last event waits for the charge, and tells it."""
    asked = speak(stream_format="sse")
    assert asked.stream
    relay = StreamRelay(SPEECH.reader(asked), NamedTeller(broken), wants_usage=asked.wants_usage)
    said = speech_events(input_tokens=14, output_tokens=101, total_tokens=115)
    told = relay.feed(events(*said[:-1], done=False))
    assert told == events(*said[:-1], done=False)
    assert relay.feed(events(said[-1])) == b""
    assert relay.complete
    assert relay.used(1) == (TokenUsage(14, 101, units=5), False)
    end = relay.close(usd("0.25"))
    with_cost = said[-1] | {"usage": said[-1]["usage"] | {"cost": 0.25}}
    first, last, _ = end.split(b"\n\n")
    assert json.loads(first.removeprefix(b"data: ")) == with_cost
    assert last == b"data: [DONE]"


def test_speech_that_is_cut_is_counted_by_what_came() -> None:
    """2000 bytes of base64 are two tokens of MP3; and it is not whole."""
    asked = speak(stream_format="sse")
    relay = StreamRelay(SPEECH.reader(asked), NamedTeller(broken), wants_usage=True)
    relay.feed(events(*speech_events()[:-1], done=False))
    assert relay.used(9) == (TokenUsage(9, 6), True)
    assert not relay.complete


# -- transcriptions and translations


def transcribe(sound: bytes = wav(2.5), **fields: Any) -> Sent:
    """What the official client sends."""
    sent, _ = talk(
        lambda client: client.audio.transcriptions.create(
            model="m", file=("a.wav", sound), **fields
        ),
        raw({"text": ""}),
    )
    return sent


@given(st.integers(1, 200), st.text(max_size=50))
def test_a_recording_is_held_by_the_second(tenths: int, prompt: str) -> None:
    """Begun seconds counted whole; its tokens of sound and text are bounded by them."""
    asked = transcribe(wav(tenths / 10), prompt=prompt).ask()
    seconds = -(-tenths // 10)
    assert (asked.task, asked.units) == (Task.TRANSCRIPTION, seconds)
    assert asked.prompt_bytes >= 32 * seconds + len(prompt.encode())
    assert asked.most_completion_tokens == 25 * seconds


def test_a_recording_of_an_unknown_kind_is_held_as_the_thinnest() -> None:
    """500 bytes a second."""
    assert transcribe(bytes(50_001)).ask().units == 101


def test_of_a_form_only_the_model_is_changed() -> None:
    """The recording above all."""
    sent = transcribe(prompt="model", language="de", timestamp_granularities=["word"])
    name = b'name="model"\r\n\r\n'
    before, after = sent.body.split(name + b"m\r\n")
    assert sent.rewritten("theirs/whisper", 7) == before + name + b"theirs/whisper\r\n" + after


@pytest.mark.parametrize(
    ("said", "stream"), [("true", True), ("True", True), ("1", True), ("false", False), ("", False)]
)
def test_a_stream_is_asked_for_in_words(said: str, stream: bool) -> None:
    """In those that hosts take for true."""
    assert transcribe(extra_body={"stream": said}).ask().stream is stream


def test_translations_have_no_stream() -> None:
    """OpenAI passes over the field there, and answers whole."""
    sent, made = talk(
        lambda client: client.audio.translations.create(
            model="m", file=("a.wav", wav(1)), extra_body={"stream": "true"}
        ),
        raw({"text": "hello"}),
    )
    assert made.text == "hello"
    assert not sent.ask().stream
    assert sent.ask().task is Task.TRANSCRIPTION


@pytest.mark.parametrize(
    ("extra", "code", "param"),
    [
        ({"url": "http://a/b.mp3"}, "unpriced_feature", "url"),
        ({"file_url": "http://a/b.mp3"}, "unpriced_feature", "file_url"),
        ({"file_id": "f"}, "unpriced_feature", "file_id"),
        ({"stream": "perhaps"}, "invalid_type", "stream"),
        ({"Model": "x"}, "invalid_type", "Model"),
        ({"FILE": "x"}, "invalid_type", "FILE"),
        ({"model": ""}, "invalid_type", "model"),
    ],
)
def test_forms_that_nobody_can_price_are_refused(
    extra: dict[str, str], code: str, param: str
) -> None:
    """By the name of the field."""
    with pytest.raises(Invalid) as refused:
        transcribe(extra_body=extra).ask()
    assert (refused.value.code, refused.value.param) == (code, param)


@pytest.mark.parametrize(
    ("parts", "code", "param"),
    [
        (["model"], "invalid_type", "file"),
        (["file"], "invalid_type", "model"),
        (["model", "file", "file"], "invalid_type", "file"),
        (["model", "model", "file"], "invalid_type", "model"),
        (["model", "file", 'x"; filename="b.wav'], "unpriced_feature", "x"),
    ],
    ids=str,
)
def test_a_form_has_one_model_and_one_file(parts: list[str], code: str, param: str) -> None:
    """And no other file, which might be transcribed in its place."""
    disposition = 'Content-Disposition: form-data; name="'
    body = "".join(f'--b\r\n{disposition}{name}"\r\n\r\nv\r\n' for name in parts) + "--b--\r\n"
    with pytest.raises(Invalid) as refused:
        TRANSCRIPTIONS.ask(body.encode(), "multipart/form-data; boundary=b")
    assert (refused.value.code, refused.value.param) == (code, param)


def test_a_recording_has_a_length() -> None:
    """An empty one has none that anybody could charge for."""
    with pytest.raises(Invalid) as refused:
        transcribe(b"").ask()
    assert refused.value.param == "file"


def test_json_is_no_form() -> None:
    """The refusal says what it should be."""
    with pytest.raises(Invalid, match="multipart/form-data"):
        TRANSCRIPTIONS.ask(raw({"model": "m"}), JSON)


TOKENS = {
    "type": "tokens",
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
    "output_tokens": 45,
    "total_tokens": 59,
}


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        ({"usage": TOKENS}, TokenUsage(14, 45)),
        ({"usage": {"type": "duration", "seconds": 9}}, TokenUsage(None, None, units=9)),
        ({"usage": {"type": "duration", "seconds": 8.2}}, TokenUsage(None, None, units=9)),
        ({"duration": 8.47, "language": "english"}, TokenUsage(None, None, units=9)),
        ({"duration": "8.47", "language": "english"}, TokenUsage(None, None, units=9)),
        (
            {"duration": 8.47, "usage": {"type": "duration", "seconds": 10}},
            TokenUsage(None, None, units=10),
        ),
        ({"duration": 8.47, "usage": TOKENS, "segments": []}, TokenUsage(14, 45, units=9)),
        # Mistral
        (
            {
                "usage": {
                    "prompt_audio_seconds": 203,
                    "prompt_tokens": 4,
                    "completion_tokens": 635,
                    "total_tokens": 3264,
                }
            },
            TokenUsage(4, 635, units=203),
        ),
        ({"x_groq": {"id": "req_1"}}, None),
        ({"duration": "long", "usage": "much"}, None),
        ({"duration": -1.0}, None),
        ({"duration": 1e300}, None),
    ],
    ids=str,
)
def test_transcripts_say_what_they_used_as_each_host_writes_it(
    fields: dict[str, Any], usage: TokenUsage | None
) -> None:
    """Tokens, seconds, both or neither; what an answer does not name is unknown."""
    plain = TRANSCRIPTIONS.plain(raw({"text": "für"} | fields), transcribe().ask())
    assert plain == Plain(usage, 4)


@pytest.mark.parametrize("form", ["json", "verbose_json", "diarized_json"])
def test_the_official_client_reads_transcripts(form: Any) -> None:
    """With their cost, where they have a usage."""
    answer = {"text": "hi", "language": "en", "duration": 2.5, "segments": [], "task": "transcribe"}
    answer["usage"] = TOKENS if form == "json" else {"type": "duration", "seconds": 3}
    told = TRANSCRIPTIONS.with_cost(raw(answer), usd("0.25"))
    _, made = talk(
        lambda client: client.audio.transcriptions.create(
            model="m", file=("a.wav", wav(1)), response_format=form
        ),
        told,
    )
    assert made.text == "hi"
    assert made.usage is not None
    assert made.usage.model_dump()["cost"] == 0.25


@pytest.mark.parametrize(
    "text",
    ["", "\n", "Hello.", "1\n00:00:00,000 --> 00:00:01,000\nHi\n", "WEBVTT\n", "[1]", "7", '"a"'],
)
def test_text_and_subtitles_are_answers(text: str) -> None:
    """They pass as they are; what they used is unknown, and estimated by the recording's length."""
    body = text.encode()
    assert TRANSCRIPTIONS.plain(body, transcribe().ask()) == Plain(None, len(body))
    assert TRANSCRIPTIONS.with_cost(body, usd("0.25")) == body


@pytest.mark.parametrize("body", [b"{}", b'{"error":{"message":"no"}}', b'{"text":1}', b"\xff\xfe"])
def test_what_is_no_transcript_is_none(body: bytes) -> None:
    """An object without a text, or bytes that are none."""
    assert TRANSCRIPTIONS.plain(body, transcribe().ask()) is None


# -- events of transcripts

SAID: list[dict[str, Any]] = [
    {"type": "transcript.text.delta", "delta": "Hel"},
    {"type": "transcript.text.delta", "delta": "lo"},
    {
        "type": "transcript.text.segment",
        "id": "1",
        "start": 0,
        "end": 1,
        "speaker": "A",
        "text": "",
    },
    {"type": "transcript.text.done", "text": "Hello", "usage": TOKENS},
]


def relayed() -> StreamRelay:
    asked = transcribe(stream=True).ask()
    assert asked.stream
    return StreamRelay(TRANSCRIPTIONS.reader(asked), NamedTeller(broken), wants_usage=True)


def heard(told: bytes) -> list[Any]:
    """What the official client makes of a stream."""

    def call(client: OpenAI) -> list[Any]:
        stream = client.audio.transcriptions.create(model="m", file=("a.wav", wav(1)), stream=True)
        return list(stream)

    return talk(call, told, EVENTS)[1]


@given(st.lists(st.integers(0, 500), max_size=5).map(sorted), st.booleans())
def test_the_official_client_hears_a_transcript(cuts: list[int], done: bool) -> None:
    """However it is cut into pieces on its way, with or without [DONE]: whole, with its cost."""
    whole, relay, told = events(*SAID, done=done), relayed(), b""
    places = [0, *cuts, len(whole)]
    for start, end in itertools.pairwise(places):
        told += relay.feed(whole[start:end])
    assert relay.complete
    assert relay.used(1) == (TokenUsage(14, 45), False)
    made = heard(told + relay.close(usd("0.25")))
    assert [one.type for one in made] == [one["type"] for one in SAID]
    assert "".join(one.delta for one in made[:2]) == made[-1].text == "Hello"
    assert made[-1].usage.model_dump()["cost"] == 0.25


def test_a_transcript_that_is_cut_is_counted_by_its_text() -> None:
    """And told as an error, not as an end."""
    relay = relayed()
    told = relay.feed(events(*SAID[:2], done=False))
    assert (relay.complete, relay.used(3)) == (False, (TokenUsage(3, 2), True))
    with pytest.raises(APIError, match="it broke off"):
        heard(told + relay.broken(UpstreamFailed("it broke off")))


@pytest.mark.parametrize(
    "said",
    [
        b'data: {"type":"error","error":{"message":"too loud"}}\n\n',
        b'data: {"error":{"message":"too loud"}}\n\n',
        b'event: error\ndata: {"message":"too loud"}\n\n',
        b'event: error\ndata: {"type":"server_error","message":"too loud"}\n\n',
    ],
)
def test_an_error_in_the_middle_is_a_fault(said: bytes) -> None:
    """In the provider's words."""
    relay = relayed()
    relay.feed(events(SAID[0], done=False) + said + events(SAID[-1]))
    assert (relay.complete, relay.fault) == (False, "too loud")


def test_chunks_of_a_chat_are_understood() -> None:
    """As vLLM writes transcripts: its chunks, its usage and its end."""
    chunk = {
        "object": "transcription.chunk",
        "choices": [{"index": 0, "delta": {"content": "Hello"}}],
    }
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    relay = relayed()
    whole = events(chunk, {"object": "transcription.chunk", "choices": [], "usage": usage})
    told = relay.feed(whole)
    assert told == events(chunk, done=False)
    assert relay.complete
    assert relay.used(1) == (TokenUsage(3, 2), False)
    assert relay.close(usd("0.25")).endswith(b'"cost":0.25}}\n\ndata: [DONE]\n\n')


@given(st.binary() | st.sampled_from([b"[]", b"null", b'{"type":1}', b'{"usage":[]}']))
def test_an_event_that_makes_no_sense_is_passed_over(data: bytes) -> None:
    """No bytes make an exception."""
    reader = TRANSCRIPTIONS.reader(transcribe().ask())
    found = reader.read(b"", data)
    assert found is None or found.usage is None


def test_a_provider_sees_what_it_is_sent() -> None:
    """The rewritten form is a form again, for the next wire that reads it."""
    sent = transcribe()
    again = TRANSCRIPTIONS.rewrite(sent.body, sent.content_type, PROVIDER, "theirs", None)
    assert TRANSCRIPTIONS.ask(again, sent.content_type).model == "theirs"
