"""PastAttempt: an attempt of former times, as far as a simulation needs it."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from ledger.budgets import Subject
from ledger.databases.sql import Sql
from ledger.entries import Kind
from ledger.measures import Measure
from ledger.money import MAX_NANOS, ZERO, Money
from ledger.principals import Principal

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
            case Measure.UNITS:  # no budget counts these
                return 0

    def spends(self, measure: Measure, cost: Money, *, is_counted: bool) -> int:
        """What it takes for good, at a cost that need not be that of then."""
        match measure:
            case Measure.USD:
                return cost
            case Measure.TOKENS:
                return self.spent_tokens or 0
            case Measure.REQUESTS:
                return int(is_counted and self.is_charged)
            case Measure.PARALLEL | Measure.UNITS:
                return 0


def past_attempts(sql: Sql, since_ns: int = 0, until_ns: int = MAX_NANOS) -> Iterator[PastAttempt]:
    """Every attempt with `since <= at < until`, and every request that a budget refused, in order
    of time. To be read within one `view`.

    Of those under way, only such as outlive their process are in the books before they end.
    """
    span = (since_ns, until_ns)
    found = (_ended(sql, span), _under_way(sql, span), _refused(sql, span))
    return heapq.merge(*found, key=attrgetter("at_ns"))


_WHO = "org, team, project, user_id, key_id, tags"

_IS_LAST = """
    NOT EXISTS (SELECT 1 FROM entries AS later WHERE later.request_id = {0}.request_id
        AND (later.at_ns, later.attempt_id) > ({0}.at_ns, {0}.attempt_id))
    AND NOT EXISTS (SELECT 1 FROM holds AS later WHERE later.request_id = {0}.request_id
        AND (later.at_ns, later.attempt_id) > ({0}.at_ns, {0}.attempt_id))
    AND NOT EXISTS (SELECT 1 FROM requests WHERE requests.id = {0}.request_id
        AND requests.would_have_cost_nanos IS NOT NULL)"""


def _ended(sql: Sql, span: tuple[int, int]) -> Iterator[PastAttempt]:
    rows = sql.stream(
        f"SELECT {_WHO}, model, provider, request_id, at_ns, ended_at_ns, held_nanos,"
        " effective_nanos, held_tokens, tokens, cheapest_nanos, kind,"
        f" {_IS_LAST.format('entries')}"
        " FROM entries JOIN subjects ON subjects.id = subject_id"
        " WHERE at_ns >= ? AND at_ns < ? ORDER BY at_ns, attempt_id",
        span,
    )
    for *whose, request_id, at_ns, end_ns, held, spent, most, tokens, cheapest, kind, last in rows:
        yield PastAttempt(
            request_id=request_id,
            at_ns=at_ns,
            ended_at_ns=end_ns,
            subject=_subject(*whose),
            held=Money(held),
            spent=Money(spent),
            held_tokens=most,
            spent_tokens=tokens,
            cheapest=None if cheapest is None else Money(cheapest),
            is_charged=kind == Kind.POSTED,
            is_last=bool(last),
        )


def _under_way(sql: Sql, span: tuple[int, int]) -> Iterator[PastAttempt]:
    rows = sql.stream(
        f"SELECT {_WHO}, model, provider, request_id, at_ns, amount_nanos, tokens,"
        f" {_IS_LAST.format('holds')}"
        " FROM holds JOIN subjects ON subjects.id = subject_id WHERE at_ns >= ? AND at_ns < ?"
        " AND NOT EXISTS (SELECT 1 FROM entries WHERE entries.attempt_id = holds.attempt_id)"
        " ORDER BY at_ns, attempt_id",
        span,
    )
    for *whose, request_id, at_ns, held, most, last in rows:
        yield PastAttempt(
            request_id=request_id,
            at_ns=at_ns,
            ended_at_ns=None,
            subject=_subject(*whose),
            held=Money(held),
            spent=ZERO,
            held_tokens=most,
            spent_tokens=0,
            is_charged=False,
            is_last=bool(last),
        )


def _refused(sql: Sql, span: tuple[int, int]) -> Iterator[PastAttempt]:
    """Whose they were, their keys say. One that was refused after attempts was so at their end."""
    rows = sql.stream(
        "SELECT keys.org, requests.team, keys.project, requests.user_id, requests.key_id,"
        " keys.tags, requests.model, requests.id, would_have_cost_nanos,"
        " coalesce((SELECT max(ended_at_ns) FROM entries WHERE request_id = requests.id), at_ns)"
        " AS refused_at_ns FROM requests LEFT JOIN keys ON keys.id = requests.key_id"
        " WHERE at_ns >= ? AND at_ns < ? AND would_have_cost_nanos IS NOT NULL"
        " ORDER BY refused_at_ns, requests.id",
        span,
    )
    for *whose, request_id, cost, at_ns in rows:
        yield PastAttempt(
            request_id=request_id,
            at_ns=at_ns,
            ended_at_ns=at_ns,
            subject=_subject(*whose, UNKNOWN_PROVIDER),
            held=Money(cost),
            spent=Money(cost),
            held_tokens=None,
            spent_tokens=None,
            was_refused=True,
        )


@lru_cache(maxsize=100_000)
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
