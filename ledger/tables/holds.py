"""HoldTable: holds that outlive the process that took them.

Those of batches, which go on at a provider without us, and those that may expire before they are
sent. They are money held in the accounts themselves, not in a slice, until whoever runs them ends
them: opening the books does not. Limits of rates (by the minute, at once) are not for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from ledger.attempts import Attempt, Hold, Settlement
from ledger.budgets import Account, AccountKey, is_rate
from ledger.databases.sql import Row, Sql, marks
from ledger.entries import Drawn, Kind
from ledger.errors import BudgetExceeded, HoldResolved
from ledger.journal_records import Ended, Held, held_of, posted_of
from ledger.measures import Measure
from ledger.money import Money
from ledger.principals import Principal
from ledger.rates import RateCard
from ledger.tables.ddl import PRICES, SUBJECT
from ledger.tables.interned import Interned
from ledger.tables.leases import LeaseTable
from ledger.tables.writers import WriterTable


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A hold as its rows tell it. drawn_on: the accounts that it reserves in.

    Which models its principal's key may ask for is not in the books of its holds.
    """

    attempt: Attempt
    drawn_on: frozenset[AccountKey]


class HoldTable:
    """The holds of a database. Within its transactions."""

    def __init__(
        self, sql: Sql, interned: Interned, leases: LeaseTable, writers: WriterTable
    ) -> None:
        self._sql = sql
        self._interned = interned
        self._leases = leases
        self._writers = writers

    # -- taking them

    def hold_all(self, holds: Sequence[Hold], expires_at_ns: int | None = None) -> tuple[Hold, ...]:
        """Reserve the worst case of each in all of its accounts, of all holds or of none: they are
        refused by their sum. Returns them with what is left.

        A hold without `expires_at_ns` counts as dispatched: only posting or voiding ends it. One
        with it expires unless `dispatch` is called in time. Raises BudgetExceeded.
        """
        own = [tuple(one for one in hold.accounts if not is_rate(one.key)) for hold in holds]
        accounts: dict[AccountKey, Account] = {}
        needed: dict[AccountKey, int] = {}
        for hold, drawn in zip(holds, own, strict=True):
            for one in drawn:
                accounts[one.key] = one
                needed[one.key] = needed.get(one.key, 0) + hold.attempt.reserves(one.measure)
        ids = {key: self._interned.account(key) for key in accounts}
        rooms: dict[AccountKey, int | None] = {}
        for key in sorted(accounts, key=ids.__getitem__):
            rooms[key] = self._reserve(accounts[key], ids[key], needed[key])
        self._sql.insert(
            "holds",
            _HOLD,
            [
                self._row(held_of(hold.attempt, drawn), expires_at_ns)
                for hold, drawn in zip(holds, own, strict=True)
            ],
        )
        return tuple(
            replace(hold, accounts=drawn, left=_least_usd(drawn, rooms))
            for hold, drawn in zip(holds, own, strict=True)
        )

    def _reserve(self, account: Account, account_id: int, amount: int) -> int | None:
        """Returns what is left after it, None without a cap. Raises BudgetExceeded."""
        left: int | None = None
        if account.refuses:
            standing = self._leases.standing(account, for_update=True)
            left = standing.room - amount
            if amount > max(0, standing.room):
                raise BudgetExceeded(
                    budget=account.budget,
                    scope=account.scope,
                    measure=account.measure,
                    cap=account.cap or 0,
                    spent=standing.posted,
                    held=standing.pending + standing.leased,
                    needed=amount,
                    resets_at=account.resets_at,
                )
        self._sql.execute(
            "UPDATE accounts SET pending = pending + ? WHERE id = ?", (amount, account_id)
        )
        return left

    def _row(self, held: Held, expires_at_ns: int | None) -> tuple[str | int | None, ...]:
        return (
            held.attempt_id,
            held.request_id,
            held.at_ns,
            self._interned.subject(held.subject).id,
            self._interned.draws(tuple(key for key, _ in held.accounts)).id,
            self._interned.card(held.card),
            int(held.streamed),
            held.batch,
            held.worst_case,
            held.most_tokens,
            int(held.is_counted),
            expires_at_ns,
        )

    def dispatch(self, attempt_id: str, at_ns: int) -> None:
        """Say that an expiring hold is about to be sent: from here on it can no longer expire."""
        if self._held(attempt_id) is None:
            raise HoldResolved(f"{attempt_id} has ended already: take a new hold, then dispatch")
        self._sql.execute("INSERT INTO dispatches VALUES (?, ?)", (attempt_id, at_ns))

    # -- ending them

    def post(self, writer_id: int, hold: Hold, end: Settlement) -> Money | None:
        """Turn a hold into a charge. Returns the least USD that is left in its accounts.

        Raises HoldResolved.
        """
        attempt, held = hold.attempt, self._open(hold.attempt.id)
        drawn = [
            Drawn(key, most, spent := end.spends(attempt, Measure(key[1])), uncovered=spent)
            for key, most in held.accounts
        ]
        self._end(writer_id, held, posted_of(attempt, end, drawn))
        rooms = {one.key: self._leases.standing(one).room for one in hold.accounts if one.refuses}
        return _least_usd(hold.accounts, rooms)

    def void(self, writer_id: int, attempt_id: str, at_ns: int, reason: str) -> None:
        """Release a hold that cannot have been billed. Raises HoldResolved."""
        self._end(writer_id, self._open(attempt_id), Ended(attempt_id, Kind.VOIDED, at_ns, reason))

    def expire(self, writer_id: int, now_ns: int) -> int:
        """Release every overdue hold that was never dispatched; how many there were."""
        overdue = self._sql.execute(
            f"SELECT {_HELD} FROM {_OPEN} LEFT JOIN dispatches USING (attempt_id)"
            " WHERE expires_at_ns <= ? AND dispatches.at_ns IS NULL AND entries.kind IS NULL",
            (now_ns,),
        ).fetchall()
        for row in overdue:
            ended = Ended(row[0], Kind.EXPIRED, now_ns, "never dispatched")
            self._end(writer_id, self._of_row(row), ended)
        return len(overdue)

    def _end(self, writer_id: int, held: Held, ended: Ended) -> None:
        self._writers.write(writer_id, [(held, ended)])
        for account_id, most in sorted(
            (self._interned.account(key), most) for key, most in held.accounts
        ):
            self._sql.execute(
                "UPDATE accounts SET pending = pending - ? WHERE id = ?", (most, account_id)
            )

    # -- finding them again

    def is_open(self, attempt_id: str) -> bool:
        return self._held(attempt_id) is not None

    def open_hold(self, attempt_id: str) -> OpenHold | None:
        """The hold of an attempt, if nothing has ended it yet."""
        held = self._held(attempt_id)
        return None if held is None else _open_hold(held)

    def open_holds(self, batch: str, after: str, limit: int) -> list[OpenHold]:
        """Holds of a batch that nothing has ended yet, by attempt id, from the one `after` on."""
        rows = self._sql.execute(
            f"SELECT {_HELD} FROM {_OPEN} WHERE entries.kind IS NULL AND holds.batch = ?"
            " AND attempt_id > ? ORDER BY attempt_id LIMIT ?",
            (batch, after, limit),
        ).fetchall()
        return [_open_hold(self._of_row(row)) for row in rows]

    def _held(self, attempt_id: str) -> Held | None:
        row = self._sql.execute(
            f"SELECT {_HELD} FROM {_OPEN} WHERE entries.kind IS NULL AND attempt_id = ?",
            (attempt_id,),
        ).fetchone()
        return None if row is None else self._of_row(row)

    def _open(self, attempt_id: str) -> Held:
        held = self._held(attempt_id)
        if held is not None:
            return held
        ended = self._sql.execute(
            "SELECT kind FROM entries WHERE attempt_id = ?", (attempt_id,)
        ).fetchone()
        if ended is None:
            raise HoldResolved(f"there is no hold {attempt_id} to end")
        raise HoldResolved(f"{attempt_id} was {ended[0]} already")

    def _of_row(self, row: Row) -> Held:
        attempt_id, request_id, at_ns, streamed, batch, amount, tokens, requests, ids = row[:9]
        org, team, project, user, key_id, tags, model, provider, upstream_model, account = row[9:19]
        amounts = {Measure.USD: amount, Measure.TOKENS: tokens, Measure.REQUESTS: requests}
        keys = self._keys(ids)
        return Held(
            attempt_id,
            request_id,
            at_ns,
            (
                *(org, team, project, user, key_id, tuple(msgspec.json.decode(tags))),
                *(model, provider, upstream_model, account),
            ),
            bool(streamed),
            tuple(row[19:]),
            amount,
            tokens,
            bool(requests),
            tuple((key, amounts[Measure(key[1])]) for key in keys),
            batch,
        )

    def _keys(self, ids: str) -> list[AccountKey]:
        known = msgspec.json.decode(ids, type=list[int])
        if not known:
            return []
        rows = self._sql.execute(
            "SELECT budget, measure, member, time_window, window_start_ns FROM accounts"
            f" WHERE id IN ({marks(len(known))}) ORDER BY id",
            known,
        )
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


def _open_hold(held: Held) -> OpenHold:
    org, team, project, user, key_id, tags, model, provider, upstream_model, account = held.subject
    attempt = Attempt(
        id=held.attempt_id,
        request_id=held.request_id,
        at_ns=held.at_ns,
        principal=Principal(key_id, org, team, project, user, tags),
        model=model,
        provider=provider,
        upstream_model=upstream_model,
        rates=RateCard.of_row(held.card),
        streamed=held.streamed,
        worst_case=Money(held.worst_case),
        most_tokens=held.most_tokens,
        is_counted=held.is_counted,
        account=account,
        batch=held.batch,
    )
    return OpenHold(attempt, frozenset(key for key, _ in held.accounts))


def _least_usd(
    accounts: Sequence[Account], rooms: dict[AccountKey, int | None] | dict[AccountKey, int]
) -> Money | None:
    lefts = [
        room
        for one in accounts
        if one.measure is Measure.USD and one.refuses and (room := rooms.get(one.key)) is not None
    ]
    return Money(min(lefts)) if lefts else None


_HOLD = (
    "attempt_id, request_id, at_ns, subject_id, draws_id, rate_card, streamed, batch, amount_nanos,"
    " tokens, requests, expires_at_ns"
)
_HELD = (
    "attempt_id, holds.request_id, holds.at_ns, holds.streamed, holds.batch, holds.amount_nanos,"
    f" holds.tokens, holds.requests, draws.accounts, {SUBJECT}, {PRICES}"
)
_OPEN = (
    "holds JOIN subjects ON subjects.id = holds.subject_id JOIN draws ON draws.id = holds.draws_id"
    " JOIN rate_cards ON version = holds.rate_card LEFT JOIN entries USING (attempt_id)"
)
