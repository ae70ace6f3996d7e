"""The books in SQLite: every step of an attempt as rows, in one transaction, or not at all.

Synchronous, one connection, one thread: `writer` brings the calls of the event loop here. A hold
and a post are each one call; that a hold fits is one line of integers, the WHERE of one UPDATE.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, replace
from pathlib import Path

from sqlite_utils import Database

from ledger.attempts import Attempt, Hold, Settlement, overrun
from ledger.budgets import Account, Balance, Budget, Scope
from ledger.errors import BudgetExceeded, HoldResolved, NameTaken
from ledger.keys import KeyRecord
from ledger.money import Money
from ledger.principals import Principal
from ledger.rates import RateCard
from ledger.requests import RequestRecord
from ledger.schema import SUBJECT
from ledger.sqlite_file import SqliteFile
from ledger.windows import Window

_RATE_CARDS_REMEMBERED = 100_000


class SqliteStore(SqliteFile):
    """The books in an open file."""

    def __init__(self, database: Database, path: Path) -> None:
        super().__init__(database, path)
        self._known_cards: set[str] = set()

    def _undone(self) -> None:
        self._known_cards.clear()

    # -- holds

    def hold(self, hold: Hold, expires_at_ns: int | None = None) -> Hold:
        """Reserve the worst case in every account, or in none. Returns the hold with what is left.

        A hold without `expires_at_ns` counts as dispatched: only posting or voiding ends it. One
        with it expires unless `dispatch` is called in time. Raises BudgetExceeded.
        """
        attempt = hold.attempt
        amount = attempt.worst_case
        card = self._keep_card(attempt.rates)
        self._conn.execute(
            f"INSERT INTO holds (attempt_id, request_id, at_ns, {SUBJECT}, rate_card,"
            f" amount_nanos, expires_at_ns) VALUES ({_marks(16)})",
            (
                attempt.id,
                attempt.request_id,
                attempt.at_ns,
                *_subject(attempt),
                card,
                amount,
                expires_at_ns,
            ),
        )
        least: int | None = None
        for account in hold.accounts:
            key = _key(account)
            self._conn.execute(
                "INSERT INTO accounts (budget, member, time_window, window_start_ns)"
                " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                key,
            )
            row = self._conn.execute(
                "UPDATE accounts SET pending_nanos = pending_nanos + ?"
                f" WHERE {_IS_ACCOUNT}"
                # What is truly free fits even where a provider has billed above a hold.
                " AND ? <= max(0, ? - posted_nanos - pending_nanos)"
                " RETURNING id, ? - posted_nanos - pending_nanos",
                (amount, *key, amount, account.cap, account.cap),
            ).fetchone()
            if row is None:
                raise self._exceeded(account, amount)
            self._conn.execute("INSERT INTO hold_accounts VALUES (?, ?)", (attempt.id, row[0]))
            least = row[1] if least is None else min(least, row[1])
        return replace(hold, left=None if least is None else Money(least))

    def _exceeded(self, account: Account, amount: Money) -> BudgetExceeded:
        balance = self.balance(account)
        return BudgetExceeded(
            budget=account.budget,
            scope=account.scope,
            cap=account.cap,
            spent=balance.posted,
            held=balance.pending,
            needed=amount,
            resets_at=account.resets_at,
        )

    def _keep_card(self, card: RateCard) -> str:
        version = card.version
        if version not in self._known_cards:
            self._conn.execute(
                f"INSERT INTO rate_cards VALUES ({_marks(6)}) ON CONFLICT DO NOTHING",
                (version, *card.as_row()),
            )
            if len(self._known_cards) >= _RATE_CARDS_REMEMBERED:
                self._known_cards.clear()
            self._known_cards.add(version)
        return version

    def dispatch(self, attempt_id: str, at_ns: int) -> None:
        """Say that an expiring hold is about to be sent: from here on it can no longer expire."""
        if self._resolution(attempt_id) is not None:
            raise HoldResolved(f"{attempt_id} has ended already: take a new hold, then dispatch")
        self._conn.execute("INSERT INTO dispatches VALUES (?, ?)", (attempt_id, at_ns))

    # -- their ends

    def post(self, hold: Hold, end: Settlement) -> Money | None:
        """Turn a hold into a charge. Returns the least that is left in its accounts."""
        attempt, usage, charge = hold.attempt, end.usage, end.charge
        card = self._keep_card(end.rates)
        self._resolve(attempt.id, "posted", charge.effective, end.at_ns, "")
        self._conn.execute(
            f"INSERT INTO usage VALUES ({_marks(30)})",
            (
                attempt.id,
                attempt.request_id,
                attempt.at_ns,
                *_subject(attempt),
                card,
                usage.prompt,
                usage.completion,
                usage.cached,
                usage.cache_write,
                usage.reasoning,
                charge.billed,
                charge.effective,
                charge.contracted,
                charge.list,
                charge.first_offer,
                charge.cheapest,
                attempt.worst_case,
                overrun(attempt.worst_case, charge.effective),
                int(end.estimated),
                end.ttft_ms,
                end.total_ms,
            ),
        )
        lefts = [self.balance(account).left for account in hold.accounts]
        return min(lefts) if lefts else None

    def void(self, attempt_id: str, at_ns: int, reason: str) -> None:
        """Release a hold that cannot have been billed."""
        self._resolve(attempt_id, "voided", Money(0), at_ns, reason)

    def expire(self, now_ns: int) -> int:
        """Release every overdue hold that was never dispatched; how many there were."""
        overdue = self._conn.execute(
            "SELECT attempt_id FROM holds LEFT JOIN dispatches USING (attempt_id)"
            " LEFT JOIN resolutions USING (attempt_id)"
            " WHERE expires_at_ns <= ? AND kind IS NULL AND dispatches.at_ns IS NULL",
            (now_ns,),
        ).fetchall()
        for (attempt_id,) in overdue:
            self._resolve(attempt_id, "expired", Money(0), now_ns, "never dispatched")
        return len(overdue)

    def recover(self, now_ns: int) -> int:
        """End what a dead worker left: post every dispatched, unresolved hold at its full amount.

        Its provider may have billed it; what it really used, nobody knows. Returns how many.
        """
        lost = self._conn.execute(
            "SELECT attempt_id, holds.amount_nanos FROM holds"
            " LEFT JOIN dispatches USING (attempt_id) LEFT JOIN resolutions USING (attempt_id)"
            " WHERE kind IS NULL AND (expires_at_ns IS NULL OR dispatches.at_ns IS NOT NULL)"
        ).fetchall()
        for attempt_id, amount in lost:
            self._resolve(attempt_id, "posted", Money(amount), now_ns, "lost with its worker")
            self._conn.execute(
                "INSERT INTO usage SELECT attempt_id, request_id, at_ns,"
                f" {SUBJECT}, rate_card, NULL, NULL, NULL, NULL, NULL,"
                " amount_nanos, amount_nanos, amount_nanos, amount_nanos, NULL, NULL,"
                " amount_nanos, 0, 1, NULL, NULL FROM holds WHERE attempt_id = ?",
                (attempt_id,),
            )
        return len(lost)

    def _resolution(self, attempt_id: str) -> str | None:
        row = self._conn.execute(
            "SELECT kind FROM resolutions WHERE attempt_id = ?", (attempt_id,)
        ).fetchone()
        return None if row is None else str(row[0])

    def _resolve(
        self, attempt_id: str, kind: str, effective: Money, at_ns: int, reason: str
    ) -> None:
        held = self._conn.execute(
            "SELECT amount_nanos FROM holds WHERE attempt_id = ?", (attempt_id,)
        ).fetchone()
        if held is None:
            raise HoldResolved(f"there is no hold {attempt_id} to end")
        ended = self._conn.execute(
            "INSERT INTO resolutions VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (attempt_id, at_ns, kind, effective, reason),
        )
        if ended.rowcount == 0:
            raise HoldResolved(f"{attempt_id} was {self._resolution(attempt_id)} already")
        self._conn.execute(
            "UPDATE accounts SET pending_nanos = pending_nanos - ?, posted_nanos = posted_nanos + ?"
            " WHERE id IN (SELECT account_id FROM hold_accounts WHERE attempt_id = ?)",
            (held[0], effective, attempt_id),
        )

    # -- balances

    def balance(self, account: Account) -> Balance:
        row = self._conn.execute(
            f"SELECT posted_nanos, pending_nanos FROM accounts WHERE {_IS_ACCOUNT}",
            _key(account),
        ).fetchone()
        posted, pending = row or (0, 0)
        return Balance(account, Money(posted), Money(pending))

    def members(self, budget: str, window: Window, window_start_ns: int) -> tuple[str, ...]:
        """The members of a budget that have an account in a window."""
        rows = self._conn.execute(
            "SELECT member FROM accounts"
            " WHERE budget = ? AND time_window = ? AND window_start_ns = ? ORDER BY member",
            (budget, window, window_start_ns),
        )
        return tuple(member for (member,) in rows)

    # -- keys and budgets

    def policy_version(self) -> int:
        """Grows with every change of a key or a budget, whoever made it."""
        return int(self._conn.execute("SELECT version FROM policy_version").fetchone()[0])

    def add_key(self, record: KeyRecord, key_hash: bytes) -> None:
        who = record.principal
        models = None if who.models is None else json.dumps(sorted(who.models))
        self._conn.execute(
            f"INSERT INTO keys VALUES ({_marks(13)})",
            (
                record.id,
                key_hash,
                record.label,
                record.name,
                who.org,
                who.team,
                who.project,
                who.user,
                json.dumps(who.tags),
                models,
                record.created_at_ns,
                record.expires_at_ns,
                record.revoked_at_ns,
            ),
        )

    def revoke_key(self, key_id: str, at_ns: int) -> bool:
        """False if there is no such key; revoking twice keeps the first time."""
        return (
            self._conn.execute(
                "UPDATE keys SET revoked_at_ns = coalesce(revoked_at_ns, ?) WHERE id = ?",
                (at_ns, key_id),
            ).rowcount
            == 1
        )

    def keys(self) -> dict[bytes, KeyRecord]:
        """Every key by its hash, oldest first."""
        found: dict[bytes, KeyRecord] = {}
        for row in self._conn.execute("SELECT * FROM keys ORDER BY created_at_ns, id"):
            key_id, key_hash, label, name, org, team, project, user, tags, models, *times = row
            allowed = None if models is None else frozenset(json.loads(models))
            who = Principal(key_id, org, team, project, user, tuple(json.loads(tags)), allowed)
            found[key_hash] = KeyRecord(key_id, label, name, who, *times)
        return found

    def add_budget(self, budget: Budget, at_ns: int) -> None:
        scope = {name: value for name, value in asdict(budget.scope).items() if value is not None}
        try:
            self._conn.execute(
                f"INSERT INTO budgets VALUES ({_marks(6)})",
                (
                    budget.name,
                    json.dumps(scope),
                    budget.window,
                    budget.timezone,
                    budget.cap,
                    at_ns,
                ),
            )
        except sqlite3.IntegrityError:
            raise NameTaken(f"there is a budget {budget.name} already: choose a name") from None

    def budgets(self) -> tuple[Budget, ...]:
        """The budgets that are kept in the store, oldest first (files hold the others)."""
        rows = self._conn.execute(
            "SELECT name, scope, time_window, timezone, cap_nanos FROM budgets"
            " ORDER BY created_at_ns, name"
        )
        return tuple(
            Budget(name, Scope(**json.loads(scope)), Window(window), timezone, Money(cap))
            for name, scope, window, timezone, cap in rows
        )

    # -- requests

    def record_request(self, record: RequestRecord) -> None:
        self._conn.execute(
            f"INSERT INTO requests VALUES ({_marks(11)}) ON CONFLICT DO NOTHING",
            (
                record.id,
                record.at_ns,
                record.key_id,
                record.team,
                record.user,
                record.model,
                record.outcome,
                record.status,
                record.attempts,
                record.would_have_cost,
                record.decision,
            ),
        )

    def request(self, request_id: str) -> RequestRecord | None:
        row = self._conn.execute("SELECT * FROM requests WHERE id = ?", (request_id,)).fetchone()
        return None if row is None else RequestRecord(*row)


_IS_ACCOUNT = "budget = ? AND member = ? AND time_window = ? AND window_start_ns = ?"


def _key(account: Account) -> tuple[str, str, str, int]:
    return (account.budget, account.member, account.window, account.window_start_ns)


def _subject(attempt: Attempt) -> tuple[str | int | None, ...]:
    who = attempt.principal
    return (
        who.org,
        who.team,
        who.project,
        who.user,
        who.key_id,
        json.dumps(who.tags),
        attempt.model,
        attempt.provider,
        attempt.upstream_model,
        int(attempt.streamed),
    )


def _marks(count: int) -> str:
    return ", ".join("?" * count)
