"""Duration: files that are made here, second by second, are found to be as long as they are."""

from __future__ import annotations

import io
import math
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wires.duration import THINNEST_BYTES_PER_S, most_seconds, seconds_told

samples = st.integers(1, 100_000)
rates_hz = st.sampled_from([8_000, 11_025, 16_000, 24_000, 44_100, 48_000])


def told(file: bytes) -> float | None:
    """What a file tells, wherever in a body it stands."""
    found = seconds_told(file, 0, len(file))
    around = seconds_told(b"--b\r\n" + file + b"\r\n--b--", 5, 5 + len(file))
    assert around == found
    return found


# -- WAV


def wav(count: int, rate_hz: int, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writing:
        writing.setnchannels(channels)
        writing.setsampwidth(width)
        writing.setframerate(rate_hz)
        writing.writeframes(bytes(count * channels * width))
    return file.getvalue()


@given(st.integers(1, 20_000), rates_hz, st.integers(1, 2), st.integers(1, 3))
def test_wav_is_exact(count: int, rate_hz: int, channels: int, width: int) -> None:
    """As the standard library writes it."""
    assert told(wav(count, rate_hz, channels, width)) == count / rate_hz


@pytest.mark.parametrize("claim", [0, 1, 0xFFFF_FFFF])
def test_wav_is_as_long_as_its_samples_are_many(claim: int) -> None:
    """Whatever number its header claims: who streams it does not know, and who lies does."""
    file = wav(16_000, 8_000)
    at = file.index(b"data") + 4
    assert told(file[:at] + struct.pack("<I", claim) + file[at + 4 :]) == 2.0


def test_wav_with_other_chunks_before_its_samples() -> None:
    """Names of odd length are followed by a byte that does not count."""
    file = wav(16_000, 8_000)
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    at = file.index(b"data")
    assert told(file[:at] + extra + file[at:]) == 2.0


@pytest.mark.parametrize(("kind", "found"), [(1, 2.0), (3, 2.0), (6, 2.0), (7, 2.0), (2, None)])
@pytest.mark.parametrize("extensible", [False, True])
def test_wav_of_packed_samples_does_not_tell(
    kind: int, found: float | None, extensible: bool
) -> None:
    """Their number does not follow from their bytes (ADPCM, or MP3 in a WAV)."""
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else kind, 1, 8_000, 16_000, 2, 16)
    form += struct.pack("<HHIH14x", 22, 16, 0, kind) if extensible else b""
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", 32_000) + bytes(32_000)
    assert told(b"RIFF" + struct.pack("<I", len(chunks)) + chunks) == found


# -- FLAC


def flac(count: int, rate_hz: int, size: int) -> bytes:
    packed = rate_hz << 44 | 1 << 41 | 15 << 36 | count
    info = struct.pack(">HH6xQ16x", 4096, 4096, packed)
    head = b"fLaC" + struct.pack(">I", 0x80 << 24 | len(info)) + info
    return head + bytes(max(0, size - len(head)))


@given(samples, rates_hz)
def test_flac_is_as_long_as_its_header_says(count: int, rate_hz: int) -> None:
    """However well it is packed."""
    assert told(flac(count, rate_hz, 1_000)) == count / rate_hz


@pytest.mark.parametrize(("count", "rate_hz"), [(0, 44_100), (1_000, 0)])
def test_flac_may_not_say(count: int, rate_hz: int) -> None:
    """A recorder that did not know."""
    assert told(flac(count, rate_hz, 1_000)) is None


# -- MP3

BIT_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)


def frame(kbit_s: int = 128, padding: bool = False, content: bytes = b"") -> bytes:
    """MPEG 1, layer III, 44100 Hz, stereo: 1152 samples."""
    index = BIT_RATES.index(kbit_s) + 1
    head = bytes((0xFF, 0xFB, index << 4 | padding << 1, 0))
    size = 144 * kbit_s * 1000 // 44_100 + padding
    return (head + content).ljust(size, b"\0")


def xing(frames: int, size: int, name: bytes = b"Xing") -> bytes:
    return frame(content=bytes(32) + name + struct.pack(">III", 3, frames, size))


@given(st.sampled_from(BIT_RATES), st.integers(2, 200), st.sampled_from([0, 10, 300]))
def test_mp3_of_one_bit_rate(kbit_s: int, frames: int, tag: int) -> None:
    """By its bit rate; a tag before or after it counts as sound, which is too long by as much."""
    file = frame(kbit_s) * frames
    before = b"ID3\4\0\0" + bytes((0, 0, tag >> 7, tag & 127)) + bytes(tag) if tag else b""
    seconds, found = frames * 1152 / 44_100, told(before + file + b"TAG" + bytes(125))
    assert found is not None
    assert seconds * 0.99 <= found  # a frame is cut to whole bytes
    assert found <= seconds * 1.01 + 128 * 8 / (kbit_s * 1000)


@given(st.lists(st.sampled_from(BIT_RATES), min_size=2, max_size=64), st.integers(0, 200))
def test_mp3_of_many_bit_rates_is_not_too_short(kbits: list[int], more: int) -> None:
    """Without a header that counts its frames, the lowest bit rate that is found is that of all."""
    kbits += kbits[:1] * more
    file = b"".join(frame(kbit_s) for kbit_s in kbits)
    found = told(file)
    assert found is not None
    assert found >= 0.99 * len(kbits) * 1152 / 44_100


@given(
    st.lists(st.sampled_from(BIT_RATES), min_size=1, max_size=100),
    st.sampled_from(["Xing", "Info"]),
)
def test_mp3_with_a_header_is_exact(kbits: list[int], name: str) -> None:
    """The number of frames that its encoder counted."""
    file = b"".join(frame(kbit_s) for kbit_s in kbits)
    head = xing(len(kbits), len(file) + len(frame()), name.encode())
    assert told(head + file) == len(kbits) * 1152 / 44_100


def test_mp3_that_is_several_is_as_long_as_all() -> None:
    """The first header counts only the first file; the bytes say how many there are."""
    one = xing(10, 11 * len(frame())) + frame() * 10
    assert told(one * 5) == pytest.approx(50 * 1152 / 44_100)


@pytest.mark.parametrize(
    "file",
    [
        b"\xff\xfb\x90\x00" + b"noise" * 99,
        b"\xff\xfb\x00\x00" * 99,
        b"\xff\xfb\xf0\x00" * 99,
        b"\xff\xfb\x9c\x00" * 99,
        b"\xff\xf1\x50\x80" * 99,
        b"\xff\xeb\x90\x00" * 99,
    ],
    ids=["one frame", "free format", "no bit rate", "no rate", "AAC", "no version"],
)
def test_what_only_begins_as_mp3_is_not_mp3(file: bytes) -> None:
    """Another codec, or noise."""
    assert told(file) is None


# -- MP4


def box(name: bytes, *inside: bytes, large: bool = False) -> bytes:
    content = b"".join(inside)
    if large:
        return struct.pack(">I4sQ", 1, name, len(content) + 16) + content
    return struct.pack(">I4s", len(content) + 8, name) + content


def movie(ticks: int, ticks_per_s: int, version: int = 0) -> bytes:
    form = ">BxxxQQIQ" if version else ">BxxxIIII"
    header = struct.pack(form, version, 1, 1, ticks_per_s, ticks) + bytes(80)
    return box(b"moov", box(b"udta"), box(b"mvhd", header), box(b"trak"))


BEGIN, SOUND = box(b"ftyp", b"M4A \0\0\0\0"), box(b"mdat", bytes(999))


@given(
    st.integers(1, 10**6), st.sampled_from([600, 1000, 44_100]), st.integers(0, 1), st.booleans()
)
def test_mp4_is_as_long_as_its_movie(ticks: int, scale: int, version: int, large: bool) -> None:
    """Wherever it stands, before its sound or after it."""
    sound, head = box(b"mdat", bytes(3000), large=large), movie(ticks, scale, version)
    for file in (BEGIN + head + sound, BEGIN + sound + head):
        assert told(file) == ticks / scale


@pytest.mark.parametrize(
    "file",
    [
        BEGIN + SOUND,
        BEGIN + movie(0, 1000) + SOUND,
        BEGIN + movie(9, 0) + SOUND,
        BEGIN + movie(2**32 - 1, 1000) + SOUND,
        BEGIN + movie(1000, 1000) + box(b"moof") + SOUND,
        BEGIN + box(b"moov", box(b"trak")) + SOUND,
        BEGIN + struct.pack(">I4s", 3, b"moov"),
        (BEGIN + movie(1000, 1000))[:-100],
    ],
    ids=["none", "zero", "no scale", "unknown", "fragments", "no header", "broken", "cut"],
)
def test_mp4_may_not_say(file: bytes) -> None:
    """A recorder that did not know, or did not come to its end."""
    assert told(file) is None


# -- Ogg

OPUS, VORBIS = b"OpusHead" + bytes(11), b"\x01vorbis" + struct.pack("<IBI", 0, 1, 22_050)


def page(granule: int, content: bytes = b"", stream: int = 7) -> bytes:
    sizes = [255] * (len(content) // 255) + [len(content) % 255]
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, 0, granule, stream, 0, 0, len(sizes))
    return head + bytes(sizes) + content


@given(st.lists(st.integers(1, 99), min_size=1, max_size=20), st.sampled_from([OPUS, VORBIS]))
def test_ogg_is_as_long_as_its_last_page_says(lengths: list[int], head: bytes) -> None:
    """A page tells the place of its last sample; Opus counts at 48000 Hz whatever it plays at."""
    file, place = page(0, head), 0
    for length in lengths:
        place += length * 960
        file += page(place, bytes(length * 20))
    assert told(file) == place / (48_000 if head is OPUS else 22_050)


@pytest.mark.parametrize(
    "file",
    [
        page(0, b"Speex   ") + page(9_600, bytes(99)),
        page(0, OPUS) + page(-1, bytes(99)),
        page(0, OPUS) + page(9_600, bytes(99)) + page(9, bytes(99), stream=8),
        page(0, VORBIS.replace(struct.pack("<I", 22_050), bytes(4))) + page(9, bytes(99)),
        page(0, OPUS)[:30],
        page(0, OPUS)[:20],
    ],
    ids=["other codec", "unknown", "several", "no rate", "cut", "cut before"],
)
def test_ogg_may_not_say(file: bytes) -> None:
    """Several streams, one after the other, are as long as all of them."""
    assert told(file) is None


# -- WebM

UNKNOWN = b"\x01" + b"\xff" * 7


def element(name: str, content: bytes, size: bytes | None = None) -> bytes:
    return bytes.fromhex(name) + (size or struct.pack(">Q", 1 << 56 | len(content))) + content


def block(ticks: int, grouped: bool = False) -> bytes:
    content = b"\x81" + struct.pack(">h", ticks) + b"\x80" + bytes(40)
    return element("a0", element("a1", content)) if grouped else element("a3", content)


def webm(
    clusters: list[tuple[int, list[bytes]]], scale: int | None = None, end: bytes = b""
) -> bytes:
    told_scale = b"" if scale is None else element("2ad7b1", scale.to_bytes(4, "big"))
    file = element("1a45dfa3", b"\x42\x82\x84webm") + bytes.fromhex("18538067") + UNKNOWN
    file += element("1549a966", told_scale)
    for ticks, blocks in clusters:
        content = element("e7", ticks.to_bytes(3, "big")) + b"".join(blocks)
        file += element("1f43b675", content, UNKNOWN)
    return file + end


@given(
    st.integers(0, 500),
    st.lists(st.integers(0, 2_000), min_size=1, max_size=40).map(sorted),
    st.booleans(),
    st.sampled_from([b"", element("1c53bb6b", b"cues")]),
)
def test_webm_is_as_long_as_its_last_block_is_late(
    start: int, ticks: list[int], grouped: bool, end: bytes
) -> None:
    """And as long as one block can be."""
    blocks = [element("ab", b"\0"), *(block(one, grouped) for one in ticks)]
    found = told(webm([(0, [block(0)] * 99), (start, blocks)], end=end))
    assert found == pytest.approx((start + ticks[-1]) / 1000 + 0.12)


def test_webm_has_ticks_of_its_own_length() -> None:
    """If it says so; else they are milliseconds."""
    clusters = [(1_000, [block(500)] * 99)]
    assert told(webm(clusters)) == pytest.approx(1.62)
    assert told(webm(clusters, scale=100_000)) == pytest.approx(0.27)


@pytest.mark.parametrize("blocks", [[], [block(0), element("5854", b"")]], ids=["empty", "strange"])
def test_webm_that_cannot_be_followed_is_as_long_as_can_be(blocks: list[bytes]) -> None:
    """A block says its place after its cluster in 16 bits."""
    clusters = [(0, [block(0)] * 9_999), (1_000, blocks)]
    assert told(webm(clusters)) == pytest.approx(1 + 32.768 + 0.12)


# -- all

MADE = [
    wav(16_000, 8_000),
    flac(16_000, 8_000, 1_000),
    xing(10, 11 * len(frame())) + frame() * 10,
    BEGIN + movie(2_000, 1_000) + SOUND,
    page(0, OPUS) + page(48_000, bytes(999)),
    webm([(0, [block(one) for one in range(0, 1_000, 20)])]),
]


@given(st.sampled_from(MADE), st.data())
def test_no_bytes_make_it_stumble(file: bytes, data: st.DataObject) -> None:
    """Cut anywhere, and with any few bytes changed, a file still has a length, or none is told."""
    cut = file[: data.draw(st.integers(0, len(file)))]
    broken = bytearray(cut)
    places = st.integers(0, min(300, max(0, len(cut) - 1)))
    for place in data.draw(st.lists(places, max_size=8)) if cut else ():
        broken[place] = data.draw(st.integers(0, 255))
    found = told(bytes(broken))
    assert found is None or 0 < found <= len(broken)
    assert most_seconds(bytes(broken), 0, len(broken)) >= math.ceil(found or 0)


@given(st.binary(max_size=3_000))
def test_what_is_not_known_is_of_the_thinnest_codec(noise: bytes) -> None:
    """No host takes anything with fewer bytes to the second; nothing is no second."""
    file = b"\0" + noise
    assert most_seconds(file, 0, len(file)) == math.ceil(len(file) / THINNEST_BYTES_PER_S)
    assert most_seconds(file, 1, 1) == 0


@pytest.mark.parametrize("claim", [10**9, 2**36 - 1])
def test_nobody_has_a_second_in_less_than_a_byte(claim: int) -> None:
    """A header that claims so is not believed: the file would never fit into a budget."""
    assert told(flac(claim, 8_000, 1_000)) is None
