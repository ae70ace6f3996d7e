"""Charts of a workbook: Excel's own where it has the kind, over data that stand in a sheet.

Bars, and lines over days or names, are charts of categories; lines and points over numbers are
scatters. A band is drawn as its two edges. Steps over days or names, bars over numbers beside
lines, and names that would leave no room are nothing for Excel: they are pictures, as in the other
formats.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from xlsxwriter import Workbook
from xlsxwriter.chart import Chart as ExcelChart
from xlsxwriter.worksheet import Worksheet

from hedgerow.charts import Chart, Mark, Place
from hedgerow.reports.drawing import png
from hedgerow.reports.places import Axis, axis_of
from hedgerow.reports.xlsx_formats import Formats

WIDTH_PX, HEIGHT_PX = 760, 390
_WIDTH_IN, _HEIGHT_IN = 7.9, 4.05
_INKS = ("#14375E", "#B8531A", "#111111", "#1B7F79", "#6F6F6F", "#7A4B94")
_DASHES = ("solid", "dash", "round_dot", "dash_dot", "square_dot", "long_dash")
_MARKERS = ("circle", "triangle", "square", "diamond", "x", "plus")
_FILLS = ("#3D5F88", "#F0C9A8", "#D9D9D9", "#8FC4BF", "#FFFFFF", "#C9B3D6")
_PATTERNS = (
    "",
    "wide_upward_diagonal",
    "percent_25",
    "wide_downward_diagonal",
    "cross",
    "narrow_horizontal",
)
_LONGEST_LABEL, _LARGE = 40, 100.0
_EDGE, _LIMIT, _BORDER = "#8A8A8A", "#8C1515", "#333333"


@dataclass(frozen=True, slots=True)
class _Line:
    """One series as Excel draws it. number: among those of its kind, for its dash and marker."""

    name: str
    mark: Mark
    x: tuple[Place, ...]
    y: tuple[float | None, ...]
    number: int
    is_edge: bool = False

    @property
    def is_bar(self) -> bool:
        return self.mark is Mark.BAR


class Charts:
    """data: the sheet that holds what charts draw, by its name."""

    def __init__(self, book: Workbook, data: Worksheet, name: str, formats: Formats) -> None:
        self._book, self._data, self._name, self._formats = book, data, name, formats
        self._column = 0

    def draw(self, chart: Chart, on: Worksheet, row: int) -> None:
        """Puts a chart on a sheet, its upper edge at a row, and its data on the sheet of data."""
        axis = axis_of(chart)
        lines = _lines(chart)
        says = {"description": f"{chart.title}. {chart.says}", "object_position": 3}
        if not _is_native(lines, axis):
            picture = io.BytesIO(png(chart, _WIDTH_IN, _HEIGHT_IN))
            on.insert_image(row, 0, f"{chart.id}.png", says | {"image_data": picture})
            return
        if axis.is_number and not any(one.is_bar for one in lines):
            drawn = self._scatter(chart, lines)
        else:
            drawn = self._categories(chart, lines, axis)
        drawn.set_title({"none": True})
        drawn.set_legend({"position": "top"} if len(lines) > 1 else {"none": True})
        drawn.set_size({"width": WIDTH_PX, "height": HEIGHT_PX})
        drawn.show_blanks_as("gap")
        on.insert_chart(row, 0, drawn, says)

    def _scatter(self, chart: Chart, lines: Sequence[_Line]) -> ExcelChart:
        drawn = self._chart({"type": "scatter", "subtype": "straight"})
        within = [float(x) for one in lines if one.mark is not Mark.LIMIT for x in one.x]
        edges: tuple[Place, ...] = (min(within), max(within))
        for one in lines:
            x, y = one.x, one.y
            if one.mark is Mark.LIMIT:
                x, y = edges, (one.y[0], one.y[0])
            elif one.mark is Mark.STEP:
                x, y = _stepped(x, y)
            at = self._write(chart.title, chart.x_label, x)
            of = self._write("", one.name, y)
            self._add(drawn, one, at, of, len(x))
        self._column += 1
        self._label(drawn, chart, {"crossing": "min", "label_position": "low"}, is_number=True)
        return drawn

    def _categories(self, chart: Chart, lines: Sequence[_Line], axis: Axis) -> ExcelChart:
        places: tuple[Place, ...] = axis.labels
        if axis.is_number:
            places = tuple(sorted({x for one in lines if one.is_bar for x in one.x}, key=float))
        is_days = bool(axis.labels) and _days(axis.labels) is not None
        is_lying = axis.is_lying and all(one.is_bar for one in lines)
        at = self._write(chart.title, chart.x_label, places)
        bars: ExcelChart | None = None
        lined: ExcelChart | None = None
        for one in lines:
            if one.mark is Mark.LIMIT:
                y: tuple[float | None, ...] = (one.y[0],) * len(places)
            else:
                known = dict(zip(one.x, one.y, strict=True))
                y = tuple(known.get(place) for place in places)
            of = self._write("", one.name, y)
            if one.is_bar:
                kind: dict[str, object] = {"type": "bar" if is_lying else "column"}
                bars = bars or self._chart(kind | ({"subtype": "stacked"} if chart.stacked else {}))
                self._add(bars, one, at, of, len(places))
            else:
                lined = lined or self._chart({"type": "line"})
                self._add(lined, one, at, of, len(places))
        self._column += 1
        drawn = bars or lined or self._chart({"type": "line"})
        if bars is not None and lined is not None:
            bars.combine(lined)
        look: dict[str, object] = {"label_position": "low"}
        if is_days:
            look |= {"date_axis": True, "num_format": "d mmm"}
        self._label(drawn, chart, look, is_number=False, is_lying=is_lying)
        return drawn

    def _chart(self, kind: dict[str, object]) -> ExcelChart:
        made = self._book.add_chart(kind)
        assert made is not None  # noqa: S101 - for the type: each kind here is one of Excel's
        return made

    def _add(self, drawn: ExcelChart, one: _Line, at: int, of: int, rows: int) -> None:
        last = 1 + max(1, rows)
        look: dict[str, object] = {
            "name": [self._name, 1, of],
            "categories": [self._name, 2, at, last, at],
            "values": [self._name, 2, of, last, of],
        }
        ink, dash = _INKS[one.number % len(_INKS)], _DASHES[one.number % len(_DASHES)]
        if one.is_bar:
            fill, pattern = _FILLS[one.number % len(_FILLS)], _PATTERNS[one.number % len(_FILLS)]
            look["border"] = {"color": _BORDER, "width": 0.75}
            look["gap"] = 60
            if pattern:
                look["pattern"] = {"pattern": pattern, "fg_color": _BORDER, "bg_color": fill}
            else:
                look["fill"] = {"color": fill}
        elif one.mark is Mark.POINTS:
            look["line"] = {"none": True}
            look["marker"] = {
                "type": _MARKERS[one.number % len(_MARKERS)],
                "size": 6,
                "border": {"color": ink},
                "fill": {"color": ink},
            }
        elif one.mark is Mark.LIMIT:
            look["line"] = {"color": _LIMIT, "width": 1.5, "dash_type": "long_dash"}
            look["marker"] = {"type": "none"}
        elif one.is_edge:
            look["line"] = {"color": _EDGE, "width": 1, "dash_type": "square_dot"}
            look["marker"] = {"type": "none"}
        else:
            look["line"] = {"color": ink, "width": 2, "dash_type": dash}
            look["marker"] = {"type": "none"}
        drawn.add_series(look)

    def _label(
        self,
        drawn: ExcelChart,
        chart: Chart,
        look: dict[str, object],
        is_number: bool,
        is_lying: bool = False,
    ) -> None:
        grid = {"visible": True, "line": {"color": "#D9D9D9", "width": 0.75}}
        names: dict[str, object] = {"name": chart.x_label, "name_font": {"bold": False}}
        values: dict[str, object] = {"name": chart.y_label, "name_font": {"bold": False}}
        values |= {"major_gridlines": grid, "num_format": _axis_format(chart)}
        names |= look | ({"num_format": "#,##0.####"} if is_number else {})
        if is_lying:
            drawn.set_y_axis(names | {"reverse": True, "crossing": "max"})
            drawn.set_x_axis(values)
        else:
            drawn.set_x_axis(names)
            drawn.set_y_axis(values)

    def _write(self, title: str, name: str, values: Sequence[Place | None]) -> int:
        """A column of data: its number."""
        column, sheet, formats = self._column, self._data, self._formats
        self._column += 1
        if title:
            sheet.write_string(0, column, title, formats.heading)
        sheet.write_string(1, column, name, formats.head)
        sheet.set_column(column, column, 16)
        days = _days(values)
        for number, value in enumerate(days or values):
            match value:
                case datetime():
                    sheet.write_datetime(2 + number, column, value, formats.day())
                case str():
                    sheet.write_string(2 + number, column, value)
                case int() | float():
                    sheet.write_number(2 + number, column, value)
                case None:
                    pass
        return column


def _axis_format(chart: Chart) -> str:
    """Without decimals where numbers are large."""
    heights = [abs(y) for one in chart.series for y in one.y if y is not None]
    return "#,##0" if max(heights, default=0.0) >= _LARGE else "General"


def _days(values: Sequence[Place | None]) -> list[datetime] | None:
    """Labels as days; None if one is no day."""
    days = []
    for value in values:
        if not isinstance(value, str) or len(value) != len("2027-01-31"):
            return None
        try:
            days.append(datetime.strptime(value, "%Y-%m-%d"))  # noqa: DTZ007 - a day has no zone
        except ValueError:
            return None
    return days or None


def _lines(chart: Chart) -> list[_Line]:
    bars = [one for one in chart.series if one.mark is Mark.BAR]
    others = [one for one in chart.series if one.mark is not Mark.BAR]
    lines = [
        _Line(one.name, one.mark, one.x, one.y, number)
        for kind in (bars, others)
        for number, one in enumerate(kind)
        if one.mark is not Mark.LIMIT or one.y[0] is not None
    ]
    for band in chart.bands:
        lines += [
            _Line(f"{band.name}, {edge}", Mark.LINE, band.x, y, 0, is_edge=True)
            for edge, y in (("low", band.low), ("high", band.high))
        ]
    return lines


def _is_native(lines: Sequence[_Line], axis: Axis) -> bool:
    marks = {one.mark for one in lines} - {Mark.LIMIT}
    if not any(y is not None for one in lines if one.mark is not Mark.LIMIT for y in one.y):
        return False
    if any(len(label) > _LONGEST_LABEL for label in axis.labels):
        return False
    if axis.is_number:
        return Mark.BAR not in marks or marks == {Mark.BAR}
    return Mark.STEP not in marks


def _stepped(
    x: tuple[Place, ...], y: tuple[float | None, ...]
) -> tuple[tuple[Place, ...], tuple[float | None, ...]]:
    """With a corner before each next point, so that straight lines hold the value until it."""
    if not x:
        return x, y
    points: list[tuple[Place, float | None]] = [(x[0], y[0])]
    for (_, before), (place, value) in pairwise(zip(x, y, strict=True)):
        points += [(place, before), (place, value)]
    return tuple(place for place, _ in points), tuple(value for _, value in points)
