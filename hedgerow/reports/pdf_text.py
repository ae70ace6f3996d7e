"""Text on pages: which font a sign is set in, how wide it is, and where lines break.

DejaVu Sans, which matplotlib ships, is embedded. Chinese, Japanese and Korean are set in the fonts
that PDF viewers bring for them; a sign of any other script is written by its number, as [U+0905],
so that two names never look alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont

Canvas: TypeAlias = Any
"""reportlab's, which has no types."""
Run: TypeAlias = tuple[str, str]
"""A font, and a text that is set in it."""
Line: TypeAlias = tuple[Run, ...]

PLAIN, BOLD, MONO = "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono"
_CHINESE, _JAPANESE, _KOREAN = "STSong-Light", "HeiseiKakuGo-W5", "HYGothic-Medium"
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
_KANA = re.compile(r"[\u3040-\u30ff\u31f0-\u31ff]")
_HAN = re.compile(r"[\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef]")
_BREAKS_AFTER = frozenset("-/_.,:;)]@|")
_KEPT_WORDS, _KEPT_SIGNS = 32_768, 64


@dataclass(frozen=True, slots=True)
class Style:
    """size_pt, and from line to line leading_pt; ink: grey from 0 (black) to 1."""

    font: str = PLAIN
    size_pt: float = 9.0
    leading_pt: float = 12.5
    ink: float = 0.0


@cache
def _fonts() -> dict[str, Any]:
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    fonts = {name: TTFont(name, str(folder / f"{name}.ttf")) for name in (PLAIN, BOLD, MONO)}
    fonts |= {name: UnicodeCIDFont(name) for name in (_CHINESE, _JAPANESE, _KOREAN)}
    for font in fonts.values():
        registerFont(font)
    return fonts


def line_of(text: str, font: str) -> Line:
    """The runs of a text in one line."""
    glyphs = _fonts()[font].face.charToGlyph
    if all(ord(sign) in glyphs for sign in text):
        return ((font, text),)
    is_japanese = _KANA.search(text) is not None

    def font_of(sign: str) -> str:
        if ord(sign) in glyphs:
            return font
        if _HANGUL.match(sign):
            return _KOREAN
        if _KANA.match(sign) or (is_japanese and _HAN.match(sign)):
            return _JAPANESE
        return _CHINESE if _HAN.match(sign) else ""

    runs: list[Run] = []
    for name, signs in groupby(text, font_of):
        run = "".join(signs)
        runs.append((name, run) if name else (font, "".join(f"[U+{ord(x):04X}]" for x in run)))
    return tuple(runs)


def width_of(text: str, font: str) -> float:
    """Of a text in one line at a size of one point."""
    return _kept_width(text, font) if len(text) <= _KEPT_SIGNS else _width(text, font)


@lru_cache(maxsize=_KEPT_WORDS)
def _kept_width(text: str, font: str) -> float:
    return _width(text, font)


def _width(text: str, font: str) -> float:
    fonts = _fonts()
    return sum(float(fonts[name].stringWidth(run, 1.0)) for name, run in line_of(text, font))


def wrap(text: str, style: Style, width_pt: float) -> list[Line]:
    """Lines of a text in a width: broken between words, and within a word that is longer."""
    room = width_pt / style.size_pt + 1e-6
    lines: list[Line] = []
    for hard in text.replace("\t", "    ").splitlines() or [""]:
        lines += (line_of(soft, style.font) for soft in _broken(hard, style.font, room))
    return lines


def _broken(text: str, font: str, room: float) -> Iterator[str]:
    if width_of(text, font) <= room:
        yield text
        return
    space, line, used = width_of(" ", font), "", 0.0
    for word in text.split(" "):
        width = width_of(word, font)
        if line and used + space + width <= room:
            line, used = f"{line} {word}", used + space + width
            continue
        if line:
            yield line
        rest = word
        while width > room:
            begin = _begin(rest, font, room)
            yield begin
            rest = rest[len(begin) :]
            width = width_of(rest, font)
        line, used = rest, width
    if line:
        yield line


def _begin(word: str, font: str, room: float) -> str:
    """As much of a word as there is room for, at least one sign; after a sign that joins if one
    stands late enough."""
    used, end = 0.0, 0
    for sign in word:
        used += width_of(sign, font)
        if used > room and end:
            break
        end += 1
    for at in range(end, end // 2, -1):
        if word[at - 1] in _BREAKS_AFTER:
            return word[:at]
    return word[:end]


def cut_to(text: str, style: Style, width_pt: float) -> str:
    """The text, or its beginning with `…` where there is no room for all of it."""
    room = width_pt / style.size_pt
    if width_of(text, style.font) <= room:
        return text
    while text and width_of(f"{text}…", style.font) > room:
        text = text[:-1]
    return f"{text.rstrip()}…"


def line_width_pt(line: Line, size_pt: float) -> float:
    fonts = _fonts()
    return sum(float(fonts[name].stringWidth(run, size_pt)) for name, run in line)


def draw_line(canvas: Canvas, x: float, y: float, line: Line, style: Style) -> None:
    """A line with its left end at x, on its base line y."""
    canvas.setFillGray(style.ink)
    for name, run in line:
        canvas.setFont(name, style.size_pt)
        canvas.drawString(x, y, run)
        if len(line) > 1:
            x += float(_fonts()[name].stringWidth(run, style.size_pt))


def draw_line_to(canvas: Canvas, right: float, y: float, line: Line, style: Style) -> None:
    """A line with its right end at `right`."""
    draw_line(canvas, right - line_width_pt(line, style.size_pt), y, line, style)


def draw_text(canvas: Canvas, x: float, y: float, text: str, style: Style) -> None:
    draw_line(canvas, x, y, line_of(text, style.font), style)


def draw_text_to(canvas: Canvas, right: float, y: float, text: str, style: Style) -> None:
    draw_line_to(canvas, right, y, line_of(text, style.font), style)
