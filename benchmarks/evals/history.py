"""EvalHistory: every run of every offer, append-only and bitemporal: `benchmarks.tables.facts`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.evals.drift import Measured
from benchmarks.quality import Quality
from benchmarks.tables.facts import Fact, Facts, kind_of
from ledger.databases.sql import Sql

MOST_RUNS = 50
"""Of an offer, that are looked at for drift: the newest."""


@dataclass(frozen=True, slots=True)
class EvalRun:
    """What one run found of one offer.

    low, high: the 90% interval of the score. n: prompts with a grade; failed: answers that did not
    come; ungraded: those that nobody could grade. cost_nanos: of the answers; grading_nanos: of
    whoever graded them; both in nano-USD. seconds_p50: None without an answer. scores: by the
    prompt's hash, one for each time that it was asked.
    """

    benchmark: str
    offer: str
    model: str
    score: float
    low: float
    high: float
    n: int
    failed: int
    ungraded: int
    cost_nanos: int
    grading_nanos: int
    seconds_p50: float | None
    scores: dict[str, list[float]]


EVALS = kind_of("eval", EvalRun)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_AT_LAST = timedelta(microseconds=1)
"""What is measured at the moment that is asked for is known then."""


class EvalHistory:
    """Runs in a database that has the market's tables; the caller owns its transactions."""

    def __init__(self, sql: Sql) -> None:
        self._runs = Facts(sql, EVALS)

    def keep(self, runs: Iterable[EvalRun], at: datetime, known_at: datetime) -> int:
        """Keep what was measured at `at`, within a transaction; how many runs are news."""
        source = f"eval {at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return self._runs.append(
            Fact(f"{one.benchmark} {one.offer}", at, known_at, source, one) for one in runs
        )

    def latest(self, known: datetime) -> list[Fact[EvalRun]]:
        """The newest run of every offer on every benchmark, as it was known then."""
        return [one for one in self._runs.all_as_of(known).values() if one.said is not None]

    def qualities(self, known: datetime) -> dict[str, dict[str, Quality]]:
        """Of every offer that was measured, by its id and by benchmark."""
        found: dict[str, dict[str, Quality]] = {}
        for one in self.latest(known):
            if one.said is not None:
                found.setdefault(one.said.offer, {})[one.said.benchmark] = _quality(one, one.said)
        return found

    def runs(self, benchmark: str, offer: str, known: datetime) -> list[Measured]:
        """The runs of an offer, oldest first, as they were known then."""
        facts = self._runs.changes(f"{benchmark} {offer}", BEGINNING, known + _AT_LAST, known)
        newest = [one for one in facts if one.said is not None][-MOST_RUNS:]
        return [Measured(one.value_time, one.said.scores) for one in newest if one.said]


def _quality(fact: Fact[EvalRun], run: EvalRun) -> Quality:
    return Quality(
        benchmark=run.benchmark,
        score=run.score,
        low=run.low,
        high=run.high,
        n=run.n,
        as_of=fact.value_time,
        source=fact.source,
    )


def by_benchmark(latest: Iterable[Fact[EvalRun]]) -> Mapping[str, list[EvalRun]]:
    """The newest runs, benchmark by benchmark."""
    found: dict[str, list[EvalRun]] = {}
    for one in latest:
        if one.said is not None:
            found.setdefault(one.said.benchmark, []).append(one.said)
    return found
