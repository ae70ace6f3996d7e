"""Bought: what the ledger bought of some models, by day (UTC): tokens, and at what price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ledger.databases.sql import Sql, marks
from ledger.instants import day_ns, instant
from ledger.money import Money, as_usd
from ledger.tables.rollups import DAY_S

_MTOK = 1_000_000


@dataclass(frozen=True, slots=True)
class Bought:
    """contracted: at the prices agreed with providers, also where a commitment paid."""

    day: date
    tokens: int
    contracted: Money

    @property
    def mtok(self) -> Decimal:
        return Decimal(self.tokens) / _MTOK

    @property
    def usd(self) -> Decimal:
        return as_usd(self.contracted)


def bought(
    sql: Sql, models: Sequence[str], providers: Sequence[str], since: date, until: date
) -> tuple[Bought, ...]:
    """Days on which anything was bought, oldest first. models, providers: empty: all of them."""
    where, names = "", [*models, *providers]
    if models:
        where += f" AND model IN ({marks(len(models))})"
    if providers:
        where += f" AND provider IN ({marks(len(providers))})"
    rows = sql.execute(
        "SELECT start_ns, CAST(sum(prompt_tokens + completion_tokens) AS BIGINT),"
        " CAST(sum(contracted_nanos) AS BIGINT)"
        " FROM rollups JOIN subjects ON subjects.id = subject_id"
        f" WHERE step_s = ? AND start_ns >= ? AND start_ns < ?{where}"
        " GROUP BY start_ns ORDER BY start_ns",
        (DAY_S, day_ns(since), day_ns(until), *names),
    )
    return tuple(
        Bought(instant(start).date(), int(tokens), Money(int(nanos)))
        for start, tokens, nanos in rows
    )


def usd_per_mtok(days: Sequence[Bought]) -> Decimal | None:
    """Of all of them together; None without tokens."""
    tokens = sum(one.tokens for one in days)
    if not tokens:
        return None
    return as_usd(Money(sum(one.contracted for one in days))) * _MTOK / tokens
