"""The page Routing: where requests went, what that saved, what failed, and how routers stand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode

from aiohttp import web

from benchmarks.offers import Feature, Task
from benchmarks.traffic.hours import HOURS_KEPT, Counts, totals
from hedgerow.charts import Chart
from hedgerow.kept import Kept
from hedgerow.market.live_board import LiveBoard
from hedgerow.router.question import Question, chosen
from hedgerow.router.recent import Recent, recent
from hedgerow.router.shares import By, Shares, shares
from hedgerow.web.desk import WebDesk
from hedgerow.web.pages import market_charts as charts
from hedgerow.web.pages.market_formats import FORMATS
from hedgerow.web.pages.spans import LENGTHS, Length, Span
from hedgerow.web.views import Fragment, Page
from hedgerow.web.visits import Visit
from ledger.databases.sql import Sql
from ledger.instants import as_ns
from ledger.money import Money
from ledger.routed import routed
from proxy.errors import Invalid, NotFound
from routing.decide import Moment
from routing.decision import RouteDecision
from routing.explanation import Explanation, explain
from routing.learned import FIRST_COMPLETION_TOKENS
from routing.state import State

K = TypeVar("K")
V = TypeVar("V")

PATH = "/ui/routing"
STANDING, RECENT, WENT = f"{PATH}/standing", f"{PATH}/recent", f"{PATH}/went"
NOW = f"{PATH}/now"
OFFERS_SHOWN = 100
MODELS_SHOWN = 2_000
MOST_TOKENS = 100_000_000
MOST_KEPT = 64
"""Of what was asked for; the oldest goes."""
PATIENCE_S = 0.15
"""So long a page waits for sums; then they come later."""
RECENT_S = 2.0
SPAN_S = {"24h": 5.0, "7d": 60.0, "30d": 60.0, "90d": 60.0}
"""How old sums of a span get."""
RECENT_NS = 7 * 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for."""

    length: Length
    by: By
    model: str | None

    @property
    def query(self) -> dict[str, str]:
        """Of an address, but for the time."""
        return {"by": self.by.value} | ({} if self.model is None else {"model": self.model})


@dataclass(frozen=True, slots=True)
class Went:
    """What the page tells of a span. ends: how attempts ended, by the id of their offer, those with
    most failures first."""

    shares: Shares
    ends: tuple[tuple[str, Counts], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What would be chosen for a question now."""

    decision: RouteDecision
    explanation: Explanation

    @property
    def best(self) -> Money | None:
        return self.decision.candidates[0].expected_cost if self.decision.candidates else None


class RoutingPage:
    def __init__(self, desk: WebDesk) -> None:
        self._desk = desk
        self._live = LiveBoard(desk.house, desk)
        self._recents: dict[str | None, Kept[Recent]] = {}
        self._spans: dict[Asked, Kept[Went]] = {}

    def routes(self) -> list[web.RouteDef]:
        page = self._desk.page
        return [
            web.get(PATH, page(self._page), allow_head=False),
            web.get(STANDING, page(self._standing), allow_head=False),
            web.get(RECENT, page(self._recent), allow_head=False),
            web.get(WENT, page(self._went), allow_head=False),
            web.get(NOW, page(self._now), allow_head=False),
        ]

    async def _page(self, visit: Visit) -> Page:
        asked = self._asked(visit)
        went = await self._kept(asked).soon(PATIENCE_S)
        values = {
            **await self._standing_values(),
            **await self._recent_values(asked.model),
            **_went_values(asked, went),
            "lengths": tuple(LENGTHS.values()),
            "query": asked.query,
            "every_by": tuple(By),
            "models": sorted(self._desk.house.market.snapshot.models)[:MODELS_SHOWN],
            "standing_url": STANDING,
            "recent_url": RECENT + _of_model(asked.model),
            "went_url": f"{WENT}?{urlencode(asked.query | {'span': asked.length.name})}",
        }
        return Page("routing.html", "Routing", values)

    async def _went(self, visit: Visit) -> Fragment:
        """However long it takes: the page is there meanwhile."""
        asked = self._asked(visit)
        return Fragment("routing_went.html", _went_values(asked, await self._kept(asked).get()))

    async def _standing(self, _visit: Visit) -> Fragment:
        return Fragment("routing_standing.html", await self._standing_values())

    async def _recent(self, visit: Visit) -> Fragment:
        return Fragment("routing_recent.html", await self._recent_values(self._model(visit)))

    async def _now(self, visit: Visit) -> Page:
        answer, wrong = None, ""
        try:
            answer = self._answer(visit)
        except Invalid as error:
            wrong = error.message
        values = {
            **FORMATS,
            "answer": answer,
            "wrong": wrong,
            "asked": {name: visit.asked.query(name) or "" for name in _FIELDS},
            "needs": visit.request.query.getall("needs", []),
            "names": sorted(self._desk.house.names)[:MODELS_SHOWN],
            "tasks": [(one.value, one.value) for one in Task],
            "features": [one.value for one in Feature],
            "usual": int(FIRST_COMPLETION_TOKENS),
        }
        return Page("routing_now.html", "What would be chosen now", values)

    # -- values

    async def _standing_values(self) -> dict[str, object]:
        standings = await self._live.standings()
        now_ns = self._desk.now_ns()
        rests = [
            (one, rest) for one in standings for rest in one.rests if rest.until_ns is not None
        ]
        rests.sort(key=lambda one: (one[1].offer_id, one[0].worker))
        limited = [
            (one, room)
            for one in standings
            for room in one.rooms
            if room.ready_at_ns is not None
            or any(
                limit is not None
                for limit in (
                    *(room.parallel, room.requests_per_minute),
                    *(room.requests_left, room.tokens_left),
                )
            )
        ]
        return {
            **FORMATS,
            "standings": standings,
            "rests": rests,
            "rooms": limited[:OFFERS_SHOWN],
            "purse": Money(sum(one.purse for one in standings)),
            "now_ns": now_ns,
        }

    async def _recent_values(self, model: str | None) -> dict[str, object]:
        """The same for all who look within a moment."""
        recents = self._recents
        if model not in recents:
            make = partial(self._look_at_recent, model)
            _put(recents, model, Kept(make, RECENT_S, self._desk.house.clock.monotonic_s))
        return {**FORMATS, "recent": await recents[model].get()}

    def _kept(self, asked: Asked) -> Kept[Went]:
        if asked not in self._spans:
            make, now_s = partial(self._look_at_span, asked), self._desk.house.clock.monotonic_s
            _put(self._spans, asked, Kept(make, SPAN_S[asked.length.name], now_s))
        return self._spans[asked]

    async def _look_at_recent(self, model: str | None) -> Recent:
        since_ns = self._desk.now_ns() - RECENT_NS
        return await self._desk.read(lambda sql: recent(sql, since_ns, model))

    async def _look_at_span(self, asked: Asked) -> Went:
        span = Span.until_now(asked.length, self._desk.now_ns())

        def look(sql: Sql) -> Went:
            since_ns, until_ns = as_ns(span.since), as_ns(span.until)
            rows = routed(sql, since_ns, until_ns, span.step_ns, asked.model)
            found = shares(rows, asked.by, (since_ns, until_ns), span.step_ns)
            ends = totals(sql, since_ns, until_ns) if asked.model is None else {}
            worst = sorted(ends.items(), key=lambda one: (-_in_vain(one[1]), one[0]))
            return Went(found, tuple(worst))

        return await self._desk.read(look)

    def _asked(self, visit: Visit) -> Asked:
        """Raises Invalid, NotFound."""
        length = LENGTHS[visit.asked.choice("span", LENGTHS, "24h")]
        return Asked(length, By(visit.asked.choice("by", By, By.OFFER)), self._model(visit))

    def _model(self, visit: Visit) -> str | None:
        """Raises NotFound."""
        model = visit.asked.query("model") or None
        if model is not None and model not in self._desk.house.market.snapshot.models:
            raise NotFound(f"there is no model {model[:200]} here now")
        return model

    def _answer(self, visit: Visit) -> Answer | None:
        """None where nothing was asked yet. Raises Invalid, NotFound."""
        asked, house = visit.asked, self._desk.house
        if not asked.query("model") or not asked.query("input_tokens"):
            return None
        needs = visit.request.query.getall("needs", [])
        max_tokens = (
            asked.count("max_tokens", 1, MOST_TOKENS) if asked.query("max_tokens") else None
        )
        question = Question(
            model=asked.query("model") or "",
            input_tokens=asked.count("input_tokens", 1, MOST_TOKENS),
            output_tokens=_count(visit, "output_tokens", int(FIRST_COMPLETION_TOKENS)),
            max_tokens=max_tokens,
            task=Task(asked.choice("task", Task, Task.CHAT)),
            needs=frozenset(one for one in Feature if one.value in needs),
            units=_count(visit, "units", 0),
            provider=asked.query("provider") or None,
        )
        model, _ = question.asked(house.names)
        if model not in house.names:
            raise NotFound(f"there is no model {model[:200]} here")
        now_s = house.clock.monotonic_s()
        busy = house.accounts.busy(now_s, question.input_tokens + question.output_tokens)
        mine = house.routing
        state = State(breakers=mine.breakers, tables=mine.tables, owned=mine.owned)
        moment = Moment(visit.now_ns, now_s, 0.0, busy)
        decision = chosen(question, house, house.market.snapshot, state, moment)
        return Answer(decision, explain(decision, model, most=OFFERS_SHOWN))


_FIELDS = ("model", "input_tokens", "output_tokens", "max_tokens", "task", "units", "provider")


def _went_values(asked: Asked, went: Went | None) -> dict[str, object]:
    """went: None while it is being summed up."""
    told: list[Chart] = []
    if went is not None and went.shares.total.requests:
        told = [charts.share_of_requests(went.shares), charts.costs(went.shares)]
    return {
        **FORMATS,
        "length": asked.length,
        "by": asked.by,
        "model": asked.model,
        "went": went,
        "charts": told,
        "most": OFFERS_SHOWN,
        "days_kept": HOURS_KEPT // 24,
    }


def _of_model(model: str | None) -> str:
    return "" if model is None else f"?{urlencode({'model': model})}"


def _put(kept: dict[K, V], key: K, value: V) -> None:
    if len(kept) >= MOST_KEPT:
        kept.pop(next(iter(kept)))
    kept[key] = value


def _count(visit: Visit, name: str, usual: int) -> int:
    return visit.asked.count(name, usual, MOST_TOKENS) if visit.asked.query(name) else usual


def _in_vain(one: Counts) -> int:
    return one.failed + one.rate_limited + one.truncated
