"""CommitmentTable: the contracts that we own, and what their capacity is worth to later requests.

A commitment is never edited: what was bought stays as it was written. Of bid prices the newest
counts; who set them, and when, stays for those who ask why a request drew, or did not.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ledger.commitment_fees import Fees, fees_by_time
from ledger.commitments import Commitment, CommitmentKind, Covered
from ledger.databases.sql import Row, Sql, marks
from ledger.money import MAX_NANOS, Money
from ledger.tables.commitment_fees import FeeTable

COMMITMENTS = (
    # covers: a JSON array of [provider, model or null].
    """CREATE TABLE commitments (
        id TEXT PRIMARY KEY, contract TEXT NOT NULL, provider TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('quota', 'throughput', 'spend')), covers TEXT NOT NULL,
        units INTEGER NOT NULL, capacity_units INTEGER NOT NULL,
        micro_units_per_prompt INTEGER NOT NULL, micro_units_per_cached INTEGER NOT NULL,
        micro_units_per_completion INTEGER NOT NULL, micro_units_per_request INTEGER NOT NULL,
        starts_ns INTEGER NOT NULL, ends_ns INTEGER NOT NULL, is_monthly INTEGER NOT NULL,
        fee_nanos INTEGER NOT NULL, team_rate_nanos INTEGER NOT NULL, overage_rate_nanos INTEGER,
        apply_order INTEGER NOT NULL
    ) STRICT""",
    # nanos: of a million capacity units.
    """CREATE TABLE bid_prices (
        commitment TEXT NOT NULL REFERENCES commitments, at_ns INTEGER NOT NULL,
        nanos INTEGER NOT NULL CHECK (nanos >= 0), who TEXT NOT NULL,
        PRIMARY KEY (commitment, at_ns)
    ) STRICT""",
)
"""The statements that make them, as those in `ledger.tables.ddl`."""

ENDS = (
    # fee_nanos: of the part that was had. One that ended before it started never was.
    """CREATE TABLE commitment_ends (
        commitment TEXT PRIMARY KEY REFERENCES commitments, at_ns INTEGER NOT NULL,
        fee_nanos INTEGER NOT NULL
    ) STRICT""",
    """CREATE VIEW held_commitments AS
        SELECT id, contract, provider, kind, covers, units, capacity_units, micro_units_per_prompt,
        micro_units_per_cached, micro_units_per_completion, micro_units_per_request, starts_ns,
        coalesce(commitment_ends.at_ns, ends_ns) AS ends_ns, is_monthly,
        coalesce(commitment_ends.fee_nanos, commitments.fee_nanos) AS fee_nanos,
        team_rate_nanos, overage_rate_nanos, apply_order
        FROM commitments LEFT JOIN commitment_ends ON commitment = id
        WHERE coalesce(commitment_ends.at_ns, ends_ns) > starts_ns""",
)
"""Of what was given up before its term was over, sold on or entered by mistake."""

COMMITMENT = (
    "id, contract, provider, kind, covers, units, capacity_units, micro_units_per_prompt,"
    " micro_units_per_cached, micro_units_per_completion, micro_units_per_request, starts_ns,"
    " ends_ns, is_monthly, fee_nanos, team_rate_nanos, overage_rate_nanos, apply_order"
)
"""The columns of a commitment, in the order of Commitment."""

BIDS_KEPT_NS = 400 * 86_400 * 1_000_000_000
"""How long a bid price is kept that no longer counts."""


class CommitmentTable:
    """The commitments of a database. Transactions are the caller's."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def add(
        self, commitment: Commitment, fees: Fees | None = None, at_ns: int | None = None
    ) -> None:
        """fees: when its fee is due, and what it is the cost of; None: by time. at_ns: when it was
        bought; None: when it starts. Raises RowRefused for an id that is there already."""
        row = _row(commitment)
        self._sql.execute(f"INSERT INTO commitments ({COMMITMENT}) VALUES ({marks(len(row))})", row)
        at_ns, table = commitment.starts_ns if at_ns is None else at_ns, FeeTable(self._sql)
        if fees is None:
            table.keep_by_time(commitment.id, fees_by_time(commitment), at_ns)
        else:
            table.keep(commitment.id, fees, at_ns)

    def end(self, commitment_id: str, at_ns: int, fee: Money) -> None:
        """Let it be ours no longer from a moment on, once. fee: of the part that was had.

        Raises RowRefused for one that is not there, or was ended before.
        """
        self._sql.execute(
            "INSERT INTO commitment_ends VALUES (?, ?, ?)", (commitment_id, at_ns, fee)
        )

    def all(self) -> list[Commitment]:
        """Those that are over among them, the first to start first."""
        return self._where("ends_ns > ?", 0)

    def bought(self) -> list[Commitment]:
        """As they were bought, whatever became of them: those that never were ours among them."""
        rows = self._sql.execute(
            f"SELECT {COMMITMENT} FROM commitments ORDER BY starts_ns, id"
        ).fetchall()
        return [_of_row(row) for row in rows]

    def active(self, at_ns: int) -> list[Commitment]:
        """Those whose term has this moment."""
        return self._where("starts_ns <= ? AND ends_ns > ?", at_ns, at_ns)

    def _where(self, condition: str, *values: int) -> list[Commitment]:
        rows = self._sql.execute(
            f"SELECT {COMMITMENT} FROM held_commitments WHERE {condition} ORDER BY starts_ns, id",
            values,
        ).fetchall()
        return [_of_row(row) for row in rows]

    def one(self, commitment_id: str) -> Commitment | None:
        row = self._sql.execute(
            f"SELECT {COMMITMENT} FROM held_commitments WHERE id = ?", (commitment_id,)
        ).fetchone()
        return None if row is None else _of_row(row)

    def set_bid_prices(self, rates: Mapping[str, Money], at_ns: int, who: str) -> int:
        """Let a million capacity units of each of these commitments be worth so much from now on;
        how many were news. who: the program, or whoever set it by hand.

        Raises RowRefused for a commitment that is not there, or a rate below zero.
        """
        now = self.bid_prices()
        news = {name: rate for name, rate in rates.items() if now.get(name) != rate}
        for name, rate in sorted(news.items()):
            self._sql.execute(
                "INSERT INTO bid_prices (commitment, at_ns, nanos, who) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (commitment, at_ns)"
                " DO UPDATE SET nanos = excluded.nanos, who = excluded.who",
                (name, at_ns, rate, who),
            )
            self._sql.execute(
                "DELETE FROM bid_prices WHERE commitment = ? AND at_ns < ?",
                (name, at_ns - BIDS_KEPT_NS),
            )
        return len(news)

    def bid_prices(self, at_ns: int = MAX_NANOS) -> dict[str, Money]:
        """Of each commitment the newest, or the one that counted at a moment: of a million capacity
        units. Of one that has none nobody has said so: 0."""
        rows = self._sql.execute(
            "SELECT commitment, nanos FROM bid_prices AS bid WHERE at_ns ="
            " (SELECT max(at_ns) FROM bid_prices"
            " WHERE commitment = bid.commitment AND at_ns <= ?)",
            (at_ns,),
        ).fetchall()
        return {name: Money(nanos) for name, nanos in rows}


_covers = msgspec.json.Decoder(list[tuple[str, str | None]]).decode


def _row(one: Commitment) -> tuple[str | int | None, ...]:
    covers = [[cover.provider, cover.model] for cover in one.covers]
    return (
        one.id,
        one.contract,
        one.provider,
        one.kind.value,
        msgspec.json.encode(covers).decode(),
        one.units,
        one.capacity_units,
        one.micro_units_per_prompt,
        one.micro_units_per_cached,
        one.micro_units_per_completion,
        one.micro_units_per_request,
        one.starts_ns,
        one.ends_ns,
        int(one.is_monthly),
        one.fee,
        one.team_rate,
        one.overage_rate,
        one.apply_order,
    )


def _of_row(row: Row) -> Commitment:
    name, contract, provider, kind, covers, *numbers = row
    units, capacity, prompt, cached, completion, request, starts_ns, ends_ns, *rest = numbers
    is_monthly, fee, team_rate, overage_rate, apply_order = rest
    return Commitment(
        *(name, contract, provider, CommitmentKind(kind)),
        tuple(Covered(*one) for one in _covers(covers)),
        *(units, capacity, prompt, cached, completion, request, starts_ns, ends_ns),
        is_monthly=bool(is_monthly),
        fee=Money(fee),
        team_rate=Money(team_rate),
        overage_rate=None if overage_rate is None else Money(overage_rate),
        apply_order=apply_order,
    )
