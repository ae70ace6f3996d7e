"""WriterTable: who writes entries, and the one way in which entries are written.

A writer is a slot of a host, whose chain of entries goes on when its process is another. Entries go
in with everything that follows from them, in one transaction: balances, leases, rollups, the
chain's head, and how far the writer's journal is folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ledger.attempts import overrun
from ledger.budgets import AccountKey, is_rate
from ledger.databases.sql import Dialect, Sql, Value, marks
from ledger.entries import Kind
from ledger.errors import LedgerError
from ledger.journal import Place
from ledger.journal_records import Ended, Held
from ledger.money import Money
from ledger.tables import outlines
from ledger.tables.chain import GENESIS, canonical, chained
from ledger.tables.ddl import ENTRY
from ledger.tables.interned import Interned
from ledger.tables.leases import LeaseTable, Take
from ledger.tables.rollups import Sums, added, in_steps, quarter_of, upsert

_NO_USAGE = (None,) * 7
_COUNTS_7 = 6
"""How many counts were kept of a usage when there was version 7."""
_NO_CHARGE = (0, 0, 0, 0, None, None)

_ACCOUNTS_AT_ONCE = 100


class AlreadyFolded(LedgerError):
    """The journal is folded beyond the place that was expected: an earlier transaction happened
    after all, though its answer was lost. `place`: how far."""

    def __init__(self, place: Place) -> None:
        super().__init__(f"the journal is folded to {place} already")
        self.place = place


@dataclass(frozen=True, slots=True)
class Posted:
    """What entries have done to an account.

    spent: by them; uncovered: what of it no slice had room for; posted: by all entries there ever
    were; leased: by all writers.
    """

    key: AccountKey
    spent: int
    uncovered: int
    posted: int
    pending: int
    leased: int


@dataclass(slots=True)
class _Change:
    spent: int = 0
    covered: int = 0


def _nothing(_: AccountKey) -> int:
    return 0


class WriterTable:
    """The writers of a database. Within its transactions."""

    def __init__(self, sql: Sql, interned: Interned, leases: LeaseTable) -> None:
        self._sql = sql
        self._interned = interned
        self._leases = leases
        self._watch: Callable[[list[Posted]], None] | None = None

    def watch(self, call: Callable[[list[Posted]], None]) -> None:
        """Have it called after each `write` with what that has done to accounts, in the same
        transaction."""
        self._watch = call

    def open(self, name: str, now_ns: int) -> tuple[int, Place]:
        """A writer's number, and how far its journal is folded. It counts as open until `close`."""
        self._sql.execute(
            "INSERT INTO writers (name, head, is_open, seen_at_ns) VALUES (?, ?, 1, ?)"
            " ON CONFLICT (name) DO UPDATE SET is_open = 1, seen_at_ns = excluded.seen_at_ns",
            (name, GENESIS, now_ns),
        )
        row = self._sql.execute(
            "SELECT id, segment, position FROM writers WHERE name = ?", (name,)
        ).fetchone()
        if row is None:
            raise AssertionError(f"writer {name} was opened, and is not there")
        return int(row[0]), Place(row[1], row[2])

    def seen(self, writer_id: int, now_ns: int) -> bool:
        """Say that a writer is alive. False if it was written off meanwhile: it is open again."""
        was_open = self._sql.execute(
            "UPDATE writers SET seen_at_ns = ? WHERE id = ? AND is_open = 1", (now_ns, writer_id)
        ).rowcount
        if not was_open:
            self._sql.execute(
                "UPDATE writers SET is_open = 1, seen_at_ns = ? WHERE id = ?", (now_ns, writer_id)
            )
        return bool(was_open)

    def close(self, writer_id: int, now_ns: int) -> None:
        """It stops: its journal is folded, and its leases are returned."""
        self._sql.execute(
            "UPDATE writers SET is_open = 0, seen_at_ns = ? WHERE id = ?", (now_ns, writer_id)
        )

    def move(self, writer_id: int, before: Place, after: Place, now_ns: int) -> None:
        """Say that the journal is folded up to a place. Raises AlreadyFolded."""
        moved = self._sql.execute(
            "UPDATE writers SET segment = ?, position = ?, seen_at_ns = ?"
            " WHERE id = ? AND segment = ? AND position = ?",
            (*after, now_ns, writer_id, *before),
        )
        if moved.rowcount != 1:
            row = self._sql.execute(
                "SELECT segment, position FROM writers WHERE id = ?", (writer_id,)
            ).fetchone()
            raise AlreadyFolded(Place(row[0], row[1]) if row else before)

    def has(self, attempt_id: str) -> bool:
        """Whether an attempt has ended, as far as entries are kept."""
        found = self._sql.execute("SELECT 1 FROM entries WHERE attempt_id = ?", (attempt_id,))
        return found.fetchone() is not None

    def write(
        self,
        writer_id: int,
        ends: Iterable[tuple[Held, Ended]],
        held_now: Callable[[AccountKey], int] = _nothing,
    ) -> list[Posted]:
        """Write the entries of attempts that have ended, and what follows from them.

        held_now: what the writer's open holds have of an account at this moment.
        """
        row = self._sql.execute(
            "SELECT seq, head FROM writers WHERE id = ?", (writer_id,)
        ).fetchone()
        if row is None:
            raise AssertionError(f"there is no writer {writer_id}")
        seq, head = int(row[0]), bytes(row[1])
        rows: list[Sequence[Value]] = []
        changes: dict[AccountKey, _Change] = {}
        quarters: dict[tuple[int, int], Sums] = {}
        for held, ended in ends:
            seq += 1
            subject = self._interned.subject(held.subject)
            draws = self._interned.draws(booked(held))
            columns = self._entry(held, ended)
            columns[_SUBJECT_AT], columns[_DRAWS_AT] = subject.text, draws.text
            head = chained(head, canonical(columns))
            columns[_SUBJECT_AT], columns[_DRAWS_AT] = subject.id, draws.id
            rows.append((*columns, writer_id, seq, head))
            _change(changes, held, ended)
            if ended.kind is Kind.POSTED:
                quarter, sums = (quarter_of(held.at_ns), subject.id), _sums(held, ended)
                before = quarters.get(quarter)
                quarters[quarter] = sums if before is None else added(before, sums)
        self._sql.insert("entries", ENTRY, rows)
        self._sql.execute(
            "UPDATE writers SET seq = ?, head = ? WHERE id = ?", (seq, head, writer_id)
        )
        upsert(self._sql, in_steps(quarters))
        subjects = {subject_id for _, subject_id in quarters}
        outlines.add(self._sql, quarters, {one: self._interned.outlined(one) for one in subjects})
        posts = self._balance(writer_id, changes, held_now)
        if self._watch is not None:
            self._watch(posts)
        return posts

    def posted(self, ends: Iterable[tuple[Held, Ended]]) -> list[Posted]:
        """What `write` has returned for these, if nobody has heard it."""
        changes: dict[AccountKey, _Change] = {}
        for held, ended in ends:
            _change(changes, held, ended)
        found = []
        for key, change in changes.items():
            row = self._sql.execute(
                "SELECT posted, pending, leased FROM accounts WHERE id = ?",
                (self._interned.account(key),),
            ).fetchone() or (0, 0, 0)
            found.append(
                Posted(key, change.spent, change.spent - change.covered, row[0], row[1], row[2])
            )
        return found

    def _entry(self, held: Held, ended: Ended) -> list[Value]:
        """The columns of CHAINED, but for those that name a subject and accounts."""
        charge = ended.charge or _NO_CHARGE
        usage = ended.usage or _NO_USAGE
        posted = ended.kind is Kind.POSTED
        effective = charge[1] or 0
        return [
            held.attempt_id,
            held.request_id,
            held.at_ns,
            ended.at_ns,
            ended.kind.value,
            ended.reason,
            None,
            None,
            self._interned.card(ended.card or held.card),
            int(held.streamed),
            held.batch,
            *usage[:6],
            *charge,
            held.worst_case,
            overrun(Money(held.worst_case), Money(effective)),
            held.most_tokens,
            tokens_of(held, ended),
            int(posted and held.is_counted),
            int(ended.estimated),
            ended.ttft_ms,
            ended.total_ms,
            usage[6] if len(usage) > _COUNTS_7 else None,
            *_drawn(held, ended),
        ]

    def _balance(
        self,
        writer_id: int,
        changes: Mapping[AccountKey, _Change],
        held_now: Callable[[AccountKey], int],
    ) -> list[Posted]:
        ids = {key: self._interned.account(key) for key in changes}
        # In the order of their numbers, as grants lock them.
        ordered = sorted(changes, key=ids.__getitem__)
        found: list[Posted] = []
        for first in range(0, len(ordered), _ACCOUNTS_AT_ONCE):
            few = ordered[first : first + _ACCOUNTS_AT_ONCE]
            found += self._balance_few(writer_id, few, ids, changes, held_now)
        return found

    def _balance_few(
        self,
        writer_id: int,
        keys: Sequence[AccountKey],
        ids: Mapping[AccountKey, int],
        changes: Mapping[AccountKey, _Change],
        held_now: Callable[[AccountKey], int],
    ) -> list[Posted]:
        if self._sql.dialect is Dialect.POSTGRES:  # what updates many takes them in any order
            self._sql.execute(
                f"SELECT id FROM accounts WHERE id IN ({marks(len(keys))}) ORDER BY id FOR UPDATE",
                [ids[key] for key in keys],
            )
        covered = self._leases.lessen(
            writer_id, [Take(ids[key], changes[key].covered, held_now(key)) for key in keys]
        )
        rows = ", ".join(["(?, ?, ?)"] * len(keys))
        balances = self._sql.execute(
            "UPDATE accounts SET posted = posted + change.column2, leased = leased - change.column3"
            f" FROM (VALUES {rows}) AS change WHERE id = change.column1"
            " RETURNING id, posted, pending, leased",
            [one for key in keys for one in (ids[key], changes[key].spent, covered[ids[key]])],
        )
        now = {row[0]: row[1:] for row in balances.fetchall()}
        if len(now) != len(keys):
            raise AssertionError(f"one of the accounts {keys} is gone")
        return [
            Posted(key, change.spent, change.spent - change.covered, *now[ids[key]])
            for key in keys
            for change in (changes[key],)
        ]


def _drawn(held: Held, ended: Ended) -> tuple[str | None, int | None, int | None]:
    """The columns of DRAW: what was beyond the quota is counted apart."""
    if held.draw is None or ended.kind is not Kind.POSTED:
        return (None, None, None)
    drawn = (0, ended.micro_units) if held.draw.is_overage else (ended.micro_units, 0)
    return (held.draw.commitment, *drawn)


def booked(held: Held) -> tuple[AccountKey, ...]:
    """The accounts that an entry names: those of rates are limits, and nobody audits them."""
    return tuple([key for key, _ in held.accounts if not is_rate(key)])


def tokens_of(held: Held, ended: Ended) -> int:
    """What an entry takes of accounts that count tokens."""
    if ended.kind is not Kind.POSTED:
        return 0
    prompt, completion = (ended.usage or _NO_USAGE)[:2]
    if prompt is None or completion is None:
        return held.most_tokens
    return prompt + completion


def _change(changes: dict[AccountKey, _Change], held: Held, ended: Ended) -> None:
    nothing = (0,) * len(held.accounts)
    spends, gaps = ended.spent or nothing, ended.uncovered or nothing
    for (key, _), spent, uncovered in zip(held.accounts, spends, gaps, strict=True):
        change = changes.get(key)
        if change is None:
            change = changes[key] = _Change()
        change.spent += spent
        change.covered += spent - uncovered


def _sums(held: Held, ended: Ended) -> Sums:
    """What it adds to its rollups."""
    prompt, completion, cached, written, reasoning = (ended.usage or _NO_USAGE)[:5]
    billed, effective, contracted, listed, first_offer, cheapest = ended.charge or _NO_CHARGE
    own = effective or 0
    return (
        1,
        prompt or 0,
        completion or 0,
        cached or 0,
        written or 0,
        reasoning or 0,
        billed or 0,
        own,
        contracted or 0,
        listed or 0,
        own if first_offer is None else first_offer,
        own if cheapest is None else cheapest,
        max(0, own - held.worst_case),
        int(ended.estimated),
    )


_COLUMNS = ENTRY.split(", ")
_SUBJECT_AT, _DRAWS_AT = _COLUMNS.index("subject_id"), _COLUMNS.index("draws_id")
