"""The page Market: what each offer costs, how it answers, how good it is, and who says so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from aiohttp import web

from hedgerow.market.board import Board
from hedgerow.market.board_view import BoardView, Column, Wish, best_quality, view
from hedgerow.market.live_board import LiveBoard
from hedgerow.web.desk import WebDesk
from hedgerow.web.pages.market_formats import FORMATS
from hedgerow.web.pages.market_past import MarketPastPages
from hedgerow.web.views import Fragment, Page
from hedgerow.web.visits import Visit
from ledger.instants import as_ns

PATH = "/ui/market"
BOARD = f"{PATH}/board"
MOST_PAGES = 10_000
SEARCH_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Head:
    """A column of the table. is_first_down: whether the first look at it is the largest first."""

    title: str
    column: Column | None = None
    says: str = ""
    is_first_down: bool = False
    is_number: bool = True


HEADS = (
    Head("Offer", Column.OFFER, is_number=False),
    Head("Health", says="of all workers' breakers", is_number=False),
    Head("Input", Column.INPUT, "USD per million tokens"),
    Head("Output", Column.OUTPUT, "USD per million tokens"),
    Head("Cached", Column.CACHED, "USD per million tokens read from a cache"),
    Head("Effective", Column.EFFECTIVE, "USD per million characters of text like ours"),
    Head("Price from", Column.SINCE, "who says so, and since when", is_number=False),
    Head("TTFT p50", Column.TTFT, "time to the first token, of the last five minutes"),
    Head("p95", Column.TTFT_P95, "time to the first token, of the last five minutes"),
    Head("Per token", Column.GAP, "median time between two tokens"),
    Head("Errors", Column.ERRORS, "of all attempts of the last five minutes", is_first_down=True),
    Head("429s", Column.LIMITED, "refused for our rate", is_first_down=True),
    Head("Quality", Column.QUALITY, "from 0 to 1, with its 90% interval", is_first_down=True),
    Head("Our share", Column.SHARE, "of its model's requests of a week", is_first_down=True),
    Head("Context", Column.CONTEXT, "tokens", is_first_down=True),
)


class MarketPage:
    def __init__(self, desk: WebDesk) -> None:
        self._desk = desk
        self._live = LiveBoard(desk.house, desk)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PATH, self._desk.page(self._page), allow_head=False),
            web.get(BOARD, self._desk.page(self._board), allow_head=False),
            *MarketPastPages(self._desk, self._live).routes(),
        ]

    async def _page(self, visit: Visit) -> Page:
        wish = wish_of(visit)
        has_feeds = bool(self._desk.config.market.feeds)
        return Page("market.html", "Market", await self._values(wish) | {"has_feeds": has_feeds})

    async def _board(self, visit: Visit) -> Fragment:
        return Fragment("market_board.html", await self._values(wish_of(visit)))

    async def _values(self, wish: Wish) -> dict[str, object]:
        board = await self._live.board()
        shown = view(board, wish)
        return {
            **FORMATS,
            "alarms": await self._live.alarms(),
            "board": board,
            "board_ns": as_ns(board.at),
            "view": shown,
            "wish": wish,
            "heads": [(one, *_sorting(one, wish)) for one in HEADS],
            "live_url": f"{BOARD}?{query_of(wish)}",
            "page_url": lambda page: f"{PATH}?{query_of(replace(wish, page=page))}",
            "trouble_url": f"{PATH}?{query_of(replace(wish, is_in_trouble=True, page=1))}",
            "quality": best_quality,
            "mix_words": _mix_words(board),
            "groups": _groups(shown, wish),
        }


def wish_of(visit: Visit) -> Wish:
    """What the address says. Raises Invalid."""
    asked = visit.asked
    search = (asked.query("search") or "").strip()[:SEARCH_CHARACTERS]
    sort = asked.choice("sort", Column, Column.LISTED)
    return Wish(
        search=search,
        model=asked.query("model") or None,
        provider=asked.query("provider") or None,
        sort=Column(sort),
        is_descending=asked.choice("order", ("up", "down"), "up") == "down",
        is_in_trouble=asked.query("trouble") == "1",
        page=asked.count("page", 1, MOST_PAGES),
    )


def query_of(wish: Wish) -> str:
    """What an address says of it."""
    said: list[tuple[str, str]] = []
    if wish.search:
        said.append(("search", wish.search))
    if wish.model is not None:
        said.append(("model", wish.model))
    if wish.provider is not None:
        said.append(("provider", wish.provider))
    if wish.is_in_trouble:
        said.append(("trouble", "1"))
    if wish.sort is not Column.LISTED:
        said.append(("sort", wish.sort))
    if wish.is_descending:
        said.append(("order", "down"))
    if wish.page > 1:
        said.append(("page", str(wish.page)))
    return urlencode(said)


def _sorting(head: Head, wish: Wish) -> tuple[str | None, str]:
    """Where a click on the head leads, and how it is sorted now, as aria-sort has it. A click on
    what is sorted turns it round, and the next one leaves the order of the configuration."""
    if head.column is None:
        return None, "none"
    if wish.sort is not head.column:
        then = replace(wish, sort=head.column, is_descending=head.is_first_down, page=1)
        return f"{PATH}?{query_of(then)}", "none"
    said = "descending" if wish.is_descending else "ascending"
    if wish.is_descending == head.is_first_down:
        then = replace(wish, is_descending=not wish.is_descending, page=1)
    else:
        then = replace(wish, sort=Column.LISTED, is_descending=False, page=1)
    return f"{PATH}?{query_of(then)}", said


def _groups(shown: BoardView, wish: Wish) -> list[tuple[str | None, list[object]]]:
    """The rows under the names of their models, as long as those stand together."""
    if wish.sort is not Column.LISTED:
        return [(None, list(shown.rows))]
    groups: list[tuple[str | None, list[object]]] = []
    for row in shown.rows:
        if not groups or groups[-1][0] != row.model:
            groups.append((row.model, []))
        groups[-1][1].append(row)
    return groups


def _mix_words(board: Board) -> str:
    mix = board.mix
    part = mix.prompt_chars / mix.chars if mix.chars else 0
    whose = (
        f"our {mix.requests:,} requests of the last week" if mix.is_measured else "an assumption"
    )
    return f"text of which {part:.0%} are prompts, by {whose}"
