"""Several workers on one store, against a naive model: no budget is overspent, nothing is lost.

A request that fits is admitted, whichever worker has the money; one that does not is refused with
the numbers of the moment; a worker may die at any point, the store may be gone for a while, and
answers to its commits may get lost.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.attempts import Hold
from ledger.audit import verify
from ledger.book import Book
from ledger.budgets import EACH, Account, Budget, Mode, Scope, accounts_of
from ledger.desk import Times
from ledger.errors import BudgetExceeded, HoldResolved, StoreUnavailable
from ledger.measures import Measure
from ledger.opening import Slot, open_book
from ledger.policy import Rules
from ledger.principals import Principal
from ledger.store import Store
from ledger.windows import Window, window_of
from tests.ledger.databases import Books, MakeBooks
from tests.ledger.entries import NOW_NS, attempt, budget, settlement
from tests.ledger.faults import Faulty, Lost
from tests.ledger.hurry import HurriedLoop
from tests.ledger.opened import abandon

T = TypeVar("T")

BUDGETS = (
    budget("all", 200),
    budget("teams", 60, Scope(team=EACH), Window.DAY),
    Budget("rolling", Scope(key=EACH), window_of("rolling:60m"), "UTC", 120),
    Budget("requests", Scope(user=EACH), Window.HOUR, "UTC", 9, Measure.REQUESTS),
    Budget("parallel", Scope(user=EACH), Window.LIFETIME, "UTC", 4, Measure.PARALLEL),
    Budget("shadow", Scope(), Window.DAY, "UTC", 30, mode=Mode.SHADOW),
)
WORKERS = 2
ALIVE_S = 2.5
"""In so long every worker has said that it lives."""

principals = st.builds(
    Principal,
    st.sampled_from(["key_1", "key_2"]),
    team=st.sampled_from(["red", "blue", None]),
    user=st.sampled_from(["ada", "bob"]),
)


@dataclass
class Try:
    """An attempt, as the model knows it."""

    name: str
    accounts: tuple[Account, ...]
    amount: int
    cost: int | None = None
    is_open: bool = True

    def taken(self, measure: Measure) -> int:
        if self.is_open:
            return {Measure.USD: self.amount}.get(measure, 1)
        if self.cost is None or measure is Measure.PARALLEL:
            return 0
        return {Measure.USD: self.cost}.get(measure, 1)

    def overrun(self, measure: Measure) -> int:
        return max(0, (self.cost or 0) - self.amount) if measure is Measure.USD else 0


@dataclass
class Model:
    """All attempts there ever were: every balance is a sum over them."""

    tries: list[Try] = field(default_factory=list)

    def _of(self, account: Account) -> list[Try]:
        return [
            one
            for one in self.tries
            for each in one.accounts
            if (each.budget, each.member) == (account.budget, account.member)
            and account.counted_since_ns <= each.window_start_ns <= account.window_start_ns
        ]

    def room(self, account: Account) -> int:
        return (account.cap or 0) - sum(one.taken(account.measure) for one in self._of(account))

    def is_overrun(self, account: Account) -> bool:
        return any(one.overrun(account.measure) for one in self._of(account))

    def most(self, account: Account) -> int:
        """What may be spent and held at the most: the cap, and what was billed above holds."""
        return (account.cap or 0) + sum(one.overrun(account.measure) for one in self._of(account))


@dataclass
class Worker:
    slot: int
    sql: Faulty
    book: Book
    holds: dict[str, tuple[Hold, Try]] = field(default_factory=dict)

    @property
    def is_busy(self) -> bool:
        is_reached = not (self.sql.is_down or self.sql.is_silent)
        return is_reached and self.book._writer._waiting > 0


class Machine(RuleBasedStateMachine):
    make_books: MakeBooks

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.books: Books = self.make_books()
        self.model = Model()
        self.skipped_s = 0.0
        self.names = 0
        self.workers: list[Worker] = []
        self.loop = HurriedLoop(lambda: any(one.is_busy for one in self.workers))
        for slot in range(WORKERS):
            self.start(slot)

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        for one in self.workers:
            one.sql.is_down = one.sql.is_silent = False
            one.sql.lost = None
        self.run(self.finish())
        self.loop.close()
        with closing(self.books.open()) as sql:
            audit = verify(sql)
            assert audit.verified, audit.findings
            found = sql.execute("SELECT attempt_id, effective_nanos FROM entries").fetchall()
            ended = [one for one in self.model.tries if not one.is_open]
            assert sorted(found) == sorted((one.name, one.cost or 0) for one in ended)
            assert sql.execute("SELECT * FROM leases").fetchall() == []
            assert sql.execute("SELECT sum(leased) FROM accounts").fetchall() in ([(0,)], [(None,)])
        self.folder.cleanup()

    async def finish(self) -> None:
        for one in self.workers:
            for hold, tried in one.holds.values():
                await one.book.void(hold, "the end")
                tried.is_open = False
        await asyncio.sleep(ALIVE_S)
        for one in self.workers:
            await one.book.close()

    def run(self, what: Awaitable[T]) -> T:
        async def within() -> T:
            return await what

        return self.loop.run_until_complete(within())

    @property
    def now_s(self) -> float:
        return self.skipped_s + self.loop.time()

    def now_ns(self) -> int:
        return NOW_NS + int(self.now_s * 1e9)

    def start(self, slot: int) -> Worker:
        sql = Faulty(self.books.open())
        times = Times(self.now_ns, lambda: self.now_s, asyncio.sleep)
        journals = Path(self.folder.name) / "journals"

        async def opened() -> Book:
            return open_book(Store(sql), Rules(BUDGETS), Slot(journals, slot), times)

        worker = Worker(slot, sql, self.run(opened()))
        self.workers.append(worker)
        return worker

    # -- requests

    @rule(who=principals, amount=st.integers(0, 70), slot=st.integers(0, WORKERS - 1))
    def hold(self, who: Principal, amount: int, slot: int) -> None:
        worker = self.workers[slot]
        self.names += 1
        one = attempt(f"a{self.names:03}", amount, who, at_ns=self.now_ns())
        now = datetime.fromtimestamp(one.at_ns // 1_000_000_000, UTC)
        tried = Try(one.id, accounts_of(BUDGETS, one.subject, now), amount)
        rooms = {
            account: (self.model.room(account), one.reserves(account.measure))
            for account in tried.accounts
            if account.refuses
        }
        narrow = {
            account: room for account, (room, needed) in rooms.items() if needed > max(0, room)
        }
        is_well = not any(other.sql.is_down for other in self.workers)
        hold = self.run(answer_of(worker.book.hold(one)))
        if isinstance(hold, StoreUnavailable):
            assert not is_well
            return
        if isinstance(hold, BudgetExceeded):
            if is_well:
                assert narrow, f"{hold}, but there is room: {rooms}"
                assert (hold.budget, hold.left) in {
                    (account.budget, room) for account, room in narrow.items()
                }
            return
        assert all(self.model.is_overrun(account) for account in narrow)
        worker.holds[one.id] = (hold, tried)
        self.model.tries.append(tried)
        for account in rooms:
            assert (account.cap or 0) - self.model.room(account) <= self.model.most(account)

    @precondition(lambda self: any(one.holds for one in self.workers))
    @rule(data=st.data(), cost=st.none() | st.integers(0, 80))
    def end(self, data: st.DataObject, cost: int | None) -> None:
        worker = data.draw(st.sampled_from([one for one in self.workers if one.holds]))
        name = data.draw(st.sampled_from(sorted(worker.holds)))
        hold, tried = worker.holds.pop(name)
        if cost is None:
            self.run(worker.book.void(hold, "refused"))
        else:
            self.run(worker.book.post(hold, settlement(cost)))
        tried.is_open, tried.cost = False, cost
        if not worker.sql.is_down:
            with pytest.raises((HoldResolved, StoreUnavailable)):
                self.run(worker.book.void(hold, "again"))

    # -- time

    @rule(polls=st.integers(1, 5))
    def wait(self, polls: int) -> None:
        self.run(asyncio.sleep(polls / 10))

    @rule(minutes=st.sampled_from([1, 3, 20, 60, 24 * 60]))
    def time_passes(self, minutes: int) -> None:
        """Long enough for slices to be idle, and for windows to be over."""
        self.skipped_s += 60 * minutes
        self.run(asyncio.sleep(ALIVE_S))

    # -- faults

    @rule(slot=st.integers(0, WORKERS - 1))
    def die(self, slot: int) -> None:
        """A worker dies, and is started again: what was under way may have been billed."""
        worker = self.workers[slot]
        worker.sql.is_down = True
        self.run(abandon(worker.book))
        self.workers = [one for one in self.workers if one is not worker]
        for _, tried in worker.holds.values():
            tried.is_open, tried.cost = False, tried.amount
        self.start(slot)
        self.workers.sort(key=lambda one: one.slot)

    @rule(slot=st.integers(0, WORKERS - 1), down=st.booleans())
    def outage(self, slot: int, down: bool) -> None:
        worker = self.workers[slot]
        if worker.sql.is_down and not down:
            worker.sql.is_down = False
            self.run(asyncio.sleep(6.0))
        worker.sql.is_down = down

    @rule(
        slot=st.integers(0, WORKERS - 1),
        lost=st.sampled_from([Lost.WRITTEN, Lost.UNDONE]),
        silent_s=st.sampled_from([0.0, 0.3]),
    )
    def lose_a_commit(self, slot: int, lost: Lost, silent_s: float) -> None:
        """The next commit of a worker is lost, and for a while nobody can say what became of it."""
        sql = self.workers[slot].sql
        if sql.is_down:
            return
        sql.lost, sql.is_silent = lost, silent_s > 0
        self.run(asyncio.sleep(silent_s))
        sql.is_silent = False
        self.run(asyncio.sleep(0.5))


async def answer_of(holding: Awaitable[Hold]) -> Hold | BudgetExceeded | StoreUnavailable:
    try:
        return await holding
    except (BudgetExceeded, StoreUnavailable) as refused:
        return refused


def test_workers_together_keep_every_budget(make_books: MakeBooks, books: Books) -> None:
    """Requests, ends, idle hours, deaths, outages and lost commits in any order."""

    class Here(Machine):
        pass

    Here.make_books = staticmethod(make_books)
    is_here = books.url.startswith("sqlite")
    run_state_machine_as_test(
        Here, settings=settings(max_examples=12 if is_here else 4, stateful_step_count=20)
    )
