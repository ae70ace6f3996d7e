"""Real books and their simulation say the same of the same budgets."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.attempts import Hold
from ledger.book import Book
from ledger.budgets import EACH, Budget, Scope
from ledger.errors import BudgetExceeded
from ledger.measures import Measure
from ledger.money import Money
from ledger.principals import Principal
from ledger.requests import RequestRecord
from ledger.simulation.past import PastAttempt, past_attempts
from ledger.simulation.simulate import simulate
from ledger.windows import Window
from tests.books import opened_book, opened_store
from tests.ledger.entries import NOW_NS, attempt, settlement


@dataclass(frozen=True)
class Step:
    """Some seconds later an attempt is made (at most `amount`), or else the oldest one ends: at a
    cost, which is never above its hold, or released."""

    seconds: int
    user: str
    amount: int
    cost: int | None
    is_end: bool


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from([1, 60, 40_000]),
        st.sampled_from(["ada", "bob"]),
        st.integers(0, 40),
        st.none() | st.integers(0, 40),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)
policies = st.lists(
    st.builds(
        Budget,
        st.just("b"),
        st.sampled_from([Scope(), Scope(user=EACH), Scope(user="ada")]),
        st.sampled_from([Window.DAY, Window.LIFETIME]),
        st.just("Europe/Berlin"),
        st.integers(0, 100),
        measure=st.just(Measure.USD),
    )
    | st.builds(
        Budget,
        st.just("b"),
        st.just(Scope(user=EACH)),
        st.just(Window.LIFETIME),
        st.just("UTC"),
        st.integers(0, 4),
        measure=st.sampled_from([Measure.REQUESTS, Measure.PARALLEL]),
    ),
    min_size=1,
    max_size=3,
).map(lambda found: tuple(_renamed(one, f"b{at}") for at, one in enumerate(found)))


def _renamed(one: Budget, name: str) -> Budget:
    return Budget(name, one.scope, one.window, one.timezone, one.cap, one.measure)


@settings(max_examples=20)
@given(policies, steps)
def test_the_budgets_of_then_would_do_what_they_did(
    policy: tuple[Budget, ...], taken: list[Step]
) -> None:
    """Attempts against a book that leases and folds, and its history against the same budgets: the
    same are admitted, the same refused, at the same cost."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "books.db"
        refused = asyncio.run(_lived(path, policy, taken))
        with closing(opened_store(path)) as store, store.view():
            past: list[PastAttempt] = list(past_attempts(store.sql))
    total = simulate(past, policy).total
    assert total.requests == sum(not one.is_end for one in taken)
    assert (total.refused_then, total.refused) == (refused, refused)
    assert (total.newly_refused, total.newly_admitted) == (0, 0)
    assert total.spent == total.spent_then


async def _lived(path: Path, policy: tuple[Budget, ...], taken: list[Step]) -> int:
    """Take the steps; how many attempts were refused."""
    now_ns = NOW_NS
    store = await asyncio.to_thread(opened_store, path)
    book = opened_book(store, path, policy, lambda: now_ns)
    under_way: list[Hold] = []
    costs: dict[str, int | None] = {}
    refused = 0
    for number, step in enumerate(taken):
        now_ns += step.seconds * 10**9
        if step.is_end:
            if under_way:
                hold = under_way.pop(0)
                await _end(book, hold, costs[hold.attempt.id], now_ns)
            continue
        who = Principal(f"key_{step.user}", user=step.user)
        one = attempt(f"a{number:02}", step.amount, who, at_ns=now_ns)
        try:
            under_way.append(await book.hold(one))
            costs[one.id] = step.cost
        except BudgetExceeded:
            refused += 1
            book.remember(_cut_off(one.request_id, now_ns, step))
    now_ns += 10**9
    for hold in under_way:
        await _end(book, hold, costs[hold.attempt.id], now_ns)
    await book.folded()
    await book.close()
    return refused


async def _end(book: Book, hold: Hold, cost: int | None, now_ns: int) -> None:
    if cost is None:
        await book.void(hold, "not connected")
    else:
        within = min(cost, hold.attempt.worst_case)
        await book.post(hold, settlement(within, at_ns=now_ns))


def _cut_off(request_id: str, at_ns: int, step: Step) -> RequestRecord:
    return RequestRecord(
        id=request_id,
        at_ns=at_ns,
        key_id=f"key_{step.user}",
        team=None,
        user=step.user,
        model="llama",
        outcome="budget_exceeded",
        status=402,
        attempts=0,
        would_have_cost=Money(step.amount),
        decision=None,
    )
