"""An adversary of the ledger: where a cap could be passed, or a charge be lost or doubled."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.budgets import EACH, Budget, Scope, Subject, Threshold, accounts_of
from ledger.databases.sql import Rows, Value
from ledger.databases.sqlite_file import SqliteFile
from ledger.errors import BudgetExceeded, StoreUnavailable
from ledger.folding import CARRIED_AFTER
from ledger.following import WATCHED_AT_ONCE
from ledger.policy import Policy, Rules
from ledger.principals import Principal
from ledger.store import Store
from ledger.tables.leases import SHARE, SILENT_NS
from ledger.windows import AnyWindow, Window, window_of
from tests.ledger.entries import NOW_NS, attempt, settlement
from tests.ledger.faults import Faulty
from tests.ledger.opened import PATIENCE_S, abandon, audit, book_of, file_of, opened, rows

HOUR_NS = 3600 * 1_000_000_000
CAP = 1000
LEASED = "SELECT posted, pending, leased FROM accounts"


def capped(window: AnyWindow = Window.LIFETIME) -> Budget:
    return Budget("all", Scope(), window, "UTC", CAP)


async def test_who_began_before_an_edge_shares_the_window_with_those_after_it(
    tmp_path: Path,
) -> None:
    """A request waits while its rolling window moves on, or another replica's clock is ahead: what
    was spent in the bucket after its own counts, for one true window has both."""
    edge_ns = NOW_NS // HOUR_NS * HOUR_NS
    async with opened(tmp_path / "books.db", capped(window_of("rolling:24h"))) as book:
        hold = await book.hold(attempt("after", CAP, at_ns=edge_ns))
        await book.post(hold, settlement(CAP))
        with pytest.raises(BudgetExceeded):
            await book.hold(attempt("before", 1, at_ns=edge_ns - 1_000_000))
        out_of_reach_ns = edge_ns - 25 * HOUR_NS
        await book.hold(attempt("long before", CAP, at_ns=out_of_reach_ns))


async def test_what_is_billed_above_a_hold_counts_while_something_else_is_folded(
    tmp_path: Path,
) -> None:
    """The store answers a fold without knowing what was billed above a hold since: that is no
    room for anybody."""
    async with opened(tmp_path / "books.db", capped()) as book:
        first, above, large = [
            await book.hold(attempt(*one)) for one in (("first", 10), ("above", 10), ("large", 300))
        ]
        await book.post(first, settlement(1))
        folding = asyncio.create_task(book.folded())
        await asyncio.sleep(0)  # it is on its way
        await book.post(above, settlement(CAP - 1))
        await book.void(large, "not connected")
        await folding
        with pytest.raises(BudgetExceeded):
            await book.hold(attempt("more", 1))


async def test_a_slice_that_was_written_off_returns_once(tmp_path: Path) -> None:
    """An operator gives a worker up that was only out of reach: when it comes back and returns its
    slice, that is returned already, and pays for nobody."""
    path = tmp_path / "books.db"
    async with opened(path, capped()) as book:
        await book.void(await book.hold(attempt("one", 10)), "not connected")
        (writer,) = await book.run(lambda store: store.write_offs.writers())
        await book.run(lambda store: store.write_offs.write_off(writer.name, NOW_NS, "ada"))
        async with asyncio.timeout(PATIENCE_S):  # it says every two seconds that it lives
            while await rows(path, "SELECT is_open FROM writers") == [(0,)]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await book.post(await book.hold(attempt("all of it", CAP)), settlement(CAP))
    assert await rows(path, LEASED) == [(CAP, 0, 0)]
    assert (await audit(path)).findings == ()


async def test_of_two_budgets_by_one_name_the_file_counts(tmp_path: Path) -> None:
    """A budget was made without a file, and a file with its name comes later: requests draw on the
    account once, and the books verify."""
    path, of_file = tmp_path / "books.db", capped()
    async with opened(path) as book:
        made = replace(of_file, cap=CAP // 2)
        await book.run(lambda store: store.policy.add_budget(made, NOW_NS))
    async with opened(path, of_file) as book:
        hold = await book.hold(attempt("all of it", CAP))
        await book.post(hold, settlement(CAP))
        with pytest.raises(BudgetExceeded):
            await book.hold(attempt("more", 1))
    assert await rows(path, LEASED) == [(CAP, 0, 0)]
    assert (await audit(path)).findings == ()


async def test_the_dead_take_no_share(tmp_path: Path) -> None:
    """Hosts come and go, and some never say goodbye: those that live share what is left, as if
    the others had never been."""
    path = tmp_path / "books.db"

    def silent(store: Store) -> None:
        for number in range(100):
            store.writers.open(f"host {number}.0", NOW_NS - SILENT_NS - 1)

    async with opened(path, capped()) as book:
        await book.run(silent)
        await book.void(await book.hold(attempt("one", 1)), "not connected")
        await book.folded()
        assert await rows(path, "SELECT amount FROM leases") == [(CAP // SHARE,)]


async def test_a_slice_that_is_used_up_leaves_nothing(tmp_path: Path) -> None:
    """A rate has a slice for each minute and member: used up or returned, no row of it stays, and
    retention finds its account free."""
    path = tmp_path / "books.db"
    async with opened(path, capped(Window.MINUTE)) as book:
        await book.post(await book.hold(attempt("one", CAP)), settlement(CAP))
        await book.folded()
        assert await rows(path, "SELECT * FROM leases") == []


async def test_a_journal_that_was_restored_from_a_copy_doubles_nothing(tmp_path: Path) -> None:
    """A folder of last night knows holds that have ended since: the books know it better, and what
    is open in neither is charged."""
    path, journal, copy = tmp_path / "books.db", tmp_path / "books.journal", tmp_path / "copy"
    book = book_of(await file_of(path), path, capped())
    ended, open_still = [await book.hold(attempt(*one)) for one in (("ended", 400), ("open", 50))]
    await asyncio.to_thread(shutil.copytree, journal, copy)
    await book.post(ended, settlement(300))
    await book.folded()
    await abandon(book)
    await asyncio.to_thread(shutil.rmtree, journal)
    copy.rename(journal)
    async with opened(path, capped()):
        assert await rows(path, LEASED) == [(300 + open_still.attempt.worst_case, 0, 0)]
    assert (await audit(path)).findings == ()


async def test_a_journal_that_is_damaged_in_the_middle_is_kept_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What follows a damaged record cannot be trusted to be what it says; but charges that may be
    there are not thrown away without a word. A last record that is half-written is no damage."""
    path = tmp_path / "books.db"
    for damaged in (False, True):
        book = book_of(await file_of(path), path, capped())
        first = await book.hold(attempt(f"first {damaged}", 10))
        at = book._journal.tail.position
        await book.post(first, settlement(10))
        if damaged:
            await book.hold(attempt("later", 10))
        await abandon(book)
        (segment,) = (tmp_path / "books.journal").glob("*/*.log")
        with segment.open("r+b") as file:
            file.seek(at + 20)
            file.write(bytes(4))
        async with opened(path, capped()):
            pass
        kept = list((tmp_path / "books.journal").glob("*/*.damaged"))
        assert len(kept) == damaged
        assert ("cannot be read" in caplog.text) == damaged
    assert (await audit(path)).findings == ()


@pytest.mark.parametrize("is_killed", [False, True])
async def test_one_stream_that_does_not_end_does_not_fill_the_journal(
    tmp_path: Path, is_killed: bool
) -> None:
    """What is folded goes, whatever is still open from before; and the one that was open for long
    is charged once, at what it cost, or as lost with its worker."""
    path = tmp_path / "books.db"
    book = book_of(await file_of(path), path, capped())
    book._journal._segment_bytes = book._journal._size = 16 << 10  # as if it were so short
    long = await book.hold(attempt("long", 50))
    for number in range(1000):
        await book.void(await book.hold(attempt(f"{number}", 1)), "not connected")
        if number % 10 == 0:
            await book.folded()
    assert book._journal.tail.segment > 10
    assert len(book._journal._files) <= CARRIED_AFTER + 3
    if is_killed:
        await abandon(book)
        async with opened(path, capped()):
            pass
    else:
        await book.post(long, settlement(30))
        await book.close()
    assert await rows(path, LEASED) == [(50 if is_killed else 30, 0, 0)]
    assert (await audit(path)).findings == ()


async def test_who_finds_another_in_its_place_admits_nothing_more(tmp_path: Path) -> None:
    """A journal's folder was copied, and another process folds as this worker: what this one has
    in its journal can no longer be folded, so it takes nothing on, and says why."""
    path = tmp_path / "books.db"
    book = book_of(await file_of(path), path, capped())
    await asyncio.to_thread(shutil.copytree, tmp_path / "books.journal", tmp_path / "x.journal")
    other = book_of(await file_of(path), tmp_path / "x.db", capped())
    await book.post(await book.hold(attempt("one", 1)), settlement(1))
    with pytest.raises(StoreUnavailable, match="copied"):
        await book.folded()
    with pytest.raises(StoreUnavailable, match="copied"):
        await book.hold(attempt("two", 1))
    with pytest.raises(StoreUnavailable, match="copied"):
        await book.ready()
    await book.close()
    await other.close()
    assert any((tmp_path / "books.journal").glob("*/*.log"))  # what it has charged is kept


async def test_the_crowd_of_a_template_keeps_nobody_waiting(tmp_path: Path) -> None:
    """What others have spent is asked of some members at a time, of each in its turn; and a change
    of one budget returns no slices of another."""
    told = (Threshold(Decimal("0.8"), cheapest=True),)
    each = Budget("each", Scope(user=EACH), Window.MONTH, "UTC", CAP, thresholds=told)
    async with opened(tmp_path / "books.db", each) as book:
        crowd = [Principal(f"key_{one}", user=f"user {one}") for one in range(WATCHED_AT_ONCE + 1)]
        for number, who in enumerate(crowd):
            await book.void(await book.hold(attempt(f"a{number}", 1, who)), "not connected")
        following = book._following
        looks = [{one.member for one in following._watched()} for _ in range(2)]
        assert max(map(len, looks)) <= WATCHED_AT_ONCE
        assert len(set.union(*looks)) == len(crowd)
        leased = await rows(tmp_path / "books.db", "SELECT sum(leased) FROM accounts")
        other = replace(each, name="other", scope=Scope(team="nobody"))
        await book.run(lambda store: store.policy.add_budget(other, NOW_NS))
        async with asyncio.timeout(PATIENCE_S):
            while "other" not in book._policy.by_name:  # noqa: ASYNC110 - seen by the next poll
                await asyncio.sleep(0.01)
        await book.run(lambda store: store.policy.version())
        assert await rows(tmp_path / "books.db", "SELECT sum(leased) FROM accounts") == leased


class Told(Faulty):
    """Calls `then` once, when keys are read: in the middle of reading a policy."""

    then: Callable[[], None] | None = None

    def execute(self, statement: str, values: Sequence[Value] = ()) -> Rows:
        if self.then is not None and "earlier_hash" in statement:
            then, self.then = self.then, None
            then()
        return super().execute(statement, values)


async def test_files_that_change_while_they_are_read_act(tmp_path: Path) -> None:
    """A policy is being read when the next one comes: that one acts, too."""
    path = tmp_path / "books.db"
    sql = Told(await asyncio.to_thread(SqliteFile.open, path))
    book = book_of(sql, path, capped())
    sql.then = lambda: book.set_rules(Rules((replace(capped(), cap=3 * CAP),)))
    book.set_rules(Rules((replace(capped(), cap=2 * CAP),)))
    async with asyncio.timeout(PATIENCE_S):
        while book._policy.by_name["all"].cap != 3 * CAP:  # noqa: ASYNC110 - by one of the next polls
            await asyncio.sleep(0.01)
    await book.close()


members = st.none() | st.sampled_from([EACH, "a", "b"])
scopes = st.builds(
    Scope, org=members, team=members, user=members, key=members, tag=members, provider=members
)


@given(st.lists(scopes, max_size=12), st.lists(st.sampled_from("abc"), max_size=3), st.data())
def test_budgets_kept_apart_are_those_that_match(
    scopes_of: list[Scope], tags: list[str], data: st.DataObject
) -> None:
    """However budgets are looked up, a request draws on all that match, in their order."""
    budgets = [replace(capped(), name=f"{at}", scope=one) for at, one in enumerate(scopes_of)]
    one = st.none() | st.sampled_from("abc")
    org, team, user = (data.draw(one) for _ in range(3))
    key_id = data.draw(st.sampled_from("abc"))
    who = Principal(key_id, org=org, team=team, user=user, tags=tuple(tags))
    subject = Subject(who, "m", data.draw(st.sampled_from("abc")))
    now = datetime.fromtimestamp(NOW_NS // 1_000_000_000, UTC)
    found = Policy(1, {}, budgets).accounts(subject, NOW_NS)
    assert found == accounts_of(budgets, subject, now)
