"""Tally: what our books have for a model in a time, count by count, as an invoice would put it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

from ledger.charges import ChargeRow
from ledger.invoices.invoice import Period
from ledger.meters import EXACT, Meter, metering
from ledger.money import as_usd
from ledger.rates import RateCard

_ZERO = Decimal(0)
_QUARTER_NS = 900_000_000_000
"""Time zones are whole quarters of an hour apart: so fine are our charges kept."""


@dataclass(slots=True)
class Counted:
    """One meter's quantity, what of it is estimated, and what we expect to be billed, in USD."""

    quantity: int = 0
    estimated: int = 0
    cost: Decimal = _ZERO

    def add(self, other: Counted) -> None:
        self.quantity += other.quantity
        self.estimated += other.estimated
        self.cost = EXACT.add(self.cost, other.cost)


@dataclass(slots=True)
class Tally:
    """A sum of charges.

    unmetered: of charges without any counts, estimated as a whole. rounding: what the charges have
    beyond the sum of their meters. rates: the card of one of them, for what none of them used.
    """

    meters: dict[Meter, Counted] = field(default_factory=dict)
    unmetered: Decimal = _ZERO
    rounding: Decimal = _ZERO
    billed: Decimal = _ZERO
    charges: int = 0
    estimated: int = 0
    rates: RateCard | None = None

    def charge(self, row: ChargeRow) -> None:
        parts = metering(row)
        self.charges += 1
        self.estimated += row.estimated
        self.rates = row.rates
        self.billed = EXACT.add(self.billed, as_usd(row.billed))
        self.rounding = EXACT.add(self.rounding, parts.rounding.billed)
        for one in parts.meters:
            if one.meter is Meter.UNMETERED:
                self.unmetered = EXACT.add(self.unmetered, one.billed.cost)
            else:
                estimated = one.quantity if row.estimated else 0
                found = self.meters.setdefault(one.meter, Counted())
                found.add(Counted(one.quantity, estimated, one.billed.cost))

    def add(self, other: Tally) -> None:
        self.charges += other.charges
        self.estimated += other.estimated
        self.rates = other.rates or self.rates
        self.billed = EXACT.add(self.billed, other.billed)
        self.unmetered = EXACT.add(self.unmetered, other.unmetered)
        self.rounding = EXACT.add(self.rounding, other.rounding)
        for meter, counted in other.meters.items():
            self.meters.setdefault(meter, Counted()).add(counted)

    @property
    def tokens(self) -> int:
        return sum(one.quantity for meter, one in self.meters.items() if meter.is_of_tokens)


class Tallies:
    """All charges of a provider, by model and quarter of an hour; those that the invoice names one
    by one are kept apart, by the id that it names them with."""

    def __init__(self, named: Iterable[str]) -> None:
        self._named = set(named)
        self._quarters: defaultdict[tuple[str, int], Tally] = defaultdict(Tally)
        self.requests: dict[str, tuple[str, int, Tally]] = {}
        """By id: the model, when it was, and what it cost."""

    def charge(self, row: ChargeRow) -> None:
        if row.is_drawn:  # paid for with the fee: no invoice of usage has it
            return
        for name in (row.request_id, row.attempt_id):
            if name in self._named:
                found = self.requests.setdefault(name, (row.upstream_model, row.at_ns, Tally()))
                found[2].charge(row)
                return
        self._quarters[row.upstream_model, row.at_ns // _QUARTER_NS].charge(row)

    @property
    def models(self) -> set[str]:
        return {model for model, _ in self._quarters} | {one[0] for one in self.requests.values()}

    def by_period(
        self, periods: tuple[Period, ...], zone: tzinfo
    ) -> dict[tuple[str, Period], Tally]:
        """Charges that the invoice does not name, in the days of a time zone; those of no period
        are left out."""
        found: dict[tuple[str, Period], Tally] = {}
        days = Days(periods, zone)
        for (model, quarter), tally in self._quarters.items():
            period = days.of(quarter * _QUARTER_NS)
            if period is not None:
                found.setdefault((model, period), Tally()).add(tally)
        return found

    def tokens(self) -> Iterable[tuple[str, int, int]]:
        """Model, moment and tokens of every quarter that has some."""
        for (model, quarter), tally in self._quarters.items():
            if tally.tokens:
                yield model, quarter * _QUARTER_NS, tally.tokens


class Days:
    """Which period a moment lies in, by the days of a time zone."""

    def __init__(self, periods: tuple[Period, ...], zone: tzinfo) -> None:
        self._of_day = {
            day: period
            for period in periods
            for day in range(period.start.toordinal(), period.end.toordinal())
        }
        self._zone = zone

    def of(self, at_ns: int) -> Period | None:
        local = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).astimezone(self._zone)
        return self._of_day.get(local.toordinal())
