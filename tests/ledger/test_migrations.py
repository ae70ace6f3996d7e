"""Migrations: what the books say stays the same, forward and back."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from ledger.audit import verify
from ledger.databases.migrations.history import MIGRATIONS, NEWEST, OLDEST, migrate, version
from ledger.databases.migrations.migration import Migration
from ledger.databases.postgres import PostgresDatabase, Server
from ledger.databases.schema import migrations as of_version_6
from ledger.databases.sql import Dialect, Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.errors import CannotMigrate, NotOurStore, StoreInUse, StoreTooNew
from ledger.lock import sole_server
from ledger.money import Money
from ledger.rates import RateCard
from ledger.store import Store
from ledger.tables.ddl import ENTRY
from ledger.tables.interned import Interned
from ledger.usage import TokenUsage
from tests.ledger.databases import Books, Postgres
from tests.ledger.entries_of import DAY_0_NS, Made, attempt_id, write
from tests.ledger.old_books import OLD_TABLES, make_old_books
from tests.ledger.owned import FLAT

FIXTURES = Path(__file__).parent / "fixtures"
NEW_TABLES = (
    *("subjects", "accounts", "draws", "holds", "dispatches", "writers", "entries", "leases"),
    *("write_offs", "rollups", "retired", "checkpoints", "rate_cards", "keys", "budgets"),
    *("requests", "idempotency_keys"),
)
SEEDS = range(8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


def contents(path: Path, tables: tuple[str, ...]) -> dict[str, list[Any]]:
    """Every row of every table, sorted."""
    with closing(sqlite3.connect(path)) as conn:
        return {
            table: sorted(conn.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
            for table in tables
        }


def schema(path: Path, tables: tuple[str, ...]) -> list[Any]:
    """What makes the tables, their indexes and triggers, without spaces."""
    with closing(sqlite3.connect(path)) as conn:
        found = conn.execute("SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return sorted(
            (table, "".join(text.split()).replace('"', ""))
            for table, text in found
            if table in tables
        )


def rows_of(path: Path, statement: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as conn:
        conn.row_factory = sqlite3.Row
        return [dict(row) for row in conn.execute(statement)]


@dataclass
class Ended:
    """An ended attempt as version 6 told it, read by hand."""

    hold: dict[str, Any]
    kind: str
    ended_at_ns: int
    usage: dict[str, Any] | None
    amount: int


def ended_of(path: Path) -> dict[str, Ended]:
    """Every attempt that has ended, with those that the opening of version 6 would have ended."""
    usage = {one["attempt_id"]: one for one in rows_of(path, "SELECT * FROM usage")}
    ends = {one["attempt_id"]: one for one in rows_of(path, "SELECT * FROM resolutions")}
    sent = {one["attempt_id"] for one in rows_of(path, "SELECT * FROM dispatches")}
    found: dict[str, Ended] = {}
    for hold in rows_of(path, "SELECT * FROM holds"):
        name = hold["attempt_id"]
        if end := ends.get(name):
            found[name] = Ended(
                hold, end["kind"], end["at_ns"], usage.get(name), end["amount_nanos"]
            )
        elif hold["batch"] is None and (hold["expires_at_ns"] is None or name in sent):
            found[name] = Ended(hold, "posted", hold["at_ns"], None, hold["amount_nanos"])
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_forward(path: Path, seed: int) -> None:
    """Each ended attempt is one entry with the same facts; balances are the sums of the entries and
    of the open holds that draw on them; the chain and the rollups can be computed again; and the
    books' own audit agrees."""
    make_old_books(path, random.Random(seed), attempts=40)
    expected = ended_of(path)
    holds = {one["attempt_id"]: one for one in rows_of(path, "SELECT * FROM holds")}
    drawn = defaultdict[str, list[int]](list)
    for one in rows_of(path, "SELECT * FROM hold_accounts ORDER BY account_id"):
        drawn[one["attempt_id"]].append(one["account_id"])
    with closing(SqliteFile.open(path)) as file:
        assert verify(file).findings == ()
    subjects = {one["id"]: one for one in rows_of(path, "SELECT * FROM subjects")}
    draws = {one["id"]: one["accounts"] for one in rows_of(path, "SELECT * FROM draws")}
    entries = rows_of(path, "SELECT * FROM entries ORDER BY seq")
    assert [one["attempt_id"] for one in entries] == sorted(
        expected, key=lambda name: (expected[name].ended_at_ns, name)
    )
    posted, rollups = defaultdict[int, int](int), defaultdict[Any, list[int]](lambda: [0] * 14)
    for entry in entries:
        was = expected[entry["attempt_id"]]
        assert draws[entry["draws_id"]] == json.dumps(
            drawn[entry["attempt_id"]], separators=(",", ":")
        )
        _assert_same_subject(subjects[entry["subject_id"]], was.hold)
        _assert_same(entry, was)
        for account in drawn[entry["attempt_id"]]:
            posted[account] += entry["effective_nanos"]
        if entry["kind"] == "posted":
            for step_s in (900, 86_400, 32 * 86_400):
                start = entry["at_ns"] // (step_s * 10**9) * step_s * 10**9
                sums = rollups[step_s, start, entry["subject_id"]]
                for at, value in enumerate(_summed(entry)):
                    sums[at] += value
    pending = defaultdict[int, int](int)
    for name, hold in holds.items():
        if name not in expected:
            for account in drawn[name]:
                pending[account] += hold["amount_nanos"]
    for one in rows_of(path, "SELECT * FROM accounts"):
        assert (one["measure"], one["posted"]) == ("usd", posted[one["id"]])
        assert (one["pending"], one["leased"]) == (pending[one["id"]], 0)
    durable = {
        name for name, one in holds.items() if one["batch"] or one["expires_at_ns"] is not None
    }
    assert {one["attempt_id"] for one in rows_of(path, "SELECT * FROM holds")} == durable
    assert {
        tuple(one.values())[:3]: list(one.values())[3:]
        for one in rows_of(path, "SELECT * FROM rollups")
    } == rollups
    _assert_chained(path, subjects, draws, entries)


def _assert_same_subject(subject: dict[str, Any], hold: dict[str, Any]) -> None:
    names = ("org", "team", "project", "user", "key_id", "tags", "model", "provider")
    said = [hold[one] for one in (*names, "upstream_model", "account")]
    said[5] = json.loads(said[5])
    assert json.loads(subject["key"]) == said
    assert subject["key"] == json.dumps(said, separators=(",", ":"), ensure_ascii=False)
    columns = list(subject.values())[2:]
    columns[5] = json.loads(columns[5])
    assert columns == said


def _assert_same(entry: dict[str, Any], was: Ended) -> None:
    for column in ("request_id", "at_ns", "streamed", "batch"):
        assert entry[column] == was.hold[column]
    assert (entry["kind"], entry["ended_at_ns"]) == (was.kind, was.ended_at_ns)
    assert (entry["held_nanos"], entry["effective_nanos"]) == (was.hold["amount_nanos"], was.amount)
    if was.usage is not None:
        for column in set(was.usage) & set(entry):
            assert entry[column] == was.usage[column], column
    elif was.kind == "posted":  # lost
        assert (entry["estimated"], entry["reason"]) == (1, "lost with its worker")
        assert entry["rate_card"] == was.hold["rate_card"]
    else:
        assert entry["billed_nanos"] == entry["list_nanos"] == entry["estimated"] == 0


def _summed(entry: dict[str, Any]) -> list[int]:
    tokens = ("prompt", "completion", "cached", "cache_write", "reasoning")
    costs = ("billed", "effective", "contracted", "list")
    own = entry["effective_nanos"]
    return [
        1,
        *(entry[f"{one}_tokens"] or 0 for one in tokens),
        *(entry[f"{one}_nanos"] for one in costs),
        *(
            own if entry[one] is None else entry[one]
            for one in ("first_offer_nanos", "cheapest_nanos")
        ),
        entry["overrun_nanos"],
        entry["estimated"],
    ]


def _assert_chained(
    path: Path, subjects: dict[int, Any], draws: dict[int, str], entries: list[dict[str, Any]]
) -> None:
    accounts = {
        one["id"]: [one["budget"], "usd", one["member"], one["time_window"], one["window_start_ns"]]
        for one in rows_of(path, "SELECT * FROM accounts")
    }
    head = bytes(32)
    for seq, entry in enumerate(entries, start=1):
        row = list(entry.values())[:31]
        row[6] = subjects[entry["subject_id"]]["key"]
        keys = sorted(accounts[one] for one in json.loads(draws[entry["draws_id"]]))
        row[7] = json.dumps(keys, separators=(",", ":"), ensure_ascii=False)
        text = json.dumps(row, separators=(",", ":"), ensure_ascii=False)
        head = hashlib.sha256(head + text.encode()).digest()
        assert (entry["seq"], entry["hash"]) == (seq, head)
        assert entry["cache_write_1h_tokens"] is None
    writers = rows_of(path, "SELECT name, seq, head, is_open FROM writers")
    if entries:
        last = {"name": "migrated", "seq": len(entries), "head": head, "is_open": 0}
        assert writers == [last]
    else:
        assert writers == []


@pytest.mark.parametrize("seed", SEEDS)
def test_forward_and_back(path: Path, seed: int) -> None:
    """Back at version 6 every row and every table is as it was; forward again, too, hashes and all;
    a program of that version would refuse the books only while they are newer."""
    make_old_books(path, random.Random(seed), attempts=30, lost=False)
    old, old_schema = contents(path, OLD_TABLES), schema(path, OLD_TABLES)
    with closing(SqliteFile.open(path)) as file:
        new, new_schema = contents(path, NEW_TABLES), schema(path, NEW_TABLES)
        assert "m007_entries" in {one.name for one in of_version_6.applied(file.database)}
        assert migrate(file, 6) == ()
        assert version(file) == 6
        assert of_version_6.pending(file.database) == []
    assert contents(path, OLD_TABLES) == old
    assert schema(path, OLD_TABLES) == old_schema
    with closing(SqliteFile.open(path)) as file:
        assert version(file) == NEWEST
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
    assert contents(path, NEW_TABLES) == new
    assert schema(path, NEW_TABLES) == new_schema


@pytest.mark.parametrize("fixture", ["books_m003.sql", "books_m005.sql"])
def test_books_as_they_were_written(path: Path, fixture: str) -> None:
    """Books of versions that were in use come all the way, and the audit agrees."""
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript((FIXTURES / fixture).read_text())
        conn.execute("PRAGMA application_id = 0x48454447")
    holds = rows_of(path, "SELECT * FROM holds")
    ends = {one["attempt_id"]: one for one in rows_of(path, "SELECT * FROM resolutions")}
    with closing(SqliteFile.open(path)) as file:
        assert verify(file).findings == ()
    entries = rows_of(path, "SELECT * FROM entries")
    assert entries
    assert {one["attempt_id"]: one["effective_nanos"] for one in entries} == {
        one["attempt_id"]: ends.get(one["attempt_id"], one)["amount_nanos"]
        for one in holds
        if one["attempt_id"] in ends or one.get("batch") is None
    }


def test_what_version_6_cannot_hold(path: Path) -> None:
    """On the way back other measures, write-offs and what retention left are dropped, and said."""
    make_old_books(path, random.Random(1), attempts=30, lost=False)
    before = contents(path, OLD_TABLES)
    with closing(SqliteFile.open(path)) as file:
        with file.transaction():
            file.execute(
                "INSERT INTO accounts (id, budget, measure, member, time_window, window_start_ns)"
                " VALUES (900, 'rpm', 'requests', '', 'minute', 0)"
            )
            file.execute("INSERT INTO draws VALUES (900, '[1,900]')")
            file.execute("INSERT INTO retired VALUES (900, 3, 1, 1, 3, 0)")
            file.execute("INSERT INTO write_offs VALUES (1, 1, 900, 5, 1, 'ada')")
        dropped = migrate(file, 6)
    assert [int(one.split()[0]) for one in dropped] == [1, 1, 3]
    assert contents(path, OLD_TABLES) == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE writers SET is_open = 1",
        "INSERT INTO leases SELECT 1, min(id), 5, 0, 0 FROM accounts",
    ],
)
def test_no_way_back_over_a_journal(path: Path, change: str) -> None:
    """While a writer has something that is not in the books yet, nothing is changed."""
    make_old_books(path, random.Random(1), attempts=10, lost=False)
    with closing(SqliteFile.open(path)) as file:
        with file.transaction():
            file.execute(change)
        before = contents(path, NEW_TABLES)
        with pytest.raises(CannotMigrate, match="migrated"):
            migrate(file, 6)
        assert version(file) == NEWEST
    assert contents(path, NEW_TABLES) == before


def test_a_server_has_them(path: Path) -> None:
    """While a server has older books, others leave them as they are; the server itself may."""
    make_old_books(path, random.Random(1), attempts=3)
    before = path.read_bytes()
    with sole_server(path):
        with pytest.raises(StoreInUse):
            SqliteFile.open(path)
        assert path.read_bytes() == before
        SqliteFile.open(path, is_server=True).close()
    with sole_server(path):
        SqliteFile.open(path).close()


def test_nothing_of_a_step_that_fails(path: Path) -> None:
    """Books that break a rule of the new tables stay as they were."""
    make_old_books(path, random.Random(1), attempts=5)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("DROP TRIGGER holds_are_never_edited")
        conn.execute("UPDATE holds SET tags = 'no JSON'")
        conn.commit()
    before = contents(path, OLD_TABLES)
    with pytest.raises(ValueError, match="Expecting value"):
        SqliteFile.open(path)
    assert contents(path, OLD_TABLES) == before


def test_later_books(books: Books) -> None:
    """Books of a later version are refused, with the step named."""
    with closing(books.open()) as sql, sql.transaction():
        table = "hedgerow_migrations" if sql.dialect is Dialect.POSTGRES else "_sqlite_migrations"
        sql.execute(
            f"INSERT INTO {table} (migration_set, name, applied_at)"
            " VALUES ('hedgerow.ledger', 'm999_beyond', '')"
        )
    with pytest.raises(StoreTooNew, match="m999_beyond"):
        books.open()


@pytest.mark.parametrize("to", [0, 5, NEWEST + 1])
def test_no_such_version(sql: Sql, to: int) -> None:
    """There is no way beyond either end, and both ends are named."""
    with pytest.raises(CannotMigrate, match=rf"from \d to {NEWEST}"):
        migrate(sql, to)
    assert version(sql) == NEWEST


def columns(sql: Sql) -> dict[str, list[str]]:
    """Every table of ours and its columns."""
    query = (
        "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
        " WHERE m.type = 'table'"
    )
    if sql.dialect is Dialect.POSTGRES:
        query = (
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema()"
        )
    found = defaultdict[str, list[str]](list)
    for table, column in sql.execute(f"{query} ORDER BY 1, 2").fetchall():
        found[table].append(column)
    return found


def test_every_step_and_back(sql: Sql) -> None:
    """Each version has the same tables, whether it was reached from below or from above."""
    oldest, up, down = OLDEST[sql.dialect], list[Any](), list[Any]()
    for number in range(NEWEST, oldest - 1, -1):
        migrate(sql, number)
        down.append((version(sql), columns(sql)))
    for number in range(oldest, NEWEST + 1):
        migrate(sql, number)
        up.append((version(sql), columns(sql)))
    assert [number for number, _ in up] == list(range(oldest, NEWEST + 1))
    assert up == down[::-1]
    assert verify(sql).findings == ()


def test_books_with_prices_apart(sql: Sql) -> None:
    """Where nothing has a price of its own, version 9 has all of version 10, and its audit agrees
    on the way up again; what it cannot hold it names."""
    plain = [Made(DAY_0_NS + number, usage=TokenUsage(20, 10, 5, 4, 3)) for number in range(3)]
    write(sql, plain)
    before = sql.execute(f"SELECT {ENTRY} FROM entries ORDER BY seq").fetchall()
    assert migrate(sql, 9) == ()
    migrate(sql, NEWEST)
    assert sql.execute(f"SELECT {ENTRY} FROM entries ORDER BY seq").fetchall() == before
    assert verify(sql).findings == ()
    with sql.transaction():
        Interned(sql).card(RateCard.of(Decimal(1), Decimal(2), reasoning=Decimal(3)).row)
    assert verify(sql).findings == ()
    assert [one.split()[:3] for one in migrate(sql, 9)] == [["1", "rate", "cards"]]


def test_books_without_draws(sql: Sql) -> None:
    """Where nothing was drawn, version 10 has all of version 11, but for what we own."""
    plain = [Made(DAY_0_NS + number, usage=TokenUsage(20, 10, 5, 4, 3)) for number in range(3)]
    write(sql, plain)
    before = sql.execute(f"SELECT {ENTRY} FROM entries ORDER BY seq").fetchall()
    with sql.transaction():
        table = Store(sql).commitments
        table.add(FLAT)
        table.set_bid_prices({FLAT.id: Money(7)}, 1, "ada")
    assert [one.split()[:2] for one in migrate(sql, 10)] == [["1", "commitments"]]
    migrate(sql, NEWEST)
    assert sql.execute(f"SELECT {ENTRY} FROM entries ORDER BY seq").fetchall() == before
    assert verify(sql).findings == ()


def test_what_version_10_cannot_hold(sql: Sql) -> None:
    """Draws are on the chain; without them each of their entries is found."""
    write(sql, [Made(DAY_0_NS), *(Made(DAY_0_NS + at, drawn=at) for at in (4, 5))])
    assert verify(sql).findings == ()
    gone = [one.split()[:2] for one in migrate(sql, 10)]
    assert gone == [["2", "commitments"], ["2", "entries"]]
    migrate(sql, NEWEST)
    named = {one.where for one in verify(sql).findings}
    assert {attempt_id(at, Made(DAY_0_NS + drawn)) for at, drawn in ((1, 4), (2, 5))} <= named


def test_what_version_9_cannot_count(sql: Sql) -> None:
    """An entry that counted an hour's cache is on its chain with that count; version 9 has none."""
    kept = TokenUsage(20, 10, None, 4, cache_write_1h=4)
    write(sql, [Made(DAY_0_NS), Made(DAY_0_NS + 1, usage=kept)])
    assert verify(sql).findings == ()
    assert [one.split()[:2] for one in migrate(sql, 9)] == [["1", "entries"]]
    migrate(sql, NEWEST)
    assert [one.where for one in verify(sql).findings] == [attempt_id(1, Made(DAY_0_NS + 1))]


def test_steps_in_order() -> None:
    """Versions have no gap, from 7 on."""
    assert [one.number for one in MIGRATIONS] == list(range(7, NEWEST + 1))
    assert Migration(12, "stars", MIGRATIONS[0].forward, MIGRATIONS[0].back).key == "m012_stars"


# -- PostgreSQL


def test_a_database_of_others(postgres: Postgres) -> None:
    """A PostgreSQL database with tables of another program is refused, and left as it is."""
    url = postgres.new("template0")
    with postgres.admin(url.split("/")[3].split("?")[0]) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
        with pytest.raises(NotOurStore, match="songs"):
            PostgresDatabase.open(Server(url))
        tables = other.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == [("songs",)]


def test_the_same_columns(books: Books, path: Path) -> None:
    """Both databases have the same tables with the same columns in the same order."""
    with closing(SqliteFile.open(path)) as file, closing(books.open()) as sql:
        for table in (*NEW_TABLES, "policy_version"):
            expected = Database(file.database.conn)[table].columns
            found = sql.execute(f"SELECT * FROM {table} WHERE 1 = 0")
            described = [one[0] for one in found.description]  # type: ignore[attr-defined]
            assert described == [one.name for one in expected]
