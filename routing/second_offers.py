"""SecondOffers: when a second offer is asked, and how many requests may have one."""

from __future__ import annotations

from dataclasses import dataclass

MOST_SAVED = 10
"""Second offers that quiet times save up for one outage, per model."""
MILLIONTHS = 1_000_000


@dataclass(frozen=True, slots=True)
class HedgeRule:
    """When a second offer is asked, and how often.

    after_ms: how long after the first; None: the 95th percentile of its own times to the first
    token. share_millionths: of the requests that may come to need one. plain: whether answers that
    are not streamed may, too: most providers bill them in full, whoever still listens.
    """

    after_ms: float | None
    share_millionths: int
    plain: bool = False


class SecondOffers:
    """How many second offers may still be asked, per model: never more than their share of all the
    requests that had one planned.

    asked, won: how many were asked, and how many of these began first.
    """

    def __init__(self) -> None:
        self._saved: dict[str, int] = {}
        self.asked = 0
        self.won = 0

    def earn(self, model: str, share_millionths: int) -> None:
        """One more request that had a second offer planned, whether it came to need it or not."""
        saved = self._saved.get(model, 0) + share_millionths
        self._saved[model] = min(saved, MOST_SAVED * MILLIONTHS)

    def take(self, model: str) -> bool:
        """Take one, if there is one; `give_back` it if it was not asked after all."""
        if self._saved.get(model, 0) < MILLIONTHS:
            return False
        self._saved[model] -= MILLIONTHS
        self.asked += 1
        return True

    def give_back(self, model: str) -> None:
        self._saved[model] += MILLIONTHS
        self.asked -= 1
