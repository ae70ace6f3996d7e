"""Idempotency-Keys in the books: taken once, given back only where nothing was charged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from ledger.attempts import Hold
from ledger.book import Book, open_book
from ledger.errors import StoreUnavailable
from ledger.idempotency import CLAIM_NS, FORGOTTEN_AT_ONCE, Claim
from ledger.schema import migrations
from ledger.sqlite_store import SqliteStore
from tests.ledger.entries import NOW_NS, attempt, charge, clock_ns, take

PATIENCE_S = 20.0


def claim(
    request_id: str, key: str = "k", *, key_id: str = "key_1", digest: bytes = b"d", at_ns: int = 0
) -> Claim:
    return Claim(key_id, key, digest, request_id, NOW_NS + at_ns)


def taken(store: SqliteStore, one: Claim) -> Claim | None:
    with store.transaction():
        return store.claim(one)


def released(store: SqliteStore, one: Claim) -> bool:
    with store.transaction():
        return store.release(one)


def keys_in(path: Path) -> int:
    with closing(SqliteStore.open(path)) as store:
        return int(store.database.execute("SELECT count(*) FROM idempotency_keys").fetchone()[0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


@pytest.fixture
def store(path: Path) -> SqliteStore:
    return SqliteStore.open(path)


@asynccontextmanager
async def opened(path: Path, busy_timeout_s: float = PATIENCE_S) -> AsyncIterator[Book]:
    store = await asyncio.to_thread(SqliteStore.open, path, busy_timeout_s=busy_timeout_s)
    book = open_book(store, (), clock_ns)
    try:
        yield book
    finally:
        await book.close()


def test_a_key_is_taken_once_by_each_api_key(store: SqliteStore) -> None:
    """The second claim is told of the first, whatever it is for; another API key has its own."""
    first = claim("req_1")
    assert taken(store, first) is None
    assert taken(store, claim("req_2")) == first
    assert taken(store, claim("req_3", digest=b"other", at_ns=CLAIM_NS - 1)) == first
    assert taken(store, claim("req_4", key_id="key_2")) is None
    assert taken(store, claim("req_5", key="l")) is None


def test_after_a_day_a_key_is_new(store: SqliteStore) -> None:
    """A claim holds for CLAIM_NS to the nanosecond, whether or not it has been deleted by then."""
    assert taken(store, claim("req_1")) is None
    assert taken(store, claim("req_2", at_ns=CLAIM_NS - 1)) == claim("req_1")
    later = claim("req_3", digest=b"other", at_ns=CLAIM_NS)
    assert taken(store, later) is None
    assert taken(store, claim("req_4", at_ns=CLAIM_NS + 1)) == later
    assert not released(store, claim("req_1"))
    assert taken(store, claim("req_5", at_ns=CLAIM_NS + 2)) == later


@given(st.lists(st.none() | st.just("void") | st.integers(0, 3), max_size=4))
def test_a_key_is_given_back_unless_something_was_charged(ends: list[str | int | None]) -> None:
    """One attempt that was charged, or may still be, is enough; one that cost nothing is not.

    Attempts of other requests say nothing.
    """
    with closing(SqliteStore(_in_memory(), Path("memory"))) as store:
        assert taken(store, claim("req_1")) is None
        charge(store, _held(store, "other.1", "req_10"), 5)
        for number, end in enumerate(ends):
            hold = _held(store, f"req_1.{number}", "req_1")
            if isinstance(end, int):
                charge(store, hold, end)
            elif end is not None:
                with store.transaction():
                    store.void(hold.attempt.id, NOW_NS, "refused")
        is_free = all(one in ("void", 0) for one in ends)
        assert released(store, claim("req_1")) is is_free
        assert taken(store, claim("req_2")) == (None if is_free else claim("req_1"))


def _in_memory() -> Database:
    database = Database(memory=True)
    database.conn.isolation_level = None
    migrations.apply(database)
    return database


def _held(store: SqliteStore, attempt_id: str, request_id: str) -> Hold:
    hold = Hold(replace(attempt(attempt_id, 50), request_id=request_id), ())
    take(store, hold)
    return hold


def test_nobody_gives_back_what_is_another_s(store: SqliteStore) -> None:
    """A request that has not got the key cannot free it."""
    assert taken(store, claim("req_1")) is None
    assert not released(store, claim("req_2"))
    assert not released(store, claim("req_1", key_id="key_2"))
    assert taken(store, claim("req_3")) == claim("req_1")


def test_a_key_is_given_back_without_reading_all_the_books(store: SqliteStore) -> None:
    """The holds of one request are found by an index, not by looking at all of them."""
    seen: list[str] = []
    store.database.conn.set_trace_callback(seen.append)
    assert not released(store, claim("req_1"))
    assert store.forget_claims(NOW_NS, 10) == 0
    store.database.conn.set_trace_callback(None)
    statements = [one for one in seen if one.startswith("DELETE")]
    assert len(statements) == 2
    for one in statements:
        plan = [row[-1] for row in store.database.execute(f"EXPLAIN QUERY PLAN {one}")]
        assert [step for step in plan if step.startswith("SCAN")] == []


@given(
    st.lists(st.integers(0, 20), unique=True, max_size=12), st.integers(0, 20), st.integers(1, 5)
)
def test_the_oldest_are_forgotten_first(ages: list[int], now: int, limit: int) -> None:
    """Never more than asked for, never one that still holds, and the oldest before the others."""
    with closing(SqliteStore(_in_memory(), Path("memory"))) as store:
        for age in ages:
            assert taken(store, claim(f"req_{age}", f"k{age}", at_ns=age)) is None
        with store.transaction():
            count = store.forget_claims(NOW_NS + CLAIM_NS + now, limit)
        rows = store.database.execute("SELECT at_ns FROM idempotency_keys ORDER BY at_ns")
        forgotten = sorted(age for age in ages if age <= now)[:limit]
        assert count == len(forgotten)
        assert [at_ns - NOW_NS for (at_ns,) in rows] == sorted(set(ages) - set(forgotten))


async def test_old_keys_are_deleted_at_the_opening(path: Path) -> None:
    """All of them, in as many turns as it takes, and none of the last day."""

    def fill() -> None:
        with closing(SqliteStore.open(path)) as store, store.transaction():
            for number in range(2 * FORGOTTEN_AT_ONCE + 7):
                store.claim(claim(f"req_{number}", f"k{number}", at_ns=-CLAIM_NS))
            store.claim(claim("req_new", "new", at_ns=1 - CLAIM_NS))

    await asyncio.to_thread(fill)
    async with opened(path), asyncio.timeout(PATIENCE_S):
        while await asyncio.to_thread(keys_in, path) > 1:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.01)
    async with opened(path) as book:
        assert await book.claim(claim("req_x", "new")) is not None


async def test_a_caller_that_leaves_takes_no_key(path: Path) -> None:
    """Cancelled before, or while, its claim is written: the next one gets the key."""
    async with opened(path) as book:
        for number in range(20):
            leaving = asyncio.create_task(book.claim(claim(f"req_{number}", f"k{number}")))
            await asyncio.sleep(0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            assert await book.claim(claim("req_next", f"k{number}")) is None


async def test_claims_end_with_the_book(path: Path) -> None:
    """Closed books take no claim, and let none go."""
    async with opened(path) as book:
        assert await book.claim(claim("req_1")) is None
    with pytest.raises(StoreUnavailable, match="closed"):
        await book.claim(claim("req_2", "l"))
    with pytest.raises(StoreUnavailable, match="closed"):
        await book.release(claim("req_1"))
    assert await asyncio.to_thread(keys_in, path) == 1
