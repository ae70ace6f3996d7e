"""PastAttempt: an attempt of former times, as far as a simulation needs it."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from ledger.budgets import Subject
from ledger.measures import Measure
from ledger.money import MAX_NANOS, ZERO, Money
from ledger.principals import Principal
from ledger.sqlite_store import SqliteStore

UNKNOWN_PROVIDER = ""
"""Of a request that was refused before it went anywhere."""


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """One try at one provider, or a request that a budget refused then.

    ended_at_ns: None if it is still under way.
    held, spent: what it reserved, and what it cost: zero if it was released. Of one that was
    refused, both are what it was expected to cost.
    held_tokens, spent_tokens: the same in tokens; None where nobody knows, and then it takes
    nothing of a budget of tokens.
    cheapest: its cost at the cheapest eligible quote of its moment; None where unknown.
    is_charged: it was charged, or would have been.
    is_last: its request made no further attempt: how this one ended is how the request did.
    """

    request_id: str
    at_ns: int
    ended_at_ns: int | None
    subject: Subject
    held: Money
    spent: Money
    held_tokens: int | None
    spent_tokens: int | None
    cheapest: Money | None = None
    is_charged: bool = True
    is_last: bool = True
    was_refused: bool = False

    def reserves(self, measure: Measure, *, is_counted: bool) -> int:
        """As `Attempt.reserves`. is_counted: it stands for its request where those are counted."""
        match measure:
            case Measure.USD:
                return self.held
            case Measure.TOKENS:
                return self.held_tokens or 0
            case Measure.REQUESTS:
                return int(is_counted)
            case Measure.PARALLEL:
                return 1

    def spends(self, measure: Measure, cost: Money, *, is_counted: bool) -> int:
        """What it takes for good, at a cost that need not be that of then."""
        match measure:
            case Measure.USD:
                return cost
            case Measure.TOKENS:
                return self.spent_tokens or 0
            case Measure.REQUESTS:
                return int(is_counted and self.is_charged)
            case Measure.PARALLEL:
                return 0


def past_attempts(
    store: SqliteStore, since_ns: int = 0, until_ns: int = MAX_NANOS
) -> Iterator[PastAttempt]:
    """Every attempt with `since <= at < until`, and every request that a budget refused, in order
    of time. To be read within one `view`."""
    return heapq.merge(
        _made(store, since_ns, until_ns),
        _refused(store, since_ns, until_ns),
        key=attrgetter("at_ns"),
    )


_WHO = "org, team, project, user, key_id, tags"


def _made(store: SqliteStore, since_ns: int, until_ns: int) -> Iterator[PastAttempt]:
    who = ", ".join(f"holds.{one}" for one in _WHO.split(", "))
    rows = store.database.execute(
        f"SELECT holds.request_id, holds.at_ns, resolutions.at_ns, {who}, holds.model,"
        " holds.provider, holds.amount_nanos, kind, effective_nanos,"
        " prompt_tokens + completion_tokens, cheapest_nanos,"
        " NOT EXISTS (SELECT * FROM holds AS later WHERE later.request_id = holds.request_id"
        " AND later.attempt_id > holds.attempt_id)"
        " AND NOT EXISTS (SELECT * FROM requests WHERE requests.id = holds.request_id"
        " AND would_have_cost_nanos IS NOT NULL)"
        " FROM holds LEFT JOIN resolutions USING (attempt_id) LEFT JOIN usage USING (attempt_id)"
        " WHERE holds.at_ns >= ? AND holds.at_ns < ? ORDER BY holds.at_ns, attempt_id",
        (since_ns, until_ns),
    )
    for request_id, at_ns, ended_at_ns, *subject, held, kind, spent, tokens, cheapest, last in rows:
        yield PastAttempt(
            request_id=request_id,
            at_ns=at_ns,
            ended_at_ns=ended_at_ns,
            subject=_subject(*subject),
            held=Money(held),
            spent=ZERO if spent is None else Money(spent),
            held_tokens=tokens,
            spent_tokens=tokens,
            cheapest=None if cheapest is None else Money(cheapest),
            is_charged=kind == "posted",
            is_last=bool(last),
        )


def _refused(store: SqliteStore, since_ns: int, until_ns: int) -> Iterator[PastAttempt]:
    """Whose they were, their keys say. One that was refused after attempts was so at their end."""
    who = _WHO.replace("key_id", "requests.key_id").replace("team", "requests.team")
    rows = store.database.execute(
        "SELECT requests.id, max(at_ns, coalesce((SELECT max(resolutions.at_ns) FROM holds"
        " JOIN resolutions USING (attempt_id) WHERE request_id = requests.id), 0)) AS refused_ns,"
        f" {who.replace('user', 'requests.user')}, requests.model, would_have_cost_nanos"
        " FROM requests LEFT JOIN keys ON keys.id = requests.key_id"
        " WHERE at_ns >= ? AND at_ns < ? AND would_have_cost_nanos IS NOT NULL"
        " ORDER BY refused_ns, requests.id",
        (since_ns, until_ns),
    )
    for request_id, at_ns, *subject, cost in rows:
        yield PastAttempt(
            request_id=request_id,
            at_ns=at_ns,
            ended_at_ns=at_ns,
            subject=_subject(*subject, UNKNOWN_PROVIDER),
            held=Money(cost),
            spent=Money(cost),
            held_tokens=None,
            spent_tokens=None,
            was_refused=True,
        )


@lru_cache(maxsize=10_000)
def _subject(
    org: str | None,
    team: str | None,
    project: str | None,
    user: str | None,
    key_id: str,
    tags: str | None,
    model: str,
    provider: str,
) -> Subject:
    """`tags` is None where there is no such key any more."""
    names = () if tags is None else tuple(json.loads(tags))
    return Subject(Principal(key_id, org, team, project, user, names), model, provider)
