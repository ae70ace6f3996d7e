"""Sandbox providers that speak and listen: real sound files, forms, transcripts in every form."""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sandbox import Behaviour, SandboxProvider
from benchmarks.sandbox.endpoints.transcriptions import seconds_of
from benchmarks.sandbox.form import Form, Upload, read_form
from benchmarks.sandbox.refusal import Refusal

VOICE, EAR, WHISPER = "tts-1", "gpt-4o-transcribe", "whisper-1"
FAST = Behaviour(models=(VOICE, EAR, WHISPER), time_scale=0.0)


@pytest.fixture
async def provider() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as running:
        yield running


@pytest.fixture
async def client(provider: SandboxProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=provider.base_url, api_key="sk-any", max_retries=0
    ) as official:
        yield official


def sound(seconds: float, *, rate: int = 8_000, channels: int = 1, width: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(b"\0" * (round(seconds * rate) * channels * width))
    return file.getvalue()


# Speech


async def test_speech_is_a_sound_file_as_long_as_the_text(
    provider: SandboxProvider, client: openai.AsyncOpenAI
) -> None:
    """A WAV that a reader of WAVs reads, 20 ms for each character, and billed by the character."""
    lengths = {}
    for characters in (1, 50, 175, 4_096):
        spoken = await client.audio.speech.create(
            model=VOICE, voice="alloy", input="é" * characters, response_format="wav"
        )
        with wave.open(io.BytesIO(spoken.content)) as reader:
            lengths[characters] = reader.getnframes() / reader.getframerate()
            assert len(reader.readframes(10**9)) == reader.getnframes()
            assert len(spoken.content) == 44 + reader.getnframes()

    assert lengths == {1: 0.02, 50: 1.0, 175: 3.5, 4_096: 81.92}
    assert provider.tally.units == {"character": 4_322}
    assert (provider.tally.prompt_tokens, provider.tally.completion_tokens) == (0, 0)


async def test_speech_comes_in_chunks(client: openai.AsyncOpenAI) -> None:
    """It is sent as it is spoken, without a length before; raw samples have no head."""
    async with client.audio.speech.with_streaming_response.create(
        model=VOICE, voice="alloy", input="x" * 4_096, response_format="pcm"
    ) as response:
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.headers["content-type"] == "audio/pcm"
        chunks = [chunk async for chunk in response.iter_bytes(chunk_size=1_000)]

    assert len(b"".join(chunks)) == 4_096 * 160
    assert set(b"".join(chunks)) == {0x80}


@pytest.mark.parametrize(
    "wrong",
    [
        {"response_format": "mp3"},
        {"input": "x" * 4_097},
        {"input": ""},
        {"extra_body": {"stream_format": "sse"}},
    ],
)
async def test_speech_that_is_not_made(client: openai.AsyncOpenAI, wrong: dict[str, Any]) -> None:
    """What a sandbox cannot make is refused, and not something else under its name."""
    asked: dict[str, Any] = {"model": VOICE, "voice": "alloy", "input": "x"}
    with pytest.raises(openai.BadRequestError):
        await client.audio.speech.create(**asked | wrong)


# How long it is


@given(
    frames=st.integers(0, 3_000),
    rate=st.sampled_from([8_000, 44_100]),
    channels=st.integers(1, 2),
    width=st.sampled_from([1, 2]),
)
def test_a_wav_is_as_long_as_its_frames(frames: int, rate: int, channels: int, width: int) -> None:
    """Whatever its rate, channels and sample width."""
    file = sound(frames / rate, rate=rate, channels=channels, width=width)
    assert seconds_of(file) == pytest.approx(frames / rate)


def test_a_wav_is_never_longer_than_its_bytes() -> None:
    """A head that promises more than came is not believed; what is no WAV goes by its size."""
    boastful = bytearray(sound(1.0))
    boastful[40:44] = b"\xff\xff\xff\x7f"
    assert seconds_of(bytes(boastful)) < 1.01
    assert seconds_of(b"ID3" + b"\0" * 31_997) == 2.0
    assert seconds_of(b"RIFF") < 0.001


# Transcripts


async def test_a_transcript_in_every_form(
    provider: SandboxProvider, client: openai.AsyncOpenAI
) -> None:
    """Two words a second, always the same; seconds begun are billed whole."""
    given: dict[str, Any] = {"model": WHISPER, "file": ("a.wav", sound(5.5))}
    plain = await client.audio.transcriptions.create(**given)
    text = await client.audio.transcriptions.create(**given, response_format="text")
    verbose = await client.audio.transcriptions.create(
        **given, response_format="verbose_json", timestamp_granularities=["word"]
    )
    translated = await client.audio.translations.create(**given, response_format="verbose_json")

    assert len(plain.text.split()) == 11
    assert plain.usage is not None
    assert plain.usage.to_dict() == {"type": "duration", "seconds": 6}
    assert text == plain.text + "\n"
    assert (verbose.text, verbose.duration) == (plain.text, 5.5)
    assert [one.word for one in verbose.words or []] == plain.text.split()
    assert (verbose.words or [])[-1].end == pytest.approx(5.5)
    assert "".join(one.text for one in verbose.segments or []) == plain.text
    assert translated.text == plain.text
    assert provider.tally.units == {"second": 24}
    assert (provider.tally.prompt_tokens, provider.tally.completion_tokens) == (0, 0)


@pytest.mark.parametrize(("form", "head", "point"), [("srt", "", ","), ("vtt", "WEBVTT\n\n", ".")])
async def test_subtitles(client: openai.AsyncOpenAI, form: Any, head: str, point: str) -> None:
    """Numbered, in order, without gaps; together they are the transcript."""
    file = ("a.wav", sound(3_610, rate=1_000))
    got: Any = await client.audio.transcriptions.create(
        model=WHISPER,
        file=file,
        response_format=form,
        extra_body={"sandbox": '{"output_tokens": 20}'},
    )

    assert got.startswith(head)
    cues = re.findall(r"(\d+)\n([\d:,.]+) --> ([\d:,.]+)\n(.+)\n\n", got.removeprefix(head))
    assert [int(number) for number, *_ in cues] == [1, 2, 3]
    assert cues[0][1] == f"00:00:00{point}000"
    assert cues[-1][2] == f"01:00:10{point}000"
    assert [end for _, _, end, _ in cues[:-1]] == [start for _, start, _, _ in cues[1:]]
    assert len(" ".join(text for *_, text in cues).split()) == 20


async def test_gpt_4o_counts_tokens(provider: SandboxProvider, client: openai.AsyncOpenAI) -> None:
    """Ten tokens of audio a second and the prompt's words in, the transcript's words out."""
    file = ("a.wav", sound(2.5))
    heard = await client.audio.transcriptions.create(model=EAR, file=file, prompt="a b c")

    assert heard.usage is not None
    assert heard.text == "hawthorn hazel holly dogwood elder"
    assert heard.usage.to_dict() == {
        "type": "tokens",
        "input_tokens": 28,
        "input_token_details": {"text_tokens": 3, "audio_tokens": 25},
        "output_tokens": 5,
        "total_tokens": 33,
    }
    assert (provider.tally.prompt_tokens, provider.tally.completion_tokens) == (28, 5)
    assert provider.tally.units == {}


async def test_gpt_4o_streams(provider: SandboxProvider, client: openai.AsyncOpenAI) -> None:
    """Deltas, then the whole text with its usage: what the plain answer says."""
    given: dict[str, Any] = {"model": EAR, "file": ("a.wav", sound(30))}
    plain = await client.audio.transcriptions.create(**given)
    stream = await client.audio.transcriptions.create(**given, stream=True)
    *deltas, done = [event async for event in stream]

    assert "".join(one.delta for one in deltas) == plain.text == done.text
    assert len(deltas) > 1
    assert done.usage.to_dict() == plain.usage.to_dict()
    assert provider.tally.completion_tokens == 2 * len(plain.text.split())
    assert provider.tally.exchanges[-1].streamed


async def test_whisper_does_not_stream(client: openai.AsyncOpenAI) -> None:
    """As with the real one, `stream` is passed over."""
    raw = await client.audio.transcriptions.with_raw_response.create(
        model=WHISPER, file=("a.wav", sound(1)), stream=True
    )
    assert raw.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": EAR, "response_format": "srt"},
        {"model": WHISPER, "response_format": "diarized_json"},
        {"model": WHISPER, "file": ("a.wav", b"")},
        {"model": WHISPER, "extra_body": {"sandbox": "{"}},
    ],
)
async def test_wrong_forms(client: openai.AsyncOpenAI, wrong: dict[str, Any]) -> None:
    """A format that the model does not write, no sound, no JSON: a 400 that says so."""
    with pytest.raises(openai.BadRequestError):
        await client.audio.transcriptions.create(**{"file": ("a.wav", sound(1))} | wrong)


async def test_audio_that_is_too_large(provider: SandboxProvider) -> None:
    """Above OpenAI's limit a 413, and nothing is billed."""
    form = aiohttp.FormData({"model": WHISPER})
    form.add_field("file", io.BytesIO(b"\0" * (25 * 1024 * 1024 + 1)), filename="a.wav")
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{provider.base_url}/audio/transcriptions", data=form) as response,
    ):
        assert response.status == 413
    assert provider.tally.billed_requests == 0


async def test_what_is_said_has_a_voice_too() -> None:
    """A provider with a voice hears other words."""
    async with SandboxProvider(replace(FAST, voice="north")) as provider:
        form = aiohttp.FormData({"model": WHISPER, "response_format": "text"})
        form.add_field("file", sound(1), filename="a.wav")
        url = f"{provider.base_url}/audio/transcriptions"
        async with aiohttp.ClientSession() as http, http.post(url, data=form) as response:
            assert await response.text() == "north-hawthorn north-hazel\n"


# Forms


async def encoded(form: aiohttp.FormData) -> tuple[bytes, str]:
    """A form as aiohttp's client writes it."""
    payload: Any = form()
    return await payload.as_bytes(), payload.content_type + "; boundary=" + payload.boundary


@given(
    content=st.binary(max_size=200), text=st.text(max_size=50), name=st.text("abü.;", min_size=1)
)
async def test_a_form_comes_back_as_it_was(content: bytes, text: str, name: str) -> None:
    """Every byte of a file, every character of a text, whatever line ends are in them."""
    written = aiohttp.FormData([("plain", text), ("plain", "again")], quote_fields=False)
    written.add_field("file", content, filename=name, content_type="audio/wav")
    body, content_type = await encoded(written)

    form = read_form(body, content_type)

    assert isinstance(form, Form)
    assert form.texts == {"plain": [text, "again"]}
    assert form.text("plain") == "again"
    assert form.text("other") is None
    assert form.files == {"file": Upload(name, content)}


PART = b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n'


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (PART + b"--x--", "application/json"),
        (PART + b"--x--", "multipart/form-data"),
        (PART, "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data; boundary=x"),
        (PART * 101 + b"--x--", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\n1\r\n--x--", "multipart/form-data; boundary=x"),
        (PART.replace(b"1", b"\xff") + b"--x--", "multipart/form-data; boundary=x"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, content_type: str) -> None:
    """Another type, no boundary, no end, too many parts, a part without a name, no text."""
    assert isinstance(read_form(body, content_type), Refusal)
    sound_form = read_form(PART + b"--x--\r\n", 'multipart/form-data; boundary="x"')
    assert isinstance(sound_form, Form)
    assert json.dumps(sound_form.texts) == '{"a": ["1"]}'
