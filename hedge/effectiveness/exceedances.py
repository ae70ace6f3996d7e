"""Exceedances: how often the cost went above its cap, and what so many periods can say of that."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import bdtr, bdtrc

from hedge.risk import clopper_pearson

CERTAIN = 0.05
"""A chance below which what was seen speaks against the promise."""


@dataclass(frozen=True, slots=True)
class Exceedances:
    """count: of `periods`, how many cost more than their cap. promised: the chance of each to, by
    the plan's confidence; None where no plan promised one."""

    count: int
    periods: int
    promised: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the true chance, 95%, exact (Clopper and Pearson 1934); None of no periods."""
        return clopper_pearson(self.count, self.periods) if self.periods else None

    @property
    def p(self) -> float | None:
        """The chance of so many or more if the promise is kept, exactly."""
        if self.promised is None or not self.periods:
            return None
        if not self.count:
            return 1.0
        return float(bdtrc(self.count - 1, self.periods, self.promised))

    @property
    def power(self) -> float | None:
        """The chance that so many periods would show a chance twice as high as the promised one,
        where fewer than 5% of true promises were doubted."""
        if self.promised is None or not self.periods:
            return None
        doubted = next(
            count
            for count in range(1, self.periods + 2)
            if count > self.periods
            or float(bdtrc(count - 1, self.periods, self.promised)) < CERTAIN
        )
        if doubted > self.periods:
            return 0.0
        return 1 - float(bdtr(doubted - 1, self.periods, min(1.0, 2 * self.promised)))

    def sentence(self) -> str:
        """What it shows, and what it cannot."""
        interval, p, power = self.interval, self.p, self.power
        if interval is None:
            return "No period with a cap is over yet: nothing can be said of how often it holds."
        low, high = interval
        seen = (
            f"{self.count} of {self.periods} periods cost more than their cap: the true"
            f" chance of that lies between {low:.1%} and {high:.1%} (95%, exact binomial interval)."
        )
        if self.promised is None or p is None or power is None:
            return seen + " No approved plan promised a confidence to hold that against."
        if p < CERTAIN:
            return (
                f"{seen} If the plan's {self.promised:.1%} were true, so many would be seen with"
                f" chance {p:.1%}: this speaks against it."
            )
        return (
            f"{seen} That does not speak against the plan's {self.promised:.1%} (so many or more"
            f" have chance {p:.1%} then), and does not prove it: were the true chance twice as"
            f" high, {self.periods} periods would show it with chance {power:.0%} only."
        )
