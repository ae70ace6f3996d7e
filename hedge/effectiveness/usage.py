"""Usage: what was charged in a span of time, by model from rollups, and in one pass over the rows
what only they know: what drew on which commitment, and what no counterfactual is known of."""

from __future__ import annotations

from dataclasses import dataclass

from hedge.effectiveness.query import Query, written
from ledger.commitments import Commitment
from ledger.databases.sql import Sql
from ledger.money import ZERO, Money
from ledger.tables.rollups import kept, plan, source

_COLUMNS = (
    *("requests", "prompt_tokens", "completion_tokens", "billed_nanos", "effective_nanos"),
    *("contracted_nanos", "list_nanos", "first_offer_nanos", "cheapest_nanos"),
)
_TOKENS = "prompt_tokens + completion_tokens"


@dataclass(frozen=True, slots=True)
class Used:
    """Sums of charged attempts. billed … cheapest: as in `ledger.attempts.Charge`; the last two
    count an attempt at its own (effective) cost where they are unknown."""

    requests: int = 0
    tokens: int = 0
    billed: Money = ZERO
    effective: Money = ZERO
    contracted: Money = ZERO
    list: Money = ZERO
    first_offer: Money = ZERO
    cheapest: Money = ZERO

    def __add__(self, other: Used) -> Used:
        return Used(
            self.requests + other.requests,
            self.tokens + other.tokens,
            Money(self.billed + other.billed),
            Money(self.effective + other.effective),
            Money(self.contracted + other.contracted),
            Money(self.list + other.list),
            Money(self.first_offer + other.first_offer),
            Money(self.cheapest + other.cheapest),
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Of `[since, until)`. models: by the name that clients asked for."""

    models: dict[str, Used]
    query: Query
    since_ns: int
    until_ns: int

    @property
    def total(self) -> Used:
        return sum(self.models.values(), Used())


def usage(sql: Sql, since_ns: int, until_ns: int, name: str = "usage") -> Usage:
    """name: of its query."""
    sums = ", ".join(f"sum({one}) AS {one}" for one in _COLUMNS)
    query = Query(
        name,
        "charged attempts and their sums, by model",
        f"SELECT model, {sums} FROM {_rows(sql, since_ns, until_ns, ', '.join(_COLUMNS))}"
        " JOIN subjects ON subjects.id = subject_id GROUP BY model ORDER BY model",
    )
    models = {}
    for model, *row in query.rows(sql):
        requests, prompt, completion, *amounts = map(int, row)
        models[model] = Used(requests, prompt + completion, *map(Money, amounts))
    return Usage(models, query, since_ns, until_ns)


def total_query(sql: Sql, name: str, says: str, column: str, since_ns: int, until_ns: int) -> Query:
    """The sum of one column, from the same rows."""
    return Query(
        name,
        says,
        f"SELECT coalesce(sum({column}), 0) FROM {_rows(sql, since_ns, until_ns, column)}",
    )


def offered_query(sql: Sql, commitment: Commitment, since_ns: int, until_ns: int) -> Query:
    """The tokens of the offers that a commitment covers, drawn or not."""
    rows = _rows(sql, since_ns, until_ns, "prompt_tokens, completion_tokens")
    return Query(
        f"offered_{commitment.id}",
        f"tokens that the offers served which {commitment.id} covers",
        f"SELECT coalesce(sum({_TOKENS}), 0) FROM {rows} JOIN subjects ON subjects.id = subject_id"
        f" WHERE {served_by(commitment)}",
    )


def served_by(commitment: Commitment) -> str:
    """Of subjects: those that the offers served which it covers."""
    offers = [
        written("provider = ?", (one.provider,))
        if one.model is None
        else written("(provider = ? AND upstream_model = ?)", (one.provider, one.model))
        for one in commitment.covers
    ]
    return f"({' OR '.join(offers)})" if offers else "(1 = 0)"


def _rows(sql: Sql, since_ns: int, until_ns: int, columns: str) -> str:
    """The largest rollups that make up the span, and rows at its edges."""
    return written(*source(plan(since_ns, until_ns, kept(sql)).parts, columns))


# -- the rows themselves


@dataclass(frozen=True, slots=True)
class Rows:
    """What only rows know, of what drew on one commitment (or on none). first_offer_unknown,
    cheapest_unknown: how many rows have none; *_own: what they cost themselves (effective).
    cheapest: at pay-as-you-go of the offer that served where it is unknown."""

    requests: int = 0
    tokens: int = 0
    micro_units: int = 0
    overage_micro: int = 0
    billed: Money = ZERO
    effective: Money = ZERO
    contracted: Money = ZERO
    cheapest: Money = ZERO
    first_offer_unknown: int = 0
    first_offer_own: Money = ZERO
    cheapest_unknown: int = 0
    cheapest_own: Money = ZERO


@dataclass(frozen=True, slots=True)
class Drawn:
    """By commitment; None: what was paid for as it went. by: None where retention has deleted some
    of the rows."""

    by: dict[str | None, Rows] | None
    query: Query

    def of(self, commitment: str) -> Rows | None:
        return None if self.by is None else self.by.get(commitment, Rows())


def drawn(sql: Sql, since_ns: int, until_ns: int) -> Drawn:
    unknown = ", ".join(
        f"sum(CASE WHEN {one}_nanos IS NULL THEN 1 ELSE 0 END) AS {one}_unknown,"
        f" sum(CASE WHEN {one}_nanos IS NULL THEN effective_nanos ELSE 0 END) AS {one}_own"
        for one in ("first_offer", "cheapest")
    )
    query = Query(
        "rows",
        "charged attempts and their sums, by the commitment that they drew on",
        "SELECT commitment, count(*) AS requests,"
        " sum(coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)) AS tokens,"
        " sum(coalesce(micro_units, 0)) AS micro_units,"
        " sum(coalesce(overage_micro_units, 0)) AS overage_micro_units,"
        " sum(billed_nanos) AS billed_nanos, sum(effective_nanos) AS effective_nanos,"
        " sum(contracted_nanos) AS contracted_nanos,"
        f" sum(coalesce(cheapest_nanos, contracted_nanos)) AS cheapest_nanos, {unknown}"
        f" FROM entries WHERE {posted_in(since_ns, until_ns)}"
        " GROUP BY commitment ORDER BY commitment",
    )
    if not has_rows(sql, since_ns):
        return Drawn(None, query)
    by: dict[str | None, Rows] = {}
    for commitment, *row in query.rows(sql):
        requests, tokens, micro, overage, *rest = map(int, row)
        billed, effective, contracted, cheapest, first, first_own, least, least_own = rest
        by[commitment] = Rows(
            *(requests, tokens, micro, overage),
            *(Money(billed), Money(effective), Money(contracted), Money(cheapest)),
            *(first, Money(first_own), least, Money(least_own)),
        )
    return Drawn(by, query)


def posted_in(since_ns: int, until_ns: int) -> str:
    return f"kind = 'posted' AND at_ns >= {int(since_ns)} AND at_ns < {int(until_ns)}"


def has_rows(sql: Sql, since_ns: int) -> bool:
    """Whether retention has left all rows since then."""
    return kept(sql).entries_since_ns <= since_ns
