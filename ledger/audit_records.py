"""The audit of the hedge's book: each record on its chain, as it was written, and balanced."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.accounting import GlAccount
from ledger.databases.sql import Sql
from ledger.findings import Findings
from ledger.money import Money, usd_text
from ledger.statements import RECORDS_CHAIN, Head
from ledger.tables.chain import GENESIS, chained
from ledger.tables.records import RECORD, canonical

_CHAIN = f"chain of {RECORDS_CHAIN}"
_NOT_RECORDS = ("margin:%", "funding:%")
"""What lines may be about beside records: deposits with somebody, the funding of a contract."""


def audit_records(sql: Sql, findings: Findings, known_heads: Iterable[Head]) -> int:
    """Walk the chain from its beginning to its head, and look at what lines name; how many records
    there are. Within a `view`."""
    heads = {one.seq: one.hash for one in known_heads}
    accounts = {str(one) for one in GlAccount}
    last, last_hash = 0, GENESIS
    for seq, *record, found_hash in sql.execute(
        f"SELECT seq, {RECORD}, hash FROM records ORDER BY seq"
    ).fetchall():
        name = record[0]
        lines = sql.execute(
            "SELECT account, amount_nanos, about FROM record_lines WHERE seq = ? ORDER BY place",
            (seq,),
        ).fetchall()
        if seq != last + 1:
            findings.add(name, f"has the number {seq} in the hedge's book, after {last}")
        elif chained(last_hash, canonical(record, lines)) != bytes(found_hash):
            findings.add(name, "is not as it was written, or does not follow the record before it")
        if total := sum(amount for _, amount, _ in lines):
            findings.add(name, f"its lines sum to {usd_text(Money(total))} USD, not to 0")
        for account in {one for one, _, _ in lines} - accounts:
            findings.add(name, f"moves {account}, which is no account")
        last, last_hash = seq, bytes(found_hash)
        if heads.pop(seq, last_hash) != last_hash:
            findings.add(_CHAIN, f"does not hold the head that was given for record {seq}")
    head = sql.execute("SELECT seq, hash FROM record_head").fetchone()
    written = (0, GENESIS) if head is None else (head[0], bytes(head[1]))
    if written != (last, last_hash):
        findings.add(_CHAIN, f"ends at record {last}, but {written[0]} were written")
    for seq in heads:
        findings.add(_CHAIN, f"does not hold the head that was given for record {seq}")
    _names(sql, findings)
    return last


def _names(sql: Sql, findings: Findings) -> None:
    others = " AND ".join(f"about NOT LIKE '{one}'" for one in _NOT_RECORDS)
    for (about,) in sql.execute(
        f"SELECT DISTINCT about FROM record_lines WHERE {others} AND NOT EXISTS"
        " (SELECT * FROM records WHERE record_id = about)"
    ).fetchall():
        findings.add(f"lines about {about}", "name a record that is not there")
