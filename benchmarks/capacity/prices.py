"""Capacity: what a GPU-hour costs, by grade, over all who sell it; and what tokens then cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from statistics import median
from typing import Protocol

from benchmarks.capacity.chips import Basis
from benchmarks.capacity.grades import ON_DEMAND, Area, Grade, Term
from benchmarks.errors import NotGraded
from benchmarks.tables.facts import Fact, Facts, kind_of
from ledger.databases.sql import Sql

TRIM = Decimal("0.1")
"""The share of providers that is left out at either end of a range: single asks of marketplaces,
and prices that nobody pays any more."""
_OFFERED = frozenset({"list", "min", "median", "daily-median-of-median", "ask"})
"""What somebody sells at. An index is made of such prices already, a bid is none."""
_DEAREST_USD = 1000
_SECONDS = 3600
_MTOK = 1_000_000
_PLACES = Decimal("0.000001")


class StatedPrice(Protocol):
    """A price as its source states it, of one GPU of what is sold.

    contract: `on-demand`, `spot`, `reserved-1y`. stat: what it is of what the provider sells:
    `list`, `min`, `median`, `index`, `bid`, `ask`.
    """

    @property
    def at(self) -> datetime: ...
    @property
    def provider(self) -> str: ...
    @property
    def region(self) -> str | None: ...
    @property
    def gpu(self) -> str: ...
    @property
    def contract(self) -> str: ...
    @property
    def usd_per_gpu_hour(self) -> Decimal: ...
    @property
    def stat(self) -> str: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True, slots=True)
class CapacityPrice:
    """What a provider asked for an hour of one GPU of a grade at a moment. region: in its words."""

    usd_per_gpu_hour: Decimal
    grade: Grade
    provider: str
    region: str
    at: datetime
    source: str
    stat: str

    @property
    def series(self) -> str:
        """What it is the newest word on."""
        return f"{self.provider}/{self.region}/{self.grade}/{self.stat}@{self.source}"


CAPACITY = kind_of("capacity", CapacityPrice)
"""Facts of the history: the subject is the series."""


def graded(row: StatedPrice) -> CapacityPrice:
    """A price with its grade. Raises NotGraded for a grade that cannot be told, or no price."""
    usd = row.usd_per_gpu_hour
    if not usd.is_finite() or not 0 < usd <= _DEAREST_USD:
        raise NotGraded(
            f"{usd} USD for a GPU-hour of {row.gpu} at {row.provider} is no price: it is outside 0"
            f" to {_DEAREST_USD}"
        )
    grade = Grade.of(row.gpu, row.region, row.contract)
    return CapacityPrice(usd, grade, row.provider, row.region or "", row.at, row.source, row.stat)


@dataclass(frozen=True, slots=True)
class Kept:
    """added: how many prices were news. refused: what cannot be graded, with how many rows."""

    added: int
    refused: Mapping[str, int]


def keep(sql: Sql, rows: Iterable[StatedPrice], known_at: datetime) -> Kept:
    """Keep prices of capacity in the history of a database with the market's tables, in
    transactions of its own. Those that cannot be graded are not kept, and told. Where a source
    states several prices of one series for one moment, as of several machines, it is their median.
    """
    refused: Counter[str] = Counter()
    stated: dict[tuple[str, datetime], list[CapacityPrice]] = defaultdict(list)
    for row in rows:
        try:
            one = graded(row)
        except NotGraded as error:
            refused[str(error)] += 1
        else:
            stated[one.series, one.at].append(one)
    facts = [
        Fact(series, at, known_at, found[0].source, _together(found))
        for (series, at), found in sorted(stated.items(), key=lambda item: item[0])
    ]
    return Kept(Facts(sql, CAPACITY).append_many(facts), refused)


def _together(found: list[CapacityPrice]) -> CapacityPrice:
    if len(found) == 1:
        return found[0]
    return replace(found[0], usd_per_gpu_hour=median(one.usd_per_gpu_hour for one in found))


@dataclass(frozen=True, slots=True)
class CapacityIndex:
    """A grade's price over all who sell it.

    usd_per_gpu_hour: the median over providers, each by the median of what it asks. low, high: of
    those that are left when `TRIM` of them are left out at either end. newest: of its prices.
    """

    grade: Grade
    usd_per_gpu_hour: Decimal
    low: Decimal
    high: Decimal
    providers: int
    prices: int
    newest: datetime

    def usd_per_reference_hour(self, basis: Basis) -> Decimal:
        """For as much work as an hour of the reference chip does."""
        return self.usd_per_gpu_hour / self.grade.spec.worth(basis)


def indices(prices: Iterable[CapacityPrice]) -> list[CapacityIndex]:
    """The index of each grade that somebody offers, in the order of grades: of whatever prices are
    given, as those of one day."""
    by_grade: dict[Grade, list[CapacityPrice]] = defaultdict(list)
    for one in prices:
        if one.stat in _OFFERED:
            by_grade[one.grade].append(one)
    return [_index(grade, by_grade[grade]) for grade in sorted(by_grade)]


def _index(grade: Grade, prices: list[CapacityPrice]) -> CapacityIndex:
    by_provider: dict[str, list[Decimal]] = defaultdict(list)
    for one in prices:
        by_provider[one.provider].append(one.usd_per_gpu_hour)
    asked = sorted(median(values) for values in by_provider.values())
    out = int(len(asked) * TRIM)
    kept = asked[out : len(asked) - out]
    return CapacityIndex(
        grade,
        median(kept),
        kept[0],
        kept[-1],
        len(asked),
        len(prices),
        max(one.at for one in prices),
    )


@dataclass(frozen=True, slots=True)
class TermRatio:
    """What a term costs of the price on demand, as providers ask that sell both: measured, the
    median over `providers` of each one's median over the chips, areas and days that it has both
    for."""

    term: Term
    ratio: Decimal
    providers: int


def term_ratios(prices: Iterable[CapacityPrice]) -> dict[Term, TermRatio]:
    """Of every term but on demand that somebody sells beside it."""
    cells: dict[tuple[str, str, Area, str, date], dict[Term, list[Decimal]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for one in prices:
        if one.stat in _OFFERED:
            where = (one.provider, one.grade.chip, one.grade.area, one.region, one.at.date())
            cells[where][one.grade.term].append(one.usd_per_gpu_hour)
    ratios: dict[Term, dict[str, list[Decimal]]] = defaultdict(lambda: defaultdict(list))
    for (provider, *_), by_term in cells.items():
        if ON_DEMAND not in by_term:
            continue
        usual = median(by_term[ON_DEMAND])
        for term, values in by_term.items():
            if term != ON_DEMAND:
                ratios[term][provider].append(median(values) / usual)
    return {
        term: TermRatio(term, median(map(median, ratios[term].values())), len(ratios[term]))
        for term in sorted(ratios)
    }


def usd_per_mtok(usd_per_gpu_hour: Decimal, tokens_per_s: Decimal) -> Decimal:
    """What a million tokens cost on a GPU that does so many every second, busy all the time;
    rounded up to a millionth of a USD. tokens_per_s: measured, of one GPU of the machine."""
    if not tokens_per_s.is_finite() or tokens_per_s <= 0:
        raise NotGraded(f"{tokens_per_s} tokens per second is no throughput: measure it")
    exact = usd_per_gpu_hour * _MTOK / (tokens_per_s * _SECONDS)
    return exact.quantize(_PLACES, ROUND_CEILING)
