"""The audit names whatever was done to the books behind their back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.audit import Audit, verify
from ledger.budgets import EACH, Scope
from ledger.sqlite_store import SqliteStore
from tests.ledger.entries import (
    CENT_PER_IMAGE,
    NOW_NS,
    attempt,
    budget,
    charge,
    hold_of,
    settlement_by_units,
    take,
)

TEAMS = budget("teams", 40_000_000, Scope(team=EACH))


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """Books with one hold of each fate: charged by tokens, by images, above its hold, voided,
    lost, open."""
    path = tmp_path / "books.db"
    store = SqliteStore.open(path)
    holds = {
        name: hold_of(attempt(name, 100), TEAMS)
        for name in ("charged", "overrun", "voided", "lost", "open")
    }
    holds["images"] = hold_of(
        attempt("images", 30_000_000, rates=CENT_PER_IMAGE, account="second"), TEAMS
    )
    for name in ("charged", "overrun", "voided", "lost", "images"):
        take(store, holds[name])
    charge(store, holds["charged"], 40)
    charge(store, holds["overrun"], 130)
    with store.transaction():
        store.post(holds["images"], settlement_by_units(2, CENT_PER_IMAGE))
    with store.transaction():
        store.void("voided", NOW_NS, "not connected")
        store.recover(NOW_NS)
    take(store, holds["open"])
    store.close()
    return path


def audit(path: Path) -> Audit:
    with closing(SqliteStore.open(path)) as store:
        return verify(store)


def tamper(path: Path, script: str) -> None:
    """Change the file with SQLite alone, its triggers gone."""
    with closing(sqlite3.connect(path)) as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            raw.execute(f"DROP TRIGGER {name}")
        raw.executescript(script)
        assert raw.total_changes > 0
        raw.commit()


def test_books_that_nobody_touched(books: Path) -> None:
    """What the store wrote is verified, and counted: overruns included, nothing hidden."""
    found = audit(books)
    assert found.verified, found.findings
    assert (found.accounts, found.attempts, found.charges, found.open_holds) == (1, 6, 4, 1)
    assert found.overrun == 30


COPY = "SELECT 'copy', request_id, at_ns, org, team, project, user, key_id, tags, model, provider"


@pytest.mark.parametrize(
    ("script", "where"),
    [
        pytest.param(
            "UPDATE usage SET effective_nanos = 39 WHERE attempt_id = 'charged'",
            "charged",
            id="an edited charge",
        ),
        pytest.param(
            "UPDATE usage SET effective_nanos = 39 WHERE attempt_id = 'charged';"
            "UPDATE resolutions SET amount_nanos = 39 WHERE attempt_id = 'charged';"
            "UPDATE accounts SET posted_nanos = posted_nanos - 1",
            "charged",
            id="a charge edited everywhere",
        ),
        pytest.param(
            "UPDATE usage SET completion_tokens = 41 WHERE attempt_id = 'charged'",
            "charged",
            id="edited tokens",
        ),
        pytest.param(
            "UPDATE accounts SET posted_nanos = posted_nanos - 5",
            "account teams team=research",
            id="an edited balance",
        ),
        pytest.param(
            "UPDATE accounts SET pending_nanos = 0",
            "account teams team=research",
            id="a hold forgotten in the balance",
        ),
        pytest.param(
            "DELETE FROM usage WHERE attempt_id = 'charged'", "charged", id="a deleted usage row"
        ),
        pytest.param(
            "DELETE FROM resolutions WHERE attempt_id = 'charged'",
            "account teams team=research",
            id="a deleted resolution",
        ),
        pytest.param(
            "DELETE FROM resolutions WHERE attempt_id = 'voided'",
            "account teams team=research",
            id="a hold that is open again",
        ),
        pytest.param(
            "DELETE FROM hold_accounts WHERE attempt_id = 'charged'",
            "account teams team=research",
            id="a hold taken off its account",
        ),
        pytest.param(
            "INSERT INTO usage"
            f" {COPY}, upstream_model, streamed, rate_card, prompt_tokens, completion_tokens,"
            " cached_tokens, cache_write_tokens, reasoning_tokens, billed_nanos, effective_nanos,"
            " contracted_nanos, list_nanos, first_offer_nanos, cheapest_nanos, held_nanos,"
            " overrun_nanos, estimated, ttft_ms, total_ms, units, account FROM usage"
            " WHERE attempt_id = 'charged'",
            "usage",
            id="a doubled usage row",
        ),
        pytest.param(
            "INSERT INTO holds"
            f" {COPY}, upstream_model, streamed, rate_card, amount_nanos, expires_at_ns, account,"
            " batch FROM holds WHERE attempt_id = 'open';"
            "INSERT INTO hold_accounts SELECT 'copy', account_id FROM hold_accounts"
            " WHERE attempt_id = 'open'",
            "account teams team=research",
            id="a doubled hold",
        ),
        pytest.param("UPDATE rate_cards SET output = '0.002'", "charged", id="another price"),
        pytest.param(
            "UPDATE rate_cards SET cache_read = '0.002'", "rate card", id="a price nobody paid yet"
        ),
        pytest.param(
            "UPDATE usage SET estimated = 0 WHERE attempt_id = 'lost'",
            "lost",
            id="an estimate called a count",
        ),
        pytest.param(
            "UPDATE usage SET units = 3 WHERE attempt_id = 'images'", "images", id="edited units"
        ),
        pytest.param(
            "UPDATE usage SET units = NULL WHERE attempt_id = 'images'",
            "images",
            id="forgotten units",
        ),
        pytest.param(
            "UPDATE usage SET account = 'first' WHERE attempt_id = 'images'",
            "images",
            id="a charge moved to another account",
        ),
        pytest.param(
            "UPDATE rate_cards SET unit = '0.02' WHERE per = 'image'",
            "images",
            id="another price of a unit",
        ),
        pytest.param(
            "UPDATE rate_cards SET per = 'second' WHERE per = 'image'",
            "rate card",
            id="another unit",
        ),
        pytest.param(
            "UPDATE rate_cards SET per = 'parsec' WHERE per = 'image'",
            "rate card",
            id="a unit that is none",
        ),
        pytest.param(
            "UPDATE rate_cards SET input = 'cheap'", "rate card", id="a price that is no number"
        ),
        pytest.param(
            "UPDATE usage SET overrun_nanos = 0 WHERE attempt_id = 'overrun'",
            "overrun",
            id="a hidden overrun",
        ),
        pytest.param(
            "UPDATE usage SET overrun_nanos = 0, held_nanos = 130 WHERE attempt_id = 'overrun'",
            "overrun",
            id="an overrun hidden with its hold",
        ),
        pytest.param(
            "UPDATE usage SET held_nanos = 50, effective_nanos = 50 WHERE attempt_id = 'lost'",
            "lost",
            id="a lost hold made smaller",
        ),
        pytest.param(
            "UPDATE usage SET team = 'sales' WHERE attempt_id = 'charged'",
            "charged",
            id="a charge moved to another team",
        ),
        pytest.param(
            "UPDATE resolutions SET kind = 'voided' WHERE attempt_id = 'charged'",
            "charged",
            id="a charge called void",
        ),
        pytest.param(
            "UPDATE resolutions SET amount_nanos = 3 WHERE attempt_id = 'voided'",
            "voided",
            id="a void with an amount",
        ),
        pytest.param("DELETE FROM accounts", "hold_accounts", id="a deleted account"),
    ],
)
def test_tampering_is_named(books: Path, script: str, where: str) -> None:
    """Each change of the file behind our back gives a finding that names the place."""
    tamper(books, script)
    found = audit(books)
    assert not found.verified
    assert [one for one in found.findings if where in one.where], found.findings


@pytest.mark.parametrize(
    "table", ["rate_cards", "holds", "hold_accounts", "dispatches", "resolutions", "usage"]
)
def test_rows_of_the_books_are_never_edited(tmp_path: Path, table: str) -> None:
    """UPDATE on any table of money but the balances is refused by the database itself."""
    with closing(SqliteStore.open(tmp_path / "books.db")) as store:
        take(store, hold_of(attempt("sent", 10), TEAMS), expires_at_ns=NOW_NS + 1)
        with store.transaction():
            store.dispatch("sent", NOW_NS)
        charge(store, hold_of(attempt("sent", 10), TEAMS), 10)
        (column,) = store.database.execute(
            "SELECT name FROM pragma_table_info(?) LIMIT 1", (table,)
        ).fetchone()
        with pytest.raises(sqlite3.IntegrityError, match="never edited"):
            store.database.execute(f"UPDATE {table} SET {column} = {column}")


def test_an_audit_waits_for_nobody_and_holds_up_nobody(books: Path) -> None:
    """Another program may be writing: the audit sees the state before, and need not wait for it.

    While it reads, others may write.
    """
    with closing(SqliteStore.open(books, busy_timeout_s=0)) as writer:
        store = SqliteStore.open(books, busy_timeout_s=0)
        with closing(store):
            with writer.transaction():
                writer.hold(hold_of(attempt("new", 10), TEAMS))
                assert verify(store).attempts == 6
            with store.view():
                assert store.database.execute("SELECT count(*) FROM holds").fetchone() == (7,)
                take(writer, hold_of(attempt("newer", 10), TEAMS))
                assert verify(store).attempts == 7
            assert verify(store).attempts == 8
