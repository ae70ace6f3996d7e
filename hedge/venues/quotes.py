"""Quotes: venues' prices out of a CSV or JSON file, all in one shape.

A row is one level of a book:

    contract,month,at,bid,bid_lots,ask,ask_lots,valid_until
    cme-gpu1-h100,2027-01,2026-11-20T15:00:00Z,2.55,40,2.58,25,
    cme-gpu1-h100,2027-01,2026-11-20T15:00:00Z,2.54,100,2.60,80,

An order book has several rows of one contract, month and time; a quote has one; what an auction
came to is a row with its price as bid and ask, and its volume as lots. `month` is empty for what
has no expiry; a side is empty where nobody stands; `valid_until` may be left out. JSON is a list of
such objects. Prices are USD per index unit (of an event: per lot; of a GPU block: per GPU-hour, a
lot being a unit of it), times ISO 8601 with an offset.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from hedge.errors import QuotesUnreadable
from hedge.venues.executable import Executable, Level

MAX_BYTES = 8 * 2**20
MAX_ROWS = 50_000
_NEEDED = ("contract", "month", "at", "bid", "bid_lots", "ask", "ask_lots")
_KNOWN = (*_NEEDED, "valid_until")
_MOST_LOTS = 10_000_000
_MOST_USD = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line, as text. place: for errors."""

    place: str
    cells: Mapping[str, str]

    def wrong(self, what: str) -> QuotesUnreadable:
        return QuotesUnreadable(f"{self.place}: {what}")


def read_quotes(path: Path) -> tuple[Executable, ...]:
    """The books in a file, in the order of their first rows.

    Raises QuotesUnreadable for the first thing that is wrong, with its line: negative prices, lots
    that are no whole number, a time without offset, the same price twice.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise QuotesUnreadable(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise QuotesUnreadable(f"{path}: larger than 8 MiB: keep the newest quotes only")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise QuotesUnreadable(f"{path}: not UTF-8: save it in UTF-8") from None
    rows = _json_rows(path, text) if path.suffix == ".json" else _csv_rows(path, text)
    return _books(path, rows)


def _csv_rows(path: Path, text: str) -> Iterator[_Row]:
    reader = csv.DictReader(io.StringIO(text), strict=True, restkey="_more", restval="")
    try:
        if missing := [one for one in _NEEDED if one not in (reader.fieldnames or ())]:
            raise QuotesUnreadable(
                f"{path}:1: no column {missing[0]}: the first line is {','.join(_KNOWN)}"
            )
        for cells in reader:
            place = f"{path}:{reader.line_num}"
            if "_more" in cells:
                raise QuotesUnreadable(f"{place}: more cells than columns: take them out")
            yield _Row(place, {key: value.strip() for key, value in cells.items()})
    except csv.Error as error:
        raise QuotesUnreadable(f"{path}:{reader.line_num}: no CSV: {error}") from None


def _json_rows(path: Path, text: str) -> Iterator[_Row]:
    try:
        rows = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise QuotesUnreadable(f"{path}: no JSON: {error}") from None
    if not isinstance(rows, list):
        raise QuotesUnreadable(f"{path}: write a list of objects with {', '.join(_KNOWN)}")
    for at, one in enumerate(rows):
        place = f"{path}[{at}]"
        if not isinstance(one, dict) or not all(
            value is None or isinstance(value, str) for value in one.values()
        ):
            raise QuotesUnreadable(f"{place}: write an object with {', '.join(_KNOWN)}")
        yield _Row(place, {key: value or "" for key, value in one.items()})


def _books(path: Path, rows: Iterator[_Row]) -> tuple[Executable, ...]:
    sides: dict[tuple[str, date | None], tuple[dict[Decimal, int], dict[Decimal, int]]] = {}
    quoted: dict[tuple[str, date | None], tuple[datetime, datetime | None]] = {}
    for number, row in enumerate(rows):
        if number == MAX_ROWS:
            raise row.wrong(f"more than {MAX_ROWS} rows: keep the newest quotes only")
        if unknown := row.cells.keys() - set(_KNOWN):
            raise row.wrong(f"unknown column {min(unknown)}: known are {', '.join(_KNOWN)}")
        if not row.cells.get("contract"):
            raise row.wrong("contract is missing: write its name")
        key = (row.cells["contract"], _month(row))
        until = _time(row, "valid_until") if row.cells.get("valid_until") else None
        when = (_time(row, "at"), until)
        if quoted.setdefault(key, when) != when:
            raise row.wrong(
                f"a second book of {key[0]}, with another time: keep the newest of them only"
            )
        book = sides.setdefault(key, ({}, {}))
        found = [_level(row, "bid"), _level(row, "ask")]
        if not any(found):
            raise row.wrong("neither a bid nor an ask: take the row out")
        for side, name, level in zip(book, ("bid", "ask"), found, strict=True):
            if level is None:
                continue
            if level.price in side:
                raise row.wrong(f"{name} {level.price} stands twice: add up its lots")
            side[level.price] = level.lots
    return tuple(
        Executable(
            contract=contract,
            month=month,
            at=quoted[contract, month][0],
            bids=tuple(Level(price, bids[price]) for price in sorted(bids, reverse=True)),
            asks=tuple(Level(price, asks[price]) for price in sorted(asks)),
            source=str(path),
            valid_until=quoted[contract, month][1],
        )
        for (contract, month), (bids, asks) in sides.items()
    )


def _month(row: _Row) -> date | None:
    text = row.cells.get("month", "")
    if not text:
        return None
    if found := re.fullmatch(r"(20[0-9]{2})-(0[1-9]|1[0-2])", text):
        return date(int(found[1]), int(found[2]), 1)
    raise row.wrong(f"month {text!r} is none: write it as in 2027-01, or leave it empty")


def _time(row: _Row, name: str) -> datetime:
    text = row.cells.get(name, "")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise row.wrong(f"{name} {text!r} is no time: write it as in 2026-11-20T15:00:00Z")
    return found.astimezone(UTC)


def _level(row: _Row, side: str) -> Level | None:
    price, lots = row.cells.get(side, ""), row.cells.get(f"{side}_lots", "")
    if not price and not lots:
        return None
    try:
        amount = Decimal(price)
    except InvalidOperation:
        raise row.wrong(f"{side} {price!r} is no price: write digits, as in 2.55") from None
    if not amount.is_finite() or not 0 <= amount <= _MOST_USD:
        raise row.wrong(f"{side} {price} is no price: negative prices are not traded on")
    if side == "ask" and not amount:
        raise row.wrong(f"ask {price} is no price: nobody sells for nothing")
    if not re.fullmatch(r"[0-9]{1,8}", lots) or not 1 <= int(lots) <= _MOST_LOTS:
        raise row.wrong(f"{side}_lots {lots!r} are none: write whole lots, as in 40")
    return Level(amount, int(lots))
