"""Contest: all rules on the same paths, and what can be said of their difference.

A rule that has to choose a term length is tried with each, and stands in the tables with the one
that was cheapest on average in hindsight: more than its user could have known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hedge.backtest.clairvoyant import least_nanos
from hedge.backtest.ours import Ours, Programs
from hedge.backtest.rules import (
    BreakEven,
    Never,
    Profile,
    Sized,
    cvar_newsvendor,
    mean,
    median,
    newsvendor,
    p95,
    randomised_share,
)
from hedge.backtest.walk import Bill, Rule, Walk
from hedge.risk import Floats, cvar
from ledger.money import NANOS_PER_USD

CONFIDENCE = 0.95
KAPPAS = (0.0, 0.5, 2.0, 8.0)
OURS = "program"
NEVER = "never"
SIZES = {
    "mean": mean,
    "p50": median,
    "p95": p95,
    "newsvendor": newsvendor,
    "CVaR newsvendor": cvar_newsvendor,
}
BREAK_EVEN = ("break-even", "randomised break-even")
_RESAMPLES = 1000
_T95 = {20: 2.093, 30: 2.045, 40: 2.023}
"""Student's 97.5% quantile, by paths; 2.1 where there are fewer, and 1.96 is for many."""


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """usd: what each path cost [paths]. family: the rule, whatever its term. used: of the capacity
    that was bought; 1 where none was. months_usd: usd, month by month [paths, months]."""

    name: str
    family: str
    usd: Floats
    fees_usd: Floats
    used: float
    months_usd: Floats

    @property
    def mean_usd(self) -> float:
        return float(self.usd.mean())

    @property
    def cvar_usd(self) -> float:
        return cvar(self.usd, CONFIDENCE)


@dataclass(frozen=True, slots=True)
class Compared:
    """Ours less another rule, in parts of what never reserving costs on average, with the middle
    95% of paired differences: Student's of the mean, of CVaR when paths are drawn anew."""

    rule: str
    mean: float
    mean_interval: tuple[float, float]
    cvar: float
    cvar_interval: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """kappas: ours by risk aversion, the first without. shorter: ours by the longest term that it
    considers, without aversion. clairvoyant_usd [paths]."""

    paths: int
    played: tuple[Played, ...]
    kappas: Mapping[float, Played]
    shorter: Mapping[int, Played]
    clairvoyant_usd: Floats

    @property
    def ours(self) -> Played:
        return self.kappas[0.0]

    @property
    def never(self) -> Played:
        return next(one for one in self.played if one.family == NEVER)

    @property
    def frontier(self) -> list[Played]:
        """Ours by both dials of risk."""
        return [*self.kappas.values(), *self.shorter.values()]

    def families(self) -> list[Played]:
        """The best variant of each rule, in hindsight."""
        best: dict[str, Played] = {}
        for one in self.played:
            if one.family not in best or one.mean_usd < best[one.family].mean_usd:
                best[one.family] = one
        return list(best.values())

    def compared(self, other: Played, ours: Played | None = None) -> Compared:
        mine = (ours or self.ours).usd
        unit = self.never.mean_usd
        gaps = (mine - other.usd) / unit
        half = _T95.get(self.paths, 1.96 if self.paths > 40 else 2.1) * float(
            gaps.std(ddof=1) / np.sqrt(self.paths) if self.paths > 1 else np.inf
        )
        rows = np.random.default_rng(0).integers(0, self.paths, (_RESAMPLES, self.paths))
        tails = [
            (cvar(mine[row], CONFIDENCE) - cvar(other.usd[row], CONFIDENCE)) / unit for row in rows
        ]
        low, high = np.quantile(tails, [0.025, 0.975])
        middle = float(gaps.mean())
        return Compared(
            other.name,
            middle,
            (middle - half, middle + half),
            (cvar(mine, CONFIDENCE) - other.cvar_usd) / unit,
            (float(low), float(high)),
        )

    def frontier_gap(self, other: Played) -> float:
        """How much more than `other` the cheapest point of our frontier costs that has its CVaR or
        less, relative to it; inf if none has."""
        means = [one.mean_usd for one in self.frontier if one.cvar_usd <= other.cvar_usd * 1.0001]
        return min(means) / other.mean_usd - 1 if means else np.inf

    @property
    def regret(self) -> float:
        """Of ours, over the clairvoyant, relative to it."""
        return self.ours.mean_usd / float(self.clairvoyant_usd.mean()) - 1


def contest(
    walks: Iterable[Walk], terms: Sequence[int], *, kappas: Sequence[float] = KAPPAS, seed: int = 0
) -> Contest:
    """Every rule, by every term (in months, shortest first), on every walk. seed: of the
    randomised rule's draws."""
    bills: dict[tuple[str, str], list[Bill]] = {}
    mine: dict[float, list[Bill]] = {kappa: [] for kappa in kappas}
    # Who asks for a frontier gets both dials of it.
    shorter: dict[int, list[Bill]] = {term: [] for term in terms[:-1] if len(kappas) > 1}
    best: list[float] = []
    for number, walk in enumerate(walks):
        for family, rule in _rules(terms, np.random.default_rng([seed, number])):
            bills.setdefault((family, rule.name), []).append(walk.bill(rule))
        programs = Programs()
        for kappa in kappas:
            mine[kappa].append(walk.bill(Ours(OURS, programs, kappa)))
        for term, some in shorter.items():
            some.append(walk.bill(Ours(OURS, programs, longest=term)))
        best.append(least_nanos(walk) / NANOS_PER_USD)
    return Contest(
        len(best),
        tuple(_played(name, family, some) for (family, name), some in bills.items()),
        {kappa: _played(f"{OURS}, κ = {kappa:g}", OURS, some) for kappa, some in mine.items()},
        {
            term: _played(f"{OURS}, terms to {term} mo", OURS, some)
            for term, some in shorter.items()
        },
        np.array(best),
    )


def _rules(terms: Sequence[int], rng: np.random.Generator) -> Iterable[tuple[str, Rule]]:
    yield NEVER, Never()
    profile, share = Profile(), randomised_share(rng)
    for term in terms:
        for family, size in SIZES.items():
            yield family, Sized(f"{family}, {term} mo", term, size)
        for family, part in zip(BREAK_EVEN, (1.0, share), strict=True):
            yield family, BreakEven(f"{family}, {term} mo", term, profile, part)


def _played(name: str, family: str, bills: Sequence[Bill]) -> Played:
    bought = sum(bill.bought_tokens for bill in bills)
    return Played(
        name,
        family,
        np.array([bill.total / NANOS_PER_USD for bill in bills]),
        np.array([bill.fees.sum() / NANOS_PER_USD for bill in bills]),
        sum(bill.used_tokens for bill in bills) / bought if bought else 1.0,
        np.array([bill.months / NANOS_PER_USD for bill in bills]),
    )
