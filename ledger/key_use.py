"""Key use: what keys have spent lately, and when they were last used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ledger.databases.sql import Sql, marks
from ledger.money import ZERO, Money
from ledger.tables.rollups import DAY_NS, DAY_S, kept, plan, source

LATELY_NS = 45 * DAY_NS
"""How far back a last use is looked for."""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """spent: in the span that was asked for, effective. last_day_ns: the beginning of the day (UTC)
    of the last charge; None for none lately."""

    spent: Money
    requests: int
    last_day_ns: int | None


UNUSED = KeyUse(ZERO, 0, None)


def uses_of(sql: Sql, key_ids: Collection[str], since_ns: int, now_ns: int) -> Mapping[str, KeyUse]:
    """Of those among the keys that were used in `since <= at < now`, or lately. Within a view."""
    if not key_ids:
        return {}
    ids = tuple(key_ids)
    parts, values = source(plan(since_ns, now_ns, kept(sql)).parts, "effective_nanos, requests")
    spent = sql.execute(
        "SELECT key_id, CAST(sum(effective_nanos) AS BIGINT), CAST(sum(requests) AS BIGINT)"
        f" FROM {parts} JOIN subjects ON subjects.id = subject_id"
        f" WHERE key_id IN ({marks(len(ids))}) GROUP BY key_id",
        (*values, *ids),
    )
    sums = {key_id: (Money(cost), requests) for key_id, cost, requests in spent}
    last: dict[str, int] = dict(
        sql.execute(
            "SELECT key_id, max(start_ns) FROM rollups JOIN subjects ON subjects.id = subject_id"
            f" WHERE step_s = ? AND start_ns > ? AND key_id IN ({marks(len(ids))}) GROUP BY key_id",
            (DAY_S, now_ns - LATELY_NS, *ids),
        ).fetchall()
    )
    return {one: KeyUse(*sums.get(one, (ZERO, 0)), last.get(one)) for one in {*sums, *last}}
