"""A PostgreSQL that is slow, restarted, gone, or somebody else's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from ledger.databases.migrations.history import NEWEST, version
from ledger.databases.partitions import ensure_partitions
from ledger.databases.postgres import PostgresDatabase, PostgresLeaderLock, Server
from ledger.errors import CommitUnknown, NotOurStore, RowRefused, StoreUnavailable
from tests.ledger.databases import Postgres
from tests.ledger.test_partitions import NOW

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new()


@pytest.fixture
def sql(url: str) -> Iterator[PostgresDatabase]:
    """Books with two counters at 0."""
    with closing(PostgresDatabase.open(Server(url))) as opened:
        with opened.transaction():
            opened.execute("CREATE TABLE tally (id BIGINT PRIMARY KEY, n BIGINT)")
            opened.insert("tally", "id, n", [(1, 0), (2, 0)])
        yield opened


def database_of(url: str) -> str:
    return str(conninfo_to_dict(url)["dbname"])


def add(sql: PostgresDatabase, row: int = 1, amount: int = 1) -> None:
    sql.execute("UPDATE tally SET n = n + ? WHERE id = ?", (amount, row))


def add_and_lose(sql: PostgresDatabase, postgres: Postgres, url: str) -> None:
    """Write, lose the connection, do not mind, and write again."""
    add(sql)
    postgres.end_connections(url)
    with suppress(StoreUnavailable):
        add(sql)
    add(sql)


def add_and_ignore(sql: PostgresDatabase) -> None:
    """Write, and do not mind that a row is refused."""
    add(sql)
    with suppress(RowRefused):
        sql.insert("tally", "id, n", [(1, 1)])


def total(sql: PostgresDatabase, row: int = 1) -> int:
    ((n,),) = sql.execute("SELECT n FROM tally WHERE id = ?", (row,)).fetchall()
    return int(n)


def test_texts_of_all_languages(sql: PostgresDatabase) -> None:
    """Every text of the books is sorted by its signs, as in SQLite, whatever language the server
    was made for."""
    found = sql.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE data_type = 'text'"
        " AND table_schema = current_schema() AND table_name <> 'hedgerow_migrations'"
        " AND collation_name IS DISTINCT FROM 'C'"
    )
    assert found.fetchall() == []


# -- lost connections


def test_lost_while_nobody_looked(sql: PostgresDatabase, postgres: Postgres, url: str) -> None:
    """The next transaction, the next view and the next statement have a connection of their own."""
    for _ in range(2):
        assert postgres.end_connections(url) == 1
        with sql.transaction():
            add(sql)
    assert postgres.end_connections(url) == 1
    with sql.view():
        assert total(sql) == 2
    assert postgres.end_connections(url) == 1
    with pytest.raises(StoreUnavailable, match="check that the server runs"):
        total(sql)  # whether a statement alone has happened is not known: it is not tried again
    assert total(sql) == 2


def test_lost_in_a_transaction(sql: PostgresDatabase, postgres: Postgres, url: str) -> None:
    """Nothing of it has happened, and nothing of its rest happens alone; the next one does."""
    with pytest.raises(StoreUnavailable), sql.transaction():
        add_and_lose(sql, postgres, url)
    with pytest.raises(StoreUnavailable), sql.transaction(), sql.step():
        add_and_lose(sql, postgres, url)
    with sql.transaction():
        add(sql, amount=5)
    assert total(sql) == 5


def test_lost_in_a_stream(sql: PostgresDatabase, postgres: Postgres, url: str) -> None:
    """It raises where it was lost: never fewer rows that look like all of them."""
    seen: list[int] = []

    def look() -> None:
        for (number,) in sql.stream("SELECT generate_series(1, 1000000)"):
            if number == 1000:
                postgres.end_connections(url)
            seen.append(number)

    with pytest.raises(StoreUnavailable), sql.view():
        look()
    assert 1000 <= len(seen) < 1_000_000
    assert total(sql) == 0


def test_a_restart(sql: PostgresDatabase, postgres: Postgres) -> None:
    """While the server is down every call says so at once; after it all is as it was."""
    with sql.transaction():
        add(sql)
    postgres.stop()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="cannot use the books at"), sql.view():
                pass
            with pytest.raises(StoreUnavailable), sql.transaction():
                add(sql)
            with pytest.raises(StoreUnavailable):
                total(sql)
    finally:
        postgres.start()
    with sql.transaction():
        add(sql)
    assert total(sql) == 2


def test_a_server_that_does_not_answer(url: str, sql: PostgresDatabase) -> None:
    """A call ends soon after its limit, though nobody tells it anything; the next one goes on."""
    server = Server(url, statement_timeout_s=0.2, lock_timeout_s=0.2, grace_s=0.2)
    with closing(PostgresDatabase.open(server)) as own:
        ((pid,),) = own.execute("SELECT pg_backend_pid()").fetchall()
        try:
            with own.view():
                os.kill(pid, signal.SIGSTOP)
                with pytest.raises(StoreUnavailable, match="no answer in time"):
                    total(own)
            with own.transaction():
                add(own, row=2)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert (total(sql), total(sql, 2)) == (0, 1)


# -- limits


def test_a_statement_that_takes_too_long(url: str) -> None:
    """It is ended, and the connection is good for the next."""
    with closing(PostgresDatabase.open(Server(url, statement_timeout_s=0.1))) as own:
        ((before,),) = own.execute("SELECT pg_backend_pid()").fetchall()
        with pytest.raises(StoreUnavailable, match="took too long"), own.view():
            own.execute("SELECT pg_sleep(20)")
        assert own.execute("SELECT pg_backend_pid()").fetchall() == [(before,)]


def test_a_row_that_is_locked(url: str, sql: PostgresDatabase) -> None:
    """Whoever waits for it too long is told so, and may try again."""
    with closing(PostgresDatabase.open(Server(url, lock_timeout_s=0.1))) as own:
        with sql.transaction():
            add(sql)
            with pytest.raises(StoreUnavailable, match="has it locked"), own.transaction():
                add(own)
        with own.transaction():
            add(own)
        assert total(own) == 2


def test_locks_in_any_order(url: str, sql: PostgresDatabase, postgres: Postgres) -> None:
    """Of two that lock the same rows in different orders, one waits until the other is done:
    neither is undone."""

    def other() -> None:
        with closing(PostgresDatabase.open(Server(url))) as own, own.transaction():
            add(own, 2)
            add(own, 1)

    with ThreadPoolExecutor() as pool, postgres.admin(database_of(url)) as admin:
        with sql.transaction():
            add(sql, 1)
            done = pool.submit(other)
            while not admin.execute("SELECT * FROM pg_locks WHERE NOT granted").fetchall():
                assert not done.done()
            add(sql, 2)
        done.result()
    assert (total(sql), total(sql, 2)) == (2, 2)


def test_a_deadlock(url: str, sql: PostgresDatabase, postgres: Postgres) -> None:
    """With another program: one of the two is undone and may try again; both happen once."""
    with ThreadPoolExecutor() as pool, postgres.admin(database_of(url)) as admin:
        admin.execute("SET deadlock_timeout = '1min'")  # we notice first
        with admin.transaction():
            admin.execute("UPDATE tally SET n = n + 1 WHERE id = 2")
            with pytest.raises(StoreUnavailable, match="tried again"), sql.transaction():  # noqa: PT012
                add(sql, 1)
                done = pool.submit(admin.execute, "UPDATE tally SET n = n + 1 WHERE id = 1")
                add(sql, 2)
            done.result()
        with sql.transaction():
            add(sql, 1)
            add(sql, 2)
    assert (total(sql), total(sql, 2)) == (2, 2)


def test_racing_for_the_last(url: str, sql: PostgresDatabase) -> None:
    """Of many programs that take while there is some left, as many get it as there was."""
    taken = [0] * 4

    def take(at: int) -> None:
        with closing(PostgresDatabase.open(Server(url))) as own:
            for _ in range(40):
                with own.transaction():
                    row = own.execute(
                        "UPDATE tally SET n = n + 1 WHERE id = 1 AND n + 1 <= 50 RETURNING n"
                    ).fetchone()
                    taken[at] += row is not None

    threads = [threading.Thread(target=take, args=(at,)) for at in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(taken) == total(sql) == 50


def test_an_error_that_was_caught(sql: PostgresDatabase) -> None:
    """A transaction in which a statement failed, outside of a step, is not committed in silence."""
    with pytest.raises(RowRefused, match="has undone a transaction"), sql.transaction():
        add_and_ignore(sql)
    assert total(sql) == 0


def test_a_view_writes_nothing(sql: PostgresDatabase) -> None:
    with pytest.raises(StoreUnavailable, match="read-only"), sql.view():
        add(sql)


def test_no_sign_for_nothing(sql: PostgresDatabase) -> None:
    """PostgreSQL has no NUL in a text: refused, not cut off."""
    with pytest.raises(RowRefused, match="NUL"), sql.transaction():
        sql.execute("INSERT INTO draws (accounts) VALUES (?)", ("a\0b",))


def test_partitions_wait_for_a_reader(sql: PostgresDatabase, url: str) -> None:
    """Not for long: then nothing is made, and after it all of them."""
    with closing(PostgresDatabase.open(Server(url))) as reader:
        with reader.view():
            reader.execute("SELECT * FROM entries")
            with pytest.raises(StoreUnavailable, match="has it locked"):
                ensure_partitions(sql, NOW)
        assert len(ensure_partitions(sql, NOW)) == 3


# -- lost at the commit


class Relay:
    """Stands between a program and the server, and cuts the line at a COMMIT."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.url = f"postgresql://postgres@/%s?host={folder}"
        self.cut = ""
        self._server = str(server / ".s.PGSQL.5432")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._lines: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def _run(self, target: Callable[..., None], *args: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=args))
        self._threads[-1].start()

    def close(self) -> None:
        for one in self._lines:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._lines:
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._lines += (client, server)
                server.connect(self._server)
                self._run(self._pass, client, server)
                self._run(self._pass, server, client)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                if self.cut == "before" and b"COMMIT\0" in chunk:
                    break
                if self.cut and b"C\0\0\0\x0bCOMMIT\0" in chunk:  # the server has done it
                    if self.cut == "gone":
                        self._listener.shutdown(socket.SHUT_RDWR)
                    break
                target.sendall(chunk)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(postgres: Postgres) -> Iterator[Relay]:
    with tempfile.TemporaryDirectory() as folder:  # its name is short enough for a socket
        opened = Relay(Path(folder), Path(postgres.url("x").split("host=")[1]))
        yield opened
        opened.close()


@pytest.mark.parametrize("cut", ["before", "after", "gone"])
def test_lost_at_the_commit(sql: PostgresDatabase, url: str, relay: Relay, cut: str) -> None:
    """The server is asked what became of it: done is done, undone may be tried again; and if it
    cannot be asked, the error says that nobody knows."""
    with closing(PostgresDatabase.open(Server(relay.url % dbname(url)))) as own:
        with own.transaction():
            add(own)
        relay.cut = cut
        expected: dict[str, type[Exception]] = {"before": StoreUnavailable, "gone": CommitUnknown}
        if cut in expected:
            with pytest.raises(expected[cut]) as raised, own.transaction():
                add(own)
            assert raised.type is expected[cut]
        else:
            with own.transaction():
                add(own)
        relay.cut = ""
        assert total(sql) == (1 if cut == "before" else 2)
        if cut != "gone":
            with own.transaction():
                add(own)


def test_crashes_under_load(sql: PostgresDatabase, postgres: Postgres, url: str) -> None:
    """A writer that tries again what failed, and reads again what nobody knows, has in the end
    written everything once."""
    count, crashes = 300, (60, 200)
    reached = {at: threading.Event() for at in crashes}
    with sql.transaction():
        sql.execute("CREATE TABLE written (id BIGINT PRIMARY KEY)")

    def write_one(own: PostgresDatabase, number: int) -> None:
        with own.transaction():
            own.execute("INSERT INTO written VALUES (?)", (number,))
            add(own)

    def is_there(own: PostgresDatabase, number: int) -> bool:
        with own.view():
            found = own.execute("SELECT 1 FROM written WHERE id = ?", (number,))
            return found.fetchone() is not None

    def write_until_it_is(own: PostgresDatabase, number: int) -> None:
        step: Callable[[PostgresDatabase, int], bool | None] = write_one
        while True:
            try:
                if step(own, number) is not False:
                    return
                step = write_one  # nobody knew; it is not there
            except CommitUnknown:
                step = is_there
            except StoreUnavailable:
                pass

    def write() -> None:
        with closing(PostgresDatabase.open(Server(url))) as own:
            for number in range(count):
                if number in reached:
                    reached[number].set()
                write_until_it_is(own, number)

    writer = threading.Thread(target=write)
    writer.start()
    for at in crashes:
        assert reached[at].wait(60)
        postgres.crash()
        postgres.start()
    writer.join()
    with sql.view():
        ((written,),) = sql.execute("SELECT count(*) FROM written").fetchall()
        assert (written, total(sql)) == (count, count)


# -- opening


def dbname(url: str) -> str:
    return str(conninfo_to_dict(url)["dbname"])


def test_several_make_new_books_at_once(postgres: Postgres) -> None:
    """One makes the tables, the others wait, and all have them open."""
    server, barrier, found = Server(postgres.new("template0")), threading.Barrier(4), list[int]()

    def make() -> None:
        barrier.wait()
        with closing(PostgresDatabase.open(server)) as own:
            found.append(version(own))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [NEWEST] * 4


def test_no_books_yet(postgres: Postgres) -> None:
    """A command that only reads makes none."""
    url = postgres.new("template0")
    with pytest.raises(StoreUnavailable, match="there are no books at"):
        PostgresDatabase.open(Server(url), create=False)
    with postgres.admin(dbname(url)) as other:
        found = other.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert found.fetchall() == []


def test_texts_of_another_kind(postgres: Postgres) -> None:
    """A database that cannot keep every text is refused before anything is in it."""
    with postgres.admin() as admin:
        admin.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(NotOurStore, match="LATIN1"):
        PostgresDatabase.open(Server(postgres.url("latin")))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:s3cr3t@127.0.0.1:1/books",
        "postgresql://ada@127.0.0.1:1/books?password=s3cr3t",
        "postgresql://ada:s3cr3t/@127.0.0.1:1/books",
        "postgresql://ada:s3cr3t@127.0.0.1:s3cr3t/books",
        "postgresql://ada:12/s3cr3t@127.0.0.1:1/books",
    ],
)
def test_the_password_is_told_to_nobody(url: str) -> None:
    """Neither by an error, nor by what it came from, nor by what is printed for debugging."""
    with pytest.raises(StoreUnavailable) as raised:
        PostgresDatabase.open(Server(url))
    told = f"{raised.value!s} {raised.value!r} {raised.value.__cause__}"
    assert "s3cr3t" not in told
    with suppress(StoreUnavailable):
        server = Server(url)
        assert "s3cr3t" not in f"{server} {server!r} {server.name}"
        assert server.name in told


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://u@host/db", "postgresql://u@host/db"),
        ("postgres://u:p@host:6432/db?sslmode=require", "postgresql://u@host:6432/db"),
        ("postgresql:///db?host=/run/pg&user=u", "postgresql://u@/db?host=/run/pg"),
        ("postgresql://a,b/db?target_session_attrs=read-write", "postgresql://a,b/db"),
    ],
)
def test_names(url: str, name: str) -> None:
    """What messages call a database: where it is, and not how to get in."""
    assert Server(url).name == name


def test_sqlite_pays_nothing() -> None:
    """Whoever keeps books in SQLite does not load the driver."""
    script = "import sys, ledger.databases.sqlite_file; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


# -- the leader's lock


def test_one_leads(url: str, postgres: Postgres) -> None:
    """At most one has the lock; who gives it back, or whose connection is lost, has it no more."""
    one, other = PostgresLeaderLock(Server(url)), PostgresLeaderLock(Server(url))
    assert (one.try_take(), other.try_take()) == (True, False)
    assert (one.try_take(), one.is_held(), other.is_held()) == (True, True, False)
    one.release()
    assert (one.is_held(), other.try_take()) == (False, True)
    postgres.end_connections(url)
    assert not other.is_held()
    assert one.try_take()
    assert not other.try_take()
    one.release()
    one.release()


def test_who_leads_is_not_known(url: str, postgres: Postgres) -> None:
    """While the server is down nobody leads; after it, whoever comes first."""
    lock = PostgresLeaderLock(Server(url))
    assert lock.try_take()
    postgres.stop()
    try:
        assert not lock.is_held()
        with pytest.raises(StoreUnavailable):
            lock.try_take()
    finally:
        postgres.start()
    assert lock.try_take()
    lock.release()
