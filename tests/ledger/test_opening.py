"""Opening: books are opened if they are ours, and made if there are none; all else is refused."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from ledger.audit import Audit, verify
from ledger.book import open_book
from ledger.budgets import EACH, Scope
from ledger.errors import NotOurStore, StoreInUse, StoreTooNew, StoreUnavailable
from ledger.lock import sole_server
from ledger.money import Money
from ledger.rates import RateCard
from ledger.requests import FailedAttempt, RequestRecord
from ledger.sqlite_store import SqliteStore
from ledger.statements import Charged, charged, tried
from tests.ledger.entries import (
    CENT_PER_IMAGE,
    NOW_NS,
    attempt,
    budget,
    clock_ns,
    hold_of,
    left_in,
    settlement,
    settlement_by_units,
    take,
)

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
    with closing(SqliteStore.open(path)) as store:
        take(store, hold_of(attempt("one", 5), budget("a", 10)))
    with (
        closing(SqliteStore.open(path)) as busy,
        busy.transaction(),
        closing(SqliteStore.open(path, busy_timeout_s=0)) as store,
    ):
        assert verify(store).open_holds == 1


def test_no_sqlite_file(path: Path) -> None:
    """A file of anything else is refused and left as it was."""
    path.write_text("model,price\nllama,0.5\n" * 100)
    before = path.read_bytes()
    with pytest.raises(NotOurStore, match="no SQLite database"):
        SqliteStore.open(path)
    assert path.read_bytes() == before


def test_a_database_of_another_program(path: Path) -> None:
    """Another program's SQLite database is refused, with its tables named, and left as it was."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    before = path.read_bytes()
    with pytest.raises(NotOurStore, match="songs"):
        SqliteStore.open(path)
    assert path.read_bytes() == before


def test_books_of_an_earlier_version(path: Path) -> None:
    """Books as a version before units wrote them: every row verifies, the open hold is charged in
    full, new kinds of work are booked beside, and rows stay unedited."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript((FIXTURES / "books_m003.sql").read_text())
        old.execute("PRAGMA application_id = 0x48454447")
    cap = budget("teams", 10**9, Scope(team=EACH))
    with closing(SqliteStore.open(path)) as store:
        audit = verify(store)
        assert audit.verified, audit.findings
        assert (audit.attempts, audit.charges, audit.open_holds) == (5, 3, 1)
        known = store.open_hold("open")
        assert known is not None
        assert known.attempt.rates == RateCard.of(Decimal("2.5"), Decimal(10), Decimal("1.25"))
        new = hold_of(attempt("new", 10**8, rates=CENT_PER_IMAGE, account="second"), cap)
        take(store, new)
        with store.transaction():
            store.post(new, settlement_by_units(3, CENT_PER_IMAGE))
            assert store.recover(NOW_NS) == 1
        for table in ("holds", "usage", "rate_cards"):
            with pytest.raises(sqlite3.IntegrityError, match="never edited"):
                store.database.execute(f"UPDATE {table} SET rowid = rowid")
        found = {one.attempt_id: one for one in charged(store)}
        assert {name: one.effective for name, one in found.items()} == {
            "charged": 40,
            "overrun": 130,
            "lost": 100,
            "open": 100,
            "new": 30_000_000,
        }
        assert (found["new"].usage.units, found["new"].account) == (3, "second")
        assert (found["charged"].usage.units, found["charged"].account) == (None, None)
        assert verify(store).verified


def test_books_from_before_failures_were_kept(path: Path) -> None:
    """Requests of such books have none, and all else that they had; new ones keep theirs beside."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript((FIXTURES / "books_m005.sql").read_text())
        old.execute("PRAGMA application_id = 0x48454447")
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
    with closing(SqliteStore.open(path)) as store, store.transaction():
        store.record_request(new)
    with closing(SqliteStore.open(path)) as store:
        assert [store.request(one.id) for one in (answered, refused, new)] == [
            answered, refused, new
        ]  # fmt: skip
        assert [(one.attempt_id, one.account) for one in tried(store, "req_answered")] == [
            ("req_answered.1", "main"),
            ("req_answered.2", "second"),
        ]
        assert verify(store).verified


def test_books_of_a_later_version(path: Path) -> None:
    """A migration that this version does not know is named, and nothing is touched."""
    SqliteStore.open(path).close()
    with closing(sqlite3.connect(path)) as later:
        later.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('hedgerow.ledger', 'm999_teleport', '2031-01-01')"
        )
        later.commit()
    with pytest.raises(StoreTooNew, match="m999_teleport"):
        SqliteStore.open(path)


def test_a_folder_that_is_not_there(path: Path) -> None:
    """Neither books nor their lock can be made in a folder that does not exist."""
    nowhere = path.parent / "nowhere" / "books.db"
    with pytest.raises(StoreUnavailable, match="check the folder"):
        SqliteStore.open(nowhere)
    with pytest.raises(StoreUnavailable, match="check the folder"), sole_server(nowhere):
        pass


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    """A directory is no database."""
    with pytest.raises(StoreUnavailable):
        SqliteStore.open(tmp_path)


def test_books_that_must_exist(path: Path) -> None:
    """A command that only reads makes no books, and says how they are made."""
    with pytest.raises(StoreUnavailable, match="no books"):
        SqliteStore.open(path, create=False)
    assert not path.exists()


def test_books_of_another_user() -> None:
    """Books that may be read, but not written, are refused by their rights, without a traceback."""
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from ledger.errors import StoreUnavailable\n"
        "from ledger.sqlite_store import SqliteStore\n"
        "os.getuid() or os.setuid(int(sys.argv[2]))\n"
        "try:\n"
        "    store = SqliteStore.open(Path(sys.argv[1]))\n"
        "    with store.transaction():\n"
        "        pass\n"
        "except StoreUnavailable as error:\n"
        "    print(error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "books.db"
        SqliteStore.open(path).close()
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
        "from ledger.sqlite_store import SqliteStore\n"
        "stores = []\n"
        "for path in sys.argv[1:]:\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    stores.append(SqliteStore.open(Path(path)))\n"
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
        with closing(SqliteStore.open(path)) as store:
            assert verify(store).verified


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
    with sole_server(path), closing(SqliteStore.open(path)) as store:
        assert store.keys() == {}


CRASH = (
    "import os, signal, sys\n"
    "from pathlib import Path\n"
    "from ledger.sqlite_store import SqliteStore\n"
    "from tests.ledger.entries import attempt, budget, charge, hold_of, take\n"
    "store = SqliteStore.open(Path(sys.argv[1]))\n"
    "cap = budget('cap', 1000)\n"
    "for number in range(10):\n"
    "    take(store, hold_of(attempt(f'a{number}', 50), cap))\n"
    "charge(store, hold_of(attempt('a0', 50), cap), 20)\n"
    "with store.transaction():\n"
    "    store.hold(hold_of(attempt('half', 50), cap))\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
)


def run_and_die(path: Path) -> None:
    with spawn(CRASH, path) as server:
        assert server.wait(timeout=30) == -signal.SIGKILL


def read(path: Path) -> tuple[list[Charged], Audit]:
    with closing(SqliteStore.open(path)) as store:
        return list(charged(store)), verify(store)


async def test_what_a_killed_server_left_is_charged_once(path: Path) -> None:
    """kill -9 loses no charge: open holds are posted in full, as estimates, by the first opening.

    The hold that was not committed never was, and a second opening finds nothing left to do.
    """
    await asyncio.to_thread(run_and_die, path)
    cap = budget("cap", 1000)
    for _ in range(2):
        book = open_book(await asyncio.to_thread(SqliteStore.open, path), (cap,), clock_ns)
        assert await left_in(path, cap) == 1000 - 20 - 9 * 50
        await book.close()
    found, audit = await asyncio.to_thread(read, path)
    assert [(one.effective, one.estimated) for one in found] == [(20, False), *[(50, True)] * 9]
    assert audit.verified
    assert (audit.attempts, audit.open_holds) == (10, 0)


async def test_what_was_never_sent_is_not_charged(path: Path) -> None:
    """At an opening, an overdue hold that was never dispatched expires; one that was is charged."""
    each = budget("each", 100, Scope(user=EACH))

    def leave() -> None:
        with closing(SqliteStore.open(path)) as store:
            for name in ("sent", "unsent"):
                take(store, hold_of(attempt(name, 10), each), expires_at_ns=NOW_NS)
            with store.transaction():
                store.dispatch("sent", NOW_NS)

    await asyncio.to_thread(leave)
    book = open_book(await asyncio.to_thread(SqliteStore.open, path), (each,), clock_ns)
    assert await left_in(path, each) == 90
    await book.close()


async def test_a_batch_that_a_killed_server_left_goes_on(path: Path) -> None:
    """Its provider works on without us: its holds stay held, are found again, and are ended by
    whoever takes the job over; those of other requests are charged at once, as ever."""
    cap = budget("cap", 1000)

    def leave() -> None:
        with closing(SqliteStore.open(path)) as store:
            take(store, hold_of(attempt("alone", 50), cap))
            for number in range(3):
                take(store, hold_of(attempt(f"line_{number}", 100, batch="batch_1"), cap))

    await asyncio.to_thread(leave)
    for _ in range(2):
        book = open_book(await asyncio.to_thread(SqliteStore.open, path), (cap,), clock_ns)
        assert await left_in(path, cap) == 1000 - 50 - 300
        await book.close()
    found, audit = await asyncio.to_thread(read, path)
    assert [one.attempt_id for one in found] == ["alone"]
    assert (audit.open_holds, audit.verified) == (3, True)
    book = open_book(await asyncio.to_thread(SqliteStore.open, path), (cap,), clock_ns)
    one, two, three = await book.holds_of_batch("batch_1")
    await book.post_all([(one, settlement(70)), (two, settlement(90))])
    await book.void_all([three], "expired at its provider")
    assert await book.holds_of_batch("batch_1") == ()
    await book.close()
    found, audit = await asyncio.to_thread(read, path)
    assert [one.effective for one in found] == [50, 70, 90]
    assert (audit.open_holds, audit.verified) == (0, True)
