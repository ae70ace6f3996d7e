"""Idempotency-Keys in the books: taken once, given back only where nothing was charged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.attempts import Hold
from ledger.databases.sql import Dialect, Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.errors import StoreUnavailable
from ledger.idempotency import CLAIM_NS, FORGOTTEN_AT_ONCE, Claim
from ledger.store import Store
from tests.books import opened_store
from tests.ledger.entries import NOW_NS, attempt, budget, charge, settlement, take, writer_of
from tests.ledger.opened import PATIENCE_S, opened, rows


def claim(
    request_id: str, key: str = "k", *, key_id: str = "key_1", digest: bytes = b"d", at_ns: int = 0
) -> Claim:
    return Claim(key_id, key, digest, request_id, NOW_NS + at_ns)


def taken(store: Store, one: Claim) -> Claim | None:
    with store.transaction():
        return store.claims.claim(one)


def released(store: Store, one: Claim) -> bool:
    with store.transaction():
        return store.claims.release(one)


async def keys_in(path: Path) -> int:
    ((count,),) = await rows(path, "SELECT count(*) FROM idempotency_keys")
    assert isinstance(count, int)
    return count


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


@pytest.fixture
def store(sql: Sql) -> Store:
    return Store(sql)


@contextmanager
def fresh() -> Iterator[Store]:
    with closing(opened_store(Path(":memory:"))) as store:
        yield store


def test_a_key_is_taken_once_by_each_api_key(store: Store) -> None:
    """The second claim is told of the first, whatever it is for; another API key has its own."""
    first = claim("req_1")
    assert taken(store, first) is None
    assert taken(store, claim("req_2")) == first
    assert taken(store, claim("req_3", digest=b"other", at_ns=CLAIM_NS - 1)) == first
    assert taken(store, claim("req_4", key_id="key_2")) is None
    assert taken(store, claim("req_5", key="l")) is None


def test_after_a_day_a_key_is_new(store: Store) -> None:
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
    with fresh() as store:
        assert taken(store, claim("req_1")) is None
        charge(store, _held(store, "other.1", "req_10"), 5)
        for number, end in enumerate(ends):
            hold = _held(store, f"req_1.{number}", "req_1")
            if isinstance(end, int):
                charge(store, hold, end)
            elif end is not None:
                writer_id = writer_of(store)
                with store.transaction():
                    store.holds.void(writer_id, hold.attempt.id, NOW_NS, "refused")
        is_free = all(one in ("void", 0) for one in ends)
        assert released(store, claim("req_1")) is is_free
        assert taken(store, claim("req_2")) == (None if is_free else claim("req_1"))


def _held(store: Store, attempt_id: str, request_id: str) -> Hold:
    hold = Hold(replace(attempt(attempt_id, 50), request_id=request_id), ())
    take(store, hold)
    return hold


def test_nobody_gives_back_what_is_another_s(store: Store) -> None:
    """A request that has not got the key cannot free it."""
    assert taken(store, claim("req_1")) is None
    assert not released(store, claim("req_2"))
    assert not released(store, claim("req_1", key_id="key_2"))
    assert taken(store, claim("req_3")) == claim("req_1")


def test_a_key_is_given_back_without_reading_all_the_books(store: Store) -> None:
    """The holds of one request are found by an index, not by looking at all of them."""
    if store.sql.dialect is not Dialect.SQLITE:
        return  # its plan depends on how many rows there are
    assert isinstance(store.sql, SqliteFile)
    seen: list[str] = []
    connection = store.sql.database.conn
    connection.set_trace_callback(seen.append)
    assert not released(store, claim("req_1"))
    assert store.claims.forget(NOW_NS, 10) == 0
    connection.set_trace_callback(None)
    statements = [one for one in seen if one.startswith("DELETE")]
    assert len(statements) == 2
    for one in statements:
        plan = [row[-1] for row in store.sql.execute(f"EXPLAIN QUERY PLAN {one}")]
        assert [step for step in plan if step.startswith("SCAN")] == []


@given(
    st.lists(st.integers(0, 20), unique=True, max_size=12), st.integers(0, 20), st.integers(1, 5)
)
def test_the_oldest_are_forgotten_first(ages: list[int], now: int, limit: int) -> None:
    """Never more than asked for, never one that still holds, and the oldest before the others."""
    with fresh() as store:
        for age in ages:
            assert taken(store, claim(f"req_{age}", f"k{age}", at_ns=age)) is None
        with store.transaction():
            count = store.claims.forget(NOW_NS + CLAIM_NS + now, limit)
        rows = store.sql.execute("SELECT at_ns FROM idempotency_keys ORDER BY at_ns")
        forgotten = sorted(age for age in ages if age <= now)[:limit]
        assert count == len(forgotten)
        assert [at_ns - NOW_NS for (at_ns,) in rows] == sorted(set(ages) - set(forgotten))


async def test_old_keys_are_deleted_at_the_opening(path: Path) -> None:
    """All of them, in as many turns as it takes, and none of the last day."""

    def fill() -> None:
        with closing(opened_store(path)) as store, store.transaction():
            for number in range(2 * FORGOTTEN_AT_ONCE + 7):
                store.claims.claim(claim(f"req_{number}", f"k{number}", at_ns=-CLAIM_NS))
            store.claims.claim(claim("req_new", "new", at_ns=1 - CLAIM_NS))

    await asyncio.to_thread(fill)
    async with opened(path), asyncio.timeout(PATIENCE_S):
        while await keys_in(path) > 1:  # noqa: ASYNC110 - seen from outside
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
    assert await keys_in(path) == 1


async def test_a_key_of_a_request_under_way_is_kept(path: Path) -> None:
    """While an attempt of a request is held or charged in this process, its key is not given back,
    though the store has not heard of either; once it cost nothing, it is."""
    one = replace(attempt("a", 50), request_id="req_1")
    async with opened(path, budget("cap", 100)) as book:
        for cost, is_free in ((None, True), (0, True), (5, False)):
            hold = await book.hold(replace(one, id=f"a{cost}"))
            await book.claim(claim("req_1"))
            assert not await book.release(claim("req_1"))
            if cost is None:
                await book.void(hold, "refused")
            else:
                await book.post(hold, settlement(cost))
            assert await book.release(claim("req_1")) is is_free
