"""Ours: the program, asked anew on the first of each month; only what starts today is bought."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from hedge.backtest.offer import Offer
from hedge.backtest.path import Ints, Seen
from hedge.backtest.walk import NOTHING, Buys
from hedge.program.menu import Lot, Menu, Pool
from hedge.program.program import Program
from hedge.program.waiting import later_usd
from hedge.scenarios.months import Months, TokenKind
from ledger.money import NANOS_PER_USD

CONFIDENCE = 0.95
GAP = 1e-3


@dataclass(slots=True)
class Programs:
    """Each month's program of one path at one fee: its cuts serve every taste of risk."""

    made: dict[tuple[date, int], Program] = field(default_factory=dict)

    def of(self, seen: Seen, offer: Offer, months: Months) -> Program:
        menu = menu_of(offer, seen.held, months)
        key = (seen.today, max(offer.fees))
        known = self.made.get(key)
        if known is None:
            known = Program(menu, months, CONFIDENCE, integer_months=1, gap=GAP)
            self.made[key] = known
            return known
        return known.with_fees(replace(menu, pools=known.menu.pools))


@dataclass(frozen=True, slots=True)
class Ours:
    """kappa: what a USD off the worst 5% of scenarios may cost, in USD of expected cost. longest:
    months of the longest term that is considered: the other dial of risk, against demand and
    prices that fall; None is no limit."""

    name: str
    programs: Programs
    kappa: float = 0.0
    longest: int | None = None
    is_daily: bool = False

    def buys(self, seen: Seen) -> Buys:
        fees = {
            term: fee
            for term, fee in seen.offer.fees.items()
            if self.longest is None or term <= self.longest
        }
        if seen.forecast is None or not fees:
            return NOTHING
        program = self.programs.of(seen, replace(seen.offer, fees=fees), seen.forecast)
        holding = program.cheapest_averse(self.kappa) if self.kappa else program.cheapest()
        bought: dict[int, int] = {}
        held = int(seen.held[0])
        for lot, starts in zip(program.menu.lots, holding.starts, strict=True):
            units = seen.offer.sold(float(starts[0]), held)
            bought[lot.term_months] = units
            held += units
        return bought


def menu_of(offer: Offer, held: Ints, months: Months) -> Menu:
    """The offer as it stands today, believed to stand as long as the forecast goes."""
    count = len(months.firsts)
    takes = np.zeros(len(TokenKind))
    takes[TokenKind.PROMPT] = 1.0
    per_minute = offer.slice_tokens / 5
    rows = [(first - months.firsts[0]).days for first in months.firsts]
    capacity = np.array([held[row] if row < len(held) else 0 for row in rows], dtype=np.float64)
    lots = []
    for term, fee in sorted(offer.fees.items()):
        fees, brings = np.zeros((count, count)), np.zeros((count, count))
        for start in range(count - term + 1):
            fees[start, start : start + term] = fee / NANOS_PER_USD
            brings[start, start : start + term] = per_minute
        lots.append(
            Lot(
                contract=f"{term} months",
                term_months=term,
                pool=0,
                min_units=offer.min_units,
                step=offer.step,
                max_units=offer.max_units,
                fee_usd=fees,
                brings=brings,
                end_value_usd=np.zeros(count),
            )
        )
    pool = Pool("reservation", True, takes, np.ones(len(months.workloads), dtype=bool))
    menu = Menu(
        (pool,),
        tuple(lots),
        held=(capacity * per_minute)[None, :],
        held_fee_usd=np.zeros(count),
    )
    return replace(menu, later_usd=later_usd(menu))
