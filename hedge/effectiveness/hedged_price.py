"""HedgedPrice: what the hedged purchases cost per unit, day by day: the hypothetical derivative.

The hypothetical derivative has the terms of the real one, and fits the purchases perfectly: it
gains what they get dearer.

- If they are priced by the contract's own index, its market is the contract's: its marks are those
  of the hypothetical derivative too, and volume and time are all that can differ.
- If another index prices them, there is no market for their forward price. What it would settle at
  is estimated from its fixings: those of the month so far, and the last one for the days to come.
- If the ledger prices them: what a million tokens cost over the last seven days on which any were
  bought.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext

from hedge.book.final_price import fixing_days, last_day
from hedge.contracts.contract import DerivativeContract
from hedge.effectiveness.bought import bought, usd_per_mtok
from hedge.effectiveness.gains import Gains
from hedge.effectiveness.trades import Trade
from ledger.databases.sql import Sql
from ledger.instants import day_ns
from ledger.tables.fixings import FixingTable

_DAY = timedelta(days=1)
TRAILING_DAYS = 7
_LOOK_BACK = timedelta(days=31)
"""How old a price may be that stands for a day."""


@dataclass(frozen=True, slots=True)
class HedgedPrice:
    """before: the price that was known at the beginning of a day, USD per unit; None: unknown.
    says: what it is, in a sentence."""

    before: Callable[[date], Decimal | None]
    says: str


def by_contract(gains: Gains, trade: Trade, index: str) -> HedgedPrice:
    """Before the first mark, what it was traded at."""

    def before(day: date) -> Decimal | None:
        later = gains.price(trade.id, trade.key, trade.traded_on, day)
        return trade.fill.price_usd if later is None else later

    return HedgedPrice(
        before,
        f"the purchases are priced by {index}, as the contract is: its own marks, and at the end"
        " its settlement, value the hypothetical derivative",
    )


def by_index(
    sql: Sql, contract: DerivativeContract, index: str, month: date, known_ns: int
) -> HedgedPrice:
    table = FixingTable(sql)
    days = fixing_days(contract.settlement, month, last_day(month))

    def before(day: date) -> Decimal | None:
        day = min(day, last_day(month) + _DAY)
        known = table.known(index, known_ns, day_ns(min(day, month) - _LOOK_BACK), day_ns(day))
        if not known or known[-1].at_ns < day_ns(day - _LOOK_BACK):
            return None
        if contract.settlement.averaging == "last":
            return known[-1].value
        at = [one.at_ns for one in known]
        ends = (bisect_left(at, day_ns(one + _DAY)) for one in days)
        with localcontext(prec=28):
            return sum((known[max(0, end - 1)].value for end in ends), Decimal(0)) / len(days)

    return HedgedPrice(
        before,
        f"the purchases are priced by {index}: what it would settle at, from its fixings so far and"
        " the last one for the days to come; it has no forward price here",
    )


def by_ledger(
    sql: Sql, models: tuple[str, ...], providers: tuple[str, ...], month: date
) -> HedgedPrice:
    def before(day: date) -> Decimal | None:
        until = min(day, last_day(month) + _DAY)
        days = bought(sql, models, providers, until - _LOOK_BACK, until)
        with localcontext(prec=28):
            return usd_per_mtok(days[-TRAILING_DAYS:])

    return HedgedPrice(
        before,
        "the purchases are priced by the ledger: what a million of their tokens cost, at the prices"
        f" agreed with providers, over the last {TRAILING_DAYS} days of use",
    )
