"""FeeTable: what is billed for commitments on which day, and which month they are the cost of.

What was written stays: a resale or a correction writes the whole of it anew, as the next version,
and the newest counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from ledger.commitment_fees import Due, Ending, Fees, GivenUp, MonthCost
from ledger.databases.sql import Row, Sql, Value
from ledger.money import Money

COMMITMENT_FEES = (
    # version: 0 is by time, as nobody has said more. kind: `due` is billed on `day`, for the days
    # before `until`; `cost` is of a month; the others are what was given up on a day, and why.
    # at_ns: when it was written.
    """CREATE TABLE commitment_fees (
        commitment TEXT NOT NULL REFERENCES commitments, version INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('due', 'cost', 'sold', 'part sold', 'taken back')),
        day TEXT NOT NULL, until TEXT NOT NULL, billed_nanos INTEGER NOT NULL,
        cost_nanos INTEGER NOT NULL, at_ns INTEGER NOT NULL,
        PRIMARY KEY (commitment, version, kind, day)
    ) STRICT""",
    """CREATE VIEW held_fees AS SELECT * FROM commitment_fees AS fee WHERE version =
        (SELECT max(version) FROM commitment_fees WHERE commitment = fee.commitment)""",
)
"""The statements that make it, as those in `ledger.tables.ddl`."""

_ROW = "commitment, version, kind, day, until, billed_nanos, cost_nanos, at_ns"
_DUE, _COST = "due", "cost"
BY_TIME = 0
"""The version of fees of which nobody has said more."""


class FeeTable:
    """The fees of a database. Transactions are the caller's."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def keep(self, commitment_id: str, fees: Fees, at_ns: int) -> bool:
        """Write them as the newest version; False if they are there: then nothing changes."""
        version, found = self._newest(commitment_id)
        if found == fees and version != BY_TIME:
            return False
        self._write(commitment_id, max(version, BY_TIME) + 1, fees, at_ns)
        return True

    def keep_by_time(self, commitment_id: str, fees: Fees, at_ns: int) -> None:
        """Write them as what counts until somebody says more. Raises RowRefused if it is there."""
        self._write(commitment_id, BY_TIME, fees, at_ns)

    def one(self, commitment_id: str) -> Fees | None:
        """The newest ones."""
        return self._newest(commitment_id)[1]

    def all(self) -> dict[str, Fees]:
        """The newest ones of each commitment, by its id."""
        return _grouped(self._sql.execute(f"SELECT {_ROW} FROM held_fees ORDER BY {_ROW}"))

    def first(self) -> dict[str, Fees]:
        """As each commitment was bought."""
        return _grouped(
            self._sql.execute(
                f"SELECT {_ROW} FROM commitment_fees AS fee WHERE version = (SELECT"
                " coalesce(min(CASE WHEN version > 0 THEN version END), 0)"
                f" FROM commitment_fees WHERE commitment = fee.commitment) ORDER BY {_ROW}"
            )
        )

    def by_time(self) -> set[str]:
        """The commitments of which nobody has said more than their fee."""
        rows = self._sql.execute(
            "SELECT id FROM commitments LEFT JOIN commitment_fees ON commitment = id GROUP BY id"
            " HAVING coalesce(max(version), ?) = ?",
            (BY_TIME, BY_TIME),
        )
        return {name for (name,) in rows}

    def written(self) -> dict[str, tuple[int, int]]:
        """When the first and the last version of each commitment was written."""
        rows = self._sql.execute(
            "SELECT commitment, min(at_ns), max(at_ns) FROM commitment_fees GROUP BY commitment"
        )
        return {name: (first_ns, last_ns) for name, first_ns, last_ns in rows}

    def _newest(self, commitment_id: str) -> tuple[int, Fees | None]:
        rows = self._sql.execute(
            f"SELECT {_ROW} FROM held_fees WHERE commitment = ? ORDER BY {_ROW}", (commitment_id,)
        ).fetchall()
        return (rows[0][1], _fees(rows)) if rows else (BY_TIME, None)

    def _write(self, commitment_id: str, version: int, fees: Fees, at_ns: int) -> None:
        rows: list[tuple[str, date, date, int, int]] = [
            (_DUE, due.day, due.until, due.amount, 0) for due in fees.dues
        ]
        rows += [(_COST, one.month, one.month, 0, one.amount) for one in fees.costs]
        if (gone := fees.given_up) is not None:
            rows.append((gone.ending.value, gone.day, gone.day, gone.billed, gone.cost))
        values: list[tuple[Value, ...]] = [
            (commitment_id, version, kind, day.isoformat(), until.isoformat(), *amounts, at_ns)
            for kind, day, until, *amounts in rows
        ]
        self._sql.insert("commitment_fees", _ROW, values)


def _grouped(rows: Iterable[Row]) -> dict[str, Fees]:
    of: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of[row[0]].append(row)
    return {name: _fees(its) for name, its in of.items()}


def _fees(rows: list[Row]) -> Fees:
    dues, costs, given_up = list[Due](), list[MonthCost](), None
    for _, _, kind, day_text, until, billed, cost, _ in rows:
        day = date.fromisoformat(day_text)
        if kind == _DUE:
            dues.append(Due(day, date.fromisoformat(until), Money(billed)))
        elif kind == _COST:
            costs.append(MonthCost(day, Money(cost)))
        else:
            given_up = GivenUp(day, Ending(kind), Money(billed), Money(cost))
    return Fees(tuple(dues), tuple(costs), given_up)
