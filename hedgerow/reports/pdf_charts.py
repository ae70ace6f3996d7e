"""Charts on pages, as lines and letters and not as a picture: sharp at any size, to be searched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Transform
from matplotlib.typing import ColorType

from hedgerow.charts import Chart
from hedgerow.reports.drawing import draw, styled
from hedgerow.reports.pdf_blocks import BODY, HEADINGS, SMALL, Lines, paragraph
from hedgerow.reports.pdf_pages import HEIGHT_PT, WIDTH_PT, Block, Pages
from hedgerow.reports.pdf_text import BOLD, PLAIN, Canvas, line_of, line_width_pt

_PT_PER_IN = 72.0
_HEIGHT_IN = 3.3
_TILE_PT = 72.0
_SMALLEST_PT = 150.0
_BOLD_FROM = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot(Block):
    """A chart with its title above, and beneath it in words what is to be seen."""

    title: Lines
    name: str
    under: tuple[Lines, ...]
    figure: Figure
    figure_pt: float
    scale: float

    def height_pt(self) -> float:
        under = sum(one.height_pt() + one.gap_pt for one in self.under)
        return self.title.height_pt() + 4 + self.figure_pt * self.scale + under

    def draw(self, canvas: Canvas, x: float, y: float, pages: Pages) -> None:
        canvas.bookmarkHorizontal(self.anchor, x, y + 12)
        canvas.addOutlineEntry(self.name, self.anchor, 1, closed=True)
        self.title.draw(canvas, x, y, pages)
        y -= self.title.height_pt() + 4 + self.figure_pt * self.scale
        canvas.saveState()
        canvas.translate(x, y)
        canvas.scale(self.scale, self.scale)
        with styled():
            self.figure.draw(_Renderer(canvas, WIDTH_PT, self.figure_pt))
        canvas.restoreState()
        for one in self.under:
            y -= one.gap_pt
            one.draw(canvas, x, y, pages)
            y -= one.height_pt()


def plot(chart: Chart) -> Plot:
    """A chart over the width of a page; one that is higher than a page is made smaller."""
    title = paragraph(chart.title, HEADINGS[1])
    under = (
        paragraph(chart.says, BODY, gap_pt=4.0),
        *(paragraph(note, SMALL, gap_pt=3.0) for note in chart.notes),
    )
    words = title.height_pt() + 4 + sum(one.height_pt() + one.gap_pt for one in under)
    figure = draw(chart, WIDTH_PT / _PT_PER_IN, _HEIGHT_IN)
    figure.set_dpi(_PT_PER_IN)
    figure_pt = float(figure.get_size_inches()[1]) * _PT_PER_IN
    room = max(_SMALLEST_PT, HEIGHT_PT - words)
    return Plot(
        gap_pt=12.0,
        anchor=f"chart-{chart.id}",
        title=title,
        name=chart.title,
        under=under,
        figure=figure,
        figure_pt=figure_pt,
        scale=min(1.0, room / figure_pt),
    )


class _Renderer(RendererBase):
    """What matplotlib draws a figure with: reportlab's canvas, in points from the lower left."""

    def __init__(self, canvas: Canvas, width_pt: float, height_pt: float) -> None:
        super().__init__()
        self._canvas = canvas
        self._size = (width_pt, height_pt)

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self._size

    def flipy(self) -> bool:
        return False

    def points_to_pixels(self, points: Any) -> Any:
        return points

    def draw_path(
        self,
        gc: GraphicsContextBase,
        path: Path,
        transform: Transform,
        rgbFace: ColorType | None = None,  # noqa: N803 - matplotlib's name
    ) -> None:
        fill = None if rgbFace is None or not _alpha(rgbFace, gc) else rgbFace
        with self._state(gc):
            canvas = self._canvas
            hatch = gc.get_hatch_path()
            if fill is not None:
                canvas.setFillColorRGB(*fill[:3])
                canvas.setFillAlpha(_alpha(fill, gc))
            if hatch is not None:
                if fill is not None:
                    canvas.drawPath(self._path(path, transform), stroke=0, fill=1)
                self._hatch(gc, path, transform, hatch)
                fill = None
            has_line = gc.get_linewidth() > 0 and _alpha(gc.get_rgb(), gc) > 0
            if has_line:
                self._set_line(gc)
            if has_line or fill is not None:
                canvas.drawPath(
                    self._path(path, transform), stroke=int(has_line), fill=int(fill is not None)
                )

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: Any = False,
        mtext: Text | None = None,
    ) -> None:
        del ismath, mtext
        canvas = self._canvas
        weight = prop.get_weight()
        is_bold = weight in ("bold", "heavy", "black", "semibold") or (
            isinstance(weight, int) and weight >= _BOLD_FROM
        )
        size = prop.get_size_in_points()
        with self._state(gc):
            canvas.translate(x, y)
            canvas.rotate(angle)
            at = 0.0
            canvas.setFillColorRGB(*gc.get_rgb()[:3])
            for font, run in line_of(s, BOLD if is_bold else PLAIN):
                canvas.setFont(font, size)
                canvas.drawString(at, 0, run)
                at += line_width_pt(((font, run),), size)

    @contextmanager
    def _state(self, gc: GraphicsContextBase) -> Iterator[None]:
        canvas = self._canvas
        canvas.saveState()
        if (box := gc.get_clip_rectangle()) is not None:
            clip = canvas.beginPath()
            clip.rect(*box.bounds)
            canvas.clipPath(clip, stroke=0, fill=0)
        path, transform = gc.get_clip_path()
        if path is not None and transform is not None:
            canvas.clipPath(self._path(cast("Path", path), transform), stroke=0, fill=0)
        yield
        canvas.restoreState()

    def _set_line(self, gc: GraphicsContextBase) -> None:
        canvas = self._canvas
        canvas.setStrokeColorRGB(*gc.get_rgb()[:3])
        canvas.setStrokeAlpha(_alpha(gc.get_rgb(), gc))
        canvas.setLineWidth(gc.get_linewidth())
        canvas.setLineCap({"butt": 0, "round": 1, "projecting": 2}[str(gc.get_capstyle())])
        canvas.setLineJoin({"miter": 0, "round": 1, "bevel": 2}[str(gc.get_joinstyle())])
        offset, dashes = gc.get_dashes()
        if dashes is not None:
            canvas.setDash(np.asarray(dashes, dtype=float).tolist(), float(offset))

    def _hatch(
        self, gc: GraphicsContextBase, path: Path, transform: Transform, hatch: Path
    ) -> None:
        """Tiles of the hatch, clipped to the path."""
        canvas = self._canvas
        within = path.get_extents(transform)
        canvas.saveState()
        canvas.clipPath(self._path(path, transform), stroke=0, fill=0)
        ink = gc.get_hatch_color()
        canvas.setStrokeColorRGB(*ink[:3])
        canvas.setFillColorRGB(*ink[:3])
        canvas.setFillAlpha(1)
        canvas.setLineWidth(gc.get_hatch_linewidth())
        for left in np.arange(np.floor(within.x0 / _TILE_PT) * _TILE_PT, within.x1, _TILE_PT):
            for low in np.arange(np.floor(within.y0 / _TILE_PT) * _TILE_PT, within.y1, _TILE_PT):
                tile = Affine2D().scale(_TILE_PT).translate(float(left), float(low))
                canvas.drawPath(self._path(hatch, tile), stroke=1, fill=1)
        canvas.restoreState()

    def _path(self, path: Path, transform: Transform) -> Any:
        made = self._canvas.beginPath()
        last: npt.NDArray[np.float64] = np.zeros(2)
        for points, code in path.iter_segments(transform, remove_nans=True):
            at: Sequence[float] = [float(one) for one in points]
            if code == Path.MOVETO:
                made.moveTo(*at)
            elif code == Path.LINETO:
                made.lineTo(*at)
            elif code == Path.CURVE3:
                control, end = np.array(at[:2]), np.array(at[2:])
                one, two = last + 2 / 3 * (control - last), end + 2 / 3 * (control - end)
                made.curveTo(*one.tolist(), *two.tolist(), *end.tolist())
            elif code == Path.CURVE4:
                made.curveTo(*at)
            elif code == Path.CLOSEPOLY:
                made.close()
                continue
            last = np.array(at[-2:])
        return made


def _alpha(colour: Any, gc: GraphicsContextBase) -> float:
    """How much a colour covers: its own part, or the one that is forced on all of it."""
    if gc.get_forced_alpha() or len(colour) == 3:
        return float(gc.get_alpha())
    return float(colour[3])
