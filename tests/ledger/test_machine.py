"""Everything that can happen to several workers on one store, in any order, with a naive model as
the judge that shares no code with the books: no budget is overspent, nothing is lost or doubled.

Requests that come one by one, together, in batches, or that expire before they are sent; charges
above holds; workers that die at any moment and are started again, or adopted by others; clean
stops; caps that go up and down, increases that begin and end; clocks that jump, also back; a store
that is away, and answers to commits that get lost.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from ledger.attempts import Attempt, Hold
from ledger.audit import verify
from ledger.book import Book
from ledger.budgets import (
    EACH,
    AccountKey,
    Budget,
    Mode,
    Raise,
    Scope,
    Threshold,
    accounts_of,
)
from ledger.desk import Times
from ledger.errors import BudgetExceeded, HoldResolved, StoreUnavailable
from ledger.measures import Measure
from ledger.opening import Slot, node_of, open_book
from ledger.policy import Rules
from ledger.principals import Principal
from ledger.recovery import adopt_dead
from ledger.store import Store
from ledger.windows import Window, window_of
from tests.faults import naive_budget as naive
from tests.ledger.databases import Books, MakeBooks
from tests.ledger.entries import NOW_NS, attempt, settlement
from tests.ledger.faults import Faulty, Lost
from tests.ledger.hurry import HurriedLoop

T = TypeVar("T")

BUDGETS = (
    Budget("all", Scope(), Window.LIFETIME, "UTC", 600),
    Budget("teams", Scope(team=EACH), Window.DAY, "Europe/Berlin", 120),
    Budget("rolling", Scope(user=EACH), window_of("rolling:1d"), "UTC", 150),
    Budget("tokens", Scope(model=EACH), Window.WEEK, "UTC", 300, Measure.TOKENS),
    Budget("rate", Scope(key=EACH), Window.MINUTE, "UTC", 4, Measure.REQUESTS),
    Budget("at once", Scope(team="red"), Window.LIFETIME, "UTC", 3, Measure.PARALLEL),
    Budget("shadow", Scope(tag=EACH), Window.MONTH, "UTC", 40, mode=Mode.SHADOW),
    Budget("goes on", Scope(user="ada"), Window.DAY, "UTC", 90, on_ledger_error="allow"),
    Budget(
        "half",
        Scope(provider="acme"),
        Window.MONTH,
        "Asia/Kolkata",
        500,
        thresholds=(Threshold(Decimal("0.5"), blocks=True),),
    ),
)
WORKERS = 3
TRAFFIC = 4
"""How many requests come or end after each step."""
POLLED_S = 0.25
"""In so long every worker has seen what others change, and returned what they ask for."""
ALIVE_S = 2.5
"""In so long every worker has said that it lives."""
RESTED_S = 10.0
"""In so long every worker has written all that waited while its store was away."""
HOURS = (1, 5, 24, 24 * 31)

slots = st.integers(0, WORKERS - 1)
picks = st.integers(0, 999)
"""Which of those that there are then: what is drawn must not depend on how threads race."""
principals = st.builds(
    Principal,
    st.sampled_from(["key_1", "key_2"]),
    team=st.sampled_from(["red", "blue", None]),
    user=st.sampled_from(["ada", "bob", None]),
    tags=st.sampled_from([(), ("x",), ("x", "y")]),
)


@dataclass(frozen=True)
class Wish:
    """A request, before it has a name and a time."""

    who: Principal
    nanos: int
    tokens: int
    model: str
    provider: str
    is_counted: bool


wishes = st.builds(
    Wish,
    principals,
    st.integers(0, 70),
    st.integers(0, 90),
    st.sampled_from(["oak", "elm"]),
    st.sampled_from(["acme", "other"]),
    st.booleans(),
)


def wish_of(rng: random.Random) -> Wish:
    who = Principal(
        rng.choice(["key_1", "key_2"]),
        team=rng.choice(["red", "blue", None]),
        user=rng.choice(["ada", "bob", None]),
        tags=rng.choice([(), ("x",), ("x", "y")]),
    )
    places = rng.choice(["oak", "elm"]), rng.choice(["acme", "other"])
    return Wish(who, rng.randint(0, 70), rng.randint(0, 90), *places, rng.random() < 0.5)


@dataclass
class Worker:
    slot: int
    sql: Faulty
    book: Book


@dataclass
class Open:
    """A hold that nothing has ended yet. slot: of the worker that has it; None: the store."""

    hold: Hold
    tried: naive.Try
    slot: int | None = None
    expires_at_ns: int | None = None
    is_dispatched: bool = False


@dataclass
class Model:
    """All that has happened; what it comes to is the business of `naive_budget`.

    stored: attempts whose holds are in the store, of which limits of rates know nothing. drawn:
    what the books call the accounts of each attempt.
    """

    events: list[naive.Event] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    drawn: dict[str, tuple[AccountKey, ...]] = field(default_factory=dict)
    tries: dict[str, naive.Try] = field(default_factory=dict)

    def held(self, tried: naive.Try, hold: Hold, *, stored: bool) -> None:
        self.events.append(naive.Held(tried.at_ns, tried))
        self.tries[tried.id] = tried
        self.drawn[tried.id] = tuple(one.key for one in hold.accounts)
        if stored:
            self.stored.add(tried.id)

    def ended(self, event: naive.Posted | naive.Voided | naive.Expired) -> None:
        self.events.append(event)

    def lost(self, tried: naive.Try, at_ns: int) -> None:
        """Its worker died: it is charged at its whole hold."""
        self.ended(naive.Posted(at_ns, tried.id, tried.amounts))

    def of(self, budget: Budget) -> Sequence[naive.Event]:
        if not _limits_a_rate(budget):
            return self.events
        return [
            one
            for one in self.events
            if (one.tried.id if isinstance(one, naive.Held) else one.id) not in self.stored
        ]

    def narrow(
        self,
        tries: Sequence[naive.Try],
        budgets: Sequence[Budget],
        raises: Sequence[Raise],
        ahead: Mapping[Measure, int],
        *,
        stored: bool = False,
    ) -> list[tuple[Budget, int]]:
        """Budgets that do not have so much left for all of these together, and what they have.

        ahead: what was billed above holds, and other workers need not know yet.
        """
        found = []
        for budget in budgets:
            if budget.mode is Mode.SHADOW or (stored and _limits_a_rate(budget)):
                continue
            needed: dict[str, int] = defaultdict(int)
            for one in tries:
                for member in naive.members(budget, one.subject):
                    needed[member] += one.amounts[budget.measure]
            for member, amount in needed.items():
                free = naive.left(self.of(budget), budget, member, tries[0].at_ns, raises)
                if free is not None and amount > max(0, free + ahead[budget.measure]):
                    found.append((budget, free))
        return found

    def entries(self) -> dict[str, tuple[str, int, int, int]]:
        """How each attempt ended: kind, nano-USD, tokens and requests."""
        found = {}
        for one in self.events:
            if isinstance(one, naive.Posted):
                amounts = one.amounts
                usd, tokens = amounts[Measure.USD], amounts[Measure.TOKENS]
                found[one.id] = ("posted", usd, tokens, amounts[Measure.REQUESTS])
            elif isinstance(one, naive.Voided):
                found[one.id] = ("voided", 0, 0, 0)
            elif isinstance(one, naive.Expired):
                found[one.id] = ("expired", 0, 0, 0)
        return found

    def balances(self) -> dict[AccountKey, list[int]]:
        """Posted, and pending in the store, by the names that the books have for accounts."""
        found: dict[AccountKey, list[int]] = {}
        ends = {one.id: one for one in self.events if not isinstance(one, naive.Held)}
        for name, keys in self.drawn.items():
            end = ends.get(name)
            for key in keys:
                sums, measure = found.setdefault(key, [0, 0]), Measure(key[1])
                if end is None and name in self.stored:
                    sums[1] += self.tries[name].amounts[measure]
                elif isinstance(end, naive.Posted) and measure is not Measure.PARALLEL:
                    sums[0] += end.amounts[measure]
        return found


def picked(pick: int, names: Iterable[str]) -> str:
    found = sorted(names)
    return found[pick % len(found)]


def _limits_a_rate(budget: Budget) -> bool:
    return budget.window is Window.MINUTE or budget.measure is Measure.PARALLEL


class Machine(RuleBasedStateMachine):
    make_books: MakeBooks

    @initialize(durable=st.sampled_from([False, False, True]), seed=st.integers(0, 2**32))
    def begin(self, durable: bool, seed: int) -> None:
        self.rng = random.Random(seed)
        self.is_quiet = False
        self.ahead: Counter[Measure] = Counter()
        self.durability = "disk" if durable else "process"
        self.folder = tempfile.TemporaryDirectory()
        self.journals = Path(self.folder.name) / "journals"
        self.books: Books = self.make_books()
        self.policy = Rules(BUDGETS)
        self.model = Model()
        self.open: dict[str, Open] = {}
        self.unsure: dict[int, list[naive.Try]] = {}
        """Of a slot: what was on its way in when its worker died. Perhaps it was held already."""
        self.skipped_ns = 0
        self.names = 0
        self.workers: dict[int, Worker] = {}
        self.loop = HurriedLoop(
            lambda: any(one.book._writer._waiting for one in self.workers.values())
        )
        for slot in range(WORKERS):
            self.start(slot)

    # -- what a rule does

    def run(self, what: Awaitable[T]) -> T:
        async def within() -> T:
            return await what

        return self.loop.run_until_complete(within())

    def rest(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))
        self.is_quiet = True
        if self.is_well:
            self.ahead.clear()

    @property
    def is_fair(self) -> bool:
        """Whoever fits is admitted: no worker has ended something that it has not told yet."""
        return self.is_well and self.is_quiet

    def now_ns(self) -> int:
        return NOW_NS + self.skipped_ns + int(self.loop.time() * 1e9)

    @property
    def is_well(self) -> bool:
        """Every worker lives, and reaches the store: whoever has what another needs gives it."""
        return len(self.workers) == WORKERS and not any(
            one.sql.is_down for one in self.workers.values()
        )

    def start(self, slot: int) -> None:
        sql = Faulty(self.books.open())
        times = Times(self.now_ns, self.loop.time, asyncio.sleep)

        async def opened() -> Book:
            return open_book(
                *(Store(sql), self.policy, Slot(self.journals, slot), times),
                durability="disk" if self.durability == "disk" else "process",
            )

        self.workers[slot] = Worker(slot, sql, self.run(opened()))
        self.recovered(slot)

    def recovered(self, slot: int) -> None:
        """What the worker of a slot had under way is charged."""
        for name in [name for name, one in self.open.items() if one.slot == slot]:
            self.model.lost(self.open.pop(name).tried, self.now_ns())
        unsure = self.unsure.pop(slot, [])
        with closing(self.books.open()) as sql:
            for tried in unsure:
                if sql.execute(
                    "SELECT kind FROM entries WHERE attempt_id = ?", (tried.id,)
                ).fetchall():
                    self.model.held(tried, self.hold_of(tried), stored=False)
                    self.model.lost(tried, self.now_ns())

    def hold_of(self, tried: naive.Try) -> Hold:
        now = datetime.fromtimestamp(tried.at_ns // 1_000_000_000, UTC)
        accounts = accounts_of(self.policy.budgets, tried.subject, now, self.policy.raises)
        return Hold(attempt(tried.id, 0), accounts)

    def tried(self, wish: Wish, batch: str | None = None) -> tuple[Attempt, naive.Try]:
        self.names += 1
        one = replace(
            attempt(
                f"a{self.names:03}",
                wish.nanos,
                wish.who,
                at_ns=self.now_ns(),
                model=wish.model,
                provider=wish.provider,
                batch=batch,
            ),
            most_tokens=wish.tokens,
            is_counted=wish.is_counted,
        )
        amounts = {
            Measure.USD: wish.nanos,
            Measure.TOKENS: wish.tokens,
            Measure.REQUESTS: int(wish.is_counted),
            Measure.PARALLEL: 1,
        }
        return one, naive.Try(one.id, one.at_ns, one.subject, amounts)

    def narrow(self, *tries: naive.Try, stored: bool = False) -> list[tuple[Budget, int]]:
        return self.model.narrow(
            tries, self.policy.budgets, self.policy.raises, self.ahead, stored=stored
        )

    def worker(self, slot: int) -> Worker | None:
        return self.workers.get(slot)

    # -- requests

    @rule(wish=wishes, slot=slots)
    def hold(self, wish: Wish, slot: int) -> None:
        """Admitted if and only if it fits, whichever worker has what is left."""
        worker = self.worker(slot)
        if worker is None:
            return
        one, tried = self.tried(wish)
        narrow = self.narrow(tried)
        try:
            hold = self.run(worker.book.hold(one))
        except BudgetExceeded:
            assert narrow or not self.is_fair
        except StoreUnavailable:
            assert worker.sql.is_down
        else:
            assert worker.sql.is_down or not narrow, narrow
            assert all(budget.on_ledger_error == "allow" for budget, _ in narrow), narrow
            self.model.held(tried, hold, stored=False)
            self.open[one.id] = Open(hold, tried, slot)

    @rule(many=st.lists(st.tuples(wishes, slots), min_size=2, max_size=6))
    def hold_many(self, many: list[tuple[Wish, int]]) -> None:
        """At the same moment: all that are admitted fit together."""
        many = [(wish, slot) for wish, slot in many if slot in self.workers]
        asked = [(*self.tried(wish), slot) for wish, slot in many]

        async def together() -> list[Hold | BaseException]:
            holds = (self.workers[slot].book.hold(one) for one, _, slot in asked)
            return await asyncio.gather(*holds, return_exceptions=True)

        is_down = any(self.workers[slot].sql.is_down for _, _, slot in asked)
        for (one, tried, slot), hold in zip(asked, self.run(together()), strict=True):
            if isinstance(hold, Hold):
                narrow = self.narrow(tried)
                assert is_down or not narrow, narrow
                assert all(budget.on_ledger_error == "allow" for budget, _ in narrow), narrow
                self.model.held(tried, hold, stored=False)
                self.open[one.id] = Open(hold, tried, slot)
            else:
                assert isinstance(hold, BudgetExceeded | StoreUnavailable), hold

    @rule(many=st.lists(wishes, min_size=1, max_size=3), slot=slots)
    def hold_batch(self, many: list[Wish], slot: int) -> None:
        """All of a batch, if and only if they fit together."""
        worker = self.worker(slot)
        if worker is None:
            return
        pairs = [self.tried(wish, batch="batch") for wish in many]
        narrow = self.narrow(*(tried for _, tried in pairs), stored=True)
        try:
            holds = self.run(worker.book.stored.hold_all([one for one, _ in pairs]))
        except BudgetExceeded:
            assert narrow or not self.is_fair
        except StoreUnavailable:
            assert worker.sql.is_down
        else:
            assert not narrow
            for hold, (_, tried) in zip(holds, pairs, strict=True):
                self.model.held(tried, hold, stored=True)
                self.open[tried.id] = Open(hold, tried)

    @rule(wish=wishes, slot=slots, minutes=st.integers(1, 90))
    def hold_for_a_while(self, wish: Wish, slot: int, minutes: int) -> None:
        """A hold that expires unless it is dispatched in time."""
        worker = self.worker(slot)
        if worker is None or worker.sql.is_down:
            return
        one, tried = self.tried(wish)
        narrow = self.narrow(tried, stored=True)
        hold, until_ns = (
            replace(self.hold_of(tried), attempt=one),
            tried.at_ns + minutes * 60 * 10**9,
        )
        with suppress(BudgetExceeded):
            (hold,) = self.run(
                worker.book.run(lambda store: store.holds.hold_all([hold], until_ns))
            )
            assert not narrow
            self.model.held(tried, hold, stored=True)
            self.open[one.id] = Open(hold, tried, expires_at_ns=until_ns)

    @rule(
        pick=picks,
        cost=st.none() | st.integers(0, 90),
        prompt=st.integers(0, 40),
        slot=slots,
    )
    def end(self, pick: int, cost: int | None, prompt: int, slot: int) -> None:
        """Any hold, at any cost, above it or below; only once."""
        if not self.open:
            return
        name = picked(pick, self.open)
        one = self.open[name]
        worker = self.worker(slot if one.slot is None else one.slot)
        if worker is None or (one.slot is None and worker.sql.is_down):
            return
        del self.open[name]
        if cost is None:
            self.run(worker.book.void(one.hold, "refused"))
            self.model.ended(naive.Voided(self.now_ns(), name))
        else:
            end = settlement(cost, prompt=prompt, at_ns=self.now_ns())
            self.run(worker.book.post(one.hold, end))
            amounts = dict(one.tried.amounts)
            amounts |= {Measure.USD: cost, Measure.TOKENS: cost + prompt}
            for measure, most in one.tried.amounts.items():
                self.ahead[measure] += max(0, amounts[measure] - most)
            self.model.ended(naive.Posted(self.now_ns(), name, amounts))
        with pytest.raises((HoldResolved, StoreUnavailable)):
            self.run(worker.book.post(one.hold, settlement(1)))

    @rule(slot=slots, pick=picks)
    def dispatch(self, slot: int, pick: int) -> None:
        waiting = [
            name
            for name, one in self.open.items()
            if one.expires_at_ns is not None and not one.is_dispatched
        ]
        worker = self.worker(slot)
        if waiting and worker is not None and not worker.sql.is_down:
            name = picked(pick, waiting)
            at_ns = self.now_ns()
            self.run(worker.book.run(lambda store: store.holds.dispatch(name, at_ns)))
            self.open[name].is_dispatched = True

    @rule(slot=slots)
    def expire(self, slot: int) -> None:
        worker, now_ns = self.worker(slot), self.now_ns()
        if worker is None or worker.sql.is_down:
            return
        due = [
            name
            for name, one in self.open.items()
            if one.expires_at_ns is not None
            and one.expires_at_ns <= now_ns
            and not one.is_dispatched
        ]
        assert self.run(worker.book.stored.expire()) == len(due)
        for name in due:
            del self.open[name]
            self.model.ended(naive.Expired(now_ns, name))

    @invariant()
    def traffic(self) -> None:
        """Requests come in, and end, whatever else happens."""
        if not hasattr(self, "loop"):
            return
        rng = self.rng
        for _ in range(TRAFFIC):
            slot, number = rng.randrange(WORKERS), rng.random()
            if rng.random() < 0.4:
                self.rest(2 * POLLED_S)
            if number < 0.4:
                self.hold(wish=wish_of(rng), slot=slot)
            elif number < 0.8:
                cost = None if rng.random() < 0.4 else rng.randint(0, 90)
                self.end(pick=rng.randrange(1000), cost=cost, prompt=rng.randint(0, 40), slot=slot)
            elif number < 0.9:
                many = [(wish_of(rng), rng.randrange(WORKERS)) for _ in range(4)]
                self.hold_many(many=many)
            else:
                self.hold_batch(many=[wish_of(rng)], slot=slot)
            self.is_quiet = False

    # -- time, and what people change

    @rule(minutes=st.integers(1, 600) | st.sampled_from([60 * one for one in HOURS]))
    def time_passes(self, minutes: int) -> None:
        self.skipped_ns += minutes * 60 * 10**9
        self.rest(ALIVE_S)

    @rule(hours=st.sampled_from(HOURS))
    def clock_is_set_back(self, hours: int) -> None:
        self.skipped_ns -= hours * 3600 * 10**9
        self.rest(ALIVE_S)

    @rule(at=st.integers(0, len(BUDGETS) - 1), cap=st.integers(0, 700))
    def reload(self, at: int, cap: int) -> None:
        """A cap goes up or down; what is spent and held stays."""
        budgets = list(self.policy.budgets)
        budgets[at] = replace(budgets[at], cap=cap)
        self.set_rules(replace(self.policy, budgets=tuple(budgets)))

    @rule(
        budget=st.sampled_from(BUDGETS),
        amount=st.integers(1, 200),
        begins_s=st.integers(-60, 4000),
        lasts_s=st.integers(1, 90_000),
    )
    def raise_a_cap(self, budget: Budget, amount: int, begins_s: int, lasts_s: int) -> None:
        since_ns = self.now_ns() + begins_s * 10**9
        name = f"raise_{len(self.policy.raises)}"
        one = Raise(
            *(name, budget.name, None, amount, since_ns, since_ns + lasts_s * 10**9, "a fair")
        )
        self.set_rules(replace(self.policy, raises=(*self.policy.raises, one)))

    def set_rules(self, rules: Rules) -> None:
        if not self.is_well:  # else each would follow others for a while
            return
        self.policy = rules
        for one in self.workers.values():
            one.book.set_rules(rules)
        self.rest(POLLED_S)

    # -- faults

    @rule(slot=slots, wishes=st.lists(wishes, max_size=3), steps=st.integers(0, 6))
    def die(self, slot: int, wishes: list[Wish], steps: int) -> None:
        """Killed, with requests on their way in."""
        worker = self.worker(slot)
        if worker is None:
            return
        asked = [self.tried(wish) for wish in wishes]

        async def within() -> None:
            tasks = [asyncio.create_task(worker.book.hold(one)) for one, _ in asked]
            for _ in range(steps):
                await asyncio.sleep(0)
            told = [task.done() for task in tasks]
            await killed(worker, tasks)
            for (one, tried), task, was_told in zip(asked, tasks, told, strict=True):
                if not was_told:
                    self.unsure.setdefault(slot, []).append(tried)
                elif task.exception() is None:
                    self.model.held(tried, task.result(), stored=False)
                    self.open[one.id] = Open(task.result(), tried, slot)

        self.run(within())
        del self.workers[slot]

    @rule(slot=slots)
    def stop(self, slot: int) -> None:
        """What it had under way it has not ended: the next one finds it in the journal."""
        worker = self.worker(slot)
        if worker is not None:
            self.run(worker.book.close())
            del self.workers[slot]

    @rule(slot=slots)
    def outage(self, slot: int) -> None:
        worker = self.worker(slot)
        if worker is not None:
            worker.sql.is_down = True

    @rule(adopted=st.booleans())
    def mend(self, adopted: bool) -> None:
        """Every worker is there again, and reaches the store. Sometimes somebody else brings in
        first what the dead have left."""
        if self.is_well:
            return
        dead = set(range(WORKERS)) - self.workers.keys()
        if adopted:
            with closing(Store(self.books.open())) as store:
                adopt_dead(store, self.journals, node_of(self.journals), self.now_ns)
            for slot in dead:
                self.recovered(slot)
        for worker in self.workers.values():
            worker.sql.is_down = False
        for slot in dead:
            self.start(slot)
        self.rest(RESTED_S)

    @rule(slot=slots, lost=st.sampled_from([Lost.WRITTEN, Lost.UNDONE]))
    def lose_a_commit(self, slot: int, lost: Lost) -> None:
        worker = self.worker(slot)
        if worker is not None and not worker.sql.is_down:
            worker.sql.lost = lost
            self.rest(2 * POLLED_S)

    # -- the judgement

    @rule()
    def agree(self) -> None:
        """Once all is folded, every balance is what the model says."""
        if not self.is_well:
            return
        for worker in self.workers.values():
            self.run(worker.book.folded())
        with closing(self.books.open()) as sql:
            self.judge(Store(sql))

    def judge(self, store: Store) -> None:
        expected = self.model.balances()
        for *key, posted, pending, leased in store.sql.execute(
            "SELECT budget, measure, member, time_window, window_start_ns, posted, pending, leased"
            " FROM accounts"
        ).fetchall():
            sums = expected.pop(tuple(key), [0, 0])
            assert [posted, pending] == sums, key
            assert leased >= 0, key
        assert all(sums == [0, 0] for sums in expected.values())

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            if sys.exc_info()[0] is None:  # else a rule has failed: that is what is to be told
                self.finish()
            else:
                for worker in self.workers.values():
                    self.run(killed(worker, ()))
        finally:
            self.loop.close()
            self.folder.cleanup()

    def finish(self) -> None:
        self.mend(adopted=False)
        for number, (name, one) in enumerate(sorted(self.open.items())):
            worker = self.workers[one.slot or 0]
            if number % 2:
                self.run(worker.book.void(one.hold, "the end"))
                self.model.ended(naive.Voided(self.now_ns(), name))
            else:
                self.run(worker.book.post(one.hold, settlement(number, at_ns=self.now_ns())))
                amounts = dict(one.tried.amounts)
                amounts |= {Measure.USD: number, Measure.TOKENS: number}
                self.model.ended(naive.Posted(self.now_ns(), name, amounts))
        for worker in self.workers.values():
            self.run(worker.book.close())
        with closing(Store(self.books.open())) as store:
            self.judge(store)
            sql = store.sql
            audit = verify(sql)
            assert (audit.findings, audit.open_holds) == ((), 0)
            rows = sql.execute(
                "SELECT attempt_id, kind, effective_nanos, tokens, requests FROM entries"
            ).fetchall()
            assert {row[0]: tuple(row[1:]) for row in rows} == self.model.entries()
            assert sql.execute("SELECT * FROM leases").fetchall() == []
            assert sql.execute("SELECT * FROM accounts WHERE leased <> 0").fetchall() == []
            assert sql.execute("SELECT * FROM writers WHERE is_open = 1").fetchall() == []
        assert not list(self.journals.rglob("*.log"))


async def killed(worker: Worker, tasks: Sequence[asyncio.Task[Hold]]) -> None:
    """From this moment on nothing of it reaches the store or the disk, and its lock is free."""
    worker.sql.is_down = worker.sql.is_silent = True
    book = worker.book
    await asyncio.to_thread(_cut_off, book)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await book._following.stop()
    book._folding.stop()
    await book._writer.stop()
    if book._syncing is not None:
        await asyncio.to_thread(book._syncing.close)
    await asyncio.to_thread(book.store.close)


def _cut_off(book: Book) -> None:
    journal = book._journal
    with Path(os.devnull).open("r+b", buffering=0) as nowhere:
        for file in journal._files.values():
            os.dup2(nowhere.fileno(), file)
    journal._lock.close()


@pytest.mark.timeout(300)
def test_no_budget_is_overspent_and_nothing_is_lost(make_books: MakeBooks, books: Books) -> None:
    """Whatever happens to three workers, in any order, on SQLite and on PostgreSQL."""

    class Here(Machine):
        pass

    Here.make_books = staticmethod(make_books)
    is_here = books.url.startswith("sqlite")
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=int(os.environ.get("HEDGEROW_MACHINE_EXAMPLES", "10" if is_here else "2")),
            stateful_step_count=30,
            phases=(Phase.generate,),  # smaller takes minutes: what it prints can be run again
        ),
    )
