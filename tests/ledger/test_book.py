"""The book under concurrency, cancellation, a locked and a full disk: real file, real thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from blockbuster import BlockingError
from hypothesis import given
from hypothesis import strategies as st

from ledger.attempts import Attempt
from ledger.audit import Audit, verify
from ledger.book import ENDS_AT_ONCE, HOLDS_AT_ONCE, Book, Policy, open_book
from ledger.budgets import EACH, Budget, Scope, Subject, accounts_of
from ledger.errors import (
    BudgetExceeded,
    HoldResolved,
    KeyRefused,
    RowRefused,
    StoreUnavailable,
)
from ledger.keys import KeyRecord, hash_of, mint
from ledger.money import Money
from ledger.requests import RequestRecord
from ledger.sqlite_store import SqliteStore
from ledger.windows import Window
from ledger.writer import QUEUE_LIMIT, Writer
from tests.ledger.entries import (
    NOW_NS,
    SOMEBODY,
    attempt,
    budget,
    clock_ns,
    left_in,
    settlement,
)

PATIENCE_S = 20.0
"""A test that waits for another thread gives up after this, and fails."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


@asynccontextmanager
async def opened(
    path: Path, *budgets: Budget, busy_timeout_s: float = PATIENCE_S
) -> AsyncIterator[Book]:
    store = await asyncio.to_thread(SqliteStore.open, path, busy_timeout_s=busy_timeout_s)
    book = open_book(store, budgets, clock_ns)
    try:
        yield book
    finally:
        await book.close()


@contextmanager
def written_by_another(path: Path) -> Iterator[None]:
    """While this lasts, another program has the write lock, and every write of ours waits."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def audit(path: Path) -> Audit:
    def look() -> Audit:
        with closing(SqliteStore.open(path)) as store:
            return verify(store)

    return await asyncio.to_thread(look)


async def eventually(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not done():  # noqa: ASYNC110 - what another process does sends no event
            await asyncio.sleep(0.01)


async def test_500_at_once_on_a_budget_for_37(path: Path) -> None:
    """Exactly as many holds are admitted as fit; the others are told how little is left."""
    async with opened(path, budget("cap", 37 * 10 + 9)) as book:
        ends = await asyncio.gather(
            *(book.hold(attempt(f"a{number:03}", 10)) for number in range(500)),
            return_exceptions=True,
        )
    refused = [one for one in ends if isinstance(one, BudgetExceeded)]
    assert len(refused) == 463
    assert {one.left for one in refused} == {9}
    assert len(ends) - len(refused) == 37
    found = await audit(path)
    assert found.verified
    assert found.open_holds == 37


async def test_the_store_is_not_used_in_the_loop(path: Path) -> None:
    """SQLite blocks: a call of the store in the event loop fails the test that makes it."""
    with pytest.raises(BlockingError):
        SqliteStore.open(path)


async def test_an_attempt_from_hold_to_charge(path: Path) -> None:
    """Hold, post and void each say what is left; an end that came cannot come again."""
    wide, narrow = budget("wide", 1000), budget("narrow", 100, Scope(user="ada"))
    async with opened(path, wide, narrow) as book:
        one, two = await book.hold(attempt("one", 60)), await book.hold(attempt("two", 30))
        assert (one.left, two.left) == (40, 10)
        assert await book.post(one, settlement(25)) == 45
        await book.void(two, "not connected")
        assert await left_in(path, wide, narrow) == 75
        with pytest.raises(HoldResolved):
            await book.post(two, settlement(5))
        with pytest.raises(HoldResolved):
            await book.void(one, "again")
        await book.ready()
    assert (await audit(path)).verified


async def test_without_budgets_nothing_is_left_to_say(path: Path) -> None:
    """Where no budget applies, `left` is None and not zero; the charge is booked."""
    async with opened(path) as book:
        hold = await book.hold(attempt("one", 60))
        assert hold.left is None
        assert await book.post(hold, settlement(25)) is None
    assert (await audit(path)).charges == 1


@pytest.mark.parametrize("closed_at_once", [False, True])
async def test_a_client_that_leaves_before_its_hold(path: Path, closed_at_once: bool) -> None:
    """Cancelled while it waits for a hold, an attempt leaves no money held, nor any charge.

    Also when the server stops before the hold was made.
    """
    cap = budget("cap", 100)
    async with opened(path, cap) as book:
        with written_by_another(path):
            waiting = asyncio.create_task(book.hold(attempt("one", 60)))
            await asyncio.sleep(0)  # it has asked
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        if not closed_at_once:
            await book.ready()  # the writer works in order
            assert await left_in(path, cap) == 100
    found = await audit(path)
    assert (found.attempts, found.open_holds, found.charges) == (1, 0, 0)
    assert found.verified


async def test_a_client_that_leaves_before_its_refusal(path: Path) -> None:
    """Cancelled while it waits for a hold that does not fit, it leaves nothing either."""
    async with opened(path, budget("cap", 10)) as book:
        with written_by_another(path):
            waiting = asyncio.create_task(book.hold(attempt("one", 60)))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await book.ready()
    assert (await audit(path)).attempts == 0


async def test_a_client_that_leaves_before_its_charge(path: Path) -> None:
    """Cancelled while it waits for its post, an attempt is charged all the same, once."""
    async with opened(path, budget("cap", 100)) as book:
        hold = await book.hold(attempt("one", 60))
        with written_by_another(path):
            waiting = asyncio.create_task(book.post(hold, settlement(25)))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    found = await audit(path)
    assert (found.open_holds, found.charges) == (0, 1)


async def test_a_refused_call_undoes_no_neighbour(path: Path) -> None:
    """Of calls that were committed together, those that fit happened, those that do not did not."""
    async with opened(path, budget("cap", 100)) as book:
        with written_by_another(path):
            calls = [
                asyncio.create_task(book.hold(attempt(name, amount)))
                for name, amount in (("a", 40), ("b", 70), ("a", 1), ("c", 60), ("d", 1))
            ]
            await asyncio.sleep(0)
        ends = await asyncio.gather(*calls, return_exceptions=True)
    kinds = [type(one) for one in ends if isinstance(one, BaseException)]
    assert kinds == [BudgetExceeded, RowRefused, BudgetExceeded]
    found = await audit(path)
    assert found.verified
    assert found.open_holds == 2


async def test_books_locked_by_another_program(path: Path) -> None:
    """Beyond the busy timeout a hold fails, closed; when the lock is gone, all is well again."""
    async with opened(path, budget("cap", 100), busy_timeout_s=0.02) as book:
        with written_by_another(path):
            with pytest.raises(StoreUnavailable, match="locked"):
                await book.hold(attempt("one", 60))
            with pytest.raises(StoreUnavailable):
                await book.ready()
        await book.ready()
        assert (await book.hold(attempt("one", 60))).left == 40
    assert (await audit(path)).verified


async def test_a_charge_is_tried_again(path: Path) -> None:
    """A charge that finds the database locked is not lost: it is written when the lock is gone."""
    async with opened(path, budget("cap", 100), busy_timeout_s=0.5) as book:
        hold = await book.hold(attempt("one", 60))
        tries, second_try = 0, asyncio.Event()
        loop = asyncio.get_running_loop()

        def count(statement: str) -> None:
            nonlocal tries
            if statement.startswith("BEGIN"):
                tries += 1
                if tries == 2:
                    loop.call_soon_threadsafe(second_try.set)

        book._store.database.conn.set_trace_callback(count)
        with written_by_another(path):
            charged = asyncio.create_task(book.post(hold, settlement(40)))
            async with asyncio.timeout(PATIENCE_S):
                await second_try.wait()
        assert await charged == 60
    assert (await audit(path)).verified


async def test_what_is_owed_is_written_when_it_can_be(path: Path) -> None:
    """A charge that could not be written is told as failed, and yet no money stays held: the next
    write that succeeds takes it along."""
    async with opened(path, budget("cap", 100), busy_timeout_s=0.02) as book:
        hold = await book.hold(attempt("one", 60))
        with written_by_another(path), pytest.raises(StoreUnavailable):
            await book.post(hold, settlement(40))
        assert (await book.hold(attempt("two", 1))).left == 39
        assert (await book.hold(attempt("three", 1))).left == 58
    found = await audit(path)
    assert found.verified
    assert (found.charges, found.open_holds) == (1, 2)


async def test_a_full_disk(path: Path) -> None:
    """A write that finds no room fails, and what was confirmed before it stays confirmed."""
    store = await asyncio.to_thread(SqliteStore.open, path)
    pages = store.database.conn.execute("PRAGMA page_count").fetchone()[0]
    store.database.conn.execute(f"PRAGMA max_page_count = {pages + 4}")
    book = open_book(store, (budget("cap", 10**9),), clock_ns)
    confirmed = 0

    async def fill() -> None:
        nonlocal confirmed
        for number in range(10_000):
            await book.hold(attempt(f"a{number:05}", 1, model="m" * 200))
            confirmed += 1

    with pytest.raises(StoreUnavailable, match="full"):
        await fill()
    assert confirmed > 0
    with pytest.raises(StoreUnavailable):
        await asyncio.gather(*(book.hold(attempt(f"b{number}", 1)) for number in range(200)))
    await book.close()
    found = await audit(path)
    assert found.verified
    assert confirmed <= found.open_holds < confirmed + 200


async def test_close_finishes_what_waits(path: Path) -> None:
    """Every call made before the close happens; one made after it is refused."""
    async with opened(path) as book:
        waiting = [asyncio.create_task(book.hold(attempt(f"a{n:03}", 1))) for n in range(300)]
        await asyncio.sleep(0)
    assert len(await asyncio.gather(*waiting)) == 300
    assert (await audit(path)).open_holds == 300
    with pytest.raises(StoreUnavailable, match="stopping"):
        await book.hold(attempt("late", 1))


async def test_requests_are_remembered_without_waiting(path: Path) -> None:
    """What was decided for a request is in the books when they are closed; a repeat is no news."""
    record = RequestRecord("req_1", NOW_NS, "key_1", None, "ada", "m", "answered", 200, 1, None, "")
    async with opened(path) as book:
        book.remember(record)
        book.remember(record)
    with closing(await asyncio.to_thread(SqliteStore.open, path)) as store:
        assert await asyncio.to_thread(store.request, "req_1") == record
        assert await asyncio.to_thread(store.request, "req_2") is None


# -- keys


def add_key(path: Path, seed: int, expires_at_ns: int | None = None) -> tuple[str, KeyRecord]:
    """What `hedgerow key create` does, in another process."""
    secret, record = mint(
        NOW_NS, lambda size: bytes([seed]) * size, team="research", expires_at_ns=expires_at_ns
    )
    with closing(SqliteStore.open(path)) as store, store.transaction():
        store.add_key(record, hash_of(secret))
    return secret, record


def revoke_key(path: Path, key_id: str) -> None:
    with closing(SqliteStore.open(path)) as store, store.transaction():
        assert store.revoke_key(key_id, NOW_NS)
        assert not store.revoke_key("key_that_is_not", NOW_NS)


def is_known(book: Book, secret: str) -> bool:
    try:
        book.principal(secret)
    except KeyRefused:
        return False
    return True


async def test_keys_made_and_revoked_elsewhere(path: Path) -> None:
    """A running book sees a key that another process makes, and that it revokes it, in a second."""
    async with opened(path) as book:
        secret, record = await asyncio.to_thread(add_key, path, 1)
        began = time.monotonic()
        await eventually(lambda: is_known(book, secret))
        assert book.principal(secret) == record.principal
        await asyncio.to_thread(revoke_key, path, record.id)
        await eventually(lambda: not is_known(book, secret))
        assert time.monotonic() - began < 2.0
        with pytest.raises(KeyRefused, match="revoked"):
            book.principal(secret)


async def test_budgets_made_elsewhere(path: Path) -> None:
    """A budget that another process puts into the store applies to the next holds."""

    def add() -> None:
        with closing(SqliteStore.open(path)) as store, store.transaction():
            store.add_budget(budget("late", 10), NOW_NS)

    async def until_refused(book: Book) -> None:
        async with asyncio.timeout(PATIENCE_S):
            for number in range(10_000):
                await book.hold(attempt(f"a{number}", 60))
                await asyncio.sleep(0.01)

    async with opened(path) as book:
        await book.hold(attempt("before", 60))
        await asyncio.to_thread(add)
        with pytest.raises(BudgetExceeded):
            await until_refused(book)


async def test_keys_that_do_not_open(path: Path) -> None:
    """An unknown key and an expired one are refused, each with its own reason."""
    secret, record = await asyncio.to_thread(add_key, path, 2, NOW_NS)
    valid, _ = await asyncio.to_thread(add_key, path, 3, NOW_NS + 1)
    async with opened(path) as book:
        assert is_known(book, valid)
        with pytest.raises(KeyRefused, match="expired"):
            book.principal(secret)
        with pytest.raises(KeyRefused, match="unknown"):
            book.principal(secret + "0")
        with pytest.raises(KeyRefused, match="unknown"):
            book.principal("\udcff")
    assert secret not in record.label


async def test_policy_that_cannot_be_read_is_said(path: Path) -> None:
    """A budget that only a later version can read: the book is no longer ready, and says why."""

    def add() -> None:
        with closing(sqlite3.connect(path)) as later:
            later.execute("INSERT INTO budgets VALUES ('x', '{}', 'decade', 'UTC', 1, 1)")
            later.commit()

    async def until_unready(book: Book) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await book.ready()
                await asyncio.sleep(0.01)

    async with opened(path) as book:
        await asyncio.to_thread(add)
        with pytest.raises(StoreUnavailable, match="later version"):
            await until_unready(book)


# -- the writer


async def test_a_full_queue_takes_only_what_must_be_taken(path: Path) -> None:
    """With its queue full the writer refuses new calls, but not the ends of holds."""
    store = await asyncio.to_thread(SqliteStore.open, path)
    writer = Writer(store, asyncio.get_running_loop())
    go = threading.Event()
    waiting = [writer.submit(go.wait)]
    waiting += [writer.submit(lambda: True) for _ in range(QUEUE_LIMIT - 1)]
    with pytest.raises(StoreUnavailable, match="behind"):
        await writer.submit(lambda: True)
    waiting.append(writer.submit(lambda: True, must=True))
    go.set()
    assert all(await asyncio.gather(*waiting))
    assert await writer.submit(lambda: True)
    await writer.stop()
    store.close()


async def test_calls_happen_in_order(path: Path) -> None:
    """Calls are made in the order in which they were submitted, whoever waits for them."""
    store = await asyncio.to_thread(SqliteStore.open, path)
    writer = Writer(store, asyncio.get_running_loop())
    seen: list[int] = []

    def note(number: int) -> Callable[[], None]:
        return lambda: seen.append(number)

    await asyncio.gather(*(writer.submit(note(number)) for number in range(1000)))
    assert seen == list(range(1000))
    await writer.stop()
    store.close()


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=20),
    st.sampled_from([Window.MINUTE, Window.HOUR, Window.DAY, Window.MONTH, Window.LIFETIME]),
)
def test_remembered_accounts_are_those_of_the_moment(moments: list[int], window: Window) -> None:
    """Whatever is remembered, forwards and backwards in time: as if asked for the first time."""
    budgets = (
        budget("all", 10, window=window),
        budget("team", 10, Scope(team=EACH), window=Window.DAY, timezone="America/Santiago"),
        budget("mine", 10, Scope(key="key_1"), window=Window.HOUR),
        budget("other", 10, Scope(key="key_2")),
    )
    policy = Policy(1, {}, budgets)
    for seconds in moments:
        for who in (SOMEBODY, replace(SOMEBODY, key_id="key_2"), replace(SOMEBODY, key_id="k")):
            subject, at_ns = Subject(who, "llama", "acme"), seconds * 1_000_000_000
            now = datetime.fromtimestamp(seconds, UTC)
            assert policy.accounts(subject, at_ns) == accounts_of(budgets, subject, now)


async def test_shares_are_taken_one_after_the_other(path: Path) -> None:
    """However many ask at once, each share is made of what those before it have left."""
    cap, seen = budget("cap", 1000), []

    def share_of(name: str) -> Callable[[Money | None], Attempt]:
        def share(left: Money | None) -> Attempt:
            seen.append(left)
            return attempt(name, (left or 0) // 2)

        return share

    async with opened(path, cap) as book:
        subject = attempt("x", 0).subject
        holds = await asyncio.gather(
            *(
                book.hold_share(name, subject, NOW_NS, share_of(name))
                for name in ("a", "b", "c", "d")
            )
        )
        assert seen == [1000, 500, 250, 125]
        assert [one.left for one in holds] == [500, 250, 125, 63]


# -- batches


def lines(count: int, amount: int = 10, batch: str = "batch_1") -> list[Attempt]:
    return [attempt(f"{batch}.{number:04}", amount, batch=batch) for number in range(count)]


async def test_a_batch_is_held_whole_or_not_at_all(path: Path) -> None:
    """What fits as a whole is held as a whole; one line too many, and nothing of it is: the
    refusal has the sum."""
    async with opened(path, budget("cap", 105)) as book:
        with pytest.raises(BudgetExceeded) as refused:
            await book.hold_all(lines(11))
        assert (refused.value.needed, refused.value.left, refused.value.held) == (110, 105, 0)
        holds = await book.hold_all(lines(10))
        assert [one.left for one in holds] == [5] * 10
        assert await book.hold_all([]) == ()
    found = await audit(path)
    assert found.verified
    assert (found.attempts, found.open_holds) == (10, 10)


async def test_batches_at_once_never_overspend(path: Path) -> None:
    """Of many that ask together, as many are admitted as fit, each of them whole."""
    async with opened(path, budget("cap", 500)) as book:
        ends = await asyncio.gather(
            *(book.hold_all(lines(7, batch=f"b{number:02}")) for number in range(40)),
            return_exceptions=True,
        )
    refused = [one for one in ends if isinstance(one, BudgetExceeded)]
    assert len(ends) - len(refused) == 7
    assert {one.left for one in refused} == {500 - 7 * 70}
    found = await audit(path)
    assert (found.verified, found.open_holds) == (True, 7 * 7)


async def test_a_list_of_holds_is_bounded(path: Path) -> None:
    """So many holds at once keep others waiting for long enough; more are refused."""
    async with opened(path) as book:
        assert len(await book.hold_all(lines(HOLDS_AT_ONCE))) == HOLDS_AT_ONCE
        with pytest.raises(ValueError, match=str(HOLDS_AT_ONCE)):
            await book.hold_all(lines(HOLDS_AT_ONCE + 1, batch="other"))
    assert (await audit(path)).attempts == HOLDS_AT_ONCE


async def test_who_leaves_before_its_batch_is_held_holds_nothing(path: Path) -> None:
    """Cancelled while it waits, a batch leaves no money held."""
    cap = budget("cap", 1000)
    async with opened(path, cap) as book:
        with written_by_another(path):
            waiting = asyncio.create_task(book.hold_all(lines(20)))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await book.ready()
        assert await left_in(path, cap) == 1000
    found = await audit(path)
    assert (found.attempts, found.open_holds, found.verified) == (20, 0, True)


async def test_ends_of_a_batch_come_as_far_as_they_can(path: Path) -> None:
    """One that has ended already keeps no other from its end, and is told of."""
    count = 2 * ENDS_AT_ONCE + 5
    async with opened(path, budget("cap", 10 * count)) as book:
        holds = await book.hold_all(lines(count))
        await book.void(holds[3], "cancelled")
        with pytest.raises(HoldResolved, match=holds[3].attempt.id):
            await book.post_all([(one, settlement(4)) for one in holds[:-2]])
        assert (
            await book.post_all([(holds[-2], settlement(1))]) == 10 * count - 4 * (count - 3) - 11
        )
        await book.void_all(holds[-1:], "expired")
        assert await book.post_all([]) is None
    found = await audit(path)
    assert (found.charges, found.open_holds, found.verified) == (count - 2, 0, True)


async def test_a_batch_that_ends_keeps_nobody_waiting(path: Path) -> None:
    """While a thousand charges of a batch are written, a request gets its hold among the first."""
    async with opened(path, budget("cap", 10**6)) as book:
        holds = [one for n in range(2) for one in await book.hold_all(lines(500, batch=f"b{n}"))]
        ending = asyncio.create_task(book.post_all([(one, settlement(4)) for one in holds]))
        await asyncio.sleep(0)  # it has begun
        await book.hold(attempt("one", 10))
        assert not ending.done()
        assert len(await book.holds_of_batch("b1")) == 500
        await ending
        assert await book.holds_of_batch("b1") == ()


async def test_holds_are_found_again_after_a_restart(path: Path) -> None:
    """By name and by batch, page by page, as they were made; what has ended is not found."""
    count = HOLDS_AT_ONCE + 3
    attempts = lines(count)
    async with opened(path, budget("cap", 10**6)) as book:
        made = [*await book.hold_all(attempts[:-3]), *await book.hold_all(attempts[-3:])]
        await book.hold_all(lines(2, batch="other"))
    async with opened(path, budget("cap", 10**6)) as book:
        first = await book.holds_of_batch("batch_1")
        second = await book.holds_of_batch("batch_1", after=first[-1].attempt.id)
        assert (len(first), len(second)) == (HOLDS_AT_ONCE, 3)
        assert [replace(one, left=None) for one in made] == [*first, *second]
        found = await book.hold_of(attempts[7].id)
        assert found == first[7]
        assert await book.post(found, settlement(25)) == 10**6 - 10 * (count + 1) - 25
        assert await book.hold_of(attempts[7].id) is None
        assert await book.hold_of("never") is None
        assert await book.holds_of_batch("nobody") == ()
    assert (await audit(path)).verified


async def test_a_hold_found_again_draws_on_what_it_was_taken_from(path: Path) -> None:
    """Budgets that came since are none of its accounts, those that are gone have no cap to say
    what is left; its money goes back to all that it was taken from."""
    gone, kept, new = budget("gone", 500), budget("kept", 300), budget("new", 100)
    async with opened(path, gone, kept) as book:
        await book.hold_all(lines(2, amount=50))
    async with opened(path, kept, new) as book:
        one, two = await book.holds_of_batch("batch_1")
        assert [account.budget for account in one.accounts] == ["kept"]
        assert await book.post(one, settlement(20)) == 300 - 20 - 50
        await book.void(two, "expired")
    assert await left_in(path, gone) == 480
    assert await left_in(path, new) == 100
    assert (await audit(path)).verified
