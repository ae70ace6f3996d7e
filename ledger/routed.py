"""Routed: where requests went, step by step, and what they would have cost elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.databases.sql import Sql, Value
from ledger.money import Money
from ledger.tables.rollups import DAY_NS, DAY_S, QUARTER_NS, QUARTER_S, kept

MOST_STEPS = 500


@dataclass(frozen=True, slots=True)
class Routed:
    """Charged attempts of a model at one provider, in a step that began at `start_ns`.

    first_offer, cheapest: what the same tokens would have cost at the offer that is listed first
    and at the cheapest quote of their moment; where that is unknown, what they did cost.
    """

    start_ns: int
    model: str
    provider: str
    upstream_model: str
    requests: int
    tokens: int
    cost: Money
    first_offer: Money
    cheapest: Money


def routed(
    sql: Sql, since_ns: int, until_ns: int, step_ns: int, model: str | None = None
) -> list[Routed]:
    """Of steps that begin in `[since, until)`, oldest first, those without a charge left out.

    step_ns: a quarter of an hour, or several of them, or days (UTC): steps begin at multiples of it
    since 1970. Where retention has left only sums of days, a day counts where it begins. Raises
    ValueError for a step of another size, and for more than MOST_STEPS of them.
    """
    if step_ns % QUARTER_NS or not 0 < until_ns - since_ns <= MOST_STEPS * step_ns:
        raise ValueError(f"no more than {MOST_STEPS} steps of whole quarters of an hour")
    where: list[Value] = [since_ns, until_ns]
    if model is not None:
        where.append(model)
    with sql.view():
        has_quarters = since_ns >= kept(sql).quarters_since_ns
        size_s = QUARTER_S if has_quarters and step_ns % DAY_NS else DAY_S
        rows = sql.execute(
            f"SELECT start_ns - start_ns % {step_ns} AS step_ns, model, provider, upstream_model,"
            " CAST(sum(requests) AS BIGINT),"
            " CAST(sum(prompt_tokens + completion_tokens) AS BIGINT),"
            " CAST(sum(effective_nanos) AS BIGINT), CAST(sum(first_offer_nanos) AS BIGINT),"
            " CAST(sum(cheapest_nanos) AS BIGINT)"
            " FROM rollups JOIN subjects ON subjects.id = subject_id"
            f" WHERE step_s = {size_s} AND start_ns >= ? AND start_ns < ?"
            f"{'' if model is None else ' AND model = ?'}"
            " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
            where,
        ).fetchall()
    return [Routed(*row) for row in rows]
