"""Pages: blocks one below another, cut where a page ends; numbered before any is drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from reportlab.lib.pagesizes import A4

from hedgerow.reports.pdf_text import Canvas

LEFT, TOP, BOTTOM = 48.0, 62.0, 52.0
UPRIGHT_PT: tuple[float, float] = (float(A4[0]), float(A4[1]))
LYING_PT: tuple[float, float] = (float(A4[1]), float(A4[0]))
WIDTH_PT = UPRIGHT_PT[0] - 2 * LEFT
LYING_WIDTH_PT = LYING_PT[0] - 2 * LEFT
HEIGHT_PT = UPRIGHT_PT[1] - TOP - BOTTOM
LYING_HEIGHT_PT = LYING_PT[1] - TOP - BOTTOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(ABC):
    """Something that stands on pages.

    gap_pt: free space above it, but not at the head of a page. begins_page: always the first on its
    page. is_lying: only on pages that lie; others stand on either. goes_with_next: never the last
    on its page. anchor: what contents and links name it.
    """

    gap_pt: float = 5.0
    begins_page: bool = False
    is_lying: bool = False
    goes_with_next: bool = False
    anchor: str = ""

    @abstractmethod
    def height_pt(self) -> float: ...

    @abstractmethod
    def draw(self, canvas: Canvas, x: float, y: float, pages: Pages) -> None:
        """With its upper left corner at x and y."""

    def least_pt(self) -> float:
        """The room in which it can begin; at most a page's."""
        return self.height_pt()

    def cut(self, room_pt: float) -> tuple[Block, Block] | None:
        """What fits in the room, which is at least `least_pt`, and what remains; None of what
        stands on one page whole. Only asked of a block that is higher than the room."""
        del room_pt
        return None


@dataclass(slots=True)
class Page:
    is_lying: bool
    placed: list[tuple[float, Block]] = field(default_factory=list)
    """From the upper edge of the page's text downwards."""
    used_pt: float = 0.0

    @property
    def room_pt(self) -> float:
        return (LYING_HEIGHT_PT if self.is_lying else HEIGHT_PT) - self.used_pt


@dataclass(frozen=True, slots=True)
class Pages:
    """numbers: on which page (from 1) an anchor stands."""

    pages: tuple[Page, ...]
    numbers: dict[str, int]


def paginate(blocks: Sequence[Block]) -> Pages:
    pages: list[Page] = []
    numbers: dict[str, int] = {}
    waiting = deque(blocks)
    while waiting:
        page = pages[-1] if pages else None
        if page is None or not _begins_on(page, waiting):
            page = Page(_lies(waiting))
            pages.append(page)
        block = waiting.popleft()
        if page.placed:
            page.used_pt += block.gap_pt
        if block.height_pt() > page.room_pt and (parts := block.cut(page.room_pt)):
            block, rest = parts
            waiting.appendleft(rest)
        page.placed.append((page.used_pt, block))
        page.used_pt += block.height_pt()
        if block.anchor:
            numbers.setdefault(block.anchor, len(pages))
    return Pages(tuple(pages), numbers)


def _begins_on(page: Page, waiting: deque[Block]) -> bool:
    """Whether the next block begins on a page that something stands on: with what it goes with."""
    room = page.room_pt
    for number, block in enumerate(waiting):
        if (block.begins_page and number == 0) or (block.is_lying and not page.is_lying):
            return False
        room -= block.gap_pt
        if not block.goes_with_next:
            # On a page that lies for another's sake, what need not lie begins only to end there.
            is_guest = page.is_lying and not block.is_lying
            return room >= (block.height_pt() if is_guest else block.least_pt())
        room -= block.height_pt()
    return room >= 0


def _lies(waiting: deque[Block]) -> bool:
    """Whether a page lies that begins with the next block: if it must, or stands before one that
    must and that has room to begin there."""
    room = LYING_HEIGHT_PT
    for number, block in enumerate(waiting):
        if number and block.begins_page:
            return False
        if block.is_lying:
            return room >= block.least_pt() or number == 0
        room -= block.height_pt() + block.gap_pt
        if room < 0:
            return False
    return False
