"""Causes: why the invoice and the books differ in one model and period, down to the last digit.

What is left over when every cause has its part is itself a cause, so that they always add up to the
difference. Amounts are theirs less ours: above zero is what they ask for beyond our books.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ledger.invoices.invoice import InvoiceLine, LineKind
from ledger.invoices.tally import Counted, Tally
from ledger.meters import FINEST_DECIMALS, Meter, price_at

ZERO = Decimal(0)
CURRENCY_BAND = Decimal("0.03")
"""In a foreign currency, a price that is off by so little is the rate of exchange."""
_MOST_PLACES = 9
"""Some write amounts as their computers have them: what is below a nano-USD is noise."""
DIGITS = 60
"""Enough for every amount of an invoice: what calls this module sets Decimal's precision so."""
_SMALLEST = Decimal(1).scaleb(-FINEST_DECIMALS)
"""Parts that are found by a division are rounded to this."""


MILLION = 1_000_000
_Cell = str
"""What is compared with each other: a meter's value, or one of these."""
_TOKENS = "tokens"
_ALL = "all"


class Cause(StrEnum):
    USAGE = "usage counted differently"
    PRICE = "price differs"
    AMOUNT = "amount differs, the invoice has no counts"
    MISSING_IN_OURS = "missing in ours"
    MISSING_IN_THEIRS = "missing in theirs"
    ESTIMATED = "estimated by us"
    DAY_BOUNDARY = "day boundary"
    ROUNDING = "rounding"
    CURRENCY = "currency"
    DISCOUNT = "discount"
    CREDIT = "credit"
    TAX = "tax"
    FEE = "fee"
    COMMITMENT = "commitment"

    @property
    def is_open(self) -> bool:
        """True for what somebody has to ask about: the others explain themselves."""
        return self in _OPEN


_OPEN = frozenset(
    (Cause.USAGE, Cause.PRICE, Cause.AMOUNT, Cause.MISSING_IN_OURS, Cause.MISSING_IN_THEIRS)
)
OF_KIND = {
    LineKind.DISCOUNT: Cause.DISCOUNT,
    LineKind.CREDIT: Cause.CREDIT,
    LineKind.TAX: Cause.TAX,
    LineKind.FEE: Cause.FEE,
    LineKind.COMMITMENT: Cause.COMMITMENT,
}


@dataclass(frozen=True, slots=True)
class Terms:
    """How the invoice is to be read.

    rates: USD for one of a currency. discount: the part of the list price that was agreed to be
    taken off, 0.1 for 10 %. places: decimals of its amounts.
    """

    rates: dict[str, Decimal]
    discount: Decimal
    places: int

    def usd(self, line: InvoiceLine) -> Decimal | None:
        """The line's amount in USD at our rate."""
        return None if line.amount is None else line.amount * self._rate(line)

    def usd_of_theirs(self, line: InvoiceLine) -> Decimal | None:
        """The same at the rate that the line itself names, if it does."""
        if line.amount is None:
            return None
        return line.amount * (line.rate or self._rate(line))

    def precision(self, line: InvoiceLine) -> Decimal:
        """How far rounding may have moved the line's amount, in USD."""
        step = Decimal(1).scaleb(-min(self.places, _MOST_PLACES)) * self._rate(line)
        return step * line.amounts

    def _rate(self, line: InvoiceLine) -> Decimal:
        return Decimal(1) if line.currency == "USD" else self.rates[line.currency]


@dataclass(frozen=True, slots=True)
class PriceGap:
    """The same count at two prices, in USD for `Meter.per` (a million tokens if meter is None)."""

    meter: Meter | None
    ours: Decimal
    theirs: Decimal


@dataclass(frozen=True, slots=True)
class Compared:
    """theirs: in USD. causes: their parts of theirs less ours. unvalued: how many lines have counts
    without an amount, of what we have no price for: nobody knows what they cost."""

    theirs: Decimal
    causes: dict[Cause, Decimal]
    prices: tuple[PriceGap, ...] = ()
    unvalued: int = 0


def compared(ours: Tally, lines: Sequence[InvoiceLine], terms: Terms) -> Compared:
    """Our charges of a model and a period, and the usage lines for them; either may be none."""
    found = _Found(ours, terms)
    if not lines:
        found.miss_lines()
    elif not ours.charges:
        found.miss_charges(lines)
    else:
        found.compare(lines)
    causes = {cause: found.causes[cause] for cause in Cause if found.causes[cause]}
    return Compared(found.theirs, causes, tuple(found.prices), found.unvalued)


class _Found:
    """The causes, as they are found."""

    def __init__(self, ours: Tally, terms: Terms) -> None:
        self._ours = ours
        self._terms = terms
        self.theirs = ZERO
        self.causes: defaultdict[Cause, Decimal] = defaultdict(Decimal)
        self.prices: list[PriceGap] = []
        self.unvalued = 0

    def miss_lines(self) -> None:
        """They ask for nothing: as they may for what we only estimated."""
        counted = self._ours.meters.values()
        estimates = _sum(one.cost * one.estimated / one.quantity for one in counted if one.quantity)
        estimate = min(self._ours.billed, _rounded(estimates + self._ours.unmetered))
        self._blame(Cause.ESTIMATED, -estimate)
        self._blame(Cause.MISSING_IN_THEIRS, estimate - self._ours.billed)

    def miss_charges(self, lines: Sequence[InvoiceLine]) -> None:
        """They ask for what no card of ours prices: all of it is unknown to us."""
        for line in lines:
            usd = self._terms.usd(line)
            if usd is None:
                self.unvalued += 1
            else:
                self.theirs += usd
                self._blame(Cause.MISSING_IN_OURS, usd)

    def compare(self, lines: Sequence[InvoiceLine]) -> None:
        self._blame(Cause.ROUNDING, -self._ours.rounding)
        by_cell, ours = _cells(lines, self._ours)
        for cell in {**ours, **by_cell}:
            self._compare_cell(cell, ours.get(cell, Counted()), by_cell.get(cell, []))
        self._unmetered()

    def _compare_cell(self, cell: _Cell, ours: Counted, lines: Sequence[InvoiceLine]) -> None:
        price = self._price(cell, ours)
        quantities = [line.quantity for line in lines]
        counts = [one for one in quantities if one is not None]
        if len(counts) < len(quantities):
            usage = ZERO
        elif price is None:
            self.miss_charges(lines)
            return
        else:
            usage = _rounded((_sum(counts) - ours.quantity) * price)
        estimate = ZERO
        if price is not None and ours.estimated:
            most = _rounded(ours.estimated * price)
            estimate = max(-most, min(usage, most))
        self._blame(Cause.ESTIMATED, estimate)
        self._blame(Cause.USAGE, usage - estimate)
        expected = ours.cost + usage
        valued = [line for line in lines if line.amount is not None or price is not None]
        self.unvalued += len(lines) - len(valued)
        theirs = _sum(self._value(line, price, self._terms.usd_of_theirs(line)) for line in valued)
        at_ours = _sum(self._value(line, price, self._terms.usd(line)) for line in valued)
        self.theirs += at_ours
        self._blame(Cause.CURRENCY, at_ours - theirs)
        discount = _rounded(-self._terms.discount * expected)
        self._blame(Cause.DISCOUNT, discount)
        rest = theirs - expected - discount
        cause = self._of_the_rest(rest, expected, lines, has_counts=len(counts) == len(quantities))
        self._blame(cause, rest)
        if cause is Cause.PRICE and price is not None and _sum(counts):
            meter = _meter(cell)
            per = MILLION if meter is None else meter.per
            listed = (theirs - discount) / _sum(counts) * per
            self.prices.append(PriceGap(meter, _rounded(price * per), _rounded(listed)))

    def _value(self, line: InvoiceLine, price: Decimal | None, usd: Decimal | None) -> Decimal:
        """What the line asks for; if it has a count alone, that at our price."""
        if usd is not None:
            return usd
        return _rounded((line.quantity or ZERO) * (price or ZERO) * (1 - self._terms.discount))

    def _of_the_rest(
        self, rest: Decimal, expected: Decimal, lines: Sequence[InvoiceLine], *, has_counts: bool
    ) -> Cause:
        if abs(rest) <= sum((self._terms.precision(line) for line in lines), _SMALLEST):
            return Cause.ROUNDING
        is_foreign = all(line.currency != "USD" for line in lines) and lines
        if is_foreign and abs(rest) <= CURRENCY_BAND * abs(expected):
            return Cause.CURRENCY
        if not lines:
            return Cause.USAGE
        return Cause.PRICE if has_counts else Cause.AMOUNT

    def _price(self, cell: _Cell, ours: Counted) -> Decimal | None:
        """USD for one, as we were charged on average; what we have none of, as the card says."""
        if ours.quantity:
            return ours.cost / ours.quantity
        meter = _meter(cell)
        if meter is None or self._ours.rates is None:
            return None
        listed = price_at(meter, self._ours.rates)
        return None if listed is None else listed / meter.per

    def _unmetered(self) -> None:
        """Estimates without counts stand against what they count beyond ours."""
        estimate = self._ours.unmetered
        if not estimate:
            return
        beyond = min(estimate, max(ZERO, self.causes[Cause.USAGE]))
        self._blame(Cause.USAGE, -beyond)
        self._blame(Cause.ESTIMATED, beyond - estimate)

    def _blame(self, cause: Cause, part: Decimal) -> None:
        self.causes[cause] += part


def _cells(
    lines: Sequence[InvoiceLine], tally: Tally
) -> tuple[dict[_Cell, list[InvoiceLine]], dict[_Cell, Counted]]:
    """Both by meter, as far as the lines tell meters apart: tokens of any kind are compared with
    all of ours, an amount for the model with everything."""
    everything = any(line.meter is None and line.quantity is None for line in lines)
    any_tokens = any(line.meter is None for line in lines)

    def cell(meter: Meter | None) -> _Cell:
        if everything:
            return _ALL
        if any_tokens and (meter is None or meter.is_of_tokens):
            return _TOKENS
        return _TOKENS if meter is None else meter.value

    theirs: defaultdict[_Cell, list[InvoiceLine]] = defaultdict(list)
    ours: defaultdict[_Cell, Counted] = defaultdict(Counted)
    for line in lines:
        theirs[cell(line.meter)].append(line)
    for meter, counted in tally.meters.items():
        ours[cell(meter)].add(counted)
    return theirs, ours


def _meter(cell: _Cell) -> Meter | None:
    return None if cell in (_TOKENS, _ALL) else Meter(cell)


def _rounded(number: Decimal) -> Decimal:
    return number.quantize(_SMALLEST)


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    return sum(numbers, ZERO)
