"""StatementCsv: what venues, banks and desks report, as a CSV file of entries.

Nothing is guessed: a cell that cannot be read, or a line that the book refuses, is an error with
its line, and then nothing of the file is entered.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from hedge.book.book import HedgeBook
from hedge.book.entering import Entry, EntryKind, enter
from hedge.book.facts import Method
from hedge.errors import BookRefused, StatementRefused
from ledger.errors import LedgerError, NotMoney
from ledger.instants import as_ns
from ledger.money import Money, usd

COLUMNS = (
    *("line", "kind", "at", "plan", "contract", "units", "price_usd", "month", "months", "starts"),
    *("roll", "team_rate_usd", "fill", "counterparty", "usd", "reason"),
    *("objective", "probability", "models", "providers", "index", "volume", "beta", "method"),
    *("risk", "strategy", "sources", "expected"),
)
"""`line` and `at` must be there; without a kind, a line is a fill."""
MOST_LINES = 100_000


@dataclass(frozen=True, slots=True)
class Imported:
    """entered: lines that were news. known: those that were there already."""

    entered: int
    known: int


def import_statement(book: HedgeBook, path: Path, who: str) -> Imported:
    """Enter every line of a file, within a transaction that the caller undoes if this raises.

    Raises StatementRefused, with file and line.
    """
    entered = known = 0
    for number, entry in _entries(path):
        try:
            is_news = enter(book, entry, who)
        except (BookRefused, LedgerError) as refused:
            raise StatementRefused(
                f"{path}:{number}: {refused}; nothing of this file is entered"
            ) from refused
        entered += is_news
        known += not is_news
    return Imported(entered, known)


def _entries(path: Path) -> Iterator[tuple[int, Entry]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _read(csv.reader(file), path)
    except OSError as error:
        raise StatementRefused(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise StatementRefused(f"{path} is no CSV in UTF-8: {error}; export it anew") from error


def _read(rows: Iterator[list[str]], path: Path) -> Iterator[tuple[int, Entry]]:
    header = [name.strip() for name in next(rows, [])]
    strange = [name for name in header if name not in COLUMNS]
    if strange or not {"line", "at"} <= {*header} or len({*header}) < len(header):
        what = f"there is no column {strange[0]!r}" if strange else "line and at are needed, once"
        raise StatementRefused(f"{path}:1: {what}: the columns are {', '.join(COLUMNS)}")
    numbers: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if number > MOST_LINES:
            raise StatementRefused(f"{path} has more than {MOST_LINES:,} lines: import it in parts")
        if len(row) != len(header):
            raise StatementRefused(
                f"{path}:{number}: {len(row)} cells under {len(header)} columns: put quotes round"
                " cells that have commas"
            )
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        entry = _Line(path, number, cells).entry()
        if (first := numbers.setdefault(entry.id, number)) != number:
            raise StatementRefused(
                f"{path}:{number}: line: {entry.line} stands on line {first} already: a line is"
                " entered once"
            )
        yield number, entry


def price_of(text: str) -> Decimal:
    """An exact number of at most nine decimals. Raises ValueError."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found.adjusted() > 9 or int(found.as_tuple().exponent) < -9:
        raise ValueError(f"{text!r} is no number: write digits, as in 2.50")
    return found


def texts_of(text: str) -> tuple[str, ...] | None:
    """What stands between semicolons; None of nothing."""
    return tuple(one for part in text.split(";") if (one := part.strip())) or None


@dataclass(frozen=True, slots=True)
class _Line:
    path: Path
    number: int
    cells: Mapping[str, str]

    def entry(self) -> Entry:
        return Entry(
            line=self._needed("line"),
            kind=self._kind(),
            at_ns=self._moment(),
            plan=self._text("plan"),
            contract=self._text("contract"),
            units=self._whole("units"),
            price_usd=self._number("price_usd"),
            month=self._month(),
            months=self._whole("months"),
            starts=self._day("starts"),
            roll=self._text("roll"),
            team_rate=self._money("team_rate_usd"),
            fill=self._text("fill"),
            counterparty=self._text("counterparty"),
            amount=self._money("usd"),
            reason=self._text("reason"),
            objective=self._text("objective"),
            probability=self._number("probability"),
            models=self._texts("models"),
            providers=self._texts("providers"),
            index=self._text("index"),
            volume=self._number("volume"),
            beta=self._number("beta"),
            method=self._method(),
            risk=self._text("risk"),
            strategy=self._text("strategy"),
            sources=self._texts("sources"),
            expected=self._yes_or_no("expected"),
        )

    def _refused(self, column: str, what: str) -> StatementRefused:
        return StatementRefused(f"{self.path}:{self.number}: {column}: {what}")

    def _text(self, column: str) -> str | None:
        text = self.cells.get(column) or None
        if text is not None and not text.isprintable():
            raise self._refused(column, "it has control characters: write plain text")
        return text

    def _needed(self, column: str) -> str:
        text = self._text(column)
        if text is None:
            raise self._refused(column, "it is empty: write what the venue or the bank calls it")
        return text

    def _kind(self) -> EntryKind:
        text = self._text("kind") or EntryKind.FILL
        try:
            return EntryKind(text)
        except ValueError:
            known = ", ".join(EntryKind)
            raise self._refused("kind", f"{text!r} is none: write one of {known}") from None

    def _moment(self) -> int:
        text = self._text("at") or ""
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise self._refused(
                "at", f"{text!r} is no time: write 2027-01-31 or 2027-01-31T18:00:00Z"
            ) from None
        return as_ns(at.replace(tzinfo=UTC) if at.tzinfo is None else at)

    def _day(self, column: str) -> date | None:
        text = self._text(column)
        try:
            return None if text is None else date.fromisoformat(text)
        except ValueError:
            raise self._refused(column, f"{text!r} is no day: write 2027-01-31") from None

    def _month(self) -> date | None:
        text = self._text("month")
        try:
            return None if text is None else date.fromisoformat(f"{text}-01")
        except ValueError:
            raise self._refused("month", f"{text!r} is no month: write 2027-01") from None

    def _number(self, column: str) -> Decimal | None:
        text = self._text(column)
        if text is None:
            return None
        try:
            return price_of(text)
        except ValueError as error:
            raise self._refused(column, str(error)) from None

    def _whole(self, column: str) -> int | None:
        found = self._number(column)
        if found is None:
            return None
        if found != int(found):
            raise self._refused(column, f"{found} is no whole number")
        return int(found)

    def _texts(self, column: str) -> tuple[str, ...] | None:
        return texts_of(self._text(column) or "")

    def _method(self) -> Method | None:
        text = self._text("method")
        match text:
            case None | "regression" | "dollar_offset":
                return text
            case _:
                raise self._refused(
                    "method", f"{text!r} is none: write regression or dollar_offset"
                )

    def _yes_or_no(self, column: str) -> bool | None:
        text = self._text(column)
        if text not in (None, "yes", "no"):
            raise self._refused(column, f"{text!r} is neither yes nor no")
        return None if text is None else text == "yes"

    def _money(self, column: str) -> Money | None:
        text = self._text(column)
        try:
            return None if text is None else usd(text)
        except NotMoney as error:
            raise self._refused(column, str(error)) from None
