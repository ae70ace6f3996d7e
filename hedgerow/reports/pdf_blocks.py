"""Blocks of pages that are no tables: paragraphs, headings, the verdict, contents, signatures."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hedgerow.reports.document import Headline, Tone
from hedgerow.reports.figures import WORDS, known, shown, why_not
from hedgerow.reports.pdf_pages import WIDTH_PT, Block, Pages
from hedgerow.reports.pdf_text import (
    BOLD,
    MONO,
    Canvas,
    Line,
    Style,
    draw_line,
    draw_text,
    draw_text_to,
    line_of,
    line_width_pt,
    wrap,
)

BODY = Style(size_pt=9.5, leading_pt=13.5)
SMALL = Style(size_pt=7.5, leading_pt=10.0, ink=0.25)
CODE = Style(MONO, 7.5, 10.0)
TITLE = Style(BOLD, 22.0, 27.0)
SUBTITLE = Style(size_pt=11.0, leading_pt=15.0, ink=0.25)
HEADINGS = (Style(BOLD, 15.0, 19.0), Style(BOLD, 10.5, 14.0))
_MARK = Style(size_pt=5.5, leading_pt=6.5, ink=0.3)
_LABEL = Style(BOLD, 9.0, 12.0)
_LARGE = Style(BOLD, 16.0, 20.0)
_ENTRY = Style(size_pt=8.5, leading_pt=12.0)
_CHIP = Style(BOLD, 8.0, 11.0)
_FILLS = {Tone.GOOD: "#DDEBD9", Tone.WARN: "#FBECC4", Tone.BAD: "#F3CFCB"}
_SIGNS = {Tone.GOOD: "✓", Tone.WARN: "!", Tone.BAD: "✗"}
_BASE = 0.76
"""Of a line's height, from its upper edge down to where letters stand."""
_RULE_GREY, _RULE_PT = 0.6, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines(Block):
    """A paragraph. shade: the grey behind it, None for none."""

    lines: tuple[Line, ...]
    style: Style = BODY
    indent_pt: float = 0.0
    shade: float | None = None
    width_pt: float = WIDTH_PT

    def height_pt(self) -> float:
        return len(self.lines) * self.style.leading_pt

    def least_pt(self) -> float:
        return min(2, len(self.lines)) * self.style.leading_pt

    def cut(self, room_pt: float) -> tuple[Lines, Lines]:
        count = int(room_pt / self.style.leading_pt + 1e-6)
        head = replace(self, lines=self.lines[:count])
        return head, replace(self, lines=self.lines[count:], gap_pt=0.0, anchor="")

    def draw(self, canvas: Canvas, x: float, y: float, pages: Pages) -> None:
        del pages
        if self.shade is not None:
            canvas.setFillGray(self.shade)
            canvas.rect(x, y - self.height_pt() - 2, self.width_pt, self.height_pt() + 4, 0, 1)
        if self.anchor:
            canvas.bookmarkHorizontal(self.anchor, x, y + 12)
        for line in self.lines:
            base = y - _BASE * self.style.leading_pt
            draw_line(canvas, x + self.indent_pt, base, line, self.style)
            y -= self.style.leading_pt


def paragraph(
    text: str,
    style: Style = BODY,
    *,
    width_pt: float = WIDTH_PT,
    gap_pt: float = 5.0,
    is_lying: bool = False,
    goes_with_next: bool = False,
    anchor: str = "",
    indent_pt: float = 0.0,
    shade: float | None = None,
) -> Lines:
    return Lines(
        lines=tuple(wrap(text, style, width_pt - 2 * indent_pt)),
        style=style,
        gap_pt=gap_pt,
        is_lying=is_lying,
        goes_with_next=goes_with_next,
        anchor=anchor,
        indent_pt=indent_pt,
        shade=shade,
        width_pt=width_pt,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading(Block):
    """Stands in the bookmarks of the file, and never alone at the end of a page."""

    text: str
    level: int
    lines: tuple[Line, ...]

    def height_pt(self) -> float:
        return len(self.lines) * HEADINGS[self.level].leading_pt + 3

    def draw(self, canvas: Canvas, x: float, y: float, pages: Pages) -> None:
        style = HEADINGS[self.level]
        Lines(lines=self.lines, style=style, anchor=self.anchor).draw(canvas, x, y, pages)
        canvas.addOutlineEntry(self.text, self.anchor, self.level, closed=self.level > 0)


def heading(text: str, anchor: str, level: int = 0, *, begins_page: bool = False) -> Heading:
    return Heading(
        begins_page=begins_page,
        text=text,
        level=level,
        lines=tuple(wrap(text, HEADINGS[level], WIDTH_PT)),
        gap_pt=26.0 if level == 0 else 12.0,
        goes_with_next=True,
        anchor=anchor,
    )


def draw_mark(canvas: Canvas, x: float, y: float, text: str, link: str | None) -> None:
    """A small raised sign after what it belongs to; link: where it leads."""
    draw_text(canvas, x, y, text, _MARK)
    if link is not None:
        box = (x, y - 1, x + mark_width_pt(text), y + _MARK.size_pt)
        canvas.linkRect("", link, box, Border="[0 0 0]")


def mark_width_pt(text: str) -> float:
    return line_width_pt(line_of(text, _MARK.font), _MARK.size_pt)


def source_anchor(source: str) -> str:
    return f"source-{source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip(Block):
    """The word of a tone with its sign, on its colour, which is never alone."""

    tone: Tone
    before: str = ""

    def height_pt(self) -> float:
        return 15.0

    def draw(self, canvas: Canvas, x: float, y: float, pages: Pages) -> None:
        del pages
        if self.tone is Tone.NONE:
            return
        text = f"{self.before}{_SIGNS[self.tone]} {WORDS[self.tone]}"
        canvas.setFillColor(_FILLS[self.tone])
        canvas.rect(x, y - 14, line_width_pt(line_of(text, BOLD), _CHIP.size_pt) + 10, 14, 0, 1)
        draw_text(canvas, x + 5, y - 10, text, _CHIP)


_LABEL_PT, _NUMBER_PT, _CHIP_PT = 116.0, 122.0, 62.0
_NOTE_PT = WIDTH_PT - _LABEL_PT - _NUMBER_PT - _CHIP_PT - 16


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadlineRow(Block):
    """One of the five numbers: its name, the number large, how it stands, and against what."""

    headline: Headline
    label: tuple[Line, ...]
    note: tuple[Line, ...]

    def height_pt(self) -> float:
        words = max(len(self.label), len(self.note)) * _LABEL.leading_pt
        return max(words, _LARGE.leading_pt) + 12

    def draw(self, canvas: Canvas, x: float, y: float, pages: Pages) -> None:
        one = self.headline
        _rule(canvas, x, y, WIDTH_PT)
        top = y - 6
        plain = replace(_LABEL, font=BODY.font)
        Lines(lines=self.label, style=_LABEL).draw(canvas, x, top, pages)
        right = x + _LABEL_PT + _NUMBER_PT - 14
        text = shown(one.figure)
        style, base = _LARGE, top - 14
        if known(one.figure) is None:
            style, base = plain, top - _BASE * plain.leading_pt
        while line_width_pt(line_of(text, style.font), style.size_pt) > _NUMBER_PT - 20:
            style = replace(style, size_pt=style.size_pt - 0.5)
        draw_text_to(canvas, right, base, text, style)
        source = one.figure.source
        draw_mark(canvas, right + 1.5, base + style.size_pt / 2, source, source_anchor(source))
        Chip(tone=one.tone).draw(canvas, x + _LABEL_PT + _NUMBER_PT + 8, top - 1, pages)
        at = x + _LABEL_PT + _NUMBER_PT + _CHIP_PT + 16
        Lines(lines=self.note, style=plain).draw(canvas, at, top, pages)


def headline_row(headline: Headline) -> HeadlineRow:
    note = headline.note
    if known(headline.figure) is None and why_not(headline.figure) != note:
        note = f"{note}: {why_not(headline.figure)}" if note else why_not(headline.figure)
    plain = replace(_LABEL, font=BODY.font)
    return HeadlineRow(
        headline=headline,
        label=tuple(wrap(headline.label, _LABEL, _LABEL_PT)),
        note=tuple(wrap(note, plain, _NOTE_PT)),
        gap_pt=0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentsRow(Block):
    """A line of the contents, with the number of its page, and a link to it."""

    lines: tuple[Line, ...]
    target: str

    def height_pt(self) -> float:
        return len(self.lines) * _ENTRY.leading_pt

    def draw(self, canvas: Canvas, x: float, y: float, pages: Pages) -> None:
        Lines(lines=self.lines, style=_ENTRY).draw(canvas, x, y, pages)
        base = y - _BASE * _ENTRY.leading_pt - (len(self.lines) - 1) * _ENTRY.leading_pt
        draw_text_to(canvas, x + WIDTH_PT, base, str(pages.numbers[self.target]), _ENTRY)
        begin = x + line_width_pt(self.lines[-1], _ENTRY.size_pt) + 5
        canvas.setStrokeGray(_RULE_GREY)
        canvas.setLineWidth(0.6)
        canvas.setDash(0.6, 2.4)
        canvas.line(begin, base, x + WIDTH_PT - 24, base)
        canvas.setDash()
        box = (x, y - self.height_pt(), x + WIDTH_PT, y)
        canvas.linkRect("", self.target, box, Border="[0 0 0]")


def contents_row(title: str, target: str, *, goes_with_next: bool) -> ContentsRow:
    lines = tuple(wrap(title, _ENTRY, WIDTH_PT - 40))
    return ContentsRow(lines=lines, target=target, gap_pt=0.0, goes_with_next=goes_with_next)


_ROLE_PT, _NAME_PT, _SIGNATURE_PT = 0.26, 0.26, 0.30


@dataclass(frozen=True, slots=True, kw_only=True)
class SignRow(Block):
    """A line to sign for one role."""

    role: tuple[Line, ...]

    def height_pt(self) -> float:
        return max(46.0, len(self.role) * _LABEL.leading_pt + 20.0)

    def draw(self, canvas: Canvas, x: float, y: float, pages: Pages) -> None:
        Lines(lines=self.role, style=_LABEL).draw(canvas, x, y - 6, pages)
        base = y - self.height_pt() + 12
        begin = x + WIDTH_PT * _ROLE_PT
        for name, part in (("Name", _NAME_PT), ("Signature", _SIGNATURE_PT), ("Date", None)):
            end = x + WIDTH_PT if part is None else begin + WIDTH_PT * part
            _rule(canvas, begin, base, end - begin - (0 if part is None else 10), grey=0.2)
            draw_text(canvas, begin, base - 8, name, replace(SMALL, size_pt=6.5))
            begin = end


def sign_row(role: str, *, goes_with_next: bool) -> SignRow:
    lines = tuple(wrap(role, _LABEL, WIDTH_PT * _ROLE_PT - 8))
    return SignRow(role=lines, gap_pt=2.0, goes_with_next=goes_with_next)


def _rule(canvas: Canvas, x: float, y: float, width: float, grey: float = _RULE_GREY) -> None:
    canvas.setStrokeGray(grey)
    canvas.setLineWidth(_RULE_PT)
    canvas.line(x, y, x + width, y)
