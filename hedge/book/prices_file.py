"""PricesFile: fixings of indices and prices of contracts, out of CSV or JSON.

CSV has the columns series, at, value, and if wanted known_at; JSON is an array of objects with the
same names. `series` is an index as contracts name it, or a contract's own price: its name, and of
one that settles by month the month, as in `GPU1 2026-12`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from hedge.errors import StatementRefused
from ledger.instants import as_ns, instant
from ledger.tables.fixings import Fixing

_COLUMNS = {"series", "at", "value"}
_MORE = {"known_at"}
_MOST_DIGITS = 18


def read_prices(path: Path, now_ns: int) -> list[Fixing]:
    """What a file says. known_at: since when it is known; without one, since now.

    Raises StatementRefused, with file and line (of JSON, the place in the array).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StatementRefused(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise StatementRefused(f"{path} is no text in UTF-8: {error}; export it anew") from error
    rows = _json(path, text) if text.lstrip().startswith("[") else _csv(path, text)
    return [_fixing(where, row, path.name, now_ns) for where, row in rows]


def _csv(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    try:
        rows = csv.reader(text.splitlines(), strict=True)
        header = [name.strip() for name in next(rows, [])]
        _check(f"{path}:1", header)
        for row in rows:
            if any(cell.strip() for cell in row):
                if len(row) != len(header):
                    raise StatementRefused(
                        f"{path}:{rows.line_num}: {len(row)} cells under {len(header)} columns"
                    )
                cells = (cell.strip() for cell in row)
                yield f"{path}:{rows.line_num}", dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise StatementRefused(f"{path} is no CSV: {error}; export it anew") from error


def _json(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    try:
        rows = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise StatementRefused(f"{path} is no JSON: {error}") from error
    for place, row in enumerate(rows):
        where = f"{path}[{place}]"
        if not isinstance(row, dict) or not all(isinstance(one, str) for one in row.values()):
            raise StatementRefused(f"{where}: write an object with series, at and value")
        _check(where, row)
        yield where, row


def _check(where: str, names: list[str] | Mapping[str, str]) -> None:
    if not _COLUMNS <= {*names} <= _COLUMNS | _MORE:
        raise StatementRefused(
            f"{where}: the columns are series, at, value, and if wanted known_at; there are:"
            f" {', '.join(names) or 'none'}"
        )


def _fixing(where: str, row: Mapping[str, str], source: str, now_ns: int) -> Fixing:
    series = row["series"]
    if not series or not series.isprintable():
        raise StatementRefused(f"{where}: series: write an index, or a contract's name")
    at_ns = _moment(where, "at", row["at"])
    known_ns = _moment(where, "known_at", row["known_at"]) if row.get("known_at") else now_ns
    if at_ns < 0:
        raise StatementRefused(f"{where}: at: {row['at']} is before 1970, where the books begin")
    if not at_ns <= known_ns <= now_ns:
        raise StatementRefused(
            f"{where}: it is of {instant(at_ns):%Y-%m-%d %H:%M} UTC and known since"
            f" {instant(known_ns):%Y-%m-%d %H:%M} UTC: a price is known after it was made, and not"
            " in the future"
        )
    try:
        value = Decimal(row["value"])
    except InvalidOperation:
        value = Decimal("NaN")
    if (
        not value.is_finite()
        or value <= 0
        or not -_MOST_DIGITS < value.adjusted() < 9
        or (len(value.as_tuple().digits) > _MOST_DIGITS)
    ):
        raise StatementRefused(
            f"{where}: value: {row['value']!r} is no price above 0: leave out the days for which"
            " none was made"
        )
    return Fixing(series, at_ns, value, known_ns, source)


def _moment(where: str, name: str, text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise StatementRefused(
            f"{where}: {name}: {text!r} is no time: write 2027-01-31 or 2027-01-31T20:00:00Z"
        ) from None
    return as_ns(at.replace(tzinfo=UTC) if at.tzinfo is None else at)
