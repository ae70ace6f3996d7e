"""What others change in the store is seen by a running book, within a second."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.book import Book
from ledger.budgets import EACH, Budget, Mode, Raise, Scope, Subject, Threshold, accounts_of
from ledger.errors import BudgetExceeded, KeyRefused, StoreUnavailable
from ledger.keys import KeyRecord, hash_of, mint
from ledger.policy import Policy, Rules
from ledger.windows import Window
from tests.books import opened_store
from tests.ledger.entries import NOW_NS, SOMEBODY, attempt, budget, settlement
from tests.ledger.opened import PATIENCE_S, audit, eventually, left_in, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


def add_key(path: Path, seed: int, expires_at_ns: int | None = None) -> tuple[str, KeyRecord]:
    """What `hedgerow key create` does, in another process."""
    secret, record = mint(
        NOW_NS, lambda size: bytes([seed]) * size, team="research", expires_at_ns=expires_at_ns
    )
    with closing(opened_store(path)) as store, store.transaction():
        store.policy.add_key(record, hash_of(secret))
    return secret, record


def revoke_key(path: Path, key_id: str) -> None:
    with closing(opened_store(path)) as store, store.transaction():
        assert store.policy.revoke_key(key_id, NOW_NS)
        assert not store.policy.revoke_key("key_that_is_not", NOW_NS)


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
        with closing(opened_store(path)) as store, store.transaction():
            store.policy.add_budget(budget("late", 10), NOW_NS)

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
            later.execute(
                "INSERT INTO budgets (name, scope, time_window, timezone, cap, created_at_ns)"
                " VALUES ('x', '{}', 'decade', 'UTC', 1, 1)"
            )
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


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=20),
    st.sampled_from([Window.MINUTE, Window.HOUR, Window.DAY, Window.MONTH, Window.LIFETIME]),
)
def test_remembered_accounts_are_those_of_the_moment(moments: list[int], window: Window) -> None:
    """Whatever is remembered, forwards and backwards in time, and of a key that has had another
    team: as if asked for the first time."""
    budgets = (
        budget("all", 10, window=window),
        budget("team", 10, Scope(team=EACH), window=Window.DAY, timezone="America/Santiago"),
        budget("tag", 10, Scope(tag=EACH)),
        budget("mine", 10, Scope(key="key_1"), window=Window.HOUR),
        budget("other", 10, Scope(key="key_2")),
    )
    policy = Policy(1, {}, budgets)
    for seconds in moments:
        for who in (
            SOMEBODY,
            replace(SOMEBODY, team="other"),
            replace(SOMEBODY, tags=("x",)),
            replace(SOMEBODY, key_id="key_2"),
            replace(SOMEBODY, key_id="k"),
        ):
            subject, at_ns = Subject(who, "llama", "acme"), seconds * 1_000_000_000
            now = datetime.fromtimestamp(seconds, UTC)
            assert policy.accounts(subject, at_ns) == accounts_of(budgets, subject, now)


async def test_a_lowered_cap_acts_within_a_poll(path: Path) -> None:
    """What was leased under the higher cap is returned, and nothing more fits; what is held stays
    held, and is charged."""
    high, low = budget("cap", 1000), budget("cap", 100)
    async with opened(path, high) as book:
        hold = await book.hold(attempt("one", 80))
        book.set_rules(Rules((low,)))
        await eventually(lambda: book._policy.by_name["cap"].cap == 100)
        with pytest.raises(BudgetExceeded) as refused:
            await book.hold(attempt("two", 30))
        assert (refused.value.cap, refused.value.held, refused.value.left) == (100, 80, 20)
        assert (await book.hold(attempt("three", 20))).left == 0
        assert await book.post(hold, settlement(50)) == 30


async def test_a_raised_cap_acts_within_a_poll(path: Path) -> None:
    """Who was refused is admitted."""
    async with opened(path, budget("cap", 100)) as book:
        with pytest.raises(BudgetExceeded):
            await book.hold(attempt("one", 101))
        book.set_rules(Rules((budget("cap", 300),)))
        await eventually(lambda: book._policy.by_name["cap"].cap == 300)
        assert (await book.hold(attempt("two", 101))).left == 199


async def test_an_increase_begins_and_ends_to_the_nanosecond(path: Path) -> None:
    """By the time of the attempt, whenever anybody looks: what was leased while it lasted is not
    spent after it."""
    since, until = NOW_NS + 1_000, NOW_NS + 2_000
    rules = Rules((budget("cap", 100),), (Raise("r", "cap", None, 900, since, until, "launch"),))
    async with opened(path, rules=rules) as book:
        for at_ns, fits in ((NOW_NS, 100), (since - 1, 100), (since, 1000), (until - 1, 1000)):
            with pytest.raises(BudgetExceeded) as refused:
                await book.hold(attempt(f"more_{at_ns}", fits + 1, at_ns=at_ns))
            assert (refused.value.cap, refused.value.left) == (fits, fits)
            await book.void(await book.hold(attempt(f"all_{at_ns}", fits, at_ns=at_ns)), "no")
        await book.post(await book.hold(attempt("some", 90, at_ns=until - 1)), settlement(90))
        with pytest.raises(BudgetExceeded) as refused:
            await book.hold(attempt("late", 11, at_ns=until))
        assert refused.value.left == 10
        assert (await book.hold(attempt("last", 10, at_ns=until))).left == 0


async def test_a_budget_that_refuses_no_more_while_holds_are_open(path: Path) -> None:
    """To shadow and back, or without a cap and back, with holds open over it: no money is lost, and
    none appears."""
    cap = budget("cap", 100)
    shadow = replace(cap, mode=Mode.SHADOW)
    allowed = replace(cap, thresholds=(Threshold(Decimal(2), allows=True),))
    for number, loose in enumerate((shadow, allowed)):
        file = path.with_name(f"{number}.db")
        async with opened(file, cap) as book:

            async def change(to: Budget, book: Book = book) -> None:
                book.set_rules(Rules((to,)))
                await eventually(lambda: book._policy.by_name["cap"] is to)

            strict = await book.hold(attempt("strict", 60))
            await change(loose)
            free = await book.hold(attempt("free", 500))
            await change(cap)
            with pytest.raises(BudgetExceeded):
                await book.hold(attempt("refused", 41))
            await book.void(strict, "no")
            await book.post(free, settlement(30))
            with pytest.raises(BudgetExceeded):
                await book.hold(attempt("refused", 71))
            last = await book.hold(attempt("last", 70))
            await change(loose)
            await book.post(last, settlement(10))
        assert await left_in(file, cap) == 60
        assert (await audit(file)).verified
