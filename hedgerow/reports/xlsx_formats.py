"""Formats: how cells of a workbook look, each made once."""

from __future__ import annotations

from xlsxwriter import Workbook
from xlsxwriter.format import Format

from hedgerow.reports.document import Tone, Unit
from hedgerow.reports.figures import Shape

_FONT = {"font_name": "Calibri", "font_size": 10, "valign": "top"}
_TOTAL = {"bold": True, "top": 1, "bg_color": "#F2F2F2"}
_DATE = "yyyy-mm-dd"
_TONE_FILLS = {Tone.GOOD: "#E2EFDA", Tone.WARN: "#FFF2CC", Tone.BAD: "#F8D7DA"}


class Formats:
    def __init__(self, book: Workbook) -> None:
        self._book = book
        self._made: dict[tuple[tuple[str, object], ...], Format] = {}
        self.title = self._of({"bold": True, "font_size": 16, "valign": "vcenter"})
        self.heading = self._of({"bold": True, "font_size": 12})
        self.label = self._of({"bold": True, "text_wrap": True, "border": 1})
        self.words = self._of({"text_wrap": True})
        self.note = self._of({"text_wrap": True, "italic": True, "font_color": "#404040"})
        self.head = self._head("left")
        self.later_head = self._head("left", indent=1)
        self.number_head = self._head("right")
        self.source = self._of({"text_wrap": True, "align": "left", "indent": 1})
        self.link = self._of(
            {"font_color": "#1F4E79", "underline": 1, "align": "left", "indent": 1}
        )
        self.aside = self._of({"font_color": "#404040"})
        self.code = self._of({"text_wrap": True, "font_name": "Consolas", "font_size": 9})
        self.line = self._of({"bottom": 1})

    def number(self, shape: Shape, is_total: bool = False) -> Format:
        return self._of({"num_format": number_format(shape), "align": "right"} | _if(is_total))

    def text(
        self, is_total: bool = False, is_quoted: bool = False, is_later: bool = False
    ) -> Format:
        """is_quoted: a text that begins as a formula does stays text even when it is edited.
        is_later: not in the first column, and so set off from the number before it."""
        look: dict[str, object] = {
            "text_wrap": True,
            "align": "left",
            "indent": 1 if is_later else 0,
        }
        quoting: dict[str, object] = {"quote_prefix": True} if is_quoted else {}
        return self._of(look | _if(is_total) | quoting)

    def unknown(self, is_total: bool = False) -> Format:
        look = {"align": "right", "italic": True, "font_color": "#595959"}
        return self._of(look | _if(is_total))

    def day(self, is_total: bool = False, is_later: bool = False) -> Format:
        look = {"num_format": _DATE, "align": "left", "indent": 1 if is_later else 0}
        return self._of(look | _if(is_total))

    def large(self, shape: Shape) -> Format:
        return self._of(
            {"num_format": number_format(shape), "align": "right", "bold": True, "font_size": 14}
        )

    def tone(self, tone: Tone) -> Format:
        fill: dict[str, object] = {"bg_color": _TONE_FILLS[tone]} if tone in _TONE_FILLS else {}
        return self._of({"bold": True, "text_wrap": True, "align": "left", "indent": 1} | fill)

    def _head(self, align: str, indent: int = 0) -> Format:
        look = {"bold": True, "text_wrap": True, "bg_color": "#D9E1EA", "bottom": 1}
        return self._of(look | {"align": align, "indent": indent, "valign": "bottom"})

    def _of(self, look: dict[str, object]) -> Format:
        key = tuple(sorted(look.items()))
        if key not in self._made:
            self._made[key] = self._book.add_format(_FONT | look)
        return self._made[key]


def _if(is_total: bool) -> dict[str, object]:
    return dict(_TOTAL) if is_total else {}


def number_format(shape: Shape) -> str:
    """As Excel writes it: the cell holds the exact value, and shows what other formats print."""
    after = f".{'0' * shape.decimals}" if shape.decimals else ""
    if shape.is_scientific:
        return f"0{after}E+0{'%' if shape.unit is Unit.PART else ''}"
    match shape.unit:
        case Unit.PART:
            return f"#,##0{after}%"
        case Unit.COUNT | Unit.NUMBER:
            return f"#,##0{after}"
        case Unit.USD | Unit.USD_PER_MTOK | Unit.USD_PER_UNIT:
            return f'"$"#,##0{after};-"$"#,##0{after}'
