"""Spend logs: charged attempts one by one, and sums by several names at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ledger.databases.sql import Sql, Value
from ledger.money import Money

DAY_S = 86_400
DAY_NS = DAY_S * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Log:
    """One charged attempt."""

    attempt_id: str
    request_id: str
    at_ns: int
    ended_at_ns: int
    key_id: str
    org: str | None
    team: str | None
    project: str | None
    user: str | None
    tags: tuple[str, ...]
    model: str
    provider: str
    upstream_model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    effective: Money
    estimated: bool


@dataclass(frozen=True, slots=True)
class DaySum:
    """What one key spent in a day (UTC) on one model. day_ns: when it began."""

    day_ns: int
    key_id: str
    team: str | None
    user: str | None
    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    effective: Money


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which are looked for; None is any."""

    request_id: str | None = None
    key_id: str | None = None
    user: str | None = None
    team: str | None = None
    org: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None


def logs(sql: Sql, wanted: LogFilter, limit: int) -> list[Log]:
    """Charged attempts that still have a row of their own, newest first."""
    where, values = _where(
        {
            "request_id = ?": wanted.request_id,
            "key_id = ?": wanted.key_id,
            "user_id = ?": wanted.user,
            "team = ?": wanted.team,
            "org = ?": wanted.org,
            "at_ns >= ?": wanted.since_ns,
            "at_ns < ?": wanted.until_ns,
        }
    )
    rows = sql.execute(
        "SELECT attempt_id, request_id, at_ns, ended_at_ns, key_id, org, team, project, user_id,"
        " tags, model, provider, upstream_model, prompt_tokens, completion_tokens,"
        " effective_nanos, estimated FROM entries JOIN subjects ON subjects.id = subject_id"
        f" WHERE kind = 'posted'{where} ORDER BY at_ns DESC, attempt_id DESC LIMIT ?",
        (*values, limit),
    )
    found: list[Log] = []
    for *subject, tags, model, provider, upstream_model, prompt, completion, cost, guess in rows:
        attempt_id, request_id, at_ns, ended_at_ns, key_id, org, team, project, user = subject
        found.append(
            Log(
                attempt_id,
                request_id,
                at_ns,
                ended_at_ns,
                key_id,
                org,
                team,
                project,
                user,
                tuple(json.loads(tags)),
                model,
                provider,
                upstream_model,
                prompt,
                completion,
                Money(cost),
                bool(guess),
            )
        )
    return found


def day_sums(sql: Sql, wanted: LogFilter) -> list[DaySum]:
    """Sums of whole days (UTC) that begin within the span, oldest first."""
    where, values = _where(
        {
            "key_id = ?": wanted.key_id,
            "user_id = ?": wanted.user,
            "team = ?": wanted.team,
            "org = ?": wanted.org,
            "start_ns >= ?": wanted.since_ns,
            "start_ns < ?": wanted.until_ns,
        }
    )
    rows = sql.execute(
        "SELECT start_ns, key_id, team, user_id, model, CAST(sum(requests) AS BIGINT),"
        " CAST(sum(prompt_tokens) AS BIGINT), CAST(sum(completion_tokens) AS BIGINT),"
        " CAST(sum(effective_nanos) AS BIGINT)"
        f" FROM rollups JOIN subjects ON subjects.id = subject_id WHERE step_s = ?{where}"
        " GROUP BY start_ns, key_id, team, user_id, model",
        (DAY_S, *values),
    )
    found = [DaySum(*row) for row in rows]
    found.sort(key=lambda one: (one.day_ns, one.team or "", one.key_id, one.model))
    return found


def spent_by(sql: Sql, wanted: LogFilter) -> Money:
    """All that was charged for it, in whole days (UTC) that begin within the span."""
    return Money(sum(one.effective for one in day_sums(sql, wanted)))


def _where(limits: Mapping[str, Value]) -> tuple[str, tuple[Value, ...]]:
    given = {text: value for text, value in limits.items() if value is not None}
    return "".join(f" AND {text}" for text in given), tuple(given.values())
