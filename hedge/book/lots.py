"""Lots: what is open of a derivative, what it is worth, and what closing it brings.

Lots are closed in the order in which they were opened. Every amount is exact to the nano-USD; where
a price has more digits, it is rounded once, half to even.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal

from hedge.contracts.contract import DerivativeContract
from hedge.contracts.derivatives import Event
from hedge.errors import EntryRefused
from ledger.accounting import GlAccount, Line, lines_of
from ledger.money import MAX_NANOS, NANOS_PER_USD, Money

_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


def nanos(usd: Decimal) -> Money:
    """An amount that may have more than nine decimals, to the nearest nano-USD.

    Raises EntryRefused for more than the books can hold.
    """
    whole = int(_WIDE.to_integral_value(_WIDE.multiply(usd, Decimal(NANOS_PER_USD))))
    if abs(whole) > MAX_NANOS:
        raise EntryRefused(f"{usd:,.2f} USD is more than the books can hold (9.2 billion USD)")
    return Money(whole)


def per_lot(contract: DerivativeContract) -> Decimal:
    """What a lot gains in USD when its price rises by one USD. An event is quoted by the lot."""
    return Decimal(1) if isinstance(contract, Event) else contract.multiplier


def is_paid_upfront(contract: DerivativeContract) -> bool:
    """Whether the price is paid at the trade: of an event; all others pay differences."""
    return isinstance(contract, Event)


def notional(contract: DerivativeContract, lots: int, price_usd: Decimal) -> Money:
    """Of lots at a price, without sign."""
    return nanos(_WIDE.multiply(per_lot(contract), _WIDE.multiply(price_usd, Decimal(abs(lots)))))


@dataclass(frozen=True, slots=True)
class Lot:
    """What is open of one fill. units: negative ones were sold. mark_usd: the last one since."""

    fill: str
    units: int
    entry_usd: Decimal
    at_ns: int
    mark_usd: Decimal | None = None

    def unrealised(self, contract: DerivativeContract) -> Money:
        return self._gain(contract, self.entry_usd if self.mark_usd is None else self.mark_usd)

    def carried(self, contract: DerivativeContract) -> Money:
        """What it stands in the books at."""
        paid = self._worth(contract, self.entry_usd) if is_paid_upfront(contract) else 0
        return Money(self.unrealised(contract) + paid)

    def _gain(self, contract: DerivativeContract, price_usd: Decimal) -> Money:
        return Money(self._worth(contract, price_usd) - self._worth(contract, self.entry_usd))

    def _worth(self, contract: DerivativeContract, price_usd: Decimal) -> Money:
        worth = notional(contract, self.units, price_usd)
        return worth if self.units >= 0 else Money(-worth)

    def opened(self, contract: DerivativeContract) -> tuple[Line, ...]:
        """What the books say of it when it is opened: nothing, unless it is paid for."""
        carried = self.carried(contract)
        return _moved(self.fill, 0, carried, {GlAccount.CASH: -carried})

    def marked(
        self, contract: DerivativeContract, price_usd: Decimal
    ) -> tuple[Lot, tuple[Line, ...]]:
        after = replace(self, mark_usd=price_usd)
        gain = after.unrealised(contract) - self.unrealised(contract)
        return after, _moved(
            self.fill,
            self.carried(contract),
            after.carried(contract),
            {GlAccount.UNREALISED_RESULT: -gain},
        )

    def closed(
        self, contract: DerivativeContract, units: int, price_usd: Decimal
    ) -> tuple[Lot, tuple[Line, ...], Money]:
        """With `units` of it (of the same sign, at most all) closed at a price: what is left, what
        the books say, and the gain."""
        left = replace(self, units=self.units - units)
        part = replace(self, units=units)
        carried = self.carried(contract) - left.carried(contract)
        unrealised = self.unrealised(contract) - left.unrealised(contract)
        is_paid = is_paid_upfront(contract)
        cash = part._worth(contract, price_usd) if is_paid else part._gain(contract, price_usd)
        gain = Money(cash - carried + unrealised)
        lines = _moved(
            self.fill,
            self.carried(contract),
            left.carried(contract),
            {
                GlAccount.CASH: cash,
                GlAccount.UNREALISED_RESULT: unrealised,
                GlAccount.REALISED_RESULT: -gain,
            },
        )
        return left, lines, gain


@dataclass(frozen=True, slots=True)
class Position:
    """The open lots of a contract in one month (None: it has none), oldest first."""

    contract: DerivativeContract
    month: date | None
    lots: tuple[Lot, ...] = ()

    @property
    def units(self) -> int:
        return sum(lot.units for lot in self.lots)

    @property
    def unrealised(self) -> Money:
        return Money(sum(lot.unrealised(self.contract) for lot in self.lots))

    @property
    def carried(self) -> Money:
        return Money(sum(lot.carried(self.contract) for lot in self.lots))

    def marked(self, price_usd: Decimal, at_ns: int) -> tuple[Position, tuple[Line, ...]]:
        """With the lots that were there at the time of the mark."""
        lots, lines = [], list[Line]()
        for lot in self.lots:
            after, moved = lot.marked(self.contract, price_usd) if lot.at_ns <= at_ns else (lot, ())
            lots.append(after)
            lines += moved
        return replace(self, lots=tuple(lots)), tuple(lines)

    def traded(
        self, fill: str, units: int, price_usd: Decimal, at_ns: int
    ) -> tuple[Position, tuple[Line, ...], Money]:
        """After a fill: it closes lots of the other sign, the oldest first; what is left of it is
        a lot of its own. With the lines and the gain of what was closed."""
        lots, lines, gain, left = list(self.lots), list[Line](), 0, units
        while left and lots and (lots[0].units > 0) != (left > 0):
            taken = min(abs(left), abs(lots[0].units)) * (1 if lots[0].units > 0 else -1)
            rest, moved, brought = lots[0].closed(self.contract, taken, price_usd)
            lots[:1] = [rest] if rest.units else []
            lines += moved
            gain += brought
            left += taken
        if left:
            lot = Lot(fill, left, price_usd, at_ns)
            lots.append(lot)
            lines += lot.opened(self.contract)
        return replace(self, lots=tuple(lots)), tuple(lines), Money(gain)


def _moved(about: str, before: int, after: int, others: dict[GlAccount, int]) -> tuple[Line, ...]:
    """What is carried goes from one value to another: an asset above zero, a liability below."""
    return lines_of(
        about,
        {
            GlAccount.DERIVATIVE_ASSETS: max(after, 0) - max(before, 0),
            GlAccount.DERIVATIVE_LIABILITIES: min(after, 0) - min(before, 0),
            **others,
        },
    )
