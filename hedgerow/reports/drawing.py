"""Drawing: a Chart as a picture, readable in grey, the same bytes from the same chart.

Title and `says` are not in the picture: the page writes them as text beside it.
"""

from __future__ import annotations

import io
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hedgerow.charts import Band, Chart, Mark, Place, Series
from hedgerow.reports.places import Axis, axis_of
from hedgerow.reports.svg import inlined

STYLE: dict[str, object] = {
    "svg.hashsalt": "hedgerow",
    "svg.fonttype": "path",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.35",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": "0.2",
    "grid.color": "0.88",
    "grid.linewidth": 0.7,
    "xtick.color": "0.35",
    "ytick.color": "0.35",
    "xtick.labelcolor": "0.2",
    "ytick.labelcolor": "0.2",
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
# Each stands at least 3:1 against white; dark and middle take turns, so that grey tells them apart.
INKS = ("#14375e", "#b8531a", "#111111", "#1b7f79", "#6f6f6f", "#7a4b94")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (9, 3)))
MARKERS = ("o", "^", "s", "D", "v", "P")
FILLS = ("#3d5f88", "#f0c9a8", "#d9d9d9", "#8fc4bf", "#ffffff", "#c9b3d6")
HATCHES = ("", "//", "..", "\\\\", "x", "--")
BAND_FILLS = ("#dcdcdc", "#c2c2c2", "#a8a8a8")
KINDS = 6
DIRECT = 4
"""Up to so many lines carry their names at their ends; more of them have a legend."""
LONGEST_DIRECT = 24

FEW_BARS = 4
"""Fewer bars leave the room of so many: one alone would fill the picture."""

WIDTH_IN = 7.2
HEIGHT_IN = 3.4
_BAR_IN = 0.26
_LABEL_GAP = 0.062

# The style is matplotlib's for the whole process, and pages are made in threads.
_styled = threading.RLock()


def draw(chart: Chart, width_in: float = WIDTH_IN, height_in: float = HEIGHT_IN) -> Figure:
    """A chart as a figure of matplotlib, for `svg` and `png`; rows of bars may make it higher."""
    with styled():
        return _draw(chart, width_in, height_in)


def svg(chart: Chart, width_in: float = WIDTH_IN, height_in: float = HEIGHT_IN) -> str:
    """A chart as an SVG element that can stand in a page under a strict policy: no style of its
    own, no script, nothing from outside, and ids that begin with `chart-` and the chart's."""
    with styled():
        file = io.StringIO()
        figure = _draw(chart, width_in, height_in)
        figure.savefig(file, format="svg", metadata=dict.fromkeys(_NAMELESS_SVG))
        return inlined(file.getvalue(), f"chart-{chart.id}", f"{chart.title}. {chart.says}")


def png(
    chart: Chart, width_in: float = WIDTH_IN, height_in: float = HEIGHT_IN, dpi: int = 200
) -> bytes:
    """A chart as PNG, on white."""
    with styled():
        file = io.BytesIO()
        figure = _draw(chart, width_in, height_in)
        figure.savefig(file, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
        return file.getvalue()


_NAMELESS_SVG = ("Date", "Creator", "Format", "Type")


@contextmanager
def styled() -> Iterator[None]:
    with _styled, style.context(STYLE):
        yield


def _draw(chart: Chart, width_in: float, height_in: float) -> Figure:
    chart = _drawable(chart)
    axis = axis_of(chart)
    if axis.is_lying:
        height_in = max(height_in, 1.0 + _BAR_IN * _rows_of_bars(chart, axis))
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    axes = figure.subplots()
    _bands(axes, chart, axis)
    _bars(axes, chart, axis)
    _lines(axes, chart, axis)
    _label(axes, chart, axis)
    _name(figure, axes, chart, axis)
    return figure


def _drawable(chart: Chart) -> Chart:
    """With a box for each sign of a name that the font does not have, as Chinese ones; the table
    beside the picture has the name. Names that become alike keep a number apart."""
    has = get_font(findfont(FontProperties(family=["DejaVu Sans"]))).get_char_index
    known: dict[str, str] = {}
    taken: set[str] = set()

    def drawn(text: str) -> str:
        if text not in known:
            plain = "".join(sign if has(ord(sign)) else "□" for sign in text) or "(no name)"
            if plain.startswith("_"):  # such names matplotlib keeps out of legends
                plain = f" {plain}"
            name, number = plain, 1
            while name in taken:
                number += 1
                name = f"{plain} {number}"
            known[text] = name
            taken.add(name)
        return known[text]

    def places(xs: tuple[Place, ...]) -> tuple[Place, ...]:
        return tuple(drawn(one) if isinstance(one, str) else one for one in xs)

    return replace(
        chart,
        series=tuple(replace(one, name=drawn(one.name), x=places(one.x)) for one in chart.series),
        bands=tuple(replace(one, name=drawn(one.name), x=places(one.x)) for one in chart.bands),
    )


def _rows_of_bars(chart: Chart, axis: Axis) -> int:
    side_by_side = 1 if chart.stacked else sum(one.mark is Mark.BAR for one in chart.series)
    return len(axis.labels) * max(1, side_by_side)


def _bands(axes: Axes, chart: Chart, axis: Axis) -> None:
    for number, band in enumerate(chart.bands):
        axes.fill_between(
            axis.at(band.x),
            band.low,
            band.high,
            color=BAND_FILLS[number % len(BAND_FILLS)],
            linewidth=0,
            label=band.name,
            zorder=1 + 0.1 * number,
        )


def _bars(axes: Axes, chart: Chart, axis: Axis) -> None:
    """Stacked ones grow away from zero on both sides; others stand beside one another."""
    bars = [one for one in chart.series if one.mark is Mark.BAR]
    if not bars:
        return
    width = 0.78 * axis.gap / (1 if chart.stacked else len(bars))
    above: defaultdict[float, float] = defaultdict(float)
    below: defaultdict[float, float] = defaultdict(float)
    for number, one in enumerate(bars):
        places = axis.at(one.x)
        heights = np.array([0.0 if y is None else y for y in one.y])
        base = np.zeros(len(heights))
        if chart.stacked:
            for at, (place, height) in enumerate(zip(places, heights, strict=True)):
                sums = above if height >= 0 else below
                base[at] = sums[place]
                sums[place] += height
        else:
            places = places + width * (number - (len(bars) - 1) / 2)
        look: dict[str, Any] = {
            "label": one.name,
            "facecolor": FILLS[number % KINDS],
            "hatch": HATCHES[number % KINDS],
            "edgecolor": "#333333",
            "linewidth": 0.6,
            "zorder": 2,
        }
        if axis.is_lying:
            axes.barh(places, heights, width, base, **look)
        else:
            axes.bar(places, heights, width, base, **look)
    if axis.is_lying:
        axes.axvline(0, color="0.35", linewidth=0.8, zorder=2.5)
        axes.invert_yaxis()
    else:
        axes.axhline(0, color="0.35", linewidth=0.8, zorder=2.5)


def _lines(axes: Axes, chart: Chart, axis: Axis) -> None:
    lines = [one for one in chart.series if one.mark is not Mark.BAR]
    for number, one in enumerate(lines):
        ink, dash = INKS[number % KINDS], DASHES[number % KINDS]
        if one.mark is Mark.LIMIT:
            across = axes.axvline if axis.is_lying else axes.axhline
            if one.y[0] is not None:
                across(one.y[0], color="#8c1515", linewidth=1.4, zorder=3.5)
            continue
        places = axis.at(one.x)
        heights = np.array([np.nan if y is None else y for y in one.y], dtype=float)
        if one.mark is Mark.POINTS:
            axes.plot(
                places,
                heights,
                linestyle="none",
                marker=MARKERS[number % KINDS],
                markersize=4.5,
                markerfacecolor="white" if number else ink,
                markeredgecolor=ink,
                label=one.name,
                zorder=4,
            )
            continue
        axes.plot(
            places,
            heights,
            color=ink,
            linestyle=dash,
            linewidth=1.8,
            drawstyle="steps-post" if one.mark is Mark.STEP else "default",
            # A marker now and then tells lines apart where they cross, and shows a lone value.
            marker=MARKERS[number % KINDS] if _is_marked(lines, axis) or len(places) == 1 else None,
            markersize=4,
            markevery=max(1, len(places) // 8),
            label=one.name,
            zorder=3,
        )


def _is_marked(lines: list[Series], axis: Axis) -> bool:
    return not axis.is_number and sum(one.mark in _LINES[:2] for one in lines) > 1


def _label(axes: Axes, chart: Chart, axis: Axis) -> None:
    across, up = (chart.y_label, chart.x_label) if axis.is_lying else (chart.x_label, chart.y_label)
    axes.set_xlabel(f"{across}{axis.said}" if not axis.is_lying else across)
    axes.set_ylabel(up)
    values, names = (axes.xaxis, axes.yaxis) if axis.is_lying else (axes.yaxis, axes.xaxis)
    values.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    values.set_major_formatter(FuncFormatter(lambda value, _: number_text(value)))
    if axis.is_number:
        names.set_major_formatter(FuncFormatter(lambda value, _: number_text(value)))
    else:
        places, labels = axis.ticks()
        names.set_ticks(places, labels)
        if not axis.is_lying and not any("\n" in one for one in labels):
            for label in names.get_ticklabels():
                label.set_verticalalignment("baseline")
            names.set_tick_params(pad=12)
        names.grid(visible=False)
        if not axis.is_lying and len(axis.labels) < FEW_BARS and _has_bars(chart):
            first, last = min(axis.places.values()), max(axis.places.values())
            more = max(1.0, FEW_BARS - (last - first)) / 2
            axes.set_xlim(first - more, last + more)
    if not _has_values(chart):
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", va="center")
        axes.set_xticks([])
        axes.set_yticks([])


def _has_bars(chart: Chart) -> bool:
    return any(one.mark is Mark.BAR and one.x for one in chart.series)


def _has_values(chart: Chart) -> bool:
    return bool(chart.bands) or any(y is not None for one in chart.series for y in one.y)


def number_text(value: float) -> str:
    """A number at an axis: 950, 12,500, 1.25M."""
    size = abs(value)
    for least, sign in ((1e9, "bn"), (1e6, "M"), (1e5, "k")):
        if size >= least:
            scaled = value / (1e3 if sign == "k" else least)
            return f"{scaled:,.4g}{sign}".replace("-", "−")
    if size >= 1_000 or float(value).is_integer():
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def _name(figure: Figure, axes: Axes, chart: Chart, axis: Axis) -> None:
    """Names at the ends of few lines; a legend above else, and none for one series of bars. Limits
    have theirs beside them always."""
    if not _has_values(chart):
        return
    limits = [one for one in chart.series if one.mark is Mark.LIMIT]
    named: list[Series | Band] = [
        *(one for one in chart.series if one.mark is not Mark.LIMIT),
        *chart.bands,
    ]
    is_direct = (
        not axis.is_lying
        and not axis.is_number
        and len(named) + len(limits) <= DIRECT
        and all(isinstance(one, Band) or one.mark in _LINES for one in named)
        and all(len(one.name) <= LONGEST_DIRECT for one in named)
    )
    if is_direct and (limits or len(named) > 1):
        _at_ends(axes, [(_end(one), one.name) for one in [*named, *limits]])
        return
    if len(named) > 1 or (limits and named and axis.is_number):
        figure.legend(loc="outside upper left", ncols=min(3, len(named)))
    if limits and not axis.is_lying:
        _at_ends(axes, [(one.y[0], one.name) for one in limits])
    for one in limits:
        if axis.is_lying and one.y[0] is not None:
            place = (one.y[0], 1.0)
            axes.annotate(
                one.name, place, xycoords=("data", "axes fraction"), ha="center", va="bottom"
            )


_LINES = (Mark.LINE, Mark.STEP, Mark.LIMIT)


def _end(one: Series | Band) -> float | None:
    if isinstance(one, Band):
        return one.high[-1] if one.high else None
    return next((y for y in reversed(one.y) if y is not None), None)


def _at_ends(axes: Axes, ends: list[tuple[float | None, str]]) -> None:
    """To the right of the axes, pushed apart where they would lie on one another."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    known = sorted((((y - low) / (high - low)), name) for y, name in ends if y is not None)
    places = [place for place, _ in known]
    for number in range(1, len(places)):
        places[number] = max(places[number], places[number - 1] + _LABEL_GAP)
    if places and (over := places[-1] - 1.0) > 0:
        places = [place - over for place in places]
        for number in reversed(range(len(places) - 1)):
            places[number] = min(places[number] + over, places[number + 1] - _LABEL_GAP)
    for place, (_, name) in zip(places, known, strict=True):
        axes.text(
            1.012, place, name, transform=axes.transAxes, va="center", fontsize=8.5, color="0.15"
        )
