"""History: every version of the tables since the books have entries, and the way between them.

Before them are versions 1 to 6, which only SQLite had: `ledger.databases.schema`.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.databases.migrations.m007_entries import ENTRIES
from ledger.databases.migrations.m008_policy import POLICY_8
from ledger.databases.migrations.m009_notices import NOTICES
from ledger.databases.migrations.m010_prices import PRICES_10
from ledger.databases.migrations.m011_commitments import COMMITMENTS_11
from ledger.databases.migrations.m012_hedge_book import HEDGE_BOOK
from ledger.databases.migrations.m013_people import PEOPLE
from ledger.databases.migrations.m014_closing import CLOSING
from ledger.databases.migrations.m015_outlines import OUTLINES_15
from ledger.databases.migrations.migration import Migration
from ledger.databases.migrations.migration_set import MigrationSet, has_any
from ledger.databases.sql import Dialect, Sql

MIGRATIONS: tuple[Migration, ...] = (
    *(ENTRIES, POLICY_8, NOTICES, PRICES_10, COMMITMENTS_11, HEDGE_BOOK, PEOPLE, CLOSING),
    OUTLINES_15,
)
"""In their order, without a gap. A new one is added at the end, with a module of its own."""

NEWEST = MIGRATIONS[-1].number
OLDEST = {Dialect.SQLITE: MIGRATIONS[0].number - 1, Dialect.POSTGRES: MIGRATIONS[0].number}
"""How far back a database can be brought."""

_BOOKS = MigrationSet("hedgerow.ledger", MIGRATIONS, OLDEST)


def is_ours(sql: Sql) -> bool:
    """Whether a PostgreSQL database has our tables."""
    return has_any(sql)


def version(sql: Sql) -> int:
    """Which version the tables are of; 0 for none. Raises StoreTooNew."""
    return _BOOKS.version(sql)


def refuse_later(name: str, applied: Iterable[str]) -> None:
    """Raises StoreTooNew if steps were applied that this version does not know."""
    _BOOKS.refuse_later(name, applied)


def migrate(sql: Sql, to: int) -> tuple[str, ...]:
    """Bring the tables to a version, all steps or none; returns what had no place there.

    Raises CannotMigrate for a version that there is no way to, StoreTooNew.
    """
    return _BOOKS.migrate(sql, to)


def steps(sql: Sql, to: int) -> tuple[str, ...]:
    """As `migrate`, within a transaction."""
    return _BOOKS.within(sql, to)
