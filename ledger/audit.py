"""Audit: recompute the books from their rows, and name every place where they disagree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.errors import NotAPrice, UsageUnknown
from ledger.money import Money, usd_text
from ledger.rates import RateCard
from ledger.schema import PRICES, SUBJECT, USAGE
from ledger.sqlite_store import SqliteStore
from ledger.usage import TokenUsage


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement: which rows, and what is wrong with them."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What was recomputed, and what did not agree. Verified means: nothing."""

    accounts: int
    attempts: int
    charges: int
    open_holds: int
    overrun: Money
    findings: tuple[Finding, ...]

    @property
    def verified(self) -> bool:
        return not self.findings


def verify(store: SqliteStore) -> Audit:
    """Recompute every balance and every charge from the rows, in one consistent view of them."""
    with store.view():
        findings = (
            *_database(store),
            *_balances(store),
            *_pairs(store),
            *_cards(store),
            *_charges(store),
        )
        count = store.database.execute
        return Audit(
            accounts=count("SELECT count(*) FROM accounts").fetchone()[0],
            attempts=count("SELECT count(*) FROM holds").fetchone()[0],
            charges=count("SELECT count(*) FROM usage").fetchone()[0],
            open_holds=count(
                "SELECT count(*) FROM holds LEFT JOIN resolutions USING (attempt_id)"
                " WHERE kind IS NULL"
            ).fetchone()[0],
            overrun=Money(count("SELECT coalesce(sum(overrun_nanos), 0) FROM usage").fetchone()[0]),
            findings=findings,
        )


def _database(store: SqliteStore) -> Iterator[Finding]:
    for (problem,) in store.database.execute("PRAGMA quick_check"):
        if problem != "ok":
            yield Finding("database", str(problem))
    for table, row, parent, _ in store.database.execute("PRAGMA foreign_key_check"):
        yield Finding(f"{table} row {row}", f"names a row of {parent} that is not there")


def _balances(store: SqliteStore) -> Iterator[Finding]:
    """Posted is the sum of what was posted; pending the sum of the holds not yet resolved."""
    for budget, member, posted, pending, posted_rows, pending_rows in store.database.execute(
        """SELECT budget, member, posted_nanos, pending_nanos,
            coalesce(sum(CASE WHEN kind = 'posted' THEN resolutions.amount_nanos END), 0),
            coalesce(sum(CASE WHEN kind IS NULL THEN holds.amount_nanos END), 0)
        FROM accounts LEFT JOIN hold_accounts ON account_id = accounts.id
            LEFT JOIN holds USING (attempt_id) LEFT JOIN resolutions USING (attempt_id)
        GROUP BY accounts.id"""
    ):
        name = f"account {budget} {member}".strip()
        if posted != posted_rows:
            yield Finding(name, f"posted is {_usd(posted)}, its rows sum to {_usd(posted_rows)}")
        if pending != pending_rows:
            yield Finding(
                name, f"pending is {_usd(pending)}, its holds sum to {_usd(pending_rows)}"
            )


def _pairs(store: SqliteStore) -> Iterator[Finding]:
    """Each posted hold has one row of usage with the same amount; nothing else has one.

    What the row says of its attempt is what the hold said.
    """
    for attempt_id, kind, amount, effective in store.database.execute(
        """SELECT attempt_id, kind, amount_nanos, effective_nanos
        FROM resolutions LEFT JOIN usage USING (attempt_id)
        WHERE (kind = 'posted') IS NOT (effective_nanos IS NOT NULL)
            OR amount_nanos != coalesce(effective_nanos, 0)"""
    ):
        yield Finding(
            attempt_id,
            f"was {kind} at {_usd(amount)}, but its usage says "
            + ("nothing" if effective is None else _usd(effective)),
        )
    for (attempt_id,) in store.database.execute(
        f"SELECT attempt_id FROM usage JOIN holds USING (attempt_id)"
        f" WHERE ({_said_by('usage')}, held_nanos) IS NOT ({_said_by('holds')}, amount_nanos)"
    ):
        yield Finding(attempt_id, "its usage and its hold disagree on who asked, when, or how much")


def _cards(store: SqliteStore) -> Iterator[Finding]:
    """A card's version is made of its prices: other prices would have another version."""
    for version, *prices in store.database.execute(f"SELECT version, {PRICES} FROM rate_cards"):
        if version != _version(prices):
            yield Finding(f"rate card {version}", "has other prices than it was made with")


def _version(prices: list[str | None]) -> str | None:
    try:
        return RateCard.of_row(prices).version
    except NotAPrice:
        return None


def _charges(store: SqliteStore) -> Iterator[Finding]:
    """Each charge is what its card makes of its usage; one without a count that the card needs is
    an estimate, and its whole hold.

    Billed and contracted are the same amount, as long as there are no contracts to charge against.
    """
    rows = store.database.execute(
        f"""SELECT attempt_id, effective_nanos, billed_nanos, contracted_nanos, held_nanos,
            overrun_nanos, estimated, {USAGE}, {PRICES}
        FROM usage JOIN rate_cards ON version = rate_card"""
    )
    for attempt_id, effective, billed, contracted, held, over, estimated, *rest in rows:
        try:
            expected = int(RateCard.of_row(rest[6:]).charge(TokenUsage(*rest[:6])))
        except NotAPrice:
            continue  # `_cards` has named it
        except UsageUnknown:
            if not estimated:
                yield Finding(attempt_id, "was charged without a count of what it used")
                continue
            expected = held
        if effective != expected:
            yield Finding(attempt_id, f"charged {_usd(effective)}, its card says {_usd(expected)}")
        if (billed, contracted) != (effective, effective):
            amounts = f"{_usd(billed)} billed, {_usd(contracted)} contracted"
            yield Finding(attempt_id, f"{amounts}, but {_usd(effective)} effective")
        if over != max(0, effective - held):
            yield Finding(attempt_id, f"overrun {_usd(over)} of a hold of {_usd(held)}")


def _said_by(table: str) -> str:
    columns = ("request_id", "at_ns", *SUBJECT.split(", "))
    return ", ".join(f"{table}.{one}" for one in columns)


def _usd(nanos: int) -> str:
    return f"{usd_text(Money(nanos))} USD"
