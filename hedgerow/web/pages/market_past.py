"""Pages of the market's past: of one offer, of a model's offers, of GPU-hours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from aiohttp import web

from benchmarks.tables.history import MarketHistory, PastQuote
from benchmarks.traffic.hours import Step, history
from hedgerow.charts import Chart
from hedgerow.market.board import Board, Line
from hedgerow.market.board_view import best_quality
from hedgerow.market.capacity_past import CapacityPast, capacity_past
from hedgerow.market.live_board import LiveBoard
from hedgerow.market.offer_past import MOST_POINTS, OfferPast, offer_past
from hedgerow.web.desk import WebDesk
from hedgerow.web.pages import market_charts as charts
from hedgerow.web.pages.market_formats import FORMATS
from hedgerow.web.pages.spans import LENGTHS, Span
from hedgerow.web.views import Page
from hedgerow.web.visits import Visit
from ledger.databases.sql import Sql
from ledger.instants import as_ns, instant
from proxy.errors import NotFound

OFFER, MODEL, CAPACITY = "/ui/market/offer", "/ui/market/model", "/ui/market/capacity"
NAME_CHARACTERS = 500
PRICES_SHOWN = 200
"""In the table of an offer's prices: the newest."""
YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class ModelPast:
    """Of a few of its offers, by id."""

    prices: dict[str, Sequence[PastQuote]]
    steps: dict[str, Sequence[Step]]


class MarketPastPages:
    def __init__(self, desk: WebDesk, live: LiveBoard) -> None:
        self._desk = desk
        self._live = live

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(OFFER, self._desk.page(self._offer), allow_head=False),
            web.get(MODEL, self._desk.page(self._model), allow_head=False),
            web.get(CAPACITY, self._desk.page(self._capacity), allow_head=False),
        ]

    async def _offer(self, visit: Visit) -> Page:
        offer_id = _name(visit, "offer")
        span = Span.of(visit, "7d")
        known = _known(visit, span)

        def look(sql: Sql) -> OfferPast:
            return offer_past(sql, offer_id, span.since, span.until, known)

        board, past = await self._live.board(), await self._desk.read(look)
        found = _lines_of(board, offer_id, visit.asked.query("model"))
        if not found and past.is_empty:
            raise NotFound(
                f"there is no offer {offer_id} here now, and nothing was kept of it in this time:"
                " look for it on the page Market"
            )
        values = {
            **FORMATS,
            **_spans(span, {"offer": offer_id}),
            "board": board,
            "offer_id": offer_id,
            "found": found,
            "past": past,
            "known": None if known == span.until else known,
            "prices": past.prices[-PRICES_SHOWN:][::-1],
            "charts": _charts_of(past),
            "quality": best_quality,
        }
        return Page("market_offer.html", offer_id, values)

    async def _model(self, visit: Visit) -> Page:
        model = _name(visit, "model")
        span = Span.of(visit, "7d")
        board = await self._live.board()
        lines = board.models.get(model)
        if lines is None:
            raise NotFound(f"there is no model {model} here now: look for it on the page Market")
        busiest = sorted(lines, key=lambda one: -(one.share.value if one.share else Decimal(0)))
        few = [one.quoted.offer.id for one in busiest[: charts.DRAWN]]

        def look(sql: Sql) -> ModelPast:
            since_ns, until_ns = as_ns(span.since), as_ns(span.until)
            kept = MarketHistory(sql)
            until = span.until
            return ModelPast(
                {
                    one: kept.quotes.some_changes(one, span.since, until, until, MOST_POINTS)[0]
                    for one in few
                },
                {one: history(sql, one, since_ns, until_ns) for one in few},
            )

        past = await self._desk.read(look)
        told: list[Chart] = []
        if any(past.prices.values()):
            for what, pick in _PRICES:
                its = (past.prices, span.since, span.until, pick, what)
                told.append(charts.model_prices(*its))
        if any(past.steps.values()):
            told.append(charts.model_latency(past.steps))
        values = {
            **FORMATS,
            **_spans(span, {"model": model}),
            "model": model,
            "lines": lines,
            "drawn": len(few),
            "charts": told,
        }
        return Page("market_model.html", model, values)

    async def _capacity(self, visit: Visit) -> Page:
        grade = (visit.asked.query("grade") or "")[:NAME_CHARACTERS]
        until = instant(visit.now_ns)

        def look(sql: Sql) -> CapacityPast:
            return capacity_past(sql, grade, until - YEAR, until)

        past = await self._desk.read(look)
        chart = None
        if past.grade is not None and any(one is not None for _, one in past.days):
            chart = charts.capacity(past.grade, past.days)
        values = {**FORMATS, "past": past, "chart": chart, "at": until}
        return Page("market_capacity.html", "GPU-hours", values)


_PRICES: tuple[tuple[str, Callable[..., Decimal]], ...] = (
    ("input", lambda rates: rates.input),
    ("output", lambda rates: rates.output),
)


def _name(visit: Visit, field: str) -> str:
    """Raises NotFound."""
    name = visit.asked.query(field)
    if not name or len(name) > NAME_CHARACTERS:
        raise NotFound(f"the address names no {field}: look for it on the page Market")
    return name


def _known(visit: Visit, span: Span) -> datetime:
    """As it was known when. Raises Invalid."""
    known_ns = visit.asked.time("known") if visit.asked.query("known") else None
    return span.until if known_ns is None else min(instant(known_ns), span.until)


def _lines_of(board: Board, offer_id: str, model: str | None) -> list[tuple[str, Line]]:
    """An offer may be in several models: the one that was named first."""
    found = [
        (name, line)
        for name, lines in board.models.items()
        for line in lines
        if line.quoted.offer.id == offer_id
    ]
    return sorted(found, key=lambda one: one[0] != model)


def _charts_of(past: OfferPast) -> list[Chart]:
    """Only those in which there is something to be seen."""
    found = []
    if past.prices:
        found.append(charts.prices(past))
    if past.steps or any(one.said and one.said.ttft_ms.p50 is not None for one in past.stats):
        found.append(charts.latency(past))
    if past.steps:
        found += [charts.gaps(past), charts.attempts(past)]
    if past.evals:
        found.append(charts.quality(past))
    return found


def _spans(span: Span, query: dict[str, str]) -> dict[str, object]:
    return {"span": span, "lengths": tuple(LENGTHS.values()), "query": query}
