"""Sql on SQLite and on PostgreSQL: the same calls, the same rows, the same errors."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.databases.postgres_values import numbered
from ledger.databases.sql import Dialect, Row, Sql, Value, each_of
from ledger.errors import RowRefused, StoreUnavailable
from tests.ledger.databases import Books

SAMPLE = "n, t, b, x"
MOST = 2**63 - 1


@pytest.fixture
def sample(sql: Sql) -> Sql:
    """Opened books with a table to try."""
    kinds = {"b": "BLOB", "x": "REAL"}
    if sql.dialect is Dialect.POSTGRES:
        kinds = {"b": "BYTEA", "x": "DOUBLE PRECISION"}
    with sql.transaction():
        sql.execute(
            "CREATE TABLE sample (n BIGINT UNIQUE CHECK (n > -10), t TEXT,"
            f" b {kinds['b']}, x {kinds['x']})"
        )
    return sql


def put(sql: Sql, *numbers: int) -> None:
    for number in numbers:
        sql.execute("INSERT INTO sample (n) VALUES (?)", (number,))


def put_and_fail(sql: Sql, *numbers: int) -> None:
    put(sql, *numbers)
    raise ZeroDivisionError


def numbers_in(sql: Sql) -> list[int]:
    return [n for (n,) in sql.execute("SELECT n FROM sample ORDER BY n").fetchall()]


ROWS: list[tuple[Value, ...]] = [
    (0, "", b"", 0.0),
    (MOST, "naïve — 東京 🦔 \u2028", bytes(range(256)), 0.1 + 0.2),
    (-5, "?%s%%'\"\\\t\n\r\\N;--$1", b"\\x00?", -1e-300),
    (None, None, None, None),
]


def test_values_come_back_as_they_went(sample: Sql) -> None:
    """Texts with every kind of sign, bytes, the largest number, the smallest float, and NULL: by
    an INSERT and by the fast way, read at once and as a stream."""
    with sample.transaction():
        for row in ROWS:
            sample.execute(f"INSERT INTO sample ({SAMPLE}) VALUES (?, ?, ?, ?)", row)
    by_insert = sample.execute(f"SELECT {SAMPLE} FROM sample").fetchall()
    with sample.transaction():
        sample.execute("DELETE FROM sample")
        sample.insert("sample", SAMPLE, iter(ROWS))
    with sample.view():
        streamed = list(sample.stream(f"SELECT {SAMPLE} FROM sample"))
    assert by_insert == streamed == ROWS
    assert [[type(one) for one in row] for row in streamed] == [
        [type(one) for one in row] for row in ROWS
    ]


def test_what_is_computed_is_of_the_same_kind(sample: Sql) -> None:
    """A count, a sum and a comparison are whole numbers, a mean is a float; nothing overflows."""
    with sample.transaction():
        put(sample, 1, 2, MOST - 3)
    row = sample.execute(
        "SELECT count(*), sum(n), n = 1, avg(n - n), ? + ? FROM sample WHERE n > 0 GROUP BY n"
        " ORDER BY n",
        (20_000, 20_000),
    ).fetchone()
    assert row == (1, 1, 1, 0.0, 40_000)
    assert [type(one) for one in row] == [int, int, int, float, int]
    assert sample.execute("SELECT sum(n) FROM sample").fetchall() == [(MOST,)]
    assert numbers_in(sample) == [1, 2, MOST - 3]


def test_a_question_mark_in_quotes_is_no_value(sample: Sql) -> None:
    """Nor in a comment; per cent and dollar signs are themselves."""
    found = sample.execute(
        "SELECT '?', 'it''s ?', n AS \"?\", ? -- and ?\n, '%s %% $1' FROM sample WHERE n = ?",
        ("a?", 7),
    )
    assert found.fetchall() == []
    with sample.transaction():
        put(sample, 7)
    found = sample.execute(
        "SELECT '?', 'it''s ?', n AS \"?\", ? -- and ?\n, '%s %% $1' FROM sample WHERE n = ?",
        ("a?", 7),
    )
    assert found.fetchall() == [("?", "it's ?", 7, "a?", "%s %% $1")]


@given(st.lists(st.sampled_from(["?", "'?'", "''", "'a''?'", '"?"', "%", "--?\n", "x", "$", "-"])))
def test_marks_are_counted(parts: list[str]) -> None:
    """Each mark outside of quotes and comments gets the next number, and nothing else changes."""
    text, expected, number = " ".join(parts), [], 0
    for part in parts:
        number += part == "?"
        expected.append(f"${number}" if part == "?" else part)
    assert numbered(text) == " ".join(expected)


def test_texts_are_sorted_by_their_signs(sample: Sql) -> None:
    """Whatever the language of the server: capitals, then small letters, then all others."""
    names = ["b", "a", "B", "_", "é", "Z", "10", "9", "🦔", "\uffff", ""]
    with sample.transaction():
        for name in names:
            sample.execute("INSERT INTO draws (accounts) VALUES (?)", (name,))
    found = [t for (t,) in sample.execute("SELECT accounts FROM draws ORDER BY 1").fetchall()]
    assert found == sorted(names, key=str.encode)


def test_each_text_of_an_array(sample: Sql) -> None:
    """One row for each tag, one with NULL where there is none."""
    with sample.transaction():
        for n, tags in enumerate(('["a","b"]', "[]", '["é"]')):
            sample.execute("INSERT INTO sample (n, t) VALUES (?, ?)", (n, tags))
    joined = each_of("t", "tag", sample.dialect)
    rows = sample.execute(f"SELECT n, tag.value FROM sample {joined} ORDER BY n, 2").fetchall()
    assert rows == [(0, "a"), (0, "b"), (1, None), (2, "é")]


# -- transactions


def test_all_or_nothing(sample: Sql, books: Books) -> None:
    """A transaction that raises has not happened; one that does not, has, for everybody."""
    with pytest.raises(ZeroDivisionError), sample.transaction():
        put_and_fail(sample, 1)
    assert numbers_in(sample) == []
    with sample.transaction():
        put(sample, 2)
    with closing(books.open()) as other:
        assert numbers_in(other) == [2]


def test_a_step_is_undone_alone(sample: Sql) -> None:
    """What was before and after it stays, also where the database refused a row; steps nest."""
    with sample.transaction():
        put(sample, 1)
        for wrong in (1, -10):
            with pytest.raises(RowRefused), sample.step():
                put(sample, 5, wrong)
        with sample.step():
            put(sample, 2)
            with pytest.raises(ZeroDivisionError), sample.step():
                put_and_fail(sample, 6)
        put(sample, 3)
    assert numbers_in(sample) == [1, 2, 3]


def test_no_transaction_within_another(sample: Sql) -> None:
    """It is refused, and the first one goes on."""
    with sample.transaction():
        put(sample, 1)
        with pytest.raises(StoreUnavailable, match="within a transaction"), sample.transaction():
            put(sample, 2)
        put(sample, 3)
    assert numbers_in(sample) == [1, 3]


@pytest.mark.parametrize("number", [1, -10, 2**63, 10**30])
def test_rows_against_the_rules(sample: Sql, number: int) -> None:
    """A row that is there already, that a CHECK forbids, or whose number is too large: RowRefused
    by either way to insert, and the next transaction goes on."""
    with sample.transaction():
        put(sample, 1)
    with pytest.raises(RowRefused, match=r"refuses a row"), sample.transaction():
        put(sample, number)
    with pytest.raises(RowRefused, match=r"refuses a row"), sample.transaction():
        sample.insert("sample", "n, t", [(2, "x"), (number, "y"), (3, "z")])
    with sample.transaction():
        put(sample, 4)
    assert numbers_in(sample) == [1, 4]


def test_no_text(sample: Sql) -> None:
    """Half a surrogate is no text: refused like any row."""
    with pytest.raises(RowRefused), sample.transaction():
        sample.execute("INSERT INTO sample (t) VALUES (?)", ("\ud800",))
    assert numbers_in(sample) == []


def test_no_such_table(sample: Sql) -> None:
    """A statement that the database does not take is StoreUnavailable, which names the books."""
    with pytest.raises(StoreUnavailable, match="missing"), sample.view():
        sample.execute("SELECT * FROM missing")
    assert numbers_in(sample) == []


def test_rows_are_never_edited(sample: Sql) -> None:
    """An UPDATE of what was written down is refused by the database itself."""
    with sample.transaction():
        sample.execute("INSERT INTO draws (accounts) VALUES ('[]')")
    with pytest.raises(RowRefused, match="rows of draws are never edited"), sample.transaction():
        sample.execute("UPDATE draws SET accounts = '[1]'")
    assert sample.execute("SELECT accounts FROM draws").fetchall() == [("[]",)]


def test_policy_changes_are_counted(sql: Sql) -> None:
    """Every change of a budget is a new version of the policy, by whomever it is made."""
    make = "INSERT INTO budgets (name, scope, time_window, timezone, cap, created_at_ns)"
    versions = []
    for statement in (
        f"{make} VALUES ('a', '{{}}', 'month', 'UTC', 1, 1)",
        "UPDATE budgets SET cap = 2",
        "DELETE FROM budgets",
    ):
        with sql.transaction():
            sql.execute(statement)
        versions.append(sql.execute("SELECT version FROM policy_version").fetchall()[0][0])
    assert versions == [1, 2, 3]


# -- views


def test_a_view_is_of_one_moment(sample: Sql, books: Books) -> None:
    """What another program commits meanwhile is not in it, and that program does not wait."""
    with closing(books.open()) as other:
        with other.transaction():
            put(other, 1)
        with sample.view():
            before = numbers_in(sample)
            with other.transaction():
                put(other, 2)
                other.execute("DELETE FROM sample WHERE n = 1")
            assert before == numbers_in(sample) == [1]
            with sample.view():
                assert [n for (n,) in sample.stream("SELECT n FROM sample")] == [1]
            assert numbers_in(sample) == [1]
        assert numbers_in(sample) == [2]


def test_a_view_in_a_transaction(sample: Sql) -> None:
    """It is a part of it: it sees what was written, and does not end it."""
    with sample.transaction():
        put(sample, 1)
        with sample.view():
            assert list(sample.stream("SELECT n FROM sample")) == [(1,)]
        with pytest.raises(ZeroDivisionError), sample.view():
            put_and_fail(sample, 2)
        put(sample, 3)
    assert numbers_in(sample) == [1, 2, 3]


def test_a_view_that_raises(sample: Sql) -> None:
    """It ends as every other one; the next transaction begins anew."""
    with pytest.raises(ZeroDivisionError), sample.view():
        put_and_fail(sample)
    with sample.transaction():
        put(sample, 1)
    assert numbers_in(sample) == [1]


def test_streams_beside_each_other(sample: Sql) -> None:
    """Two may be read in turns, while rows are written; one may be left in its middle."""
    draw = random.Random(4)
    rows = [(n, str(draw.random()), draw.randbytes(9), draw.random()) for n in range(10_000)]
    with sample.transaction():
        sample.insert("sample", SAMPLE, rows)
    with sample.transaction():
        up = sample.stream(f"SELECT {SAMPLE} FROM sample ORDER BY n")
        down = sample.stream("SELECT n FROM sample ORDER BY n DESC")
        assert [(next(up), next(down)) for _ in range(3)] == [
            (rows[n], (9_999 - n,)) for n in range(3)
        ]
        down.close()  # type: ignore[attr-defined]

        def more() -> Iterator[Row]:
            for row in up:
                yield (row[0] + 10_000, *row[1:])

        sample.insert("draws", "accounts", [(row[1],) for row in more()])
    (found,) = sample.execute("SELECT count(*) FROM draws").fetchall()
    assert found == (9_997,)
