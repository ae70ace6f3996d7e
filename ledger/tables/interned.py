"""Interned: what rows name by a number: subjects, accounts, sets of accounts; and rate cards.

Each is written once, by whoever needs it first, and remembered. What a transaction wrote that was
undone was not written: `forget` then.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from ledger.budgets import AccountKey
from ledger.databases.sql import Sql, Value, marks
from ledger.journal_records import SubjectKey
from ledger.rates import CardRow, RateCard
from ledger.tables.chain import drawn_text
from ledger.tables.ddl import PRICES, SUBJECT
from ledger.tables.outlines import Outlined, outlined

REMEMBERED = 50_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_json = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Named:
    """A number, and what it stands for as text: what the chain holds in its place."""

    id: int
    text: str


class _Known(Generic[K, V]):
    """A bounded memory."""

    def __init__(self, find: Callable[[K], V]) -> None:
        self._find = find
        self._found: dict[K, V] = {}

    def __call__(self, key: K) -> V:
        found = self._found.get(key)
        if found is None:
            found = self._find(key)
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            self._found[key] = found
        return found

    def forget(self) -> None:
        self._found.clear()


class Interned:
    """Numbers of a database. Within its transactions."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self.subject = _Known(self._subject)
        self.account = _Known(self._account)
        self.draws = _Known(self._draws)
        self.card = _Known(self._card)
        self.outlined = _Known(self._outlined)

    def forget(self) -> None:
        for known in (self.subject, self.account, self.draws, self.card, self.outlined):
            known.forget()

    def _subject(self, key: SubjectKey) -> Named:
        org, team, project, user, key_id, tags, *where = key
        text = _json.encode(key).decode()
        columns = (org, team, project, user, key_id, _json.encode(tags).decode(), *where)
        return Named(self._id("subjects", "key", (text,), SUBJECT, columns), text)

    def _outlined(self, subject_id: int) -> Outlined:
        return outlined(self._sql, subject_id)

    def _account(self, key: AccountKey) -> int:
        return self._id("accounts", _ACCOUNT, key)

    def _draws(self, keys: tuple[AccountKey, ...]) -> Named:
        """A set of accounts, in whatever order they are named."""
        ids = _json.encode(sorted(self.account(key) for key in keys)).decode()
        return Named(self._id("draws", "accounts", (ids,)), drawn_text(keys))

    def _card(self, row: CardRow) -> str:
        """A rate card's version."""
        card = RateCard.of_row(row)
        self._sql.execute(
            f"INSERT INTO rate_cards (version, {PRICES}) VALUES ({marks(1 + len(card.row))})"
            " ON CONFLICT DO NOTHING",
            (card.version, *card.row),
        )
        return card.version

    def _id(
        self,
        table: str,
        columns: str,
        key: Sequence[Value],
        more: str = "",
        values: Sequence[Value] = (),
    ) -> int:
        """The number of the row with this key, made if it is not there."""
        where = " AND ".join(f"{one} = ?" for one in columns.split(", "))
        find = f"SELECT id FROM {table} WHERE {where}"
        row = self._sql.execute(find, key).fetchone()
        if row is None:
            named = f"{columns}, {more}" if more else columns
            row = self._sql.execute(
                f"INSERT INTO {table} ({named}) VALUES ({marks(len(key) + len(values))})"
                " ON CONFLICT DO NOTHING RETURNING id",
                (*key, *values),
            ).fetchone()
        if row is None:  # another writer was faster
            row = self._sql.execute(find, key).fetchone()
        if row is None:
            raise AssertionError(f"{table} neither has {key} nor takes it")
        return int(row[0])


_ACCOUNT = "budget, measure, member, time_window, window_start_ns"
