"""RequestTable: what was decided for each request, and what became of it."""

from __future__ import annotations

from ledger.databases.sql import Row, Sql, marks
from ledger.money import Money
from ledger.requests import RequestRecord, failures_from_text, failures_to_text

_COLUMNS = (
    "id, at_ns, key_id, team, user_id, model, outcome, status, attempts, would_have_cost_nanos,"
    " decision, failures, would_block"
)


class RequestTable:
    """The requests of a database. Within its transactions."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def add(self, record: RequestRecord) -> None:
        self._sql.execute(
            f"INSERT INTO requests ({_COLUMNS}) VALUES ({marks(13)}) ON CONFLICT DO NOTHING",
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
                "\n".join(record.would_block) or None,
            ),
        )

    def one(self, request_id: str) -> RequestRecord | None:
        row = self._sql.execute(
            f"SELECT {_COLUMNS} FROM requests WHERE id = ?", (request_id,)
        ).fetchone()
        return None if row is None else _record(row)

    def newest(self, since_ns: int, limit: int, model: str | None = None) -> list[RequestRecord]:
        """Those since then, the newest first, `limit` at most; of one model if it is named."""
        where = "" if model is None else " AND model = ?"
        rows = self._sql.execute(
            f"SELECT {_COLUMNS} FROM requests WHERE at_ns >= ?{where} ORDER BY at_ns DESC LIMIT ?",
            (since_ns, *([] if model is None else [model]), limit),
        )
        return [_record(row) for row in rows]


def _record(row: Row) -> RequestRecord:
    id_, at_ns, key_id, team, user, model, outcome, status, attempts = row[:9]
    cost, decision, failures, would_block = row[9:]
    return RequestRecord(
        id=id_,
        at_ns=at_ns,
        key_id=key_id,
        team=team,
        user=user,
        model=model,
        outcome=outcome,
        status=status,
        attempts=attempts,
        would_have_cost=None if cost is None else Money(cost),
        decision=decision,
        failures=failures_from_text(failures),
        would_block=tuple(would_block.split("\n")) if would_block else (),
    )
