"""Sources in the hedge's book: its records, and what comes of them when they are read again."""

from __future__ import annotations

from hedge.effectiveness.accounting import HedgeAccounting
from hedge.effectiveness.query import written
from hedgerow.reports.sources import Sources

_LINES = """\
SELECT r.seq, r.record_id, r.kind, r.day, r.who, l.account, l.about, l.amount_nanos
FROM records r LEFT JOIN record_lines l ON l.seq = r.seq
WHERE r.day < ?
ORDER BY r.seq, l.place"""


def lines_source(accounting: HedgeAccounting, sources: Sources) -> str:
    """Every record of the book with its lines, as far as the report goes."""
    return sources.sql(
        "The records of the hedge's book with their lines, debits above zero.",
        written(_LINES, (accounting.until.isoformat(),)),
    )


def replay_source(accounting: HedgeAccounting, sources: Sources) -> str:
    return sources.computed(
        "The hedge's book, read again record by record: trades, marks, settlements, fees.",
        lines_source(accounting, sources),
        command="hedgerow hedge book -c FILE --json",
    )
