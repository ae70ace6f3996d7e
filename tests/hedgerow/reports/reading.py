"""What stands on the pages of a PDF, and where."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, TypeAlias

from hedgerow.reports.pdf_pages import LEFT

Box: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right, top."""
_INVISIBLE = re.compile(r"[\s\ufffe\u00ad\u0002]")
_CELL_PT = 20
_TOUCH = 0.35


def bare(text: str) -> str:
    """Without what a line's end may add or take."""
    return _INVISIBLE.sub("", text).replace("-", "")


def boxes(page: Any) -> list[Box]:
    """Of each sign that can be seen."""
    text = page.get_textpage()
    found = (text.get_charbox(number) for number in range(text.count_chars()))
    return [box for box in found if box[2] - box[0] > 0.01 and box[3] - box[1] > 0.01]


def misplaced(page: Any) -> list[Box]:
    """Signs beyond the margins."""
    width, height = page.get_size()
    return [
        box
        for box in boxes(page)
        if box[0] < LEFT - 1 or box[2] > width - LEFT + 1 or box[1] < 20 or box[3] > height - 25
    ]


def overlapping(page: Any) -> list[tuple[Box, Box]]:
    """Signs that cover one another by more than the slight touch of neighbours."""
    near: dict[tuple[int, int], list[Box]] = defaultdict(list)
    found = []
    for box in boxes(page):
        columns = range(int(box[0] // _CELL_PT), int(box[2] // _CELL_PT) + 1)
        rows = range(int(box[1] // _CELL_PT), int(box[3] // _CELL_PT) + 1)
        cells = [(column, row) for column in columns for row in rows]
        for other in {one for cell in cells for one in near[cell]}:
            across = min(box[2], other[2]) - max(box[0], other[0])
            up = min(box[3], other[3]) - max(box[1], other[1])
            smaller = min((one[2] - one[0]) * (one[3] - one[1]) for one in (box, other))
            if across > 0 and up > 0 and across * up > _TOUCH * smaller:
                found.append((box, other))
        for cell in cells:
            near[cell].append(box)
    return found
