"""InvoiceCsv: a CSV file as an invoice: our own documented form, and those of some providers.

A form is recognised by its header. Nothing is guessed beyond that: a cell that cannot be read is an
error with its line, since an invoice that is read half agrees with nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from ledger.errors import NotAnInvoice
from ledger.invoices.invoice import Invoice, InvoiceLine, LineKind, Period
from ledger.invoices.units import unit_of
from ledger.meters import EXACT, Meter

MOST_LINES = 1_000_000
"""Of those that are kept apart."""
_FEWEST_PLACES = 2
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class InvoiceMapping:
    """How a file says what our own form says otherwise.

    columns: its name for one of our columns. kinds: its words for ours. units: its words for units
    that we know. currency: of lines that name none.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, LineKind] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    currency: str = "USD"


COLUMNS = (
    *("date", "period", "model", "meter", "quantity", "unit", "amount"),
    *("currency", "kind", "request_id", "exchange_rate"),
)
"""Of our own form. `date` or `period`, and `amount`, must be there."""


def read_invoice(path: Path, mapping: InvoiceMapping = InvoiceMapping()) -> Invoice:
    """The lines of a file, those added up that differ in nothing but quantity and amount. Raises
    NotAnInvoice, with the line that cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(csv.reader(file), path, mapping)
    except OSError as error:
        raise NotAnInvoice(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise NotAnInvoice(f"{path} is no CSV in UTF-8: {error}; export it anew") from error


Cells = Mapping[str, str]
Reader = Callable[["_Line"], Iterator[InvoiceLine]]


def _read(rows: Iterator[list[str]], path: Path, mapping: InvoiceMapping) -> Invoice:
    header = [name.strip() for name in next(rows, [])]
    form, reader = _recognised(header, path, mapping)
    sums: dict[tuple[object, ...], InvoiceLine] = {}
    places = _FEWEST_PLACES
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise NotAnInvoice(
                f"{path}:{number}: {len(row)} cells under {len(header)} columns: put quotes round"
                " cells that have commas"
            )
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        for line in reader(_Line(path, number, cells, mapping)):
            if line.amount is not None:
                places = max(places, -int(line.amount.as_tuple().exponent))
            key = _same(line)
            sums[key] = _added(sums[key], line) if key in sums else line
        if len(sums) > MOST_LINES:
            raise NotAnInvoice(f"{path} has more than {MOST_LINES:,} lines: compare it in parts")
    if not sums:
        raise NotAnInvoice(f"{path} has a header and no lines: is it the right file?")
    return Invoice(form, tuple(sums.values()), places)


def _same(line: InvoiceLine) -> tuple[object, ...]:
    """What lines have alike that are added up: a file may have one for each of our requests."""
    return (
        *(line.period, line.model, line.meter, line.currency, line.kind, line.request_id),
        *(line.rate, line.quantity is None, line.amount is None),
    )


def _recognised(header: list[str], path: Path, mapping: InvoiceMapping) -> tuple[str, Reader]:
    if mapping.columns:
        missing = [one for one in mapping.columns.values() if one not in header]
        if missing:
            raise NotAnInvoice(
                f"{path}:1: there is no column {missing[0]!r}, which the mapping names; there are:"
                f" {', '.join(header)}"
            )
        return "by the mapping", _ours
    for form, columns, reader in _FORMS:
        if set(columns) <= set(header):
            return form, reader
    raise NotAnInvoice(
        f"{path}:1: this header is of no invoice that we know. Either it has the columns date (or"
        " period) and amount, and of model, meter, quantity, unit, currency, kind, request_id and"
        " exchange_rate those that there are, or --mapping names a file that says which are which"
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the file, whose cells are read one by one."""

    path: Path
    number: int
    cells: Cells
    mapping: InvoiceMapping

    def refused(self, column: str, what: str) -> NotAnInvoice:
        return NotAnInvoice(f"{self.path}:{self.number}: {column}: {what}")

    def name(self, column: str) -> str:
        return self.mapping.columns.get(column, column)

    def text(self, column: str) -> str:
        return self.cells.get(self.name(column), "")

    def number_in(self, column: str) -> Decimal | None:
        """An exact number; None for an empty cell. A dollar sign before it is let be."""
        text = self.text(column)
        if not text:
            return None
        try:
            found = Decimal(text.replace("$", "", 1))
        except InvalidOperation:
            found = Decimal("NaN")
        if not found.is_finite() or found.adjusted() > 14 or int(found.as_tuple().exponent) < -24:
            raise self.refused(
                self.name(column), f"{text!r} is no number: write digits, as in 1234.50"
            )
        return found

    def count(self, column: str) -> Decimal:
        """A number from zero on; an empty cell is zero."""
        found = self.number_in(column) or Decimal(0)
        if found < 0:
            raise self.refused(self.name(column), f"{found} is below zero")
        return found

    def day(self, column: str) -> date:
        """The date, whatever time of the day stands beside it."""
        text = self.text(column)
        try:
            return datetime.fromisoformat(text).date()
        except ValueError:
            raise self.refused(
                self.name(column), f"{text!r} is no date: write 2027-01-31"
            ) from None


def _ours(line: _Line) -> Iterator[InvoiceLine]:
    kind = _kind(line)
    meter, many = _unit(line)
    quantity = line.number_in("quantity")
    amount = line.number_in("amount")
    if amount is None and (quantity is None or kind is not LineKind.USAGE):
        raise line.refused(line.name("amount"), "it is empty: write what the line costs, or 0")
    if quantity is not None and quantity < 0:
        raise line.refused(line.name("quantity"), f"{quantity} is below zero")
    if kind in (LineKind.DISCOUNT, LineKind.CREDIT) and amount is not None and amount > 0:
        raise line.refused(
            line.name("amount"),
            f"a {kind} of {amount} would raise the invoice: write what lowers it with a minus sign",
        )
    rate = line.number_in("exchange_rate")
    if rate is not None and rate <= 0:
        raise line.refused(line.name("exchange_rate"), f"{rate} is not above zero")
    yield InvoiceLine(
        number=line.number,
        period=_period(line),
        model=line.text("model") or None,
        meter=meter,
        quantity=None if quantity is None else EXACT.multiply(quantity, many),
        amount=amount,
        currency=(line.text("currency") or line.mapping.currency).upper(),
        kind=kind,
        request_id=line.text("request_id") or None,
        rate=rate,
    )


def _kind(line: _Line) -> LineKind:
    text = line.text("kind")
    if text in line.mapping.kinds:
        return line.mapping.kinds[text]
    try:
        return LineKind(text.lower() or LineKind.USAGE)
    except ValueError:
        raise line.refused(
            line.name("kind"), f"{text!r} is none of {', '.join(LineKind)}: name it in the mapping"
        ) from None


def _unit(line: _Line) -> tuple[Meter | None, Decimal]:
    """What is counted, and how many one of the unit is: `meter` says what, `unit` how many."""
    text, said = line.text("unit"), line.text("meter")
    known = unit_of(line.mapping.units.get(text, text)) if text else (None, Decimal(1))
    meter = unit_of(line.mapping.units.get(said, said)) if said else known
    if known is None or meter is None:
        column, words = ("unit", text) if known is None else ("meter", said)
        raise line.refused(
            line.name(column),
            f"{words!r} is no unit that we know: write it as in `1K input tokens`, `images` or"
            " `seconds`, or name it in the mapping",
        )
    return meter[0], known[1]


def _period(line: _Line) -> Period:
    """A day, a month (2027-01), or the first and the last day (2027-01-05/2027-01-11)."""
    if not line.text("period"):
        day = line.day("date")
        return Period(day, day + _DAY)
    text = line.text("period")
    try:
        if "/" in text:
            first, last = (date.fromisoformat(one.strip()) for one in text.split("/"))
            if first <= last:
                return Period(first, last + _DAY)
        else:
            start = date.fromisoformat(f"{text}-01")
            return Period(start, (start + 31 * _DAY).replace(day=1))
    except ValueError:
        pass
    raise line.refused(
        line.name("period"), f"{text!r} is no period: write 2027-01 or 2027-01-05/2027-01-11"
    )


def _openai_costs(line: _Line) -> Iterator[InvoiceLine]:
    """Days of UTC; a line item is `gpt-5-mini-2025-08-07, cached input`, or a service's name. A
    file that was not grouped by line item has none; a day without costs has nothing at all."""
    amount = line.number_in("amount_value")
    if amount is None:
        return
    seconds = line.number_in("start_time")
    if seconds is None:
        raise line.refused("start_time", "it is empty")
    day = datetime.fromtimestamp(int(seconds), UTC).date()
    model, _, what = line.text("line_item").partition(", ")
    unit = unit_of(what) if what else None
    quantity = line.number_in("quantity") if unit else None
    yield InvoiceLine(
        number=line.number,
        period=Period(day, day + _DAY),
        model=model or None,
        meter=unit[0] if unit else None,
        quantity=quantity,
        amount=amount,
        currency=line.text("amount_currency").upper() or "USD",
    )


_ANTHROPIC_COUNTS = {
    Meter.INPUT: ("usage_input_tokens_no_cache",),
    Meter.CACHE_WRITE: ("usage_input_tokens_cache_write_5m",),
    Meter.CACHE_WRITE_1H: ("usage_input_tokens_cache_write_1h",),
    Meter.CACHED_INPUT: ("usage_input_tokens_cache_read",),
    Meter.OUTPUT: ("usage_output_tokens",),
}


def _anthropic_usage(line: _Line) -> Iterator[InvoiceLine]:
    """Counts without amounts."""
    day = line.day("usage_date_utc")
    for meter, columns in _ANTHROPIC_COUNTS.items():
        if count := sum((line.count(one) for one in columns), Decimal(0)):
            yield InvoiceLine(
                line.number,
                Period(day, day + _DAY),
                line.text("model_version") or None,
                meter,
                count,
                None,
            )


def _anthropic_costs(line: _Line) -> Iterator[InvoiceLine]:
    """Amounts in whole cents, without counts; models by their names for people."""
    day = line.day("usage_date_utc")
    unit = unit_of(line.text("token_type")) if line.text("token_type") else None
    yield InvoiceLine(
        number=line.number,
        period=Period(day, day + _DAY),
        model=line.text("model") or None,
        meter=unit[0] if unit else None,
        quantity=None,
        amount=line.number_in("cost_usd") or Decimal(0),
    )


def _openrouter_generations(line: _Line) -> Iterator[InvoiceLine]:
    """A line for each generation. Its id is OpenRouter's, and none of ours."""
    day = line.day("created_at")
    yield InvoiceLine(
        number=line.number,
        period=Period(day, day + _DAY),
        model=line.text("model_permaslug") or None,
        meter=None,
        quantity=line.count("tokens_prompt") + line.count("tokens_completion"),
        amount=line.number_in("cost_total") or Decimal(0),
    )


def _openrouter_days(line: _Line) -> Iterator[InvoiceLine]:
    """A line for each model and day."""
    day = line.day("Date")
    yield InvoiceLine(
        number=line.number,
        period=Period(day, day + _DAY),
        model=line.text("Slug") or None,
        meter=None,
        quantity=line.count("Prompt Tokens") + line.count("Completion Tokens"),
        amount=line.number_in("Usage") or Decimal(0),
    )


_FORMS: tuple[tuple[str, tuple[str, ...], Reader], ...] = (
    ("our own form", ("date", "amount"), _ours),
    ("our own form", ("period", "amount"), _ours),
    ("OpenAI costs", ("start_time", "amount_value", "amount_currency"), _openai_costs),
    (
        "Anthropic usage",
        ("usage_date_utc", "model_version", "usage_input_tokens_no_cache", "usage_output_tokens"),
        _anthropic_usage,
    ),
    ("Anthropic costs", ("usage_date_utc", "model", "token_type", "cost_usd"), _anthropic_costs),
    (
        "OpenRouter activity, by generation",
        ("created_at", "cost_total", "tokens_prompt", "tokens_completion", "model_permaslug"),
        _openrouter_generations,
    ),
    (
        "OpenRouter activity, by day",
        ("Date", "Slug", "Usage", "Prompt Tokens", "Completion Tokens"),
        _openrouter_days,
    ),
)


def _added(one: InvoiceLine, other: InvoiceLine) -> InvoiceLine:
    return replace(
        one,
        quantity=_sum(one.quantity, other.quantity),
        amount=_sum(one.amount, other.amount),
        amounts=one.amounts + other.amounts,
    )


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else EXACT.add(one, other)
