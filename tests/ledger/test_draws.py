"""Draws on what we own, by several workers on one store, against a naive model: nobody draws more
than there is, every unit is counted once, and what is there can be drawn by whoever asks for it.

Workers die and are started again, the store is away for a while, minutes and months pass, and
providers count more than was held.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Awaitable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.allowances import allowance
from ledger.attempts import Attempt, Charge, Hold, Settlement
from ledger.audit import verify
from ledger.book import Book
from ledger.commitments import Commitment, CommitmentKind, rated
from ledger.databases.sql import Sql
from ledger.desk import Times
from ledger.draws import Draw
from ledger.errors import BudgetExceeded, NotACommitment, RowRefused, StoreUnavailable
from ledger.money import MAX_NANOS, Money
from ledger.opening import Slot, open_book
from ledger.policy import Rules
from ledger.store import Store
from ledger.usage import TokenUsage
from tests.ledger.databases import Books, MakeBooks
from tests.ledger.entries import NANO_PER_TOKEN, NOW_NS, attempt, budget
from tests.ledger.faults import Faulty
from tests.ledger.hurry import HurriedLoop
from tests.ledger.opened import abandon
from tests.ledger.owned import DAY_NS, commitment

T = TypeVar("T")

MICRO = 1_000_000
MONTHLY = commitment(
    id="monthly",
    capacity_units=100,
    units=2,
    is_monthly=True,
    micro_units_per_cached=100_000,
    micro_units_per_completion=4 * MICRO,
    micro_units_per_request=1,
    starts_ns=1_772_323_200_000_000_000,  # the first of March 2026
    team_rate=Money(333_333_333_333),
)
BY_THE_MINUTE = commitment(
    id="minutes", kind=CommitmentKind.THROUGHPUT, capacity_units=90, team_rate=Money(7 * 10**11)
)
BILLED = commitment(id="billed", capacity_units=150, overage_rate=Money(10**12 + 1))
SPENT = commitment(id="spent", kind=CommitmentKind.SPEND, capacity_units=1)
OWNED = {one.id: one for one in (MONTHLY, BY_THE_MINUTE, BILLED)}
WORKERS = 2
REACHED_S = 2.5
"""In so long every worker has heard that another needs what it has, and returned it."""


def drawing(name: str, at_ns: int, draw: Draw) -> Attempt:
    """An attempt that draws so much, and would cost nothing otherwise."""
    cost = draw.costs(draw.micro_units)
    return replace(attempt(name, cost, at_ns=at_ns), draw=draw, most_tokens=1)


def ending(one: Attempt, usage: TokenUsage) -> Settlement:
    """Its end, at what its draw costs."""
    assert one.draw is not None
    usual = NANO_PER_TOKEN.charge(usage)
    used = one.draw.used(usage, usual)
    charge = Charge(one.draw.bills(used), one.draw.costs(used), usual, usual, None, None)
    return Settlement(one.at_ns, usage, NANO_PER_TOKEN, charge, False, None, 12.5)


def units_of(one: Commitment, prompt: int, cached: int, completion: int) -> int:
    """What a request takes, token by token."""
    each = [one.micro_units_per_cached] * cached + [one.micro_units_per_prompt] * (prompt - cached)
    each += [one.micro_units_per_completion] * completion
    return sum(each) + one.micro_units_per_request


def window_of(one: Commitment, at_ns: int) -> str:
    at = datetime.fromtimestamp(at_ns // 10**9, UTC)
    if one.kind is CommitmentKind.THROUGHPUT:
        return f"{at:%Y-%m-%d %H:%M}"
    return f"{at:%Y-%m}" if one.is_monthly else "all"


@dataclass
class Try:
    """A draw as the model knows it. ended: what it used; None: it is under way."""

    name: str
    of: Commitment
    at_ns: int
    held: int
    is_overage: bool = False
    ended: int | None = None

    @property
    def taken(self) -> int:
        return self.held if self.ended is None else self.ended


@dataclass
class Worker:
    slot: int
    sql: Faulty
    book: Book
    holds: dict[str, tuple[Hold, Try]] = field(default_factory=dict)


class Machine(RuleBasedStateMachine):
    make_books: MakeBooks

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.books: Books = self.make_books()
        with closing(Store(self.books.open())) as store, store.transaction():
            for one in OWNED.values():
                store.commitments.add(one)
        self.tries: list[Try] = []
        self.skipped_s = 0.0
        self.names = 0
        self.workers: list[Worker] = []
        self.loop = HurriedLoop(lambda: any(one.book._writer._waiting for one in self.workers))
        for slot in range(WORKERS):
            self.start(slot)

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        for one in self.workers:
            one.sql.is_down = False
        self.run(self.finish())
        self.loop.close()
        with closing(self.books.open()) as sql:
            assert verify(sql).findings == ()
            found = sql.execute(
                "SELECT attempt_id, commitment, micro_units, overage_micro_units, effective_nanos"
                " FROM entries WHERE kind = 'posted' ORDER BY attempt_id"
            ).fetchall()
            accounts: dict[str, int] = dict(
                sql.execute(
                    "SELECT budget, sum(posted) FROM accounts WHERE time_window <> 'minute'"
                    " GROUP BY budget HAVING sum(posted) > 0"
                ).fetchall()
            )
        ended = [it for it in self.tries if it.ended is not None and it.ended >= 0]
        assert found == [
            (it.name, it.of.id, *((0, used) if it.is_overage else (used, 0)), cost_of(it))
            for it in sorted(ended, key=lambda it: it.name)
            for used in (it.taken,)
        ]
        sums: dict[str, int] = defaultdict(int)
        for it in ended:
            sums[f"commitment {it.of.id}" + " overage" * it.is_overage] += it.taken
        assert accounts == {name: amount for name, amount in sums.items() if amount}
        self.folder.cleanup()

    async def finish(self) -> None:
        for worker in self.workers:
            for hold, tried in worker.holds.values():
                await worker.book.void(hold, "the end")
                tried.ended = -1
        await asyncio.sleep(REACHED_S)
        for worker in self.workers:
            await worker.book.close()

    def run(self, what: Awaitable[T]) -> T:
        async def within() -> T:
            return await what

        return self.loop.run_until_complete(within())

    def now_ns(self) -> int:
        return NOW_NS + int((self.skipped_s + self.loop.time()) * 1e9)

    def start(self, slot: int) -> None:
        sql = Faulty(self.books.open())
        times = Times(self.now_ns, self.loop.time, asyncio.sleep)

        async def opened() -> Book:
            journals = Path(self.folder.name) / "journals"
            return open_book(Store(sql), Rules(), Slot(journals, slot), times)

        self.workers.append(Worker(slot, sql, self.run(opened())))
        self.workers.sort(key=lambda one: one.slot)

    # -- draws

    def left(self, one: Commitment, at_ns: int) -> int:
        """What is left of the window of a moment; below zero where more was used than held."""
        taken = sum(
            max(0, tried.taken)
            for tried in self.tries
            if tried.of is one
            and not tried.is_overage
            and window_of(one, tried.at_ns) == window_of(one, at_ns)
        )
        return one.micro_units - taken

    def above_holds(self, one: Commitment, at_ns: int) -> int:
        """What was used of it that was not held: the others hear of it when it is in the books."""
        return sum(
            max(0, tried.taken - tried.held)
            for tried in self.tries
            if tried.of is one and window_of(one, tried.at_ns) == window_of(one, at_ns)
        )

    def hold(self, slot: int, of: Commitment, units: int, *, is_overage: bool) -> bool:
        worker, at_ns = self.workers[slot], self.now_ns()
        self.names += 1
        name = f"a{self.names:03}"
        draw = Draw(allowance(of, at_ns), units * MICRO, is_overage)
        left = self.left(of, at_ns)
        try:
            hold = self.run(worker.book.hold(drawing(name, at_ns, draw), draw.accounts))
        except BudgetExceeded:
            assert not is_overage
            return False
        except StoreUnavailable:
            assert worker.sql.is_down
            return False
        assert is_overage or draw.micro_units <= left + self.above_holds(of, at_ns)
        tried = Try(name, of, at_ns, draw.micro_units, is_overage)
        self.tries.append(tried)
        worker.holds[name] = (hold, tried)
        return True

    @rule(
        slot=st.integers(0, WORKERS - 1),
        which=st.sampled_from(sorted(OWNED)),
        units=st.integers(0, 60),
    )
    def draw(self, slot: int, which: str, units: int) -> None:
        """Never more than there is, whoever has leased it."""
        self.hold(slot, OWNED[which], units, is_overage=False)

    @rule(
        slot=st.integers(0, WORKERS - 1),
        which=st.sampled_from(sorted(OWNED)),
        part=st.floats(0, 1),
    )
    def insist(self, slot: int, which: str, part: float) -> None:
        """Whatever is left can be drawn, a moment later if another has leased it."""
        if any(one.sql.is_down for one in self.workers):
            return
        of = OWNED[which]
        units = 0
        for _ in range(3):
            units = int(max(0, self.left(of, self.now_ns())) // MICRO * part)
            if self.hold(slot, of, units, is_overage=False):
                return
            self.run(asyncio.sleep(REACHED_S))
        raise AssertionError(f"{units} units of {which} are left, and cannot be drawn")

    @rule(slot=st.integers(0, WORKERS - 1), units=st.integers(0, 60))
    def go_beyond(self, slot: int, units: int) -> None:
        """What the contract bills is never refused."""
        assert self.hold(slot, BILLED, units, is_overage=True) or self.workers[slot].sql.is_down

    @precondition(lambda self: any(one.holds for one in self.workers))
    @rule(data=st.data(), counts=st.none() | st.tuples(*[st.integers(0, 25)] * 3))
    def end(self, data: st.DataObject, counts: tuple[int, int, int] | None) -> None:
        """Posted at what it used, which may be more than was held; or voided."""
        worker = data.draw(st.sampled_from([one for one in self.workers if one.holds]))
        name = data.draw(st.sampled_from(sorted(worker.holds)))
        hold, tried = worker.holds.pop(name)
        if counts is None:
            self.run(worker.book.void(hold, "refused"))
            tried.ended = -1
            return
        cached, fresh, completion = counts
        usage = TokenUsage(cached + fresh, completion, cached)
        self.run(worker.book.post(hold, ending(hold.attempt, usage)))
        tried.ended = units_of(tried.of, cached + fresh, cached, completion)

    # -- time and faults

    @rule(seconds=st.sampled_from([0.3, 3.0, 20.0, 61.0, 40 * 60.0, 20 * 86_400.0]))
    def time_passes(self, seconds: float) -> None:
        self.skipped_s += seconds
        self.run(asyncio.sleep(0.3 if seconds < 1 else REACHED_S))

    @rule(slot=st.integers(0, WORKERS - 1))
    def die(self, slot: int) -> None:
        """What was under way may have been drawn, all of it."""
        worker = self.workers[slot]
        worker.sql.is_down = True
        self.run(abandon(worker.book))
        self.workers.remove(worker)
        for _, tried in worker.holds.values():
            tried.ended = tried.held
        self.start(slot)

    @rule(slot=st.integers(0, WORKERS - 1), down=st.booleans())
    def outage(self, slot: int, down: bool) -> None:
        worker = self.workers[slot]
        if worker.sql.is_down and not down:
            worker.sql.is_down = False
            self.run(asyncio.sleep(6.0))
        worker.sql.is_down = down


def cost_of(one: Try) -> int:
    rate = one.of.overage_rate if one.is_overage else one.of.team_rate
    assert rate is not None
    return -(-one.taken * rate // 10**12)


def test_workers_together_draw_what_there_is(make_books: MakeBooks, books: Books) -> None:
    """Draws, ends, months, deaths and outages in any order."""

    class Here(Machine):
        pass

    Here.make_books = staticmethod(make_books)
    is_here = books.url.startswith("sqlite")
    run_state_machine_as_test(
        Here, settings=settings(max_examples=15 if is_here else 4, stateful_step_count=25)
    )


# -- what a commitment allows, and takes

_moments = st.integers(NOW_NS - 500 * DAY_NS, NOW_NS + 500 * DAY_NS)


@given(_moments, st.integers(1, 200 * DAY_NS), st.booleans(), st.booleans())
def test_windows_of_a_term_share_its_capacity(
    starts_ns: int, length_ns: int, by_minute: bool, monthly: bool
) -> None:
    """Windows follow each other without a gap from its start to its end; each has the part of a
    whole one that lies within the term, rounded down, and before and after it there is nothing."""
    length_ns = min(length_ns, 300 * 10**9) if by_minute else length_ns
    one = commitment(
        kind=CommitmentKind.THROUGHPUT if by_minute else CommitmentKind.QUOTA,
        is_monthly=monthly,
        starts_ns=starts_ns,
        ends_ns=starts_ns + length_ns,
    )
    at_ns = starts_ns
    while at_ns < one.ends_ns:
        now = allowance(one, at_ns)
        assert at_ns < now.until_ns <= one.ends_ns
        assert allowance(one, now.until_ns - 1).capacity == now.capacity
        start_ns = now.capacity.window_start_ns
        if now.capacity.window == "lifetime":
            assert now.micro_units == one.micro_units
        else:
            whole_ns = (
                allowance(replace(one, starts_ns=0, ends_ns=MAX_NANOS), at_ns).until_ns - start_ns
            )
            inside_ns = now.until_ns - max(start_ns, starts_ns)
            assert now.micro_units == one.micro_units * inside_ns // whole_ns
        at_ns = now.until_ns
    assert allowance(one, starts_ns - 1).micro_units == 0
    assert allowance(one, one.ends_ns).micro_units == 0


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**12))
def test_a_hold_covers_its_draw(prompt: int, cached: int, completion: int, usual: int) -> None:
    """Whatever is in a cache, at whatever price; and so many completion tokens fit, no more."""
    cached = min(cached, prompt)
    for one in (MONTHLY, BY_THE_MINUTE, BILLED, SPENT):
        takes = one.takes(prompt, cached, completion, usual)
        most = one.takes_at_most(prompt, completion, Money(usual))
        assert takes <= most
        if one is SPENT:
            assert (takes - 1) * 1000 < usual <= takes * 1000
            continue
        assert one.completion_within(most, prompt) == completion
        assert one.takes_at_most(prompt, completion + 1, Money(usual)) > most
    assert rated(1, Money(1)) == 1  # never nothing
    assert rated(3 * MICRO, Money(10 * MICRO)) == 30


def test_what_is_no_commitment() -> None:
    """Its numbers have to fit each other, and the books."""
    with pytest.raises(NotACommitment, match="ends before it starts"):
        commitment(ends_ns=0)
    with pytest.raises(NotACommitment, match="below zero: -1"):
        commitment(fee=Money(-1))
    with pytest.raises(NotACommitment, match="larger units"):
        commitment(capacity_units=10**13)


# -- the tables


@pytest.fixture
def store(sql: Sql) -> Store:
    return Store(sql)


def test_commitments_are_kept_as_they_are(store: Store) -> None:
    """All of their fields come back; those of the moment are those whose term has it."""
    all_of = [MONTHLY, BY_THE_MINUTE, BILLED, SPENT]
    with store.transaction():
        for one in all_of:
            store.commitments.add(one)
        with pytest.raises(RowRefused), store.step():
            store.commitments.add(MONTHLY)
    assert sorted(store.commitments.all(), key=lambda one: one.id) == sorted(
        all_of, key=lambda one: one.id
    )
    assert store.commitments.one("monthly") == MONTHLY
    assert store.commitments.one("nothing") is None
    for at_ns in (MONTHLY.starts_ns - 1, MONTHLY.starts_ns, MONTHLY.ends_ns):
        ids = {one.id for one in store.commitments.active(at_ns)}
        assert ids == {one.id for one in all_of if one.starts_ns <= at_ns < one.ends_ns}
    with pytest.raises(RowRefused), store.transaction():
        store.sql.execute("UPDATE commitments SET team_rate_nanos = 1")


def test_of_bid_prices_the_newest_counts(store: Store) -> None:
    """Each moment has its own; saying the same again is no news; a commitment must be there."""
    with store.transaction():
        table = store.commitments
        table.add(MONTHLY)
        table.add(BILLED)
        assert table.bid_prices() == {}
        assert table.set_bid_prices({"monthly": Money(5), "billed": Money(0)}, 10, "program") == 2
        assert table.set_bid_prices({"monthly": Money(5)}, 20, "program") == 0
        assert table.set_bid_prices({"monthly": Money(7)}, 30, "ada") == 1
        assert table.bid_prices() == {"monthly": 7, "billed": 0}
        assert table.bid_prices(29) == {"monthly": 5, "billed": 0}
        assert table.bid_prices(9) == {}
        rows = store.sql.execute("SELECT at_ns, who FROM bid_prices ORDER BY at_ns, commitment")
        assert rows.fetchall() == [(10, "program"), (10, "program"), (30, "ada")]
        for wrong in ({"nothing": Money(1)}, {"monthly": Money(-1)}):
            with pytest.raises(RowRefused), store.step():
                table.set_bid_prices(wrong, 40, "ada")


# -- edges


def test_a_budget_of_that_name_is_another() -> None:
    """Nobody's cap in money is drawn down by units."""
    its, named = allowance(MONTHLY, NOW_NS).capacity, budget("commitment monthly", 5)
    of_budget = named.account("", datetime.now(UTC))
    assert of_budget.budget == its.budget
    assert of_budget.key[:2] != its.key[:2]
