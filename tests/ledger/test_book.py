"""The book under concurrency, cancellation, outages and full disks: real files, real threads."""

from __future__ import annotations

import asyncio
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from blockbuster import BlockingError
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.attempts import Attempt, Hold
from ledger.budgets import EACH, Budget, Mode, OnLedgerError, Scope
from ledger.databases.sqlite_file import SqliteFile
from ledger.errors import BudgetExceeded, HoldResolved, RowRefused, StoreUnavailable
from ledger.folder import ENDS_AT_ONCE, Batch, Folder
from ledger.following import POLL_S
from ledger.journal import START, Journal, Place
from ledger.journal_records import Held, encode, held_of, lost
from ledger.measures import Measure
from ledger.money import Money
from ledger.requests import RequestRecord
from ledger.windows import Window, window_of
from tests.ledger.entries import NOW_NS, attempt, budget, hold_of, settlement
from tests.ledger.faults import Lost
from tests.ledger.opened import (
    PATIENCE_S,
    abandon,
    audit,
    book_of,
    eventually,
    file_of,
    left_in,
    opened,
    rows,
    written_by_another,
)

MINUTE_NS = 60_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


# -- holds and their ends


async def test_500_at_once_on_a_budget_for_37(path: Path) -> None:
    """Exactly as many holds are admitted as fit; the others are told how little is left."""
    async with opened(path, budget("cap", 37 * 10 + 9)) as book:
        ends = await asyncio.gather(
            *(book.hold(attempt(f"a{number:03}", 10)) for number in range(500)),
            return_exceptions=True,
        )
        refused = [one for one in ends if isinstance(one, BudgetExceeded)]
        assert len(refused) == 463
        assert {(one.left, one.spent, one.held) for one in refused} == {(9, 0, 370)}
        holds = [one for one in ends if not isinstance(one, BaseException)]
        await book.post_all([(one, settlement(7)) for one in holds])
        with pytest.raises(BudgetExceeded) as refusal:
            await book.hold(attempt("b", 379 - 37 * 7 + 1))
        assert (refusal.value.left, refusal.value.spent) == (379 - 37 * 7, 37 * 7)
        await book.void(await book.hold(attempt("c", 379 - 37 * 7)), "no")
    assert (await audit(path)).verified


@settings(max_examples=25)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(0, 300))
def test_those_who_wait_together_are_all_served(amounts: list[int], cap: int) -> None:
    """Of many that ask at once, of any sizes: nobody is refused who would still fit when all who
    asked have been answered, and the cap is kept."""

    async def scenario(path: Path) -> None:
        async with opened(path, budget("cap", cap)) as book:
            ends = await asyncio.gather(
                *(book.hold(attempt(f"a{n:03}", one)) for n, one in enumerate(amounts)),
                return_exceptions=True,
            )
            held = sum(
                one
                for one, end in zip(amounts, ends, strict=True)
                if not isinstance(end, BaseException)
            )
            assert held <= cap
            for one, end in zip(amounts, ends, strict=True):
                if isinstance(end, BaseException):
                    assert isinstance(end, BudgetExceeded)
                    assert one == end.needed > end.left
                    assert one > cap - held
            for end in ends:
                if not isinstance(end, BaseException):
                    await book.void(end, "no")

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder) / "books.db"))


async def test_the_store_is_not_used_in_the_loop(path: Path) -> None:
    """SQLite blocks: a call of the store in the event loop fails the test that makes it."""
    with pytest.raises(BlockingError):
        SqliteFile.open(path)


async def test_an_attempt_from_hold_to_charge(path: Path) -> None:
    """Hold, post and void each say what is left; an end that came cannot come again."""
    wide, narrow = budget("wide", 1000), budget("narrow", 100, Scope(user="ada"))
    async with opened(path, wide, narrow) as book:
        one, two = await book.hold(attempt("one", 60)), await book.hold(attempt("two", 30))
        assert (one.left, two.left) == (40, 10)
        with pytest.raises(RowRefused, match="held already"):
            await book.hold(attempt("two", 1))
        assert await book.post(one, settlement(25)) == 45
        await book.void(two, "not connected")
        for ended in range(2):  # in memory, and in the books
            with pytest.raises(HoldResolved):
                await book.post(two, settlement(5))
            with pytest.raises(HoldResolved, match="posted" if ended else "one"):
                await book.void(one, "again")
            await book.folded()
        await book.ready()
    assert await left_in(path, wide, narrow) == 75
    assert (await audit(path)).verified


async def test_without_budgets_nothing_is_left_to_say(path: Path) -> None:
    """Where no budget applies, `left` is None and not zero; the charge is booked."""
    async with opened(path) as book:
        hold = await book.hold(attempt("one", 60))
        assert hold.left is None
        assert await book.post(hold, settlement(25)) is None
    assert (await audit(path)).charges == 1


async def test_a_spent_budget_admits_what_is_free(path: Path) -> None:
    """Of nothing, and of one that is used up or overrun: what costs is refused, what costs nothing
    passes, also while the store cannot be asked."""
    for cap, spent in ((0, None), (10, 10), (10, 25)):
        file = path.with_name(f"{cap}_{spent}.db")
        sql = await file_of(file)
        book = book_of(sql, file, budget("cap", cap))
        if spent is not None:
            await book.post(await book.hold(attempt("first", 10)), settlement(spent))
            await book.folded()
        with pytest.raises(BudgetExceeded) as refused:
            await book.hold(attempt("paid", 1))
        assert refused.value.left == cap - (spent or 0)
        for sql.is_down in (False, True):
            assert (await book.hold(attempt(f"free_{sql.is_down}", 0))).left == cap - (spent or 0)
        await abandon(book)


async def test_an_overrun_counts_in_every_scope(path: Path) -> None:
    """What is billed above a hold is taken of what is free, and then of nobody: it is spent all the
    same, and what others would have had is refused from then on."""
    wide, narrow = budget("wide", 1000), budget("narrow", 100)
    async with opened(path, wide, narrow) as book:
        assert await book.post(await book.hold(attempt("one", 10)), settlement(130)) == -30
        with pytest.raises(BudgetExceeded) as refused:
            await book.hold(attempt("two", 1))
        assert (refused.value.budget, refused.value.left, refused.value.spent) == (
            "narrow", -30, 130
        )  # fmt: skip
    assert (await left_in(path, wide), await left_in(path, narrow)) == (870, -30)
    assert (await audit(path)).overrun == 120


async def test_every_measure_is_held_and_spent(path: Path) -> None:
    """Tokens, requests and attempts at once, each refused by its own budget with its numbers."""
    tokens = Budget("tokens", Scope(), Window.DAY, "UTC", 100, Measure.TOKENS)
    requests = Budget("requests", Scope(user=EACH), Window.MINUTE, "UTC", 3, Measure.REQUESTS)
    parallel = Budget("parallel", Scope(), Window.LIFETIME, "UTC", 2, Measure.PARALLEL)
    async with opened(path, tokens, requests, parallel) as book:

        async def refusal(most_tokens: int) -> tuple[str, int]:
            with pytest.raises(BudgetExceeded) as refused:
                await book.hold(replace(attempt("no", 5), most_tokens=most_tokens))
            return (refused.value.budget, refused.value.left)

        one = await book.hold(replace(attempt("one", 5), most_tokens=60))
        assert await refusal(41) == ("tokens", 40)
        two = await book.hold(replace(attempt("two", 5), most_tokens=40))
        assert await refusal(0) == ("parallel", 0)
        await book.post(one, settlement(3, prompt=7))
        await book.void(two, "refused")
        assert await refusal(91) == ("tokens", 90)
        for name in ("three", "four"):
            await book.post(await book.hold(attempt(name, 5)), settlement(1))
        assert await refusal(0) == ("requests", 0)


async def test_a_shadow_budget_tells_and_refuses_nothing(path: Path) -> None:
    """What would not fit is let through and named; what was spent before counts."""
    shadow = replace(budget("shadow", 100), mode=Mode.SHADOW)
    async with opened(path, shadow, budget("real", 1000)) as book:
        one = await book.hold(attempt("one", 70))
        two = await book.hold(attempt("two", 31))
        assert (one.would_block, two.would_block) == ((), ("shadow",))
        await book.post(one, settlement(60))
        await book.void(two, "no")
        assert (await book.hold(attempt("three", 40))).would_block == ()
        assert (await book.hold(attempt("four", 1))).would_block == ("shadow",)
    async with opened(path, shadow, budget("real", 1000)) as book:
        assert (await book.hold(attempt("five", 1))).would_block == ("shadow",)
    assert (await audit(path)).verified


async def test_a_shadow_budget_leaves_sizes_and_what_is_told_alone(path: Path) -> None:
    """What is left of it shrinks no request, and is told nobody: only caps that act are."""
    shadow = replace(budget("shadow", 100), mode=Mode.SHADOW)
    seen: list[Money | None] = []

    def share(left: Money | None) -> Attempt:
        seen.append(left)
        return attempt("shared", 30)

    async with opened(path, shadow, budget("real", 1000)) as book:
        one = await book.hold(attempt("one", 200))
        assert (one.would_block, one.left) == (("shadow",), 800)
        assert await book.post(one, settlement(150)) == 850
        assert await book.left(one.attempt.subject, one.attempt.at_ns) == 850
        two = await book.hold_share(one.attempt.subject, one.attempt.at_ns, share)
        assert (seen, two.left) == ([850], 820)
        await book.void(two, "no")
    async with opened(path, shadow) as book:
        assert (await book.hold(attempt("three", 200))).left is None


async def test_a_hold_is_charged_in_its_own_window(path: Path) -> None:
    """One that is taken in the last moment of a minute and posted in the next counts in the minute
    in which it began; the next one is whole."""
    minute = budget("minute", 100, window=Window.MINUTE)
    edge = NOW_NS - NOW_NS % MINUTE_NS + MINUTE_NS
    async with opened(path, minute) as book:
        late = await book.hold(attempt("late", 80, at_ns=edge - 1))
        new = await book.hold(attempt("new", 100, at_ns=edge))
        await book.post(late, settlement(90, at_ns=edge + 5))
        await book.void(new, "no")
        with pytest.raises(BudgetExceeded) as refused:
            await book.hold(attempt("later", 11, at_ns=edge - 1))
        assert refused.value.left == 10
    spent = await rows(path, "SELECT posted, leased FROM accounts ORDER BY window_start_ns")
    assert spent == [(90, 0), (0, 0)]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60), st.booleans()), max_size=15))
def test_a_rolling_window_holds_what_any_of_it_may_hold(
    steps: list[tuple[int, int, bool]],
) -> None:
    """Slices of buckets that are over leave nothing out of the window: what fits is admitted, and
    what does not is refused, in each second anew."""
    now = NOW_NS - NOW_NS % MINUTE_NS

    def now_ns() -> int:
        return now

    async def scenario(path: Path) -> None:
        nonlocal now
        cap = Budget("cap", Scope(), window_of("rolling:1m"), "UTC", 100)
        spent: list[tuple[int, int]] = []
        async with opened(path, cap, now_ns=now_ns) as book:
            for number, (seconds, amount, stays) in enumerate(steps):
                now += seconds * 1_000_000_000
                # Buckets of a second; the one that lies partly outside still counts.
                taken = sum(one for at_ns, one in spent if at_ns >= now - 60_000_000_000)
                one = attempt(f"a{number}", amount, at_ns=now)
                if amount > 100 - taken:
                    with pytest.raises(BudgetExceeded) as refused:
                        await book.hold(one)
                    assert refused.value.left == 100 - taken
                    continue
                hold = await book.hold(one)
                if stays:
                    await book.post(hold, settlement(amount // 2))
                    spent.append((now, amount // 2))
                else:
                    await book.void(hold, "no")

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder) / "books.db"))


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
            *(book.hold_share(subject, NOW_NS, share_of(name)) for name in ("a", "b", "c", "d"))
        )
        assert sorted(one.left or 0 for one in holds) == [63, 125, 250, 500]
        assert sum(one.attempt.worst_case for one in holds) == 1000 - 63
        with pytest.raises(BudgetExceeded):
            await book.hold(attempt("e", 64))


# -- two workers


async def test_what_another_worker_does_not_need_is_returned(path: Path) -> None:
    """A request that fits once the other has returned what is free there is not refused; one that
    does not fit even then is told the true numbers."""
    cap = budget("cap", 1000)
    async with opened(path, cap) as one, opened(path, cap, slot=1) as other:
        held = await other.hold(attempt("held", 100))
        assert other._slices[held.accounts[0].key].free > 0
        mine = await one.hold(attempt("mine", 850))
        with pytest.raises(BudgetExceeded) as refused:
            await one.hold(attempt("more", 51))
        assert (refused.value.left, refused.value.spent, refused.value.held) == (50, 0, 950)
        await other.post(held, settlement(30))
        assert (await other.hold(attempt("last", 120))).left == 0
        await one.void(mine, "no")
    assert (await audit(path)).verified


# -- cancellation


async def test_a_client_that_leaves_before_its_hold(path: Path) -> None:
    """Cancelled while it waits for the store, an attempt leaves no money held, nor any entry."""
    cap = budget("cap", 100)
    async with opened(path, cap) as book:
        with written_by_another(path):
            waiting = asyncio.create_task(book.hold(attempt("one", 60)))
            await asyncio.sleep(0)  # it has asked
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert (await book.hold(attempt("two", 100))).left == 0
    found = await audit(path)
    assert (found.attempts, found.verified) == (0, True)


@pytest.mark.parametrize("steps", range(6))
async def test_a_client_that_leaves_while_the_disk_is_waited_for(path: Path, steps: int) -> None:
    """With `durability: disk`: cancelled at its hold, nothing is held; at its post, it is charged,
    once."""
    cap = budget("cap", 100)
    async with opened(path, cap, durability="disk") as book:
        hold = await book.hold(attempt("one", 60))
        holding = asyncio.create_task(book.hold(attempt("two", 30)))
        charging = asyncio.create_task(book.post(hold, settlement(25)))
        for _ in range(steps):
            await asyncio.sleep(0)
        holding.cancel()
        charging.cancel()
        await asyncio.wait([holding, charging])
        assert ("two" in book._open) is (not holding.cancelled())
        if not holding.cancelled():
            await book.void(await holding, "no")
        assert ("one" in book._open) is (steps == 0)
        if steps == 0:  # it had not begun
            await book.post(hold, settlement(25))
    found = await audit(path)
    assert (found.verified, found.charges) == (True, 1)


# -- outages


async def test_within_slices_requests_go_on(path: Path) -> None:
    """While the store is down, what is leased is spent; then requests are refused, or let through
    where the budget says so; all of it is in the books once the store is back."""
    cap = 1000
    on_errors: tuple[OnLedgerError, ...] = ("deny", "allow")
    for on_error in on_errors:
        file = path.with_name(f"{on_error}.db")
        budgets = (replace(budget("cap", cap), on_ledger_error=on_error), budget("wide", 10**9))
        sql = await file_of(file)
        book = book_of(sql, file, *budgets)
        await book.post(await book.hold(attempt("first", 10)), settlement(10))
        sql.is_down = True
        free, spent = book._slices[hold_of(attempt("x", 0), *budgets).accounts[0].key].free, 10
        admitted = 0
        for number in range(300):
            try:
                hold = await book.hold(attempt(f"a{number:03}", 10))
            except StoreUnavailable:
                assert on_error == "deny"
                break
            await book.post(hold, settlement(5))
            admitted, spent = admitted + 1, spent + 5
        assert admitted == (300 if on_error == "allow" else (free - 10) // 5 + 1)
        with pytest.raises(StoreUnavailable):
            await book.ready()
        with pytest.raises(StoreUnavailable):
            await book.folded()
        sql.is_down = False
        await book.folded()
        await book.ready()
        if on_error == "deny":
            await book.void(await book.hold(attempt("again", 10)), "no")
        else:
            with pytest.raises(BudgetExceeded) as refused:
                await book.hold(attempt("again", 10))
            assert refused.value.left == cap - spent < 0
        await book.close()
        assert await left_in(file, budgets[0]) == cap - spent
        assert (await audit(file)).verified


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


@pytest.mark.parametrize("lost", list(Lost))
async def test_the_answer_to_a_fold_is_lost(path: Path, lost: Lost) -> None:
    """Whether it was written or not, and whether anybody can say so: each end is in the books once,
    and what is leased agrees with what is free and held."""
    cap = budget("cap", 1000)
    sql = await file_of(path)
    book = book_of(sql, path, cap)
    held = await book.hold(attempt("held", 50))
    for number in range(5):
        hold = await book.hold(attempt(f"a{number}", 10))
        sql.lost = lost
        await book.post(hold, settlement(7))
        await eventually(lambda: not book._folding.is_behind)
    part = book._slices[held.accounts[0].key]
    await asyncio.sleep(2 * POLL_S)
    ((leased,),) = await rows(path, "SELECT coalesce(sum(amount), 0) FROM leases")
    assert leased == part.free + part.held
    assert part.unfolded == 0
    await book.void(held, "no")
    await book.close()
    assert await left_in(path, cap) == 1000 - 35
    assert (await audit(path)).verified


async def test_what_is_given_back_is_given_back_once(path: Path) -> None:
    """With the answer lost to a return, or to a grant, no money appears or is forgotten."""
    for number, answer in enumerate((Lost.WRITTEN, Lost.UNDONE)):
        file = path.with_name(f"{number}.db")
        sql = await file_of(file)
        book = book_of(sql, file, budget("cap", 1000))
        for turn in range(10):
            sql.lost = answer
            hold = await book.hold(attempt(f"a{turn}", 10))
            sql.lost, sql.is_silent = answer, True
            book._grants.give_back(book._slices)
            await asyncio.sleep(0.01)
            sql.is_silent = False
            await book.void(hold, "no")
            await book.folded()
            (part,) = book._slices
            ((leased,),) = await rows(file, "SELECT leased FROM accounts")
            assert leased == part.free + part.held
        await book.close()


# -- the disk


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process can grow any more."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((64 << 10) - 1, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)


async def test_a_full_disk(path: Path) -> None:
    """Holds are refused when their ends would find no room, and nothing of them stays held; every
    end of a hold that was taken is in the books later."""
    cap = budget("cap", 10**9)
    book = book_of(await file_of(path), path, cap)
    await book.void(await book.hold(attempt("first", 10**8)), "no")
    await book.folded()
    book._journal._segment_bytes = book._journal._size = 64 << 10  # as if it were so short
    holds: list[Hold] = []

    async def fill() -> None:
        for number in range(10_000):
            holds.append(await book.hold(attempt(f"a{number:05}", 1)))  # noqa: PERF401 - it ends early

    with full_disk():
        with pytest.raises(StoreUnavailable, match="journal"):
            await fill()
        (part,) = book._slices
        assert part.held == len(holds) > 10
        for one in holds:
            await book.post(one, settlement(2, prompt=10**6))
        assert part.held == 0
    await book.folded()
    await book.void(await book.hold(attempt("again", 1)), "no")
    await book.close()
    assert await left_in(path, cap) == 10**9 - 2 * len(holds)
    assert (await audit(path)).verified


# -- the end


async def test_close_writes_everything_and_returns_every_slice(path: Path) -> None:
    """What was charged is in the books and nothing is leased; a call made after it is refused."""
    async with opened(path, budget("cap", 10**6)) as book:
        for number in range(300):
            await book.post(await book.hold(attempt(f"a{number:03}", 10)), settlement(3))
    assert (await audit(path)).charges == 300
    assert await rows(path, "SELECT * FROM leases") == []
    with pytest.raises(StoreUnavailable, match="stopping"):
        await book.hold(attempt("late", 1))


async def test_close_while_the_store_is_down(path: Path) -> None:
    """It ends in time, and the next start folds the rest."""
    cap = budget("cap", 1000)
    sql = await file_of(path)
    book = book_of(sql, path, cap)
    hold = await book.hold(attempt("one", 60))
    sql.is_down = True
    await book.post(hold, settlement(25))
    async with asyncio.timeout(PATIENCE_S):
        await book.close()
    async with opened(path, cap):
        pass
    assert await left_in(path, cap) == 975
    assert (await audit(path)).verified


async def test_requests_are_remembered_without_waiting(path: Path) -> None:
    """What was decided for a request is in the books when they are closed; a repeat is no news."""
    record = RequestRecord("req_1", NOW_NS, "key_1", None, "ada", "m", "answered", 200, 1, None, "")
    async with opened(path) as book:
        book.remember(record)
        book.remember(record)
    assert await rows(path, "SELECT id FROM requests") == [("req_1",)]


async def test_idle_slices_are_returned(path: Path) -> None:
    """When nobody has drawn on them for a while, or their window is over; not while somebody holds,
    or waits. Whoever comes again asks again."""
    now, seconds = NOW_NS, 0.0
    cap = budget("cap", 1000)
    book = book_of(await file_of(path), path, cap)
    book._following._monotonic_s = lambda: seconds
    book._times = replace(book._times, monotonic_s=lambda: seconds)
    hold = await book.hold(attempt("one", 10))
    seconds = 100.0
    assert book._slices.idle(now, seconds) == []
    await book.void(hold, "no")
    await book.folded()
    with book._slices.waited_for(book._slices):
        assert book._slices.idle(now, seconds) == []
    book._grants.give_back(book._slices.idle(now, seconds))
    assert len(book._slices) == 0
    await book.ready()
    assert await rows(path, "SELECT * FROM leases") == []
    assert (await book.hold(attempt("two", 1000))).left == 0
    await abandon(book)


# -- the folder


@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=80),
    st.integers(1, 90),
    st.integers(1, 7),
)
def test_each_end_is_folded_once(steps: list[tuple[int, bool]], read_every: int, ask: int) -> None:
    """Holds and ends in any order, read whenever and by whichever process: each pair comes in one
    batch, the same one until it is done; what has no end is left open; and no segment goes that
    somebody still needs."""
    with tempfile.TemporaryDirectory() as name:
        journal = Journal.open(Path(name) / "journal", segment_bytes=2048)
        journal.begin(START)
        folder, place = Folder(journal, journal.tail), journal.tail
        opened: dict[str, Held] = {}
        ended: list[str] = []
        folded: list[str] = []

        def fold() -> None:
            nonlocal place
            for _ in range(ask):
                batch = folder.batch(journal.tail)
                if batch is None:
                    return
                assert folder.batch(journal.tail) is batch
                assert batch.before == place
                folded.extend(end.attempt_id for _, end in batch.ends)
                assert all(held.attempt_id == end.attempt_id for held, end in batch.ends)
                place = batch.after
                journal.release(folder.done(batch))

        for number, (which, is_new_process) in enumerate(steps, start=1):
            attempt_id = f"a{which}"
            if attempt_id in opened:
                journal.append(encode(lost(opened.pop(attempt_id), NOW_NS)))
                ended.append(attempt_id)
            elif attempt_id not in ended:
                held = held_of(attempt(attempt_id, 5), ())
                opened[attempt_id] = held
                journal.append(encode(held))
            if number % read_every == 0:
                fold()
            if is_new_process and folder._batch is None and place.position:
                folder = Folder(journal, place)
        ask = 1000
        fold()
        assert folded == ended
        assert sorted(one.attempt_id for one in folder.left_open()) == sorted(opened)
        journal.close()


def test_a_batch_is_bounded(tmp_path: Path) -> None:
    """So many ends at once, and no more, however many wait."""
    journal = Journal.open(tmp_path / "journal")
    journal.begin(START)
    for number in range(ENDS_AT_ONCE + 7):
        held = held_of(attempt(f"a{number}", 5), ())
        journal.append(encode(held))
        journal.append(encode(lost(held, NOW_NS)))
    folder = Folder(journal, Place(1, 0))
    batch = folder.batch(journal.tail)
    assert batch is not None
    assert len(batch.ends) == ENDS_AT_ONCE
    with pytest.raises(ValueError, match="read last"):
        folder.done(Batch((), START, START))
    folder.done(batch)
    second = folder.batch(journal.tail)
    assert second is not None
    assert len(second.ends) == 7
    journal.close()


async def test_the_books_of_a_book_agree(path: Path) -> None:
    """What is leased is what is free, held and not yet folded, after any mixture of requests."""
    budgets = (budget("all", 5000), budget("day", 3000, window=Window.DAY))
    async with opened(path, *budgets) as book:
        holds = [await book.hold(attempt(f"a{number:03}", 7 + number)) for number in range(60)]
        for number, one in enumerate(holds):
            if number % 3:
                await book.post(one, settlement(2 * number))
            else:
                await book.void(one, "no")
            if number % 20 == 0:
                book._grants.give_back(book._slices)
        await book.folded()
        await book.ready()
        ((leased,),) = await rows(path, "SELECT coalesce(sum(amount), 0) FROM leases")
        assert leased == sum(one.free + one.held + one.unfolded for one in book._slices)
    assert (await audit(path)).verified
