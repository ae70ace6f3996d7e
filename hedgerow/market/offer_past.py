"""OfferPast: what became of one offer: its prices, how it answered, how good it was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from benchmarks.evals.history import EVALS, EvalRun
from benchmarks.stats import Stats
from benchmarks.tables.facts import Fact, Facts
from benchmarks.tables.history import MarketHistory, PastQuote
from benchmarks.traffic.hours import Step, history
from ledger.databases.sql import Sql
from ledger.instants import as_ns

MOST_POINTS = 500
MOST_RUNS = 100
"""Of evals: the newest."""


@dataclass(frozen=True, slots=True)
class OfferPast:
    """Of `[since, until)`, as it was known at `known`. prices: what held at `since` comes first.

    steps: what all workers saw, whatever is asked of `known`: nobody puts that right later. stats:
    what feeds said. prices_left_out, stats_left_out: how many of a long span are not among them.
    """

    offer_id: str
    since: datetime
    until: datetime
    known: datetime
    prices: tuple[PastQuote, ...]
    prices_left_out: int
    steps: tuple[Step, ...]
    stats: tuple[Fact[Stats], ...]
    stats_left_out: int
    evals: tuple[Fact[EvalRun], ...]

    @property
    def is_empty(self) -> bool:
        return not (self.prices or self.steps or self.stats or self.evals)


def offer_past(
    sql: Sql, offer_id: str, since: datetime, until: datetime, known: datetime
) -> OfferPast:
    """From books that have the market's tables. Raises StoreError."""
    kept = MarketHistory(sql)
    asked = (offer_id, since, until, known, MOST_POINTS)
    prices, prices_left_out = kept.quotes.some_changes(*asked)
    stats, stats_left_out = kept.stats.some_changes(*asked)
    return OfferPast(
        offer_id,
        since,
        until,
        known,
        tuple(prices),
        prices_left_out,
        tuple(history(sql, offer_id, as_ns(since), as_ns(until))),
        tuple(stats),
        stats_left_out,
        _evals(sql, offer_id, since, until, known),
    )


def _evals(
    sql: Sql, offer_id: str, since: datetime, until: datetime, known: datetime
) -> tuple[Fact[EvalRun], ...]:
    """The runs of every benchmark, oldest first."""
    facts = Facts(sql, EVALS)
    found = [
        one
        for subject in facts.subjects()
        if subject.endswith(f" {offer_id}")
        for one in facts.changes(subject, since, until, known)
        if one.said is not None and one.said.offer == offer_id
    ]
    found.sort(key=lambda one: (one.value_time, one.subject))
    return tuple(found[-MOST_RUNS:])
