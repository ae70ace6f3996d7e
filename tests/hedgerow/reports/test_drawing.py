"""Charts of reports: the same bytes, told apart without colour, and fit for a strict page."""

from __future__ import annotations

import io
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from hedgerow.charts import Band, Chart, Mark, Place, Series
from hedgerow.reports.drawing import DASHES, FILLS, HATCHES, INKS, MARKERS, number_text, png, svg
from hedgerow.reports.places import axis_of
from tests.hedgerow.reports import documents

CHARTS = (
    documents.line_chart(),
    documents.bar_chart(),
    documents.lying_chart(),
    documents.scatter_chart(),
    documents.step_chart(),
    documents.no_chart(),
)


def luminance(colour: str) -> float:
    """Relative, as the contrast of the Web Content Accessibility Guidelines counts it."""
    linear = [
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in to_rgb(colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda one: str(one.id))
def test_the_same_chart_gives_the_same_bytes(chart: Chart) -> None:
    """As SVG and as PNG; and the SVG stands in a page under a strict policy: no style, script or
    address, ids of its own, words for who cannot see it."""
    text = svg(chart)
    assert text == svg(chart)
    assert png(chart, dpi=50) == png(chart, dpi=50)
    root = ET.fromstring(text)  # noqa: S314 - our own
    names = {name for one in root.iter() for name in one.attrib}
    assert "style" not in names
    assert not {one.tag.rpartition("}")[2] for one in root.iter()} & {"style", "script", "metadata"}
    ids = [one.attrib["id"] for one in root.iter() if "id" in one.attrib]
    assert len(ids) == len(set(ids))
    assert all(one.startswith(f"chart-{chart.id}-") for one in ids)
    used = re.findall(r"url\(#([^)]+)\)", text)
    used += [one.attrib["href"].removeprefix("#") for one in root.iter() if "href" in one.attrib]
    assert set(used) <= set(ids)
    assert chart.says in (root.findtext("{http://www.w3.org/2000/svg}title") or "")


def test_series_are_told_apart_without_colour() -> None:
    """Six of a kind differ by dash and marker, or by hatch; lines stand 3:1 against white, and
    neighbouring fills differ in grey."""
    assert len(set(map(str, DASHES))) == len(set(MARKERS)) == len(set(HATCHES)) == len(INKS)
    assert all(1.05 / (luminance(ink) + 0.05) >= 3 for ink in INKS)
    pairs = pairwise(FILLS)
    assert all(abs(luminance(one) - luminance(other)) > 0.05 for one, other in pairs)


DRAWN = tuple(one for one in Mark if one is not Mark.LIMIT)
places: st.SearchStrategy[list[Place]] = st.one_of(
    st.lists(st.dates().map(str), min_size=1, max_size=40, unique=True),
    st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=12, unique=True),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40, unique=True),
)


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_any_chart_can_be_drawn(data: st.DataObject) -> None:
    """Of any marks, gaps, names in any script, amounts of any size: a picture, and no warning."""
    x: tuple[Place, ...] = tuple(data.draw(places))
    amount = st.none() | st.floats(-1e12, 1e12)
    y = st.lists(amount, min_size=len(x), max_size=len(x)).map(tuple)
    marks = data.draw(st.lists(st.sampled_from(DRAWN), max_size=7))
    series = [Series(data.draw(st.text(max_size=30)), one, x, data.draw(y)) for one in marks]
    if data.draw(st.booleans()):
        series.append(Series("cap", Mark.LIMIT, (), (data.draw(amount),)))
    low = tuple(float(number) for number in range(len(x)))
    bands = (
        (Band("band", x, low, tuple(one + 1 for one in low)),) if data.draw(st.booleans()) else ()
    )
    stacked = data.draw(st.booleans())
    chart = Chart("any", "t", "s", "x", "y", tuple(series), bands, stacked=stacked)
    picture = imread(io.BytesIO(png(chart, dpi=40)))
    assert picture.shape[1] == 288


def test_days_that_are_missing_leave_their_room() -> None:
    """Days stand at their dates, months at theirs, numbers where they are, names as they come."""

    def at(*x: str | float) -> list[float]:
        chart = Chart("c", "t", "s", "x", "y", (Series("a", Mark.LINE, x, (0.0,) * len(x)),))
        found = axis_of(chart).at(x)
        return [one - found[0] for one in found.tolist()]

    assert at("2027-01-30", "2027-01-31", "2027-02-03") == [0, 1, 4]
    assert at("2026-11", "2027-02") == [0, 3]
    assert at(1.5, 4.0) == [0, 2.5]
    assert at("zebra", "ant") == [0, 1]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (950, "950"), (12_500, "12,500"), (1.25e6, "1.25M"), (-2e9, "−2bn"), (0.5, "0.5")],
)
def test_numbers_at_axes_are_short(value: float, text: str) -> None:
    """With a sign of their own size."""
    assert number_text(value) == text
