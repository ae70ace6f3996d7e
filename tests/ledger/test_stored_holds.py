"""Holds of batches: in the store from the beginning, whole or not at all, found again later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.attempts import Attempt
from ledger.book import ENDS_AT_ONCE
from ledger.errors import BudgetExceeded, HoldResolved
from ledger.stored_holds import HOLDS_AT_ONCE
from tests.ledger.entries import attempt, budget, settlement
from tests.ledger.opened import audit, left_in, opened, written_by_another


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


def lines(count: int, amount: int = 10, batch: str = "batch_1") -> list[Attempt]:
    return [attempt(f"{batch}.{number:04}", amount, batch=batch) for number in range(count)]


async def test_a_batch_is_held_whole_or_not_at_all(path: Path) -> None:
    """What fits as a whole is held as a whole; one line too many, and nothing of it is: the
    refusal has the sum."""
    async with opened(path, budget("cap", 105)) as book:
        with pytest.raises(BudgetExceeded) as refused:
            await book.stored.hold_all(lines(11))
        assert (refused.value.needed, refused.value.left, refused.value.held) == (110, 105, 0)
        holds = await book.stored.hold_all(lines(10))
        assert [one.left for one in holds] == [5] * 10
        assert await book.stored.hold_all([]) == ()
    found = await audit(path)
    assert found.verified
    assert (found.attempts, found.open_holds) == (10, 10)


async def test_batches_at_once_never_overspend(path: Path) -> None:
    """Of many that ask together, as many are admitted as fit, each of them whole."""
    async with opened(path, budget("cap", 500)) as book:
        ends = await asyncio.gather(
            *(book.stored.hold_all(lines(7, batch=f"b{number:02}")) for number in range(40)),
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
        assert len(await book.stored.hold_all(lines(HOLDS_AT_ONCE))) == HOLDS_AT_ONCE
        with pytest.raises(ValueError, match=str(HOLDS_AT_ONCE)):
            await book.stored.hold_all(lines(HOLDS_AT_ONCE + 1, batch="other"))
    assert (await audit(path)).attempts == HOLDS_AT_ONCE


async def test_who_leaves_before_its_batch_is_held_holds_nothing(path: Path) -> None:
    """Cancelled while it waits, a batch leaves no money held."""
    cap = budget("cap", 1000)
    async with opened(path, cap) as book:
        with written_by_another(path):
            waiting = asyncio.create_task(book.stored.hold_all(lines(20)))
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
        holds = await book.stored.hold_all(lines(count))
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
        holds = [
            one for n in range(2) for one in await book.stored.hold_all(lines(500, batch=f"b{n}"))
        ]
        ending = asyncio.create_task(book.post_all([(one, settlement(4)) for one in holds]))
        await asyncio.sleep(0)  # it has begun
        await book.hold(attempt("one", 10))
        assert not ending.done()
        assert len(await book.stored.of_batch("b1")) == 500
        await ending
        assert await book.stored.of_batch("b1") == ()


async def test_holds_are_found_again_after_a_restart(path: Path) -> None:
    """By name and by batch, page by page, as they were made; what has ended is not found."""
    count = HOLDS_AT_ONCE + 3
    attempts = lines(count)
    async with opened(path, budget("cap", 10**6)) as book:
        made = [
            *await book.stored.hold_all(attempts[:-3]),
            *await book.stored.hold_all(attempts[-3:]),
        ]
        await book.stored.hold_all(lines(2, batch="other"))
    async with opened(path, budget("cap", 10**6)) as book:
        first = await book.stored.of_batch("batch_1")
        second = await book.stored.of_batch("batch_1", after=first[-1].attempt.id)
        assert (len(first), len(second)) == (HOLDS_AT_ONCE, 3)
        assert [replace(one, left=None) for one in made] == [*first, *second]
        found = await book.stored.one(attempts[7].id)
        assert found == first[7]
        assert await book.post(found, settlement(25)) == 10**6 - 10 * (count + 1) - 25
        assert await book.stored.one(attempts[7].id) is None
        assert await book.stored.one("never") is None
        assert await book.stored.of_batch("nobody") == ()
    assert (await audit(path)).verified


async def test_a_hold_found_again_draws_on_what_it_was_taken_from(path: Path) -> None:
    """Budgets that came since are none of its accounts, those that are gone have no cap to say
    what is left; its money goes back to all that it was taken from."""
    gone, kept, new = budget("gone", 500), budget("kept", 300), budget("new", 100)
    async with opened(path, gone, kept) as book:
        await book.stored.hold_all(lines(2, amount=50))
    async with opened(path, kept, new) as book:
        one, two = await book.stored.of_batch("batch_1")
        assert [account.budget for account in one.accounts] == ["kept"]
        assert await book.post(one, settlement(20)) == 300 - 20 - 50
        await book.void(two, "expired")
    assert await left_in(path, gone) == 480
    assert await left_in(path, new) == 100
    assert (await audit(path)).verified
