"""Duration: how many seconds of audio a file has, by its own headers. Nothing is decoded.

    WAV         the bytes of its samples, however many it says there are
    FLAC        the number of samples in its STREAMINFO
    MP3         the frames counted in its Xing header, or the lowest bit rate of its first frames
    MP4, M4A    the duration of the movie, unless it is in fragments
    Ogg         the position of its last page (Opus, Vorbis)
    WebM        the time of its last block
    others      as if they were of the thinnest codec that hosts accept

Where these are not exact they are too long. Whose headers lie gets more transcribed than was held
for: an overrun, booked and counted as any.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

THINNEST_BYTES_PER_S = 500
"""4 kbit/s: AMR begins at 4.75, Opus at 6, MP3 at 8."""


def most_seconds(body: bytes, start: int, end: int) -> int:
    """Of the file in `body[start:end]`, begun seconds counted whole; 0 if it is empty."""
    told = seconds_told(body, start, end)
    return math.ceil((end - start) / THINNEST_BYTES_PER_S if told is None else told)


def seconds_told(body: bytes, start: int, end: int) -> float | None:
    """None for a format that is not known, and for a file that does not say, or not sensibly."""
    try:
        told = _by_its_headers(body, start, end)
    except (struct.error, IndexError):
        return None  # it breaks off in the middle of a header
    is_sensible = told is not None and 0 < told <= end - start
    return told if is_sensible else None  # no codec has a second in less than a byte


def _by_its_headers(body: bytes, start: int, end: int) -> float | None:
    if body.startswith(b"ID3", start, end):
        start += 10 + _synchsafe(body[start + 6 : start + 10])
    if body.startswith(b"RIFF", start, end) and body.startswith(b"WAVE", start + 8, end):
        return _wav(body, start + 12, end)
    if body.startswith(b"fLaC", start, end):
        return _flac(body, start)
    if body.startswith(b"ftyp", start + 4, end):
        return _mp4(body, start, end)
    if body.startswith(b"OggS", start, end):
        return _ogg(body, start, end)
    if body.startswith(b"\x1a\x45\xdf\xa3", start, end):
        return _webm(body, start, end)
    return _mp3(body, start, end)


def _synchsafe(size: bytes) -> int:
    """Four bytes, of which the high bits do not count."""
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(size)))


# -- WAV, FLAC

_PLAIN_SAMPLES = {1, 3, 6, 7}
"""Whole numbers, floating point, A-law, mu-law: every sample has the same size."""
_EXTENSIBLE = 0xFFFE
_CHUNKS = 64


def _wav(body: bytes, at: int, end: int) -> float | None:
    bytes_per_s = 0
    for _ in range(_CHUNKS):
        name, size = struct.unpack_from("<4sI", body, at)
        at += 8
        if name == b"data":
            return (end - at) / bytes_per_s if bytes_per_s else None
        if name == b"fmt ":
            kind, channels, rate_hz, bits = struct.unpack_from("<HHIxxxxxxH", body, at)
            if kind == _EXTENSIBLE:
                (kind,) = struct.unpack_from("<H", body, at + 24)
            bytes_per_s = channels * rate_hz * bits // 8 if kind in _PLAIN_SAMPLES else 0
        at += size + size % 2
    return None


def _flac(body: bytes, start: int) -> float | None:
    kind, packed = struct.unpack_from(">4xB13xQ", body, start)
    rate_hz, samples = packed >> 44, packed & (1 << 36) - 1
    return samples / rate_hz if kind & 0x7F == 0 and rate_hz else None


# -- MP3

_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""By the version in a frame's header: MPEG 1, 2, 2.5."""
_KBIT_S_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_S_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_FRAMES = 64


class _Frame(NamedTuple):
    rate_hz: int
    samples: int
    kbit_s: int
    size: int


def _frame(body: bytes, at: int) -> _Frame | None:
    """The frame of layer III at `at`; None if there is none."""
    first, second, third = body[at : at + 3]
    version, rate, kbit_s = second >> 3 & 3, third >> 2 & 3, third >> 4
    if first != 0xFF or second & 0xE6 != 0xE2 or version == 1 or rate == 3 or kbit_s in (0, 15):
        return None
    rate_hz = _RATES_HZ[version][rate]
    kbit_s = (_KBIT_S_1 if version == 3 else _KBIT_S_2)[kbit_s - 1]
    samples = 1152 if version == 3 else 576
    size = samples // 8 * kbit_s * 1000 // rate_hz + (third >> 1 & 1)
    return _Frame(rate_hz, samples, kbit_s, size)


def _mp3(body: bytes, start: int, end: int) -> float | None:
    if start + 4 > end or (first := _frame(body, start)) is None:
        return None
    is_mono = body[start + 3] >> 6 == 3
    side = (17 if is_mono else 32) if first.samples == 1152 else (9 if is_mono else 17)
    if body.startswith((b"Xing", b"Info"), start + 4 + side, end):
        flags, frames, size = struct.unpack_from(">III", body, start + 8 + side)
        if flags & 3 == 3 and frames and size:
            # Several files, one after the other, are counted only in the first one's header.
            return float(frames * first.samples / first.rate_hz * max(1.0, (end - start) / size))
    lowest, at, frames = first.kbit_s, start, 0
    while frames < _FRAMES and at + 4 <= end and (frame := _frame(body, at)) is not None:
        lowest, at, frames = min(lowest, frame.kbit_s), at + frame.size, frames + 1
    if frames < 2 and at < end:
        return None
    return (end - start) * 8 / (lowest * 1000)


# -- MP4, Ogg, WebM

_BOXES = 4096
_UNKNOWN_TICKS = (2**32 - 1, 2**64 - 1)


def _mp4(body: bytes, start: int, end: int) -> float | None:
    boxes = list(_boxes(body, start, end))
    if any(name == b"moof" for name, _, _ in boxes):
        return None  # in fragments: the movie itself is only their beginning
    for name, inside, after in boxes:
        if name == b"moov":
            for inner, at, _ in _boxes(body, inside, after):
                if inner == b"mvhd":
                    form = ">B19xIQ" if body[at] == 1 else ">B11xII"
                    _, ticks_per_s, ticks = struct.unpack_from(form, body, at)
                    is_known = ticks_per_s and ticks not in _UNKNOWN_TICKS
                    return float(ticks / ticks_per_s) if is_known else None
    return None


def _boxes(body: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The name of each box, where its inside begins, and where it ends."""
    for _ in range(_BOXES):
        if at + 8 > end:
            return
        size, name = struct.unpack_from(">I4s", body, at)
        inside = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", body, inside)
            inside += 8
        after = at + size if size else end
        if after < inside:
            return
        yield name, inside, min(after, end)
        at = after


_LONGEST_PAGE = 65_307
_OPUS_HZ = 48_000


def _ogg(body: bytes, start: int, end: int) -> float | None:
    packet = start + 27 + body[start + 26]
    if body.startswith(b"OpusHead", packet, end):
        rate_hz = _OPUS_HZ
    elif body.startswith(b"\x01vorbis", packet, end):
        (rate_hz,) = struct.unpack_from("<I", body, packet + 12)
    else:
        return None
    last = body.rfind(b"OggS", max(start, end - _LONGEST_PAGE), end)
    samples, stream = struct.unpack_from("<6xqI", body, last)
    if stream != struct.unpack_from("<14xI", body, start)[0] or not rate_hz:
        return None  # several, one after the other: the last page tells only of the last
    return float(samples / rate_hz)


_CLUSTER, _SCALE = b"\x1f\x43\xb6\x75", b"\x2a\xd7\xb1"
_TIMESTAMP, _BLOCK_GROUP, _BLOCK, _SIMPLE_BLOCK = 0xE7, 0xA0, 0xA1, 0xA3
_ELEMENTS = 20_000
_SCALE_WITHIN = 4096
_BLOCK_S = 0.12
"""The longest packet of Opus."""


def _webm(body: bytes, start: int, end: int) -> float | None:
    cluster = body.rfind(_CLUSTER, start, end)
    if cluster < 0:
        return None
    _, at = _vint(body, cluster + 4)
    if body[at] != _TIMESTAMP:
        return None
    ticks, at = _number(body, at + 1)
    scale = body.find(_SCALE, start, min(end, start + _SCALE_WITHIN))
    nanos_per_tick = 1_000_000 if scale < 0 else _number(body, scale + 3)[0]
    return (ticks + _last_block(body, at, end)) * nanos_per_tick / 1e9 + _BLOCK_S


def _last_block(body: bytes, at: int, end: int) -> int:
    """When the last block of a cluster begins, in ticks after the cluster; if that cannot be told,
    the most that a block can say."""
    ticks = most = 2**15
    for _ in range(_ELEMENTS):
        if at >= end or body[at] >> 4 == 1:  # the end, or another element as high as a cluster
            return ticks
        if not body[at] & 0x80:
            return most
        kind, (size, inside) = body[at], _vint(body, at + 1)
        at = inside + size
        if kind == _BLOCK_GROUP and body[inside] == _BLOCK:
            _, inside = _vint(body, inside + 1)
        elif kind != _SIMPLE_BLOCK:
            continue
        _, inside = _vint(body, inside)  # the number of its track
        (ticks,) = struct.unpack_from(">h", body, inside)
    return most


def _vint(body: bytes, at: int) -> tuple[int, int]:
    """A number whose first byte says how long it is, and where it ends."""
    after = at + 9 - body[at].bit_length()
    return int.from_bytes(body[at:after], "big") & (1 << 7 * (after - at)) - 1, after


def _number(body: bytes, at: int) -> tuple[int, int]:
    """The value of an element, and where it ends."""
    size, inside = _vint(body, at)
    return int.from_bytes(body[inside : inside + min(size, 8)], "big"), inside + size
