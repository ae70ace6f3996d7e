"""The audit of entries: each on its writer's chain, as it was written, and charged by its card.

Entries are read once, in the order of their chains, and not kept: what is remembered of them grows
with the accounts that they draw on, not with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import msgspec

from ledger.audit_charges import audit_charge, audit_draw
from ledger.databases.sql import Row, Sql, Value
from ledger.entries import Kind
from ledger.errors import NotAPrice
from ledger.findings import Findings
from ledger.rates import RateCard
from ledger.statements import Head
from ledger.tables.chain import GENESIS, canonical, chained, drawn_text
from ledger.tables.commitments import CommitmentTable
from ledger.tables.ddl import ENTRY, PRICES

K = TypeVar("K", int, str)
V = TypeVar("V")

_REMEMBERED = 100_000


@dataclass(slots=True)
class Taken:
    """What entries (or holds) took of the accounts that they draw on, by measure."""

    nanos: int = 0
    tokens: int = 0
    requests: int = 0
    parallel: int = 0
    units: int = 0


@dataclass(slots=True)
class EntriesAudit:
    """What was read. taken: by the id of the draws. heads_gone: of the heads that were to be
    looked for, how many lie in what retention has deleted, so that nothing can be said of them."""

    entries: int = 0
    charges: int = 0
    effective: int = 0
    overrun: int = 0
    heads_gone: int = 0
    taken: dict[int, Taken] = field(default_factory=dict)


def audit_entries(sql: Sql, findings: Findings, known_heads: Iterable[Head]) -> EntriesAudit:
    """Walk every chain from its checkpoint, or its beginning, to its head. Within a `view`."""
    audit = EntriesAudit()
    chains = _chains(sql, findings, known_heads)
    names = _Names(sql)
    chain: _Chain | None = None
    for row in sql.stream(f"SELECT {ENTRY} FROM entries ORDER BY writer_id, seq"):
        audit.entries += 1
        writer_id, seq, found_hash = row[35:]
        if chain is None or chain.writer_id != writer_id:
            chain = chains.get(writer_id)
            if chain is None:
                name = f"writer {writer_id}"
                findings.add(name, "is not there, but has entries")
                chain = chains[writer_id] = _Chain(writer_id, name, 0, GENESIS, None, findings)
        subject, drawn = names.subject(row[6]), names.drawn(row[7])
        if subject is None:
            findings.add(row[0], f"names subject {row[6]}, which is not there")
        if drawn is None:
            findings.add(row[0], f"draws on the accounts {row[7]}, which are not there")
        text = canonical([*row[:6], subject, drawn, *row[8:35]])
        chain.follow(row[0], seq, found_hash, text)
        taken = audit.taken.get(row[7])
        if taken is None:
            taken = audit.taken[row[7]] = Taken()
        taken.nanos += row[18]
        taken.tokens += row[26]
        taken.requests += row[27]
        taken.units += (row[33] or 0) + (row[34] or 0)
        audit.effective += row[18]
        audit.overrun += row[24]
        if row[4] == Kind.POSTED:
            audit.charges += 1
            audit_charge(row, names.card(row[8]), findings)
            if row[32] is not None:
                audit_draw(row, names.commitment(row[32]), findings)
        elif any(row[17:21]) or any(row[26:28]) or row[24] or row[32]:
            findings.add(row[0], f"was {row[4]}, but charged")
    for chain in chains.values():
        chain.end()
        audit.heads_gone += chain.heads_gone
    return audit


# -- chains


class _Chain:
    """A writer's chain, as far as it has been followed."""

    def __init__(
        self,
        writer_id: int,
        name: str,
        seq: int,
        last_hash: bytes,
        end: tuple[int, bytes] | None,
        findings: Findings,
    ) -> None:
        self.writer_id = writer_id
        self.heads_gone = 0
        self._name = name
        self._seq = seq
        self._hash = last_hash
        self._end = end
        self._findings = findings
        self._heads: dict[int, bytes] = {}

    def expect(self, head: Head) -> None:
        """Look for a head on what is to come. Only before the first entry."""
        if head.seq < self._seq:
            self.heads_gone += 1
        elif self._heads.setdefault(head.seq, head.hash) != head.hash:
            self._rewritten(head.seq)
        elif head.seq == self._seq:
            self._meet(self._seq, self._hash)

    def follow(self, attempt_id: str, seq: int, found_hash: bytes, row: bytes) -> None:
        missing = seq - self._seq - 1
        if missing:
            self._findings.add(attempt_id, _out_of_order(seq, missing, self._name))
        elif found_hash != chained(self._hash, row):
            self._findings.add(
                attempt_id,
                f"is not as it was written, or does not follow the entry before it in {self._name}",
            )
        # From its own hash on: one edited entry is one finding, not all that come after it.
        self._seq, self._hash = seq, found_hash
        if seq in self._heads:
            self._meet(seq, found_hash)

    def end(self) -> None:
        if self._end is not None and self._end != (self._seq, self._hash):
            written, _ = self._end
            what = f"ends at entry {self._seq}, but {written} were written"
            if written == self._seq:
                what = "does not end in the hash that its writer has"
            self._findings.add(f"chain of {self._name}", what)
        for seq in self._heads:
            self._rewritten(seq)

    def _meet(self, seq: int, found_hash: bytes) -> None:
        if self._heads.pop(seq) != found_hash:
            self._rewritten(seq)

    def _rewritten(self, seq: int) -> None:
        self._findings.add(
            f"chain of {self._name}",
            f"does not hold the head that was given for entry {seq}: it was written anew",
        )


def _out_of_order(seq: int, missing: int, name: str) -> str:
    if missing < 0:
        return f"has the number {seq} in {name}, which is another entry's, or was retired"
    if missing == 1:
        return f"has the number {seq} in {name}: the entry before it is missing"
    return f"has the number {seq} in {name}: the {missing} entries before it are missing"


def _chains(sql: Sql, findings: Findings, known_heads: Iterable[Head]) -> dict[int, _Chain]:
    """Those of all writers, each at its checkpoint, or its beginning."""
    checkpoints: dict[int, tuple[int, bytes]] = {}
    for writer_id, seq, last_hash in sql.execute(
        "SELECT writer_id, seq, hash FROM checkpoints ORDER BY writer_id, seq"
    ).fetchall():
        if writer_id in checkpoints:
            findings.add(f"writer {writer_id}", "has more than one checkpoint")
        checkpoints[writer_id] = (seq, bytes(last_hash))
    chains: dict[int, _Chain] = {}
    by_name: dict[str, _Chain] = {}
    for writer_id, name, seq, head in sql.execute(
        "SELECT id, name, seq, head FROM writers ORDER BY id"
    ).fetchall():
        first, last_hash = checkpoints.get(writer_id, (0, GENESIS))
        chain = _Chain(writer_id, name, first, last_hash, (seq, bytes(head)), findings)
        chains[writer_id] = by_name[name] = chain
    for one in known_heads:
        if one.writer in by_name:
            by_name[one.writer].expect(one)
        else:
            findings.add(f"chain of {one.writer}", "is not there, but a head was given for it")
    return chains


# -- what entries name


class _Names:
    """What the numbers in entries stand for, the latest remembered; None if it is not there."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self.subject = _remembered(self._subject)
        self.drawn = _remembered(self._drawn)
        self.card = _remembered(self._card)
        self.commitment = _remembered(CommitmentTable(sql).one)

    def _one(self, statement: str, value: Value) -> Row | None:
        return self._sql.execute(statement, (value,)).fetchone()

    def _subject(self, subject_id: int) -> str | None:
        row = self._one("SELECT key FROM subjects WHERE id = ?", subject_id)
        return None if row is None else str(row[0])

    def _drawn(self, draws_id: int) -> str | None:
        row = self._one("SELECT accounts FROM draws WHERE id = ?", draws_id)
        ids = None if row is None else account_ids(row[0])
        if ids is None:
            return None
        keys = [
            self._one(
                "SELECT budget, measure, member, time_window, window_start_ns FROM accounts"
                " WHERE id = ?",
                one,
            )
            for one in ids
        ]
        found = [key for key in keys if key is not None]
        return drawn_text(found) if len(found) == len(ids) else None

    def _card(self, version: str) -> RateCard | None:
        row = self._one(f"SELECT {PRICES} FROM rate_cards WHERE version = ?", version)
        try:
            return None if row is None else RateCard.of_row(row)
        except NotAPrice:
            return None


def _remembered(read: Callable[[K], V]) -> Callable[[K], V]:
    return lru_cache(maxsize=_REMEMBERED)(read)


def account_ids(text: str) -> tuple[int, ...] | None:
    """The accounts of a row of draws; None if it is no JSON array of numbers, ascending."""
    try:
        ids = msgspec.json.decode(text, type=tuple[int, ...])
    except msgspec.DecodeError:
        return None
    is_ours = msgspec.json.encode(sorted(set(ids))) == text.encode()
    return ids if is_ours else None
