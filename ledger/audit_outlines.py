"""The audit of outlines: each says what is left of its subjects, and sums up their rollups."""

from __future__ import annotations

from ledger.databases.sql import Sql
from ledger.findings import Findings
from ledger.instants import instant
from ledger.tables.outlines import OUTLINED
from ledger.tables.rollups import DAY_S, STEPS_S, SUMMED

_COLUMNS = ", ".join(SUMMED)
_LESS = ", ".join(f"-{one}" for one in SUMMED)
_DIFFERS = " OR ".join(f"sum({one}) <> 0" for one in SUMMED)


def audit_outlines(sql: Sql, findings: Findings) -> None:
    """A day, or a longer step, at a time. Within a `view`."""
    for kind, columns in OUTLINED.items():
        others = " OR ".join(f"subjects.{one} IS DISTINCT FROM outlines.{one}" for one in columns)
        for (subject_id,) in sql.execute(
            "SELECT subject_id FROM subject_outlines"
            " LEFT JOIN subjects ON subjects.id = subject_id"
            f" LEFT JOIN outlines ON outlines.id = {kind}_id"
            f" WHERE outlines.kind IS DISTINCT FROM '{kind}' OR subjects.id IS NULL OR {others}"
            " ORDER BY subject_id"
        ).fetchall():
            findings.add(f"subject {subject_id}", f"is not as its outline ({kind}) says")
        for step_s in STEPS_S:
            if step_s >= DAY_S:
                _sums(sql, findings, kind, step_s)


def _sums(sql: Sql, findings: Findings, kind: str, step_s: int) -> None:
    starts = sql.execute(
        "SELECT DISTINCT start_ns FROM rollups WHERE step_s = ?"
        " UNION SELECT DISTINCT start_ns FROM outline_sums WHERE step_s = ? AND kind = ?"
        " ORDER BY 1",
        (step_s, step_s, kind),
    ).fetchall()
    for (start_ns,) in starts:
        differing = sql.execute(
            f"SELECT id FROM (SELECT {kind}_id AS id, {_COLUMNS} FROM rollups"
            " LEFT JOIN subject_outlines ON subject_outlines.subject_id = rollups.subject_id"
            " WHERE step_s = ? AND start_ns = ?"
            f" UNION ALL SELECT outline_id, {_LESS} FROM outline_sums"
            f" WHERE step_s = ? AND kind = ? AND start_ns = ?) AS compared"
            f" GROUP BY id HAVING {_DIFFERS} ORDER BY id",
            (step_s, start_ns, step_s, kind, start_ns),
        ).fetchall()
        for (outline_id,) in differing:
            since = instant(start_ns)
            findings.add(
                f"outline {outline_id} ({kind}) of {step_s} s from {since:%Y-%m-%d} UTC",
                "is not the sum of the rollups of its subjects",
            )
