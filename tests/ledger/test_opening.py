"""Opening: books are opened if they are ours, and made if there are none; all else is refused."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ledger.audit import verify
from ledger.budgets import EACH, Mode, Scope
from ledger.databases.sql import Dialect, Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.errors import NotOurStore, RowRefused, StoreInUse, StoreTooNew, StoreUnavailable
from ledger.journal import Journal
from ledger.lock import sole_server
from ledger.money import Money
from ledger.opening import node_of
from ledger.recovery import adopt_dead, recover
from ledger.requests import FailedAttempt, RequestRecord
from ledger.statements import charged, tried
from ledger.store import Store
from ledger.tables.leases import Want
from tests.books import opened_store
from tests.ledger.databases import Books, MakeBooks
from tests.ledger.entries import (
    CENT_PER_IMAGE,
    NOW_NS,
    attempt,
    budget,
    clock_ns,
    hold_of,
    settlement,
    settlement_by_units,
    take,
    writer_of,
)
from tests.ledger.faults import Faulty, Lost
from tests.ledger.opened import abandon, audit, book_of, file_of, left_in, opened, rows

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures"
NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


def spawn(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_books_that_are_there_are_opened_again(path: Path) -> None:
    """What was written is there at the next opening, and opening writes nothing."""
    with closing(opened_store(path)) as store:
        take(store, hold_of(attempt("one", 5), budget("a", 10)))
    with (
        closing(opened_store(path)) as busy,
        busy.transaction(),
        closing(SqliteFile.open(path, busy_timeout_s=0)) as sql,
    ):
        assert verify(sql).open_holds == 1


def test_no_sqlite_file(path: Path) -> None:
    """A file of anything else is refused and left as it was."""
    path.write_text("model,price\nllama,0.5\n" * 100)
    before = path.read_bytes()
    with pytest.raises(NotOurStore, match="no SQLite database"):
        SqliteFile.open(path)
    assert path.read_bytes() == before


def test_a_database_of_another_program(path: Path) -> None:
    """Another program's SQLite database is refused, with its tables named, and left as it was."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    before = path.read_bytes()
    with pytest.raises(NotOurStore, match="songs"):
        SqliteFile.open(path)
    assert path.read_bytes() == before


def earlier(path: Path, version: str) -> None:
    """Books as an earlier version wrote them."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript((FIXTURES / f"books_{version}.sql").read_text())
        old.execute("PRAGMA application_id = 0x48454447")


def test_books_of_an_earlier_version(path: Path) -> None:
    """Books as a version before units wrote them: every row verifies, the open hold is charged in
    full, new kinds of work are booked beside, and rows stay unedited."""
    earlier(path, "m003")
    cap = budget("teams", 10**9, Scope(team=EACH))
    with closing(opened_store(path)) as store:
        audit = verify(store.sql)
        assert audit.verified, audit.findings
        new = hold_of(attempt("new", 10**8, rates=CENT_PER_IMAGE, account="second"), cap)
        take(store, new)
        writer_id = writer_of(store)
        with store.transaction():
            store.holds.post(writer_id, new, settlement_by_units(3, CENT_PER_IMAGE))
        for table in ("holds", "entries", "rate_cards"):
            with pytest.raises(RowRefused, match="never edited"), store.transaction():
                store.sql.execute(f"UPDATE {table} SET rowid = rowid")
        found = {one.attempt_id: one for one in charged(store.sql)}
        assert {name: one.effective for name, one in found.items()} == {
            "charged": 40,
            "overrun": 130,
            "lost": 100,
            "open": 100,
            "new": 30_000_000,
        }
        assert (found["new"].usage.units, found["new"].account) == (3, "second")
        assert (found["charged"].usage.units, found["charged"].account) == (None, None)
        assert verify(store.sql).verified


def test_books_from_before_failures_were_kept(path: Path) -> None:
    """Requests of such books have none, and all else that they had; new ones keep theirs beside."""
    earlier(path, "m005")
    answered = RequestRecord(
        "req_answered", NOW_NS, "key_1", "research", "ada", "llama", "answered", 200, 2, None, "{}"
    )
    refused = replace(
        answered,
        id="req_refused",
        outcome="budget_exceeded",
        status=402,
        attempts=0,
        would_have_cost=Money(70),
    )
    new = replace(answered, id="req_new", failures=(FailedAttempt("a/m", "main", "late", 12.5),))
    with closing(opened_store(path)) as store, store.transaction():
        store.requests.add(new)
    with closing(opened_store(path)) as store:
        assert [store.requests.one(one.id) for one in (answered, refused, new)] == [
            answered, refused, new
        ]  # fmt: skip
        assert [(one.attempt_id, one.account) for one in tried(store.sql, "req_answered")] == [
            ("req_answered.1", "main"),
            ("req_answered.2", "second"),
        ]
        assert verify(store.sql).verified


def test_books_of_a_later_version(path: Path) -> None:
    """A migration that this version does not know is named, and nothing is touched."""
    SqliteFile.open(path).close()
    with closing(sqlite3.connect(path)) as later:
        later.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('hedgerow.ledger', 'm999_teleport', '2031-01-01')"
        )
        later.commit()
    with pytest.raises(StoreTooNew, match="m999_teleport"):
        SqliteFile.open(path)


def test_a_folder_that_is_not_there(path: Path) -> None:
    """Neither books nor their lock can be made in a folder that does not exist."""
    nowhere = path.parent / "nowhere" / "books.db"
    with pytest.raises(StoreUnavailable, match="check the folder"):
        SqliteFile.open(nowhere)
    with pytest.raises(StoreUnavailable, match="check the folder"), sole_server(nowhere):
        pass


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    """A directory is no database."""
    with pytest.raises(StoreUnavailable):
        SqliteFile.open(tmp_path)


def test_books_that_must_exist(path: Path) -> None:
    """A command that only reads makes no books, and says how they are made."""
    with pytest.raises(StoreUnavailable, match="no books"):
        SqliteFile.open(path, create=False)
    assert not path.exists()


def test_books_of_another_user() -> None:
    """Books that may be read, but not written, are refused by their rights, without a traceback."""
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from ledger.errors import StoreUnavailable\n"
        "from ledger.databases.sqlite_file import SqliteFile\n"
        "os.getuid() or os.setuid(int(sys.argv[2]))\n"
        "try:\n"
        "    store = SqliteFile.open(Path(sys.argv[1]))\n"
        "    with store.transaction():\n"
        "        pass\n"
        "except StoreUnavailable as error:\n"
        "    print(error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "books.db"
        SqliteFile.open(path).close()
        path.chmod(0o444)
        path.parent.chmod(0o555)
        with spawn(script, path, str(NOBODY)) as reader:
            said, _ = reader.communicate(timeout=30)
        path.parent.chmod(0o755)
    assert "rights" in said
    assert reader.returncode == 0


def test_new_books_opened_by_many_at_once(tmp_path: Path) -> None:
    """Programs that open new books in the same moment all get them: one makes, the others wait."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ledger.databases.sqlite_file import SqliteFile\n"
        "stores = []\n"
        "for path in sys.argv[1:]:\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    stores.append(SqliteFile.open(Path(path)))\n"
        "print('done', flush=True)\n"
    )
    paths = [tmp_path / f"{number}.db" for number in range(12)]
    programs = [spawn(script, *paths) for _ in range(4)]
    for _ in paths:
        assert {line_of(one) for one in programs} == {"ready"}
        for one in programs:
            go_on(one)
    assert {line_of(one) for one in programs} == {"done"}
    for one in programs:
        one.communicate(timeout=30)
    for path in paths:
        with closing(SqliteFile.open(path)) as sql:
            assert verify(sql).verified


LOCK = (
    "import sys\n"
    "from pathlib import Path\n"
    "from ledger.lock import sole_server\n"
    "with sole_server(Path(sys.argv[1])):\n"
    "    print('mine', flush=True)\n"
    "    sys.stdin.readline()\n"
)


def test_one_server_at_a_time_however_it_dies(path: Path) -> None:
    """While a server lives, another one is refused; when it is killed, the books are free."""
    with spawn(LOCK, path) as server:
        assert line_of(server) == "mine"
        with pytest.raises(StoreInUse, match="another"), sole_server(path):
            pass
        os.kill(server.pid, signal.SIGKILL)
        server.wait(timeout=30)
        with sole_server(path):
            pass
    with sole_server(path):
        pass


def test_a_link_is_no_second_name(path: Path, tmp_path: Path) -> None:
    """The books have one server by whatever name they are called."""
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with sole_server(path), pytest.raises(StoreInUse), sole_server(link):
        pass


def test_the_lock_keeps_no_reader_out(path: Path) -> None:
    """Commands read the books and make keys while a server has them."""
    with sole_server(path), closing(opened_store(path)) as store:
        assert store.policy.keys() == {}


# -- workers and their journals


async def test_what_a_killed_worker_left_is_charged_once(path: Path) -> None:
    """kill -9 loses no charge: what was posted is charged as it was, what was under way in full, as
    an estimate, by the first opening; a second one finds nothing left to do."""
    cap = budget("cap", 1000)
    with spawn(CRASH, path) as worker:
        assert worker.wait(timeout=30) == -signal.SIGKILL
    for _ in range(2):
        async with opened(path, cap) as book:
            assert await left_in(path, cap) == 1000 - 20 - 8 * 50
            assert len(book._open) == 0
    entries = await rows(path, "SELECT attempt_id, kind, effective_nanos, estimated FROM entries")
    assert sorted(entries) == [
        ("a0", "posted", 20, 0),
        ("a1", "voided", 0, 0),
        *[(f"a{number}", "posted", 50, 1) for number in range(2, 10)],
    ]
    assert await rows(path, "SELECT * FROM leases") == []
    found = await audit(path)
    assert (found.verified, found.attempts, found.open_holds) == (True, 10, 0)


CRASH = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.ledger.entries import attempt, budget, settlement
from tests.ledger.opened import opened

async def main():
    async with opened(Path(sys.argv[1]), budget('cap', 1000)) as book:
        holds = [await book.hold(attempt(f'a{number}', 50)) for number in range(10)]
        await book.post(holds[0], settlement(20))
        await book.void(holds[1], 'refused')
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_slot_has_one_worker(path: Path) -> None:
    """A second one is refused while the first has it; another slot is free; when the first is gone,
    the slot is, and its name and chain are the same."""
    async with opened(path) as one, opened(path, slot=1) as other:
        assert one._writer_id != other._writer_id
        with pytest.raises(StoreInUse, match="running worker"):
            async with opened(path):
                pass
    async with opened(path) as again:
        assert again._writer_id == one._writer_id


async def test_a_batch_that_a_killed_worker_left_goes_on(path: Path) -> None:
    """Its provider works on without us: its holds stay held, are found again, and are ended by
    whoever takes the job over; those of other requests are charged at once, as ever."""
    cap = budget("cap", 1000)
    lines = [attempt(f"line_{number}", 100, batch="batch_1") for number in range(3)]
    book = book_of(await file_of(path), path, cap)
    await book.stored.hold_all(lines)
    await book.hold(attempt("alone", 50))
    await abandon(book)
    async with opened(path, cap) as book:
        assert await left_in(path, cap) == 1000 - 50 - 300
        one, two, three = await book.stored.of_batch("batch_1")
        await book.post_all([(one, settlement(70)), (two, settlement(90))])
        await book.void_all([three], "expired at its provider")
        assert await book.stored.of_batch("batch_1") == ()
    entries = await rows(path, "SELECT attempt_id, effective_nanos FROM entries ORDER BY 1")
    assert entries == [("alone", 50), ("line_0", 70), ("line_1", 90), ("line_2", 0)]
    assert (await audit(path)).verified


async def test_dead_neighbours_are_adopted(path: Path) -> None:
    """Whoever lives folds what others of this host left, and returns their slices; not of one that
    lives, and nothing twice."""
    cap, journals = budget("cap", 1000), path.with_suffix(".journal")
    dead = book_of(await file_of(path), path, cap, slot=1)
    await dead.hold(attempt("lost", 50))
    await dead.post(await dead.hold(attempt("done", 50)), settlement(30))
    await abandon(dead)
    async with opened(path, cap) as book:
        mine = await book.hold(attempt("mine", 10))

        def adopt() -> list[str]:
            with closing(opened_store(path)) as store:
                return adopt_dead(store, journals, node_of(journals), clock_ns)

        name = await asyncio.to_thread(node_of, journals)
        assert await asyncio.to_thread(adopt) == [f"{name}.1"]
        assert await asyncio.to_thread(adopt) == []
        await book.post(mine, settlement(10))
    assert await left_in(path, cap) == 1000 - 80 - 10
    entries = await rows(path, "SELECT attempt_id, effective_nanos FROM entries ORDER BY 1")
    assert entries == [("done", 30), ("lost", 50), ("mine", 10)]
    assert await rows(path, "SELECT * FROM leases") == []
    assert (await audit(path)).verified


def test_recovery_that_is_interrupted_goes_on(make_books: MakeBooks, tmp_path: Path) -> None:
    """Cut off before, or with its answer lost at, any of its transactions, and begun again: nothing
    is charged twice, nothing is forgotten, and no slice stays."""
    cap = budget("cap", 10**6)

    async def leave(books: Books, path: Path) -> None:
        book = book_of(Faulty(await asyncio.to_thread(books.open)), path, cap)
        holds = [await book.hold(attempt(f"a{number:04}", 50)) for number in range(1300)]
        for hold in holds[:1200]:
            await book.post(hold, settlement(20))
        await abandon(book)

    cuts = [(number, lost) for number in range(6) for lost in (None, *Lost)]
    books = make_books()
    asyncio.run(leave(books, tmp_path / "left.db"))
    left = tmp_path / "left.journal"
    ended = 0
    for number, lost in cuts:
        if books.dialect is Dialect.POSTGRES and number % 3 != 1:
            continue
        here = tmp_path / f"{number}_{lost}"
        shutil.copytree(left, here)
        fresh = make_books()
        with closing(fresh.open()) as sql:
            _copy_writers(sql)
            faulty = Faulty(sql)

            faulty.before = partial(_cut, faulty, number, lost)
            for _ in range(2):
                journal = Journal.open(here / "0")
                try:
                    recover(Store(faulty), journal, "left.0", NOW_NS)
                    ended += 1
                except StoreUnavailable:
                    pass
                finally:
                    journal.close()
                faulty.before = lambda _: None
            sums = sql.execute(
                "SELECT count(*), sum(effective_nanos), sum(estimated) FROM entries"
            ).fetchall()
            assert sums == [(1300, 1200 * 20 + 100 * 50, 100)]
            assert sql.execute("SELECT sum(leased), sum(posted) FROM accounts").fetchall() == [
                (0, 1200 * 20 + 100 * 50)
            ]
            assert verify(sql).verified
    assert ended


def _cut(faulty: Faulty, number: int, lost: Lost | None, transaction: int) -> None:
    if transaction == number:
        faulty.lost = lost
        if lost is None:
            raise StoreUnavailable("cut off")


def _copy_writers(to: Sql) -> None:
    """What the books know of the worker when it dies: its slice, and nothing folded."""
    store = Store(to)
    (account,) = hold_of(attempt("x", 0), budget("cap", 10**6)).accounts
    with store.transaction():
        writer_id, _ = store.writers.open("left.0", NOW_NS)
        store.leases.grant(writer_id, [Want(account, 500_000, 500_000)], NOW_NS)


async def test_what_no_slice_covered_leaves_none_when_its_worker_dies(path: Path) -> None:
    """A hold that was let through, by a budget in shadow mode or while the books were out of reach,
    is charged in full; no account has lent less than nothing after it."""
    shadow = replace(budget("shadow", 10), mode=Mode.SHADOW)
    allowing = replace(budget("allowing", 100), on_ledger_error="allow")
    sql = await file_of(path)
    book = book_of(sql, path, shadow, allowing)
    await book.hold(attempt("within", 30))
    sql.is_down = True
    await book.hold(attempt("beyond", 500))
    await abandon(book)
    async with opened(path, shadow, allowing):
        pass
    accounts = await rows(path, "SELECT budget, posted, leased FROM accounts ORDER BY 1")
    assert accounts == [("allowing", 530, 0), ("shadow", 530, 0)]
    assert (await audit(path)).verified
