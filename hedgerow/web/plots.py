"""Plots: a chart as plotly draws it in a browser.

Colours are names of the style's variables, as in `var(--series-1)`: the script puts in what they
are in the light and in the dark. Series differ by dash and marker, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from hedgerow.charts import Band, Chart, Mark, Place, Series

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
_HATCHES = ("", "/", "x", ".", "\\", "+")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FONT = "system-ui, sans-serif"


def plot_of(chart: Chart) -> dict[str, Any]:
    """What the script of the pages draws: the figure, and the same for who cannot see it."""
    return {
        "id": chart.id,
        "title": chart.title,
        "says": chart.says,
        "notes": list(chart.notes),
        "figure": {"data": _traces(chart), "layout": _layout(chart)},
        "table": table_of(chart),
    }


def plot_json(chart: Chart) -> bytes:
    return msgspec.json.encode(plot_of(chart))


def table_of(chart: Chart) -> dict[str, Any]:
    """Its data: a column for x, one for each series, two for each band."""
    lines = [one for one in chart.series if one.mark is not Mark.LIMIT]
    columns: list[tuple[str, dict[Place, float | None]]] = [
        (one.name, dict(zip(one.x, one.y, strict=True))) for one in lines
    ]
    for band in chart.bands:
        for word, side in (("low", band.low), ("high", band.high)):
            columns.append((f"{band.name}, {word}", dict(zip(band.x, side, strict=True))))
    places = dict.fromkeys(place for _, values in columns for place in values)
    limits = {one.name: one.y[0] for one in chart.series if one.mark is Mark.LIMIT and one.y}
    return {
        "head": [chart.x_label, *(name for name, _ in columns), *limits],
        "rows": [
            [place, *(values.get(place) for _, values in columns), *limits.values()]
            for place in places
        ],
    }


def _traces(chart: Chart) -> list[dict[str, Any]]:
    bands = [trace for number, one in enumerate(chart.bands) for trace in _band(one, number)]
    lines = (one for one in chart.series if one.mark is not Mark.LIMIT)
    return bands + [_trace(one, number) for number, one in enumerate(lines)] + list(_limits(chart))


def _band(band: Band, number: int) -> Iterator[dict[str, Any]]:
    """Its lower line, unseen, and its upper one, filled down to it."""
    unseen = {"width": 0, "color": f"var(--band-{number % 3 + 1})"}
    same = {"x": list(band.x), "type": "scatter", "mode": "lines", "line": unseen}
    yield same | {"y": list(band.low), "showlegend": False, "hoverinfo": "skip", "name": band.name}
    yield same | {
        "y": list(band.high),
        "name": band.name,
        "fill": "tonexty",
        "fillcolor": f"var(--band-{number % 3 + 1})",
    }


def _trace(series: Series, number: int) -> dict[str, Any]:
    at = number % 6
    colour = f"var(--series-{at + 1})"
    common = {"name": series.name, "x": list(series.x), "y": list(series.y)}
    match series.mark:
        case Mark.BAR:
            # Hatched over the colour: without `overlay` the colour goes where there is a hatch.
            pattern = {
                "shape": _HATCHES[at],
                "fillmode": "overlay",
                "solidity": 0.25,
                "fgcolor": "var(--surface)",
            }
            return common | {"type": "bar", "marker": {"color": colour, "pattern": pattern}}
        case Mark.POINTS:
            marker = {"color": colour, "symbol": _MARKERS[at], "size": 7}
            return common | {"type": "scatter", "mode": "markers", "marker": marker}
        case Mark.LINE | Mark.STEP | Mark.LIMIT:
            line = {"color": colour, "width": 2, "dash": _DASHES[at]}
            line["shape"] = "hv" if series.mark is Mark.STEP else "linear"
            known = sum(one is not None for one in series.y)
            # A single point has no line to be seen by.
            mode = "lines+markers" if known <= 1 else "lines"
            marker = {"color": colour, "symbol": _MARKERS[at], "size": 7}
            return common | {"type": "scatter", "mode": mode, "line": line, "marker": marker}


def _limits(chart: Chart) -> Iterator[dict[str, Any]]:
    """Lines across all that the others span, so that the legend names them."""
    others: list[Place] = [x for one in chart.series if one.mark is not Mark.LIMIT for x in one.x]
    others += [x for band in chart.bands for x in band.x]
    numbers = [x for x in others if not isinstance(x, str)]
    ends = list(dict.fromkeys([min(numbers), max(numbers)])) if numbers else others
    for one in chart.series:
        if one.mark is Mark.LIMIT:
            x = ends or list(one.x)
            yield {
                "name": one.name,
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": [one.y[0]] * len(x),
                "line": {"color": "var(--limit)", "width": 1.5, "dash": "longdash"},
            }


def _layout(chart: Chart) -> dict[str, Any]:
    axis = {
        "gridcolor": "var(--line)",
        "zerolinecolor": "var(--line-strong)",
        "linecolor": "var(--line-strong)",
        "automargin": True,
        "fixedrange": True,
    }
    return {
        "font": {"family": _FONT, "size": 12, "color": "var(--ink-soft)"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "height": 280,
        "xaxis": axis | _x_type(chart) | {"title": {"text": chart.x_label}, "showgrid": False},
        "yaxis": axis | {"title": {"text": chart.y_label}, "rangemode": "tozero"},
        "barmode": "stack" if chart.stacked else "group",
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": "var(--surface)", "font": {"color": "var(--ink)"}},
        "showlegend": len(chart.series) + len(chart.bands) > 1,
        "legend": {
            "traceorder": "normal",
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
        },
    }


def _x_type(chart: Chart) -> dict[str, str]:
    """Of labels that are no days: plotly would take months for their first days."""
    places = [x for one in chart.series for x in one.x]
    places += [x for band in chart.bands for x in band.x]
    is_category = any(isinstance(x, str) and not _DAY.match(x) for x in places)
    return {"type": "category"} if is_category else {}
