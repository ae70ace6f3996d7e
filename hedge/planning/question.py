"""Question: what a plan is asked for, and out of what it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from time import monotonic

from hedge.contracts.contract import CapacityContract, DerivativeContract
from hedge.contracts.lines import without_view
from hedge.contracts.menu import menu_of
from hedge.contracts.offered import Offered
from hedge.program.menu import Menu
from hedge.scenarios.draw import draw
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.months import Months
from hedge.scenarios.outlook import Estimate, Outlook, Prior
from ledger.money import NANOS_PER_USD, Money

WHOLE_MONTHS = 3
"""Months whose starts are whole units: what can be signed before the plan is made anew."""
MAX_SECONDS = 60.0

Draw = Callable[[int, int], Months]
"""Scenarios of a seed, so many of them."""
Offer = Callable[[Months], Menu]
"""The menu for scenarios: the same contracts, in the same order, whatever the scenarios."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Keep every month under a cap.

    draw: scenarios of the months ahead. offer: what can be bought in them. contracts: all that were
    offered, on the menu or not. estimates, priors: what draw goes by. validation: how its scenarios
    did on history that was held back. inputs: all that draw and offer were made from, as text.
    max_seconds: for one solve, by the clock (seconds).
    """

    draw: Draw
    offer: Offer
    contracts: Sequence[CapacityContract | DerivativeContract]
    cap: Money
    confidence: float
    seed: int
    inputs: Sequence[str]
    estimates: tuple[Estimate, ...] = ()
    priors: tuple[Prior, ...] = ()
    validation: tuple[str, ...] = ()
    whole_months: int = WHOLE_MONTHS
    max_seconds: float = MAX_SECONDS
    clock: Callable[[], float] = monotonic

    @property
    def cap_usd(self) -> float:
        return self.cap / NANOS_PER_USD


def question_of(
    history: DemandHistory,
    outlook: Outlook,
    offered: Offered,
    cap: Money,
    *,
    confidence: float,
    months: int,
    seed: int,
    today: date,
    validation: tuple[str, ...] = (),
) -> Question:
    """About the months after a history, with what is offered today to its workloads."""
    offered = replace(offered, workloads=history.workloads)

    def offer(ahead: Months) -> Menu:
        menu = menu_of(offered, ahead, today=today, seed=seed)
        return replace(menu, lines=without_view(menu.lines))

    return Question(
        draw=lambda seed, count: draw(history, outlook, seed=seed, count=count, months=months),
        offer=offer,
        contracts=offered.contracts,
        cap=cap,
        confidence=confidence,
        seed=seed,
        inputs=(
            history.sha256(),
            repr(outlook),
            *(one.model_dump_json() for one in (*offered.contracts, *offered.counterparties)),
            repr((offered.workloads, offered.books, offered.owned, offered.held, offered.limits)),
            f"{today} {months}",
        ),
        estimates=outlook.estimates,
        priors=outlook.priors,
        validation=validation,
    )
