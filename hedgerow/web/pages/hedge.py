"""The page Hedge: what is planned, approved, owned and drawn on, and what it has brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from hedge.book.approving import approve, withdraw
from hedge.book.book import HedgeBook
from hedge.book.entering import Entry, EntryKind, enter
from hedge.book.plans import VALID_DAYS, Plan, same_person
from hedge.book.standing import Standing, UtilisationStanding, standing
from hedge.book.statement_csv import price_of
from hedge.contracts.derivatives import Derivative
from hedge.errors import BookRefused, ContractInvalid, HedgeError, PlanUnknown
from hedge.planning.plan import HedgePlan, PlannedPosition
from hedgerow.web.desk import WebDesk
from hedgerow.web.forms import Form
from hedgerow.web.hedge_charts import frontier_chart, months_chart
from hedgerow.web.views import Fragment, Page, SeeOther
from hedgerow.web.visits import Visit
from ledger.bid_prices import BidPrice
from ledger.commitments import MICRO, CommitmentKind
from ledger.databases.sql import Sql
from ledger.instants import day_ns, instant
from ledger.keys import Role
from ledger.money import Money, as_usd
from proxy.admin.asked import invalid
from proxy.errors import Conflict, NotFound

PATH = "/ui/hedge"
MOST_DAYS = 366
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A commitment as this worker's router draws on it now.

    left, capacity: units of this window, which ends at until_ns: a minute of throughput, a month or
    the term of a quota. usd_per_million: what a million units are worth to later requests.
    """

    commitment: str
    contract: str
    kind: CommitmentKind
    left: Decimal
    capacity: Decimal
    usd_per_million: Decimal
    until_ns: int
    offers: tuple[str, ...]

    @property
    def left_part(self) -> Decimal | None:
        return self.left / self.capacity if self.capacity else None


@dataclass(frozen=True, slots=True)
class ToBuy:
    """A position of an approved plan, with what was filled of it already. is_derivative: it has a
    month to settle in, and lots."""

    position: PlannedPosition
    is_derivative: bool
    filled: int

    @property
    def left(self) -> int:
        """Units that may still be bought; lots that are sold count below zero."""
        return self.position.units - self.filled


@dataclass(frozen=True, slots=True)
class HedgePage:
    desk: WebDesk

    def routes(self) -> list[web.RouteDef]:
        page, action = self.desk.page, self.desk.action
        one = f"{PATH}/plans/{{plan}}"
        return [
            web.get(PATH, page(self._show), allow_head=False),
            web.get(f"{PATH}/part", page(self._part), allow_head=False),
            web.get(one, page(self._plan), allow_head=False),
            web.post(f"{one}/approve", action(self._approve, needs=Role.APPROVER)),
            web.post(f"{one}/withdraw", action(self._withdraw, needs=Role.APPROVER)),
            web.post(f"{one}/fill", action(self._fill, needs=Role.ADMIN)),
        ]

    # -- what there is

    async def _show(self, visit: Visit) -> Page:
        return Page("hedge.html", "Hedge", await self._values(visit))

    async def _part(self, visit: Visit) -> Fragment:
        return Fragment("_hedge_part.html", await self._values(visit))

    async def _values(self, visit: Visit) -> dict[str, Any]:
        seen = await self._read(visit, standing)
        owned = drawn(self.desk.house.routing.owned, visit.now_ns)
        today = instant(visit.now_ns).date()
        return {
            "seen": seen,
            "owned": owned,
            "running": running(seen, today),
            "over": [one for one in seen.utilisation if one.until <= today],
            "results_usd": sum((one.total_usd for one in seen.results), Decimal(0)),
            "to_bill_usd": sum((one.to_bill_usd for one in seen.commitments), Decimal(0)),
            "is_empty": not (seen.plans or seen.commitments or seen.positions),
            "config_path": self.desk.config.path,
        }

    async def _plan(self, visit: Visit) -> Page:
        def look(book: HedgeBook) -> dict[str, Any]:
            plan = book.plan(visit.asked.part("plan"))
            told = said_by(plan)
            return {
                "plan": plan,
                "told": told,
                "state": plan.state(visit.now_ns),
                "is_own": same_person(visit.person.name, plan.made_by),
                "to_buy": to_buy(book, plan, told) if told else (),
                "today": book.today,
                "valid_days": VALID_DAYS,
                "most_days": MOST_DAYS,
            }

        found = await self._read(visit, look)
        told = found["told"]
        found |= {
            "frontier": frontier_chart(told) if told else None,
            "months": months_chart(told) if told else None,
        }
        return Page("hedge_plan.html", found["plan"].id, found)

    # -- what is changed

    async def _approve(self, visit: Visit) -> SeeOther:
        days = visit.form.count("days")
        if days is None or not 1 <= days <= MOST_DAYS:
            raise invalid(f"days: write a number from 1 to {MOST_DAYS}", "days")
        note, who = visit.form.label("note"), visit.person.name
        plan_id, sha256 = visit.asked.part("plan"), visit.form.wanted("sha256")

        def work(book: HedgeBook) -> Plan:
            seen = book.plan(plan_id)
            if seen.sha256 != sha256:
                raise Conflict(f"{seen.id} is another plan than the page showed: look at it again")
            return approve(book, plan_id, who, note, days)[0]

        plan = await self._change(visit, work)
        return SeeOther(f"{PATH}/plans/{plan.id}", f"{plan.id} is approved, by {who}.")

    async def _withdraw(self, visit: Visit) -> SeeOther:
        plan_id, note, who = visit.asked.part("plan"), visit.form.label("note"), visit.person.name
        plan = await self._change(visit, lambda book: withdraw(book, plan_id, who, note))
        return SeeOther(f"{PATH}/plans/{plan.id}", f"{plan.id} is approved no more.")

    async def _fill(self, visit: Visit) -> SeeOther:
        plan_id = visit.asked.part("plan")
        entry, who = fill_of(visit.form, plan_id, visit.now_ns), visit.person.name
        is_news = await self._change(visit, lambda book: enter(book, entry, who))
        done = "is entered" if is_news else "was entered before: nothing has changed"
        return SeeOther(f"{PATH}/plans/{plan_id}", f"{entry.id} {done}.")

    # -- the book

    async def _read(self, visit: Visit, look: Callable[[HedgeBook], T]) -> T:
        def at(sql: Sql) -> T:
            return _of_book(sql, visit.now_ns, look)

        return await self.desk.read(at)

    async def _change(self, visit: Visit, work: Callable[[HedgeBook], T]) -> T:
        return await self.desk.change(lambda table: _of_book(table.sql, visit.now_ns, work))


def _of_book(sql: Sql, now_ns: int, ask: Callable[[HedgeBook], T]) -> T:
    """The one edge at which the hedge's refusals become those of the page."""
    try:
        return ask(HedgeBook(sql, now_ns))
    except PlanUnknown as unknown:
        raise NotFound(str(unknown), code="plan_not_found") from None
    except (BookRefused, ContractInvalid) as refused:
        raise Conflict(str(refused)) from None
    except HedgeError as error:
        raise Conflict(f"{error}") from error


def said_by(plan: Plan) -> HedgePlan | None:
    """All that a plan says; None of one that an earlier version made."""
    try:
        return msgspec.json.decode(plan.text, type=HedgePlan)
    except msgspec.ValidationError:
        return None


def to_buy(book: HedgeBook, plan: Plan, said: HedgePlan) -> tuple[ToBuy, ...]:
    """What a plan buys now, in its order."""
    found = []
    for position in said.positions:
        if not position.units:
            continue
        filled = sum(
            fill.units
            for fill in book.fills.values()
            if fill.plan == plan.id
            and fill.contract == position.contract
            and position.term_months in (None, fill.months)
            and position.month in (None, fill.month)
        )
        contract = plan.contracts.get(position.contract)
        found.append(ToBuy(position, isinstance(contract, Derivative), filled))
    return tuple(found)


def drawn(owned: Mapping[str, Sequence[BidPrice]], now_ns: int) -> list[Drawn]:
    """By commitment, in the order in which they are drawn on. owned: by offer, as the router has
    it."""
    bids: dict[str, BidPrice] = {}
    offers: dict[str, list[str]] = {}
    for offer, its in owned.items():
        for bid in its:
            bids.setdefault(bid.commitment.id, bid)
            offers.setdefault(bid.commitment.id, []).append(offer)
    found = []
    for name, bid in bids.items():
        own = bid.allowance_at(now_ns)
        found.append(
            Drawn(
                commitment=name,
                contract=bid.commitment.contract,
                kind=bid.commitment.kind,
                left=Decimal(max(0, bid.left_at(now_ns))) / MICRO,
                capacity=Decimal(own.micro_units) / MICRO,
                usd_per_million=as_usd(Money(bid.rate)),
                until_ns=own.until_ns,
                offers=tuple(sorted(offers[name])),
            )
        )
    return found


def running(seen: Standing, today: date) -> dict[str, UtilisationStanding]:
    """The use in the period that is not over yet, by commitment."""
    return {one.commitment: one for one in seen.utilisation if one.since <= today < one.until}


def fill_of(form: Form, plan_id: str, now_ns: int) -> Entry:
    """What was bought today was bought now: a day says no hour, and its approval may be of today,
    too. Raises Invalid, naming the field."""
    at = _date(form.wanted("at"), "at")
    price = form.wanted("price")
    try:
        price_usd = price_of(price)
    except ValueError as error:
        raise invalid(f"price: {error}", "price") from None
    month = form.text("month")
    return Entry(
        line=_labelled(form, "line"),
        kind=EntryKind.FILL,
        at_ns=now_ns if at == instant(now_ns).date() else day_ns(at),
        plan=plan_id,
        contract=_labelled(form, "contract"),
        units=_units(form.wanted("units")),
        price_usd=price_usd,
        month=None if month is None else _date(f"{month}-01", "month"),
        months=form.count("months"),
        starts=_day(form, "starts"),
        team_rate=form.money("team_rate"),
        reason=form.label("over"),
    )


def _labelled(form: Form, name: str) -> str:
    form.wanted(name)
    return form.label(name) or ""


def _units(text: str) -> int:
    try:
        number = Decimal(text.replace(",", ""))
        if number == number.to_integral_value() and abs(number) < 10**12:
            return int(number)
    except InvalidOperation:
        pass
    raise invalid(f"units is {text[:40]!r}: write a whole number, below 0 if sold", "units")


def _day(form: Form, name: str) -> date | None:
    text = form.text(name)
    return None if text is None else _date(text, name)


def _date(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(f"{name} is {text[:40]!r}: write it as 2027-01-31", name) from None
