"""Traffic: what went through each of a model's providers, in tokens and money."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.databases.sql import Sql
from ledger.money import MAX_NANOS, Money
from ledger.tables.rollups import kept, plan, source


@dataclass(frozen=True, slots=True)
class Traffic:
    """Charged attempts of a model at a provider, by the provider's name of it.

    Counts that a provider did not tell are not in the sums; it billed the tokens as if there were
    none, and so count they here. prompt_tokens has cached and cache_write among it,
    completion_tokens has reasoning.
    """

    model: str
    provider: str
    upstream_model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: Money


_SUMMED = (
    "requests, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens,"
    " reasoning_tokens, effective_nanos"
)


def traffic(sql: Sql, since_ns: int, until_ns: int = MAX_NANOS) -> list[Traffic]:
    """Of each model, provider and upstream model with a charge in `[since, until)`, sorted by them.

    Where retention has left only sums of days, or of quarters of an hour, those count that begin in
    the span.
    """
    sums = ", ".join(f"sum({one})" for one in _SUMMED.split(", "))
    with sql.view():
        parts, values = source(plan(since_ns, until_ns, kept(sql)).parts, _SUMMED)
        rows = sql.execute(
            f"SELECT model, provider, upstream_model, {sums} FROM {parts}"
            " JOIN subjects ON subjects.id = subject_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            values,
        ).fetchall()
    return [Traffic(*row) for row in rows]
