"""The books in SQLite: every step of an attempt as rows, in one transaction, or not at all.

Synchronous, one connection, one thread: `writer` brings the calls of the event loop here. A hold
and a post are each one call; that a hold fits is one line of integers, the WHERE of one UPDATE.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from ledger.attempts import Attempt, Hold, Settlement, overrun
from ledger.budgets import Account, AccountKey, Balance, Budget, Scope
from ledger.errors import BudgetExceeded, HoldResolved, NameTaken
from ledger.idempotency import CLAIM_NS, Claim
from ledger.keys import KeyRecord
from ledger.money import Money
from ledger.principals import Principal
from ledger.rates import RateCard
from ledger.requests import RequestRecord, failures_from_text, failures_to_text
from ledger.schema import PRICES, SUBJECT, USAGE
from ledger.sqlite_file import SqliteFile
from ledger.windows import AnyWindow, window_of

_RATE_CARDS_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A hold as its rows tell it. drawn_on: the accounts that it reserves money in.

    Which models its principal's key may ask for is not in the books of its holds.
    """

    attempt: Attempt
    drawn_on: frozenset[AccountKey]


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
        return self.hold_all((hold,), expires_at_ns)[0]

    def hold_all(self, holds: Sequence[Hold], expires_at_ns: int | None = None) -> tuple[Hold, ...]:
        """The same for many at once, all of them or none: they are refused by their sum."""
        self._conn.executemany(
            f"INSERT INTO holds (attempt_id, request_id, at_ns, {SUBJECT}, batch, rate_card,"
            f" amount_nanos, expires_at_ns) VALUES ({_marks(18)})",
            [self._row(one.attempt, expires_at_ns) for one in holds],
        )
        own = [[account.key for account in one.accounts] for one in holds]
        needed: dict[AccountKey, int] = {}
        for one, keys in zip(holds, own, strict=True):
            for key in keys:
                needed[key] = needed.get(key, 0) + one.attempt.worst_case
        accounts = {account.key: account for one in holds for account in one.accounts}
        drawn = {key: self._draw(accounts[key], Money(most)) for key, most in needed.items()}
        self._conn.executemany(
            "INSERT INTO hold_accounts VALUES (?, ?)",
            [
                (one.attempt.id, drawn[key][0])
                for one, keys in zip(holds, own, strict=True)
                for key in keys
            ],
        )
        return tuple(
            replace(one, left=min((drawn[key][1] for key in keys), default=None))
            for one, keys in zip(holds, own, strict=True)
        )

    def _row(self, attempt: Attempt, expires_at_ns: int | None) -> tuple[object, ...]:
        return (
            attempt.id,
            attempt.request_id,
            attempt.at_ns,
            *_subject(attempt),
            attempt.batch,
            self._keep_card(attempt.rates),
            attempt.worst_case,
            expires_at_ns,
        )

    def _draw(self, account: Account, amount: Money) -> tuple[int, Money]:
        """Reserve an amount in one account: its id, and what is left. Raises BudgetExceeded."""
        row = self._drawn(account, amount)
        if row is None and self._is_opened(account):  # only the first of a window finds none
            row = self._drawn(account, amount)
        if row is None:
            raise self._exceeded(account, amount)
        return row

    def _is_opened(self, account: Account) -> bool:
        """Make an account; False if there is one."""
        made = self._conn.execute(
            "INSERT INTO accounts (budget, member, time_window, window_start_ns)"
            " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            _row_key(account.key),
        )
        return made.rowcount == 1

    def _drawn(self, account: Account, amount: Money) -> tuple[int, Money] | None:
        """As `_draw`; None if there is no such account, or not so much left in it."""
        row = self._conn.execute(
            "UPDATE accounts SET pending_nanos = pending_nanos + ?"
            f" WHERE {_IS_ACCOUNT}"
            # What is truly free fits even where a provider has billed above a hold.
            " AND ? <= max(0, ? - posted_nanos - pending_nanos)"
            " RETURNING id, ? - posted_nanos - pending_nanos",
            (amount, *_row_key(account.key), amount, account.cap, account.cap),
        ).fetchone()
        return None if row is None else (row[0], Money(row[1]))

    def _exceeded(self, account: Account, amount: Money) -> BudgetExceeded:
        balance = self.balance(account)
        return BudgetExceeded(
            budget=account.budget,
            scope=account.scope,
            measure=account.measure,
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
                f"INSERT INTO rate_cards (version, {PRICES}) VALUES ({_marks(8)})"
                " ON CONFLICT DO NOTHING",
                (version, *card.row),
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
            f"INSERT INTO usage ({_USAGE_ROW}) VALUES ({_marks(32)})",
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
                usage.units,
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

        Not so the holds of a batch: the job goes on at its provider without us, and what it used
        will be known. They stay open, and are money held, until whoever runs the job ends them.
        """
        lost = self._conn.execute(
            "SELECT attempt_id, holds.amount_nanos FROM holds"
            " LEFT JOIN dispatches USING (attempt_id) LEFT JOIN resolutions USING (attempt_id)"
            " WHERE kind IS NULL AND batch IS NULL"
            " AND (expires_at_ns IS NULL OR dispatches.at_ns IS NOT NULL)"
        ).fetchall()
        for attempt_id, amount in lost:
            self._resolve(attempt_id, "posted", Money(amount), now_ns, "lost with its worker")
            self._conn.execute(
                f"INSERT INTO usage ({_USAGE_ROW}) SELECT attempt_id, request_id, at_ns,"
                f" {SUBJECT}, rate_card, NULL, NULL, NULL, NULL, NULL, NULL,"
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

    # -- holds, found again

    def open_hold(self, attempt_id: str) -> OpenHold | None:
        """The hold of an attempt, if nothing has ended it yet."""
        return next(iter(self._open_holds("attempt_id = ?", attempt_id)), None)

    def open_holds(self, batch: str, after: str, limit: int) -> list[OpenHold]:
        """Holds of a batch that nothing has ended yet, by attempt id, from the one `after` on."""
        where = "batch = ? AND attempt_id > ? ORDER BY attempt_id LIMIT ?"
        return self._open_holds(where, batch, after, limit)

    def _open_holds(self, where: str, *values: str | int) -> list[OpenHold]:
        rows = self._conn.execute(
            f"SELECT attempt_id, request_id, holds.at_ns, amount_nanos, batch, {SUBJECT}, {PRICES}"
            " FROM holds JOIN rate_cards ON version = rate_card WHERE NOT EXISTS"
            " (SELECT * FROM resolutions WHERE resolutions.attempt_id = holds.attempt_id)"
            f" AND {where}",
            values,
        ).fetchall()
        drawn_on: dict[str, list[AccountKey]] = {row[0]: [] for row in rows}
        for attempt_id, budget, member, window, start_ns in self._conn.execute(
            "SELECT attempt_id, budget, member, time_window, window_start_ns FROM hold_accounts"
            " JOIN accounts ON account_id = id"
            " WHERE attempt_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(drawn_on)),),
        ):
            drawn_on[attempt_id].append((budget, "usd", member, window, start_ns))
        return [OpenHold(_attempt(row), frozenset(drawn_on[row[0]])) for row in rows]

    # -- balances

    def balance(self, account: Account) -> Balance:
        row = self._conn.execute(
            f"SELECT posted_nanos, pending_nanos FROM accounts WHERE {_IS_ACCOUNT}",
            _row_key(account.key),
        ).fetchone()
        posted, pending = row or (0, 0)
        return Balance(account, Money(posted), Money(pending))

    def members(self, budget: str, window: AnyWindow, window_start_ns: int) -> tuple[str, ...]:
        """The members of a budget that have an account in a window."""
        rows = self._conn.execute(
            "SELECT member FROM accounts"
            " WHERE budget = ? AND time_window = ? AND window_start_ns = ? ORDER BY member",
            (budget, str(window), window_start_ns),
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
                    str(budget.window),
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
            Budget(name, Scope(**json.loads(scope)), window_of(window), timezone, Money(cap))
            for name, scope, window, timezone, cap in rows
        )

    # -- idempotency keys

    def claim(self, claim: Claim) -> Claim | None:
        """Take an Idempotency-Key; the claim of another request, if that has it already."""
        taken = self._conn.execute(
            f"INSERT INTO idempotency_keys VALUES ({_marks(5)}) ON CONFLICT DO UPDATE SET"
            " digest = excluded.digest, request_id = excluded.request_id, at_ns = excluded.at_ns"
            " WHERE idempotency_keys.at_ns <= excluded.at_ns - ?",
            (claim.key_id, claim.key, claim.digest, claim.request_id, claim.at_ns, CLAIM_NS),
        )
        if taken.rowcount == 1:
            return None
        row = self._conn.execute(
            "SELECT * FROM idempotency_keys WHERE key_id = ? AND key = ?", (claim.key_id, claim.key)
        ).fetchone()
        return Claim(*row)

    def release(self, claim: Claim) -> bool:
        """Give a key back, unless its request was charged, or may still be. True if it is free."""
        given = self._conn.execute(
            "DELETE FROM idempotency_keys WHERE key_id = ? AND key = ? AND request_id = ?"
            " AND NOT EXISTS (SELECT * FROM holds LEFT JOIN resolutions USING (attempt_id)"
            " WHERE holds.request_id = idempotency_keys.request_id"
            " AND (kind IS NULL OR resolutions.amount_nanos > 0))",
            (claim.key_id, claim.key, claim.request_id),
        )
        return given.rowcount == 1

    def forget_claims(self, now_ns: int, limit: int) -> int:
        """Delete claims that no longer hold, oldest first; how many there were."""
        return self._conn.execute(
            "DELETE FROM idempotency_keys WHERE (key_id, key) IN"
            " (SELECT key_id, key FROM idempotency_keys WHERE at_ns <= ? ORDER BY at_ns LIMIT ?)",
            (now_ns - CLAIM_NS, limit),
        ).rowcount

    # -- requests

    def record_request(self, record: RequestRecord) -> None:
        self._conn.execute(
            f"INSERT INTO requests VALUES ({_marks(12)}) ON CONFLICT DO NOTHING",
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
                failures_to_text(record.failures),
            ),
        )

    def request(self, request_id: str) -> RequestRecord | None:
        row = self._conn.execute("SELECT * FROM requests WHERE id = ?", (request_id,)).fetchone()
        if row is None:
            return None
        *known, failures = row
        return replace(RequestRecord(*known), failures=failures_from_text(failures))


_IS_ACCOUNT = "budget = ? AND member = ? AND time_window = ? AND window_start_ns = ?"

_USAGE_ROW = (
    f"attempt_id, request_id, at_ns, {SUBJECT}, rate_card, {USAGE}, billed_nanos, effective_nanos,"
    " contracted_nanos, list_nanos, first_offer_nanos, cheapest_nanos, held_nanos, overrun_nanos,"
    " estimated, ttft_ms, total_ms"
)


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
        attempt.account,
    )


def _attempt(row: tuple[Any, ...]) -> Attempt:
    attempt_id, request_id, at_ns, amount, batch, *subject = row[:16]
    org, team, project, user, key_id, tags, model, provider, upstream_model, streamed, account = (
        subject
    )
    return Attempt(
        id=attempt_id,
        request_id=request_id,
        at_ns=at_ns,
        principal=Principal(key_id, org, team, project, user, tuple(json.loads(tags))),
        model=model,
        provider=provider,
        upstream_model=upstream_model,
        rates=RateCard.of_row(row[16:]),
        streamed=bool(streamed),
        worst_case=Money(amount),
        account=account,
        batch=batch,
    )


def _row_key(key: AccountKey) -> tuple[str, str, str, int]:
    budget, _, member, window, start_ns = key
    return (budget, member, window, start_ns)


def _marks(count: int) -> str:
    return ", ".join("?" * count)
