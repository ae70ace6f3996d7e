"""`hedgerow ledger migrate`: the books, there and back, while nobody serves from them."""

from __future__ import annotations

import asyncio
import random
from contextlib import closing
from pathlib import Path

from ledger.databases.migrations.history import NEWEST
from ledger.databases.postgres import PostgresDatabase, PostgresLeaderLock, Server
from ledger.databases.sqlite_file import SqliteFile
from ledger.lock import sole_server
from tests.hedgerow.processes import NOWHERE, Done, hedgerow, write_config
from tests.ledger.databases import Postgres
from tests.ledger.old_books import make_old_books


def run(*words: str | Path) -> Done:
    return asyncio.run(hedgerow(*words))


def add_what_version_6_cannot_hold(books: Path) -> None:
    with closing(SqliteFile.open(books)) as file, file.transaction():
        file.execute(
            "INSERT INTO accounts (budget, measure, member, time_window, window_start_ns)"
            " VALUES ('rpm', 'requests', '', 'minute', 0)"
        )


def test_there_and_back(tmp_path: Path) -> None:
    """Older books come up, go back for the program that was used before, and come up again; while
    a server has them nothing is changed."""
    config = write_config(tmp_path, NOWHERE)
    books = tmp_path / "hedgerow.db"
    make_old_books(books, random.Random(3), attempts=5, lost=False)
    command = ("ledger", "migrate", "-c", config)
    with sole_server(books):
        refused = run(*command)
        assert refused.failed_in_one_line
        assert "stop it first" in refused.err
    assert run(*command, "--json").json == {"from": 6, "to": NEWEST, "dropped": []}
    assert run(*command).out == f"version {NEWEST}\n"
    add_what_version_6_cannot_hold(books)
    back = run(*command, "--to", "6")
    assert back.out == (
        "dropped: 1 accounts that count no USD, with what is spent of them\n"
        f"version {NEWEST} → 6; the newest is {NEWEST}\n"
    )
    assert "go on with the earlier one" in back.err
    assert run(*command, "--json").json["from"] == 6
    beyond = run(*command, "--to", "5")
    assert beyond.failed_in_one_line
    assert f"from 6 to {NEWEST}" in beyond.err


def test_on_postgres(tmp_path: Path, postgres: Postgres) -> None:
    """The same, down to version 7; the server may be one of another host."""
    url = postgres.new()
    config = write_config(tmp_path, NOWHERE)
    config.write_text(f'ledger: {{url: "{url}"}}\n' + config.read_text())
    command = ("ledger", "migrate", "-c", config)
    lock = PostgresLeaderLock(Server(url))
    assert lock.try_take()
    refused = run(*command, "--to", "7")
    assert refused.failed_in_one_line
    assert "stop all of them first" in refused.err
    lock.release()
    assert run(*command, "--to", "7", "--json").json == {"from": NEWEST, "to": 7, "dropped": []}
    assert run(*command, "--json").json == {"from": 7, "to": NEWEST, "dropped": []}
    with closing(PostgresDatabase.open(Server(url))) as database:
        assert database.version == NEWEST


def test_no_books(tmp_path: Path) -> None:
    """There is nothing to bring anywhere, and nothing is made."""
    done = run("ledger", "migrate", "-c", write_config(tmp_path, NOWHERE))
    assert done.failed_in_one_line
    assert not (tmp_path / "hedgerow.db").exists()
