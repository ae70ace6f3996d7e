"""Partitions: each month of UTC has its own, whatever is in the default one already."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ledger.databases.partitions import bound, drop_empty_partitions, ensure_partitions
from ledger.databases.postgres import PostgresDatabase, Server
from ledger.databases.sql import Sql, marks
from ledger.databases.sqlite_file import SqliteFile
from ledger.ids import new_id
from ledger.tables.chain import GENESIS
from ledger.tables.ddl import ENTRY
from tests.ledger.databases import Postgres

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new()


@pytest.fixture
def sql(url: str) -> Iterator[Sql]:
    with closing(PostgresDatabase.open(Server(url))) as opened, opened.transaction():
        opened.execute(
            "INSERT INTO rate_cards VALUES ('c', '1', '1', '1', '1', '1', '0', NULL, NULL, NULL)"
        )
        opened.execute("INSERT INTO draws VALUES (1, '[]')")
        opened.execute("INSERT INTO writers VALUES (1, 'w', 0, 0, 0, ?, 0, 0)", (GENESIS,))
        opened.execute(
            "INSERT INTO subjects (id, key, key_id, tags, model, provider, upstream_model)"
            " VALUES (1, '[]', 'k', '[]', 'm', 'p', 'u')"
        )
    with closing(PostgresDatabase.open(Server(url))) as opened:
        yield opened


def add(sql: Sql, *moments: datetime) -> None:
    for seq, at in enumerate(moments, start=1):
        attempt_id = new_id("req", int(at.timestamp() * 1000) * 10**6, lambda n: b"\xff" * n) + ".1"
        put(sql, attempt_id, seq)


def put(sql: Sql, attempt_id: str, seq: int) -> None:
    with sql.transaction():
        sql.execute(
            f"INSERT INTO entries ({ENTRY}) VALUES ({marks(38)})",
            (
                *(attempt_id, "req", 0, 0, "posted", "", 1, 1, "c", 0, None),
                *(None,) * 6,
                *(0, 0, 0, 0, None, None, 0, 0, 0, 0, 1, 0),
                *(None,) * 6,
                *(1, seq, b"\0"),
            ),
        )


def where(sql: Sql) -> dict[str, int]:
    """How many entries each partition has."""
    return dict(
        sql.execute("SELECT tableoid::regclass::text, count(*) FROM entries GROUP BY 1").fetchall()
    )


def test_each_month_its_own(sql: Sql) -> None:
    """To the last millisecond, over the end of the year; other ids, other months are elsewhere."""
    assert ensure_partitions(sql, NOW) == ("entries_2026_11", "entries_2026_12", "entries_2027_01")
    millisecond = timedelta(milliseconds=1)
    months = [datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)]
    months += [datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)]
    add(sql, *(month - millisecond for month in months), *months)
    put(sql, "batch-line", 9)
    assert where(sql) == {
        "entries_default": 3,
        "entries_2026_11": 2,
        "entries_2026_12": 2,
        "entries_2027_01": 2,
    }


def test_entries_that_are_there_already(sql: Sql) -> None:
    """They move to the partition of their month, none is lost; a second time nothing is made, and
    rows stay unedited there too."""
    moments = [NOW + timedelta(days=day) for day in range(-40, 100, 5)]
    add(sql, *moments)
    before = sql.execute("SELECT * FROM entries ORDER BY attempt_id").fetchall()
    assert where(sql) == {"entries_default": len(moments)}
    ensure_partitions(sql, NOW)
    assert sql.execute("SELECT * FROM entries ORDER BY attempt_id").fetchall() == before
    expected: dict[str, int] = {}
    for at in moments:
        known = (at.year, at.month) in {(2026, 11), (2026, 12), (2027, 1)}
        name = f"entries_{at:%Y_%m}" if known else "entries_default"
        expected[name] = expected.get(name, 0) + 1
    assert where(sql) == expected
    assert ensure_partitions(sql, NOW) == ()
    later = NOW + timedelta(days=31)
    assert ensure_partitions(sql, later) == ("entries_2027_02",)
    with pytest.raises(Exception, match="never edited"), sql.transaction():
        sql.execute("UPDATE entries SET seq = seq + 1 WHERE tableoid = 'entries_2026_12'::regclass")
    with pytest.raises(Exception, match="unique"):
        put(sql, before[20][0], 99)


def test_months_are_of_utc(sql: Sql) -> None:
    """Whatever the time zone of `now`."""
    tokyo = timezone(timedelta(hours=9))
    assert ensure_partitions(sql, datetime(2027, 1, 1, 8, 59, tzinfo=tokyo))[0] == "entries_2026_12"
    assert bound(datetime(2026, 12, 1, tzinfo=UTC)) == f"req_{1_796_083_200_000:012x}"


def test_two_make_them_at_once(sql: Sql, url: str) -> None:
    """Each partition is made by one of them; an entry written meanwhile is in its place."""
    made: list[tuple[str, ...]] = []
    barrier = threading.Barrier(3)

    def make() -> None:
        with closing(PostgresDatabase.open(Server(url))) as own:
            barrier.wait()
            made.append(ensure_partitions(own, NOW))

    threads = [threading.Thread(target=make) for _ in range(2)]
    for one in threads:
        one.start()
    barrier.wait()
    add(sql, *(NOW + timedelta(seconds=second) for second in range(30)))
    for one in threads:
        one.join()
    assert sorted(name for names in made for name in names) == [
        "entries_2026_11",
        "entries_2026_12",
        "entries_2027_01",
    ]
    assert where(sql) == {"entries_2026_11": 30}


def test_empty_ones_of_the_past_go(sql: Sql) -> None:
    """Those that retention has emptied; not this month's, and none with an entry."""
    ensure_partitions(sql, NOW)
    add(sql, datetime(2026, 12, 5, tzinfo=UTC))
    assert drop_empty_partitions(sql, NOW + timedelta(days=70)) == ("entries_2026_11",)
    with sql.transaction():
        sql.execute("DELETE FROM entries")
    assert drop_empty_partitions(sql, NOW + timedelta(days=70)) == ("entries_2026_12",)
    assert drop_empty_partitions(sql, NOW + timedelta(days=70)) == ()


def test_sqlite_needs_none(tmp_path: Path) -> None:
    """One table holds all months."""
    with closing(SqliteFile.open(tmp_path / "books.db")) as file:
        assert ensure_partitions(file, NOW) == drop_empty_partitions(file, NOW) == ()
