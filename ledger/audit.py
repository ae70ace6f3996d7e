"""Audit: recompute the books from their rows, and name every place where they disagree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from ledger.audit_entries import EntriesAudit, Taken, account_ids, audit_entries
from ledger.audit_fees import audit_fees
from ledger.audit_outlines import audit_outlines
from ledger.audit_records import audit_records
from ledger.audit_rollups import audit_rollups
from ledger.budgets import is_rate
from ledger.databases.sql import Dialect, Sql
from ledger.errors import NotAPrice
from ledger.findings import Finding, Findings
from ledger.measures import Measure
from ledger.money import Money, usd_text
from ledger.rates import RateCard
from ledger.statements import RECORDS_CHAIN, Head
from ledger.tables.ddl import PRICES, SUBJECT
from ledger.tables.rollups import ENTRIES_S, NANOS_PER_S


@dataclass(frozen=True, slots=True)
class Audit:
    """What was recomputed, and what did not agree. Verified means: nothing.

    attempts: those that have ended and still have a row, and those of open holds in the books.
    retired: entries that retention has deleted; their sums are in the balances.
    heads: how many were looked for on their chains. heads_gone: those of them that lie in what
    retention has deleted: of these, nothing can be said.
    records: of the hedge's book, each with what it moves.
    findings: the first thousand; places: how many there are.
    """

    accounts: int
    attempts: int
    charges: int
    open_holds: int
    overrun: Money
    retired: int
    heads: int
    heads_gone: int
    records: int
    places: int
    findings: tuple[Finding, ...]

    @property
    def verified(self) -> bool:
        return not self.places


def verify(sql: Sql, known_heads: Iterable[Head] = ()) -> Audit:
    """Recompute every chain, charge, balance and rollup from the rows, in one view of them.

    known_heads: what `heads` has said earlier, and was kept elsewhere: each must lie on its chain.
    Memory grows with subjects and accounts, not with entries.
    """
    known_heads = tuple(known_heads)
    findings = Findings()
    with sql.view():
        _database(sql, findings)
        _names(sql, findings)
        of_writers = [one for one in known_heads if one.writer != RECORDS_CHAIN]
        entries = audit_entries(sql, findings, of_writers)
        retired, retired_nanos = _retired(sql, findings, entries.taken)
        open_holds, held = _holds(sql, findings)
        accounts = _balances(sql, findings, entries.taken, held)
        _leases(sql, findings)
        audit_rollups(sql, findings, entries.effective + retired_nanos)
        audit_fees(sql, findings)
        audit_outlines(sql, findings)
        of_records = [one for one in known_heads if one.writer == RECORDS_CHAIN]
        records = audit_records(sql, findings, of_records)
    return _audit(findings, entries, accounts, open_holds, retired, len(known_heads), records)


def _audit(
    findings: Findings,
    entries: EntriesAudit,
    accounts: int,
    open_holds: int,
    retired: int,
    known_heads: int,
    records: int,
) -> Audit:
    return Audit(
        accounts=accounts,
        attempts=entries.entries + open_holds,
        charges=entries.charges,
        open_holds=open_holds,
        overrun=Money(entries.overrun),
        retired=retired,
        heads=known_heads,
        heads_gone=entries.heads_gone,
        records=records,
        places=findings.count,
        findings=tuple(findings.kept),
    )


# -- what rows name, and are named by

_PARENTS = (
    ("holds", "subject_id", "subjects", "id"),
    ("holds", "draws_id", "draws", "id"),
    ("holds", "rate_card", "rate_cards", "version"),
    ("dispatches", "attempt_id", "holds", "attempt_id"),
    ("leases", "writer_id", "writers", "id"),
    ("leases", "account_id", "accounts", "id"),
    ("write_offs", "writer_id", "writers", "id"),
    ("write_offs", "account_id", "accounts", "id"),
    ("checkpoints", "writer_id", "writers", "id"),
    ("retired", "draws_id", "draws", "id"),
)
"""Table and column, and what they name. Entries and rollups are looked at one by one."""


def _database(sql: Sql, findings: Findings) -> None:
    if sql.dialect is Dialect.SQLITE:
        for (problem,) in sql.execute("PRAGMA quick_check").fetchall():
            if problem != "ok":
                findings.add("database", str(problem))
    for table, column, parent, key in _PARENTS:
        for (value,) in sql.execute(
            f"SELECT DISTINCT {column} FROM {table} WHERE NOT EXISTS"
            f" (SELECT * FROM {parent} WHERE {parent}.{key} = {table}.{column})"
        ).fetchall():
            findings.add(
                f"{table} with {column} {value}", f"names a row of {parent} that is not there"
            )


def _names(sql: Sql, findings: Findings) -> None:
    """A card's version is made of its prices, a subject's key of its columns: others would have
    another."""
    for version, *prices in sql.execute(f"SELECT version, {PRICES} FROM rate_cards").fetchall():
        if version != _version(prices):
            findings.add(f"rate card {version}", "has other prices than it was made with")
    for subject_id, key, *columns in sql.stream(f"SELECT id, key, {SUBJECT} FROM subjects"):
        if key != _key(columns):
            findings.add(f"subject {subject_id}", "has other columns than its key says")
    for draws_id, text in sql.stream("SELECT id, accounts FROM draws"):
        if account_ids(text) is None:
            findings.add(f"draws {draws_id}", "is no list of accounts")


def _version(prices: list[str | None]) -> str | None:
    try:
        return RateCard.of_row(prices).version
    except NotAPrice:
        return None


def _key(columns: list[str | None]) -> str | None:
    org, team, project, user, key_id, tags, *rest = columns
    try:
        names = msgspec.json.decode(tags or "", type=list[str])
    except msgspec.DecodeError:
        return None
    return msgspec.json.encode([org, team, project, user, key_id, names, *rest]).decode()


# -- balances


def _retired(sql: Sql, findings: Findings, taken: dict[int, Taken]) -> tuple[int, int]:
    """Adds what retention has left to what entries took. How many it deleted, and their cost."""
    retired = cost = 0
    for draws_id, entries, nanos, tokens, requests, micro_units in sql.execute(
        "SELECT draws_id, entries, effective_nanos, tokens, requests, micro_units FROM retired"
    ).fetchall():
        retired += entries
        cost += nanos
        of = taken.setdefault(draws_id, Taken())
        of.nanos += nanos
        of.tokens += tokens
        of.requests += requests
        of.units += micro_units
    rows = sql.execute("SELECT seq, at_ns FROM checkpoints").fetchall()
    if retired != sum(seq for seq, _ in rows):
        findings.add(
            "retired",
            f"tells of {retired} entries, the checkpoints of {sum(seq for seq, _ in rows)}",
        )
    aged = sql.execute("SELECT before_ns FROM aged WHERE step_s = ?", (ENTRIES_S,)).fetchone()
    latest = max((at_ns for _, at_ns in rows), default=None)
    if latest != (None if aged is None else aged[0]):
        findings.add("aged", "its time for entries is not that of the latest checkpoint")
    return retired, cost


def _holds(sql: Sql, findings: Findings) -> tuple[int, dict[int, Taken]]:
    """How many holds of the books are open, and what they reserve by their draws. A hold that has
    ended has an entry that says the same."""
    for (attempt_id,) in sql.execute(
        "SELECT holds.attempt_id FROM holds JOIN entries USING (attempt_id)"
        " WHERE holds.request_id <> entries.request_id OR holds.at_ns <> entries.at_ns"
        " OR holds.subject_id <> entries.subject_id OR holds.draws_id <> entries.draws_id"
        " OR holds.streamed <> entries.streamed OR amount_nanos <> held_nanos"
        " OR coalesce(holds.batch, '') <> coalesce(entries.batch, '')"
        " OR holds.tokens <> held_tokens"
        " OR kind = 'posted' AND holds.requests <> entries.requests"
    ).fetchall():
        findings.add(attempt_id, "its entry and its hold disagree on who asked, when, or how much")
    held: dict[int, Taken] = {}
    open_holds = 0
    for draws_id, nanos, tokens, requests in sql.stream(
        "SELECT draws_id, amount_nanos, tokens, requests FROM holds"
        " WHERE NOT EXISTS (SELECT * FROM entries WHERE entries.attempt_id = holds.attempt_id)"
    ):
        open_holds += 1
        of = held.setdefault(draws_id, Taken())
        of.nanos += nanos
        of.tokens += tokens
        of.requests += requests
        of.parallel += 1
    return open_holds, held


def _balances(sql: Sql, findings: Findings, taken: dict[int, Taken], held: dict[int, Taken]) -> int:
    """Posted is the sum of what entries took, pending of the open holds, leased of the leases.

    What an account has posted that only limits a rate, no entry says."""
    posted_by, pending_by = _by_account(sql, taken), _by_account(sql, held)
    nothing = Taken()
    accounts = 0
    for account_id, budget, measure, member, window, start_ns, *found, slices in sql.stream(
        "SELECT id, budget, measure, member, time_window, window_start_ns, posted, pending, leased,"
        " (SELECT coalesce(sum(amount), 0) FROM leases WHERE account_id = accounts.id)"
        " FROM accounts ORDER BY id"
    ):
        accounts += 1
        name = _account_name(budget, member, window, start_ns)
        try:
            counts = Measure(measure)
        except ValueError:
            findings.add(name, f"counts {measure}, which is nothing that budgets count")
            continue
        posted = _spent(posted_by.pop(account_id, nothing), counts)
        if is_rate((budget, measure, member, window, start_ns)):
            posted = found[0]  # entries do not name it
        expected = (posted, _held(pending_by.pop(account_id, nothing), counts), slices)
        for what, rows, is_, should in zip(_BALANCES, _ROWS, found, expected, strict=True):
            if is_ != should:
                of = _text(is_, counts), _text(should, counts)
                findings.add(name, f"{what} is {of[0]}, {rows} sum to {of[1]}")
    for account_id in sorted({*posted_by, *pending_by}):
        findings.add(f"account {account_id}", "is not there, but was drawn on")
    return accounts


_BALANCES = ("posted", "pending", "leased")
_ROWS = ("its entries", "its open holds", "its slices")


def _by_account(sql: Sql, by_draws: dict[int, Taken]) -> dict[int, Taken]:
    found: dict[int, Taken] = {}
    for draws_id, text in sql.stream("SELECT id, accounts FROM draws"):
        of = by_draws.get(draws_id)
        if of is None:
            continue
        for account_id in account_ids(text) or ():
            into = found.setdefault(account_id, Taken())
            into.nanos += of.nanos
            into.tokens += of.tokens
            into.requests += of.requests
            into.parallel += of.parallel
            into.units += of.units
    return found


def _spent(of: Taken, measure: Measure) -> int:
    match measure:
        case Measure.USD:
            return of.nanos
        case Measure.TOKENS:
            return of.tokens
        case Measure.REQUESTS:
            return of.requests
        case Measure.PARALLEL:
            return 0
        case Measure.UNITS:
            return of.units


def _held(of: Taken, measure: Measure) -> int:
    return of.parallel if measure is Measure.PARALLEL else _spent(of, measure)


def _leases(sql: Sql, findings: Findings) -> None:
    for writer, budget, member, window, start_ns, amount, held in sql.execute(
        "SELECT name, budget, member, time_window, window_start_ns, amount, held FROM leases"
        " JOIN writers ON writers.id = writer_id JOIN accounts ON accounts.id = account_id"
        " WHERE amount < 0 OR held < 0"
    ).fetchall():
        name = _account_name(budget, member, window, start_ns)
        findings.add(name, f"the slice of {writer} is below zero: {amount}, {held} of it held")


def _account_name(budget: str, member: str, window: str, start_ns: int) -> str:
    since = datetime.fromtimestamp(start_ns // NANOS_PER_S, UTC)
    name = f"account {budget} {member}".strip()
    return f"{name}, {window} from {since:%Y-%m-%d %H:%M} UTC" if start_ns else name


def _text(amount: int, measure: Measure) -> str:
    if measure is Measure.USD:
        return f"{usd_text(Money(amount))} USD"
    return f"{amount} {measure.unit}"
