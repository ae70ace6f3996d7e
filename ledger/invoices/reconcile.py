"""Reconcile: our books against a provider's invoice, and why they differ.

The invoice's days may be those of another time zone than UTC. If its counts fit ours much better in
one of the world's other times, they are compared in that, and what the shift moves from one day to
the next is a cause of its own.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal, localcontext
from itertools import accumulate, pairwise

from ledger.charges import ChargeRow
from ledger.errors import NotAnInvoice
from ledger.invoices.causes import DIGITS, OF_KIND, ZERO, Cause, PriceGap, Terms, compared
from ledger.invoices.invoice import Invoice, InvoiceLine, LineKind, Period
from ledger.invoices.tally import Days, Tallies, Tally

_NANOS_PER_S = 1_000_000_000
FURTHEST = timedelta(hours=14)
"""No time zone is further from UTC."""
_OFFSETS_MINUTES = (
    *range(-12 * 60, 15 * 60, 60),
    *(-570, -210, 210, 270, 330, 345, 390, 525, 570, 630, 765),
)
_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")


@dataclass(frozen=True, slots=True)
class Explained:
    """A part of the difference, in USD: above zero is what they ask for beyond our books."""

    cause: Cause
    usd: Decimal


@dataclass(frozen=True, slots=True)
class ReconciledRow:
    """A model in a period; model None is for what belongs to no model, as a tax.

    ours: what we expect to be billed. theirs: what the invoice asks for. Both in USD; `theirs -
    ours` is the sum of the causes, exactly.
    """

    model: str | None
    period: Period
    ours: Decimal
    theirs: Decimal
    causes: tuple[Explained, ...]
    prices: tuple[PriceGap, ...]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All rows, by period and model, and their sums.

    open: how much of the difference somebody has to ask about, in USD: the open causes of each row
    without their signs, so that one does not hide another. unvalued: lines with counts alone, of
    what we have no price for. zone: the time zone of its days.
    """

    provider: str
    rows: tuple[ReconciledRow, ...]
    ours: Decimal
    theirs: Decimal
    causes: tuple[Explained, ...]
    open: Decimal
    unvalued: int
    zone: str
    charges: int
    estimated: int

    @property
    def difference(self) -> Decimal:
        return self.theirs - self.ours

    def is_explained(self, tolerance: Decimal) -> bool:
        """True if no more than `tolerance` USD are open."""
        return self.open <= tolerance and not self.unvalued


@dataclass(frozen=True, slots=True)
class Reading:
    """How an invoice is to be read.

    rates: USD for one of a currency. discount: the part that is taken off the list price. models:
    our name for a provider's model, by the invoice's name. zone: of its days; None: UTC, unless its
    counts say otherwise. account: which of our accounts at the provider it is for; None: all.
    """

    rates: dict[str, Decimal]
    discount: Decimal = ZERO
    models: dict[str, str] | None = None
    zone: tzinfo | None = None
    account: str | None = None


def span_ns(invoice: Invoice) -> tuple[int, int]:
    """Which of our charges `reconcile` wants to see: those of the invoice's days anywhere."""
    first = min(line.period.start for line in invoice.lines)
    last = max(line.period.end for line in invoice.lines)
    return _midnight_ns(first, -FURTHEST), _midnight_ns(last, FURTHEST)


def reconcile(
    provider: str, charges: Iterable[ChargeRow], invoice: Invoice, reading: Reading
) -> Reconciliation:
    """Compare. `charges`: all of `span_ns`; those of other providers are not looked at.

    Raises NotAnInvoice if lines are in a currency without a rate, or for periods that overlap.
    """
    for line in invoice.lines:
        if line.currency != "USD" and line.currency not in reading.rates:
            raise NotAnInvoice(
                f"line {line.number} is in {line.currency}: say what one is in USD, as in"
                f" --rate {line.currency}=1.08"
            )
    with localcontext(prec=DIGITS):
        usage = (line for line in invoice.lines if line.kind is LineKind.USAGE)
        tallies = Tallies(line.request_id for line in usage if line.request_id)
        for row in charges:
            if row.provider == provider and reading.account in (None, row.account):
                tallies.charge(row)
        return _Reconciling(provider, tallies, invoice, reading).done()


class _Reconciling:
    """An invoice and our tallies, compared row by row."""

    def __init__(self, provider: str, tallies: Tallies, invoice: Invoice, reading: Reading) -> None:
        self._provider = provider
        self._tallies = tallies
        self._terms = Terms(reading.rates, reading.discount, invoice.places)
        self._names = reading.models or {}
        self._periods = _periods(invoice.lines)
        usage = [one for one in invoice.lines if one.kind is LineKind.USAGE]
        self._beside = [one for one in invoice.lines if one.kind is not LineKind.USAGE]
        self._named = [one for one in usage if one.request_id in tallies.requests]
        self._usage = [one for one in usage if one.request_id not in tallies.requests]
        self._whole = bool(usage) and all(one.model is None for one in usage)
        self._zone = reading.zone or UTC
        self._best = reading.zone or self._closest()
        self._rows: dict[tuple[str | None, Period], _Row] = {}
        self._unvalued = 0

    def done(self) -> Reconciliation:
        self._compare_models()
        self._compare_requests()
        for line in self._beside:
            usd = self._terms.usd(line) or ZERO
            row = self._row(self._model(line), line.period)
            row.theirs += usd
            row.blame(OF_KIND[line.kind], usd)
        rows = tuple(
            row.done(model, period)
            for (model, period), row in sorted(
                self._rows.items(), key=lambda one: (one[0][1], one[0][0] or "")
            )
        )
        sums: defaultdict[Cause, Decimal] = defaultdict(Decimal)
        for one in (part for row in rows for part in row.causes):
            sums[one.cause] += one.usd
        return Reconciliation(
            provider=self._provider,
            rows=rows,
            ours=sum((row.ours for row in rows), ZERO),
            theirs=sum((row.theirs for row in rows), ZERO),
            causes=_explained(sums),
            open=sum(
                (abs(one.usd) for row in rows for one in row.causes if one.cause.is_open), ZERO
            ),
            unvalued=self._unvalued,
            zone=str(self._best),
            charges=sum(row.charges for row in self._rows.values()),
            estimated=sum(row.estimated for row in self._rows.values()),
        )

    def _compare_models(self) -> None:
        in_ours = self._merged(self._tallies.by_period(self._periods, self._zone))
        in_theirs = in_ours
        if self._best is not self._zone:
            in_theirs = self._merged(self._tallies.by_period(self._periods, self._best))
        lines: defaultdict[tuple[str | None, Period], list[InvoiceLine]] = defaultdict(list)
        for line in self._usage:
            lines[self._model(line), line.period].append(line)
        for key in {**in_ours, **in_theirs, **lines}:
            before, after = in_ours.get(key, Tally()), in_theirs.get(key, Tally())
            found = compared(after, lines.get(key, []), self._terms)
            row = self._row(*key)
            row.count(before)
            row.theirs += found.theirs
            row.blame(Cause.DAY_BOUNDARY, after.billed - before.billed)
            for cause, part in found.causes.items():
                row.blame(cause, part)
            row.prices += found.prices
            self._unvalued += found.unvalued

    def _compare_requests(self) -> None:
        """Those that the invoice names: our day and theirs need not be the same."""
        lines: defaultdict[str, list[InvoiceLine]] = defaultdict(list)
        for line in self._named:
            lines[line.request_id or ""].append(line)
        for name, (model, at_ns, tally) in self._tallies.requests.items():
            found = compared(tally, lines[name], self._terms)
            of_line = self._row(None if self._whole else model, lines[name][0].period)
            of_line.theirs += found.theirs
            for cause, part in found.causes.items():
                of_line.blame(cause, part)
            of_line.prices += found.prices
            of_line.blame(Cause.DAY_BOUNDARY, tally.billed)
            period = self._period_of(at_ns)
            if period is not None:
                ours = self._row(None if self._whole else model, period)
                ours.count(tally)
                ours.blame(Cause.DAY_BOUNDARY, -tally.billed)

    def _row(self, model: str | None, period: Period) -> _Row:
        return self._rows.setdefault((model, period), _Row())

    def _merged(
        self, tallies: dict[tuple[str, Period], Tally]
    ) -> dict[tuple[str | None, Period], Tally]:
        """By model; of all models together where the invoice tells none apart."""
        found: dict[tuple[str | None, Period], Tally] = {}
        for (model, period), tally in tallies.items():
            found.setdefault((None if self._whole else model, period), Tally()).add(tally)
        return found

    def _model(self, line: InvoiceLine) -> str | None:
        """Our name for the line's model. A provider may name the dated version of what it was asked
        for without a date."""
        if line.model is None or self._whole:
            return None
        name = self._names.get(line.model, line.model)
        undated = _DATED.sub("", name)
        known = self._tallies.models
        return undated if name not in known and undated in known else name

    def _period_of(self, at_ns: int) -> Period | None:
        return Days(self._periods, self._zone).of(at_ns)

    # -- the time zone of its days

    def _closest(self) -> tzinfo:
        """The time zone in whose days the invoice's tokens are ours, if it is plain that it is
        another than UTC: most of what differs in several places agrees in it."""
        theirs: defaultdict[tuple[str | None, Period], Decimal] = defaultdict(Decimal)
        for line in self._usage:
            if line.quantity is None:
                return self._zone
            if line.meter is None or line.meter.is_of_tokens:
                theirs[self._model(line), line.period] += line.quantity
        models = {model for model, _ in theirs}
        ours = {model: _Stream() for model in models}
        for model, at_ns, tokens in sorted(self._tallies.tokens(), key=lambda one: one[1]):
            name = None if self._whole else model
            if name in ours:
                ours[name].add(at_ns, tokens)

        def differences(offset: timedelta) -> Iterator[Decimal]:
            for period in self._periods:
                start_ns, end_ns = (_midnight_ns(one, -offset) for one in _ends(period))
                for model in models:
                    yield abs(theirs[model, period] - ours[model].between(start_ns, end_ns))

        in_utc = [one for one in differences(timedelta(0)) if one]
        if len(in_utc) < _FEWEST_PLACES:
            return self._zone
        offsets = (timedelta(minutes=one) for one in _OFFSETS_MINUTES)
        best, offset = min(
            ((sum(differences(one), ZERO), one) for one in offsets),
            key=lambda one: (one[0], abs(one[1])),
        )
        return timezone(offset) if best * _CLEARLY <= sum(in_utc, ZERO) else self._zone


_FEWEST_PLACES = 2
_CLEARLY = 20
"""How many times less must differ in another time zone: a chance hit does not go so far."""


class _Stream:
    """Tokens over time, to be summed between any two moments."""

    def __init__(self) -> None:
        self._moments: list[int] = []
        self._tokens: list[int] = []
        self._sums: list[int] = []

    def add(self, at_ns: int, tokens: int) -> None:
        """In the order of time."""
        self._moments.append(at_ns)
        self._tokens.append(tokens)

    def between(self, start_ns: int, end_ns: int) -> int:
        if len(self._sums) <= len(self._tokens):
            self._sums = list(accumulate(self._tokens, initial=0))
        first, last = (bisect_left(self._moments, one) for one in (start_ns, end_ns))
        return self._sums[last] - self._sums[first]


class _Row:
    """A row while it is put together."""

    def __init__(self) -> None:
        self.ours = ZERO
        self.theirs = ZERO
        self.charges = 0
        self.estimated = 0
        self.prices: tuple[PriceGap, ...] = ()
        self._causes: defaultdict[Cause, Decimal] = defaultdict(Decimal)

    def count(self, tally: Tally) -> None:
        self.ours += tally.billed
        self.charges += tally.charges
        self.estimated += tally.estimated

    def blame(self, cause: Cause, part: Decimal) -> None:
        self._causes[cause] += part

    def done(self, model: str | None, period: Period) -> ReconciledRow:
        return ReconciledRow(
            model, period, self.ours, self.theirs, _explained(self._causes), self.prices
        )


def _explained(causes: dict[Cause, Decimal]) -> tuple[Explained, ...]:
    """Those that have a part, the largest first."""
    found = [Explained(cause, usd) for cause, usd in causes.items() if usd]
    return tuple(sorted(found, key=lambda one: (-abs(one.usd), one.cause)))


def _periods(lines: Sequence[InvoiceLine]) -> tuple[Period, ...]:
    """The periods of its usage, and what lies between and beside them as far as any line reaches:
    what we were charged there is missing in theirs. Raises NotAnInvoice if they overlap."""
    start = min(line.period.start for line in lines)
    end = max(line.period.end for line in lines)
    if end - start > _LONGEST:
        raise NotAnInvoice(
            f"the invoice is for {start} to {end}: is a year mistyped? More than"
            f" {_LONGEST.days} days are not compared at once"
        )
    usage = sorted({line.period for line in lines if line.kind is LineKind.USAGE})
    for one, other in pairwise(usage):
        if other.start < one.end:
            raise NotAnInvoice(
                f"usage of {one} and of {other} overlap: it cannot be told which of our charges"
                " belong to which; compare them as two invoices"
            )
    found: list[Period] = []
    for one in (*usage, Period(end, end)):
        found.extend(_days(start, one.start))
        found.append(one)
        start = one.end
    return tuple(found[:-1])


_LONGEST = timedelta(days=1000)


def _days(start: date, end: date) -> Iterator[Period]:
    for ordinal in range(start.toordinal(), end.toordinal()):
        yield Period(date.fromordinal(ordinal), date.fromordinal(ordinal + 1))


def _ends(period: Period) -> tuple[date, date]:
    return period.start, period.end


def _midnight_ns(day: date, shift: timedelta) -> int:
    at = datetime.combine(day, time(), UTC) + shift
    return int(at.timestamp()) * _NANOS_PER_S
