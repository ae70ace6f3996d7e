"""Answered: requests as the books have them, for whoever learns from traffic as it goes by."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.databases.sql import Row, Sql

AT_ONCE = 5_000
"""Requests of one writer that are read in one look; they stand for all that it wrote since."""
HOUR_NS = 3_600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Answered:
    """Charged attempts that are alike. model: the public name.

    Tokens are those of all `count` of them; cached: of their prompts. elsewhere_nanos: what they
    would have cost at the cheapest eligible quotes of their moment, an estimate.
    """

    at_ns: int
    model: str
    count: float
    prompt: float
    cached: float
    completion: float
    elsewhere_nanos: float


class AnsweredTail:
    """What came into the books since the last look. The first look finds nothing.

    Batches are not in it: they are billed apart. sql: not to be used by others meanwhile.
    """

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._seen = self._written()

    def read(self) -> list[Answered]:
        """The earliest first."""
        found: list[Answered] = []
        with self._sql.view():
            written = self._written()
            for writer, seq in written.items():
                since = self._seen.get(writer, 0)
                if seq > since:
                    found += self._of(writer, since, seq)
        self._seen = written
        return sorted(found, key=lambda one: one.at_ns)

    def _written(self) -> dict[int, int]:
        rows = self._sql.execute("SELECT id, seq FROM writers").fetchall()
        return dict(rows)

    def _of(self, writer: int, since: int, until: int) -> list[Answered]:
        first = max(since, until - AT_ONCE)
        rows = self._sql.execute(
            f"SELECT at_ns, model, 1, {_TOKENS}, {_ELSEWHERE} FROM entries"
            " JOIN subjects ON subjects.id = subject_id"
            " WHERE writer_id = ? AND seq > ? AND kind = 'posted' AND batch IS NULL",
            (writer, first),
        ).fetchall()
        return [_of_row(row, (until - since) / (until - first)) for row in rows]


_TOKENS = "coalesce(prompt_tokens, 0), coalesce(cached_tokens, 0), coalesce(completion_tokens, 0)"
_ELSEWHERE = "coalesce(cheapest_nanos, contracted_nanos)"


def answered_by_hour(sql: Sql, since_ns: int) -> list[Answered]:
    """Sums of each hour and model since then, the earliest first: of what retention has left."""
    sums = ", ".join(f"sum({one})" for one in (*_SUMMED, _ELSEWHERE))
    with sql.view():
        rows = sql.execute(
            f"SELECT at_ns / {HOUR_NS} * {HOUR_NS}, model, count(*), {sums} FROM entries"
            " JOIN subjects ON subjects.id = subject_id"
            " WHERE at_ns >= ? AND kind = 'posted' AND batch IS NULL"
            " GROUP BY 1, 2 ORDER BY 1, 2",
            (since_ns,),
        ).fetchall()
    return [_of_row(row, 1.0) for row in rows]


_SUMMED = ("prompt_tokens", "coalesce(cached_tokens, 0)", "coalesce(completion_tokens, 0)")


def _of_row(row: Row, weight: float) -> Answered:
    at_ns, model, *numbers = row
    return Answered(at_ns, model, *(weight * float(one or 0) for one in numbers))
