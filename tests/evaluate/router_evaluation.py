"""The router's evaluation: every figure of the page and of the pictures, computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.traffic.estimates import ON_TIME, SUCCESS, Memory
from routing.table import IN_TIME_AT_LEAST
from tests.evaluate import histories
from tests.evaluate.histories import Floats, History
from tests.evaluate.knowledge import Knowledge, expected_costs, learn
from tests.evaluate.ours import clairvoyant, ordered, stakes_of
from tests.evaluate.own_traffic import Setup, Trying
from tests.evaluate.own_traffic import run as run_own
from tests.evaluate.replay import LEAST_REQUESTS, Cells, Facts, Tally, cells, facts, on_time, play
from tests.evaluate.rules import RULES, Market, market
from tests.evaluate.scores import Book, Score

MISS_WEIGHTS = (0.5, 1.0, 2.5)
MIDDLE = 1.0
FRONTIER = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 100.0)
LATER_DAYS = date(2026, 7, 26)
"""What is tuned was tuned on the days before."""
MAY_COST_MORE = 1.0025
ON_TIME_OFTEN = 0.95
OWN_SETUPS = (
    Setup(300, 0, Trying.NEVER),
    Setup(300, 0, Trying.COULD_WIN),
    Setup(300, 0, Trying.LEAST_KNOWN),
    Setup(300, 0, Trying.THOMPSON),
    Setup(300, 20, Trying.NEVER),
    Setup(300, 20, Trying.COULD_WIN),
    Setup(30, 20, Trying.COULD_WIN),
    Setup(3000, 20, Trying.COULD_WIN),
)
MEMORIES: Mapping[str, tuple[Memory, Memory]] = {
    "ours": (ON_TIME, SUCCESS),
    "half-life 15 min": (replace(ON_TIME, half_life_s=900.0), SUCCESS),
    "half-life 1 h": (replace(ON_TIME, half_life_s=3600.0), SUCCESS),
    "slow half-life 48 h": (replace(ON_TIME, slow_half_life_s=172_800.0), SUCCESS),
    "lean 15": (replace(ON_TIME, lean=15.0), SUCCESS),
    "lean 60": (replace(ON_TIME, lean=60.0), SUCCESS),
    "evidence 100 per hour": (replace(ON_TIME, evidence_per_s=100 / 3600), SUCCESS),
    "evidence 400 per hour": (replace(ON_TIME, evidence_per_s=400 / 3600), SUCCESS),
    "nothing is news": (replace(ON_TIME, surprise=1.1), replace(SUCCESS, surprise=1.1)),
}


@dataclass(frozen=True, slots=True)
class Named:
    """A rule's tally under its name."""

    name: str
    what: str
    tally: Tally
    score: Score


@dataclass(frozen=True, slots=True)
class Gap:
    """At one miss weight: how much of the way from the best rule to the clairvoyant ours goes.

    best: which rule is the best of all in hindsight. closed, regret: shares, with the middle 90%
    of the days drawn anew; first_days, later_days: the same gap, closed in these alone.
    """

    miss_weight: float
    best: str
    best_j: float
    ours: Score
    perfect: Score
    closed: float
    closed_interval: tuple[float, float]
    first_days: float
    later_days: float
    regret: float
    regret_interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Beaten:
    """A rule, and the point of our frontier with the fewest misses at its cost or 0.25% more."""

    name: str
    rule: Score
    miss_weight: float | None
    ours: Score | None


@dataclass(frozen=True, slots=True)
class OfModel:
    """One model at the middle miss weight: J of the rule that is best for it in hindsight."""

    model: str
    requests: float
    rule: str
    rule_j: float
    ours_j: float
    perfect_j: float


@dataclass(frozen=True, slots=True)
class Prices:
    """The evaluation by list prices, or by effective ones."""

    is_effective: bool
    cells: int
    requests: float
    rules: tuple[Named, ...]
    gaps: tuple[Gap, ...]
    frontier: tuple[tuple[float, Score], ...]
    perfect_frontier: tuple[tuple[float, Score], ...]
    beaten: tuple[Beaten, ...]
    models: tuple[OfModel, ...]
    by_day: Mapping[date, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Variant:
    """Something else than ours as shipped, at the middle miss weight: J, and the gap closed."""

    name: str
    score: Score
    closed: float
    first_days: float
    later_days: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    windows: int
    endpoints: int
    listed: Prices
    effective: Prices
    own: tuple[tuple[Setup, Variant], ...]
    memories: tuple[Variant, ...]
    parts: tuple[Variant, ...]
    effective_parts: tuple[Variant, ...]
    least: tuple[tuple[float, Gap], ...]


@dataclass(frozen=True, slots=True)
class _Stage:
    """What every part of the evaluation by one kind of prices needs."""

    history: History
    knowledge: Knowledge
    facts: Facts
    cells: Cells
    book: Book
    costs: Floats
    market: Market

    @classmethod
    def of(
        cls,
        history: History,
        shares: Floats,
        knowledge: Knowledge,
        is_effective: bool,
        least: float = LEAST_REQUESTS,
    ) -> _Stage:
        known = facts(history, shares, is_effective, least)
        each = cells(history, known)
        costs = each.take(expected_costs(history, is_effective))
        return cls(
            history, knowledge, known, each, Book(each), costs, market(history, knowledge, each)
        )

    def ours(
        self,
        miss_weight: float,
        knowledge: Knowledge | None = None,
        on_time_often: float = 0.0,
    ) -> Tally:
        knows = knowledge or self.knowledge
        success, in_time = self.cells.take(knows.success), self.cells.take(knows.on_time)
        stakes = stakes_of(self.cells, miss_weight)
        rows = ordered(self.cells, self.costs, success, in_time, stakes, on_time_often)
        return play(self.cells, rows)

    def rules(self) -> tuple[Named, ...]:
        played = [(rule, rule.play(self.market)) for rule in RULES]
        return tuple(
            Named(rule.name, rule.what, tally, self.book.score(tally)) for rule, tally in played
        )


def evaluate(data: Path) -> Evaluation:
    history = histories.read(data)
    shares = on_time(history)
    knowledge = learn(history, shares)
    listed = _Stage.of(history, shares, knowledge, is_effective=False)
    effective = _Stage.of(history, shares, knowledge, is_effective=True)
    return Evaluation(
        windows=len(history.ends_s),
        endpoints=len(history.endpoints),
        listed=_prices(listed, is_effective=False),
        effective=_prices(effective, is_effective=True),
        own=tuple(_own(listed)),
        memories=tuple(_memories(listed, shares)),
        parts=tuple(_parts(listed)),
        effective_parts=tuple(_effective_parts(effective)),
        least=tuple(_least(history, shares, knowledge)),
    )


def _prices(stage: _Stage, *, is_effective: bool) -> Prices:
    rules = stage.rules()
    ours = {weight: stage.ours(weight) for weight in FRONTIER}
    perfect = {weight: clairvoyant(stage.cells, weight) for weight in FRONTIER}
    gaps = [
        _gap(stage.book, rules, ours[weight], perfect[weight], weight) for weight in MISS_WEIGHTS
    ]
    frontier = tuple((weight, stage.book.score(tally)) for weight, tally in ours.items())
    return Prices(
        is_effective=is_effective,
        cells=len(stage.cells),
        requests=float(stage.cells.weights.sum()),
        rules=rules,
        gaps=tuple(gaps),
        frontier=frontier,
        perfect_frontier=tuple(
            (weight, stage.book.score(tally)) for weight, tally in perfect.items()
        ),
        beaten=tuple(_beaten(rule, frontier) for rule in rules),
        models=tuple(_models(stage, rules, ours[MIDDLE], perfect[MIDDLE])),
        by_day=_by_day(stage.book, rules, ours[MIDDLE], perfect[MIDDLE]),
    )


def _gap(book: Book, rules: tuple[Named, ...], ours: Tally, perfect: Tally, weight: float) -> Gap:
    best = min(rules, key=lambda rule: rule.score.j(weight))
    tallies = [rule.tally for rule in rules]

    def closed(scores: list[Score]) -> float:
        """Of all rules the best of these days: whoever draws other days may like another one."""
        *others, mine, ideal = (one.j(weight) for one in scores)
        return (min(others) - mine) / (min(others) - ideal)

    def regret(scores: list[Score]) -> float:
        return scores[0].j(weight) / scores[1].j(weight) - 1

    def of(days: Callable[[date], bool]) -> float:
        return closed([book.score(one, days) for one in (*tallies, ours, perfect)])

    ours_score, perfect_score = book.score(ours), book.score(perfect)
    return Gap(
        miss_weight=weight,
        best=best.name,
        best_j=best.score.j(weight),
        ours=ours_score,
        perfect=perfect_score,
        closed=of(lambda _: True),
        closed_interval=book.interval([*tallies, ours, perfect], closed),
        first_days=of(lambda day: day < LATER_DAYS),
        later_days=of(lambda day: day >= LATER_DAYS),
        regret=regret([ours_score, perfect_score]),
        regret_interval=book.interval([ours, perfect], regret),
    )


def _beaten(rule: Named, frontier: Iterable[tuple[float, Score]]) -> Beaten:
    within = [
        (score.misses, weight, score)
        for weight, score in frontier
        if score.cost <= MAY_COST_MORE * rule.score.cost and score.misses < rule.score.misses
    ]
    if not within:
        return Beaten(rule.name, rule.score, None, None)
    _, weight, score = min(within, key=lambda one: one[:2])
    return Beaten(rule.name, rule.score, weight, score)


def _models(
    stage: _Stage, rules: tuple[Named, ...], ours: Tally, perfect: Tally
) -> Iterable[OfModel]:
    by_rule = {rule.name: stage.book.by_model(rule.tally) for rule in rules}
    mine, ideal = stage.book.by_model(ours), stage.book.by_model(perfect)
    requests = np.bincount(stage.cells.model_numbers, stage.cells.weights)
    for at, model in enumerate(stage.book.models):
        js = {name: scores[model].j(MIDDLE) for name, scores in by_rule.items()}
        best = min(js, key=lambda name: js[name])
        yield OfModel(
            model,
            float(requests[at]),
            best,
            js[best],
            mine[model].j(MIDDLE),
            ideal[model].j(MIDDLE),
        )


def _by_day(
    book: Book, rules: tuple[Named, ...], ours: Tally, perfect: Tally
) -> dict[date, tuple[float, float]]:
    """(gap closed, regret) of each day by itself, against the rule that is best over all days."""
    best = min(rules, key=lambda rule: rule.score.j(MIDDLE))
    others, mine, ideal = (book.by_day(one) for one in (best.tally, ours, perfect))
    found = {}
    for day in book.days:
        rule_j, our_j, ideal_j = (one[day].j(MIDDLE) for one in (others, mine, ideal))
        found[day] = ((rule_j - our_j) / (rule_j - ideal_j), our_j / ideal_j - 1)
    return found


class _Variants:
    """Variants of ours, each against the same rules and the same clairvoyant."""

    def __init__(self, stage: _Stage) -> None:
        self._book = stage.book
        self._against = [*(rule.tally for rule in stage.rules()), clairvoyant(stage.cells, MIDDLE)]

    def variant(self, name: str, tally: Tally) -> Variant:
        def closed(days: Callable[[date], bool]) -> float:
            scores = [self._book.score(one, days) for one in (*self._against, tally)]
            *others, ideal, mine = (one.j(MIDDLE) for one in scores)
            return (min(others) - mine) / (min(others) - ideal)

        return Variant(
            name,
            self._book.score(tally),
            closed(lambda _: True),
            closed(lambda day: day < LATER_DAYS),
            closed(lambda day: day >= LATER_DAYS),
        )


def _own(stage: _Stage) -> Iterable[tuple[Setup, Variant]]:
    variants = _Variants(stage)
    for setup in OWN_SETUPS:
        known = (stage.history, stage.facts, stage.knowledge, stage.cells)
        tally = run_own(setup, *known, stage.costs, MIDDLE)
        yield setup, variants.variant(setup.trying, tally)


def _memories(stage: _Stage, shares: Floats) -> Iterable[Variant]:
    variants = _Variants(stage)
    for name, memories in MEMORIES.items():
        knowledge = learn(stage.history, shares, *memories)
        yield variants.variant(name, stage.ours(MIDDLE, knowledge))


def _parts(stage: _Stage) -> Iterable[Variant]:
    """What each part of what ours knows is worth: one is taken away, or told the truth."""
    variants, knows = _Variants(stage), stage.knowledge
    each = np.arange(knows.last.shape[1])

    def last(values: Floats, unknown: float) -> Floats:
        found = values[np.maximum(knows.last, 0), each]
        return np.where((knows.last < 0) | np.isnan(found), unknown, found)

    facts_ = stage.facts
    only_last = replace(knows, on_time=last(facts_.on_time, 0.7), success=last(facts_.success, 0.9))
    no_latency = replace(knows, on_time=np.ones_like(knows.on_time))
    no_failures = replace(knows, success=np.ones_like(knows.success))
    true_on_time = replace(knows, on_time=np.nan_to_num(facts_.on_time))
    true_success = replace(knows, success=np.nan_to_num(facts_.success))
    yield variants.variant("ours", stage.ours(MIDDLE))
    yield variants.variant("only the last window", stage.ours(MIDDLE, only_last))
    yield variants.variant("all are on time", stage.ours(MIDDLE, no_latency))
    yield variants.variant("none fail", stage.ours(MIDDLE, no_failures))
    grouped = stage.ours(MIDDLE, on_time_often=ON_TIME_OFTEN)
    yield variants.variant("below 95% on time comes after the others", grouped)
    behind = stage.ours(MIDDLE, on_time_often=IN_TIME_AT_LEAST)
    yield variants.variant("below 25% on time comes after the others (the default)", behind)
    yield variants.variant("it knows who will be on time", stage.ours(MIDDLE, true_on_time))
    yield variants.variant("it knows who will fail", stage.ours(MIDDLE, true_success))


def _effective_parts(stage: _Stage) -> Iterable[Variant]:
    variants = _Variants(stage)
    yield variants.variant("ours", stage.ours(MIDDLE))
    behind = stage.ours(MIDDLE, on_time_often=IN_TIME_AT_LEAST)
    yield variants.variant("below 25% on time comes after the others (the default)", behind)
    yield variants.variant("by list prices", replace(stage, costs=stage.market.costs).ours(MIDDLE))
    yield variants.variant(
        "it knows what will be paid", replace(stage, costs=stage.cells.costs).ours(MIDDLE)
    )


def _least(history: History, shares: Floats, knowledge: Knowledge) -> Iterable[tuple[float, Gap]]:
    for least in (5.0, 20.0, 100.0):
        stage = _Stage.of(history, shares, knowledge, is_effective=False, least=least)
        ours, perfect = stage.ours(MIDDLE), clairvoyant(stage.cells, MIDDLE)
        yield least, _gap(stage.book, stage.rules(), ours, perfect, MIDDLE)
