"""Prices of GPU-hours, from files of indices, offers and contracts: CSV with a header, or JSON.

A row has a time (`date`, `observed_at_utc` or `at`), `provider`, `gpu` (or `chip`), `contract`, and
a price: `usd_per_gpu_hour`, or `bid` and `ask` (two rows), or `usd_per_hour` of a machine of
`gpu_count`. `region`, `gpu_count`, `stat`, `n_offers` and `source` may be empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused
from benchmarks.feeds.document import Document, decoded, refuse_unlikely
from benchmarks.feeds.figures import NotBelieved, moment, price
from benchmarks.feeds.reading import CapacityRow, Fault, Reading

SOURCE = "gpu index"
DEAREST_USD = Decimal(1000)
_TIMES = ("at", "observed_at_utc", "date")
_PRICES = {"usd_per_gpu_hour": "", "bid": "bid", "ask": "ask"}


def read(document: Document, source: str = SOURCE) -> Reading:
    """All rows, in the order of the file. source: where a row names none. Raises FeedRefused."""
    body = document.body
    is_json = body[:64].lstrip()[:1] in (b"[", b"{")
    rows = _json(body) if is_json else _csv(body)
    entries: list[CapacityRow] = []
    faults: list[Fault] = []
    listed = 0
    for number, row in enumerate(rows, 1):
        listed += 1
        try:
            entries.extend(_rows(row, source))
        except NotBelieved as error:
            faults.append(Fault(f"row {number}", error.name, error.value))
    if not listed:
        raise FeedRefused(AlarmName.TOO_FEW, "no rows")
    return Reading(
        source=source,
        version=document.name,
        known_at=document.known_at,
        as_of=max((one.at for one in entries), default=document.as_of or document.known_at),
        entries=tuple(entries),
        listed=listed,
        faults=tuple(faults),
    )


def _json(body: bytes) -> Iterator[Mapping[str, Any]]:
    found = decoded(body)
    rows = found.get("rows", found.get("data")) if isinstance(found, dict) else found
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        raise FeedRefused(AlarmName.MALFORMED, "no list of rows")
    return iter(rows)


def _csv(body: bytes) -> Iterator[Mapping[str, Any]]:
    refuse_unlikely(body)
    try:
        written = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FeedRefused(AlarmName.MALFORMED, f"no UTF-8: {error.reason}") from error
    if written and not written.endswith("\n"):
        raise FeedRefused(AlarmName.TRUNCATED, "its last line has no end")
    reader = csv.DictReader(io.StringIO(written, newline=""))
    try:
        names = reader.fieldnames or ()
        for wanted in (_TIMES, (*_PRICES, "usd_per_hour")):
            if not {*names} & {*wanted}:
                value = f"no column {' or '.join(wanted)}, only {', '.join(names)[:200]}"
                raise FeedRefused(AlarmName.MALFORMED, value)
        yield from reader
    except csv.Error as error:
        raise FeedRefused(AlarmName.MALFORMED, f"no CSV: {error}") from error


def _rows(row: Mapping[str, Any], source: str) -> Iterator[CapacityRow]:
    at = next((found for name in _TIMES if (found := moment(row.get(name)))), None)
    provider, gpu = _said(row.get("provider")), _said(row.get("gpu")) or _said(row.get("chip"))
    if at is None or gpu is None or provider is None:
        raise NotBelieved(AlarmName.MISSING, "no time, no provider or no GPU")
    gpus = _gpus(row.get("gpu_count"))
    usual = CapacityRow(
        at=at,
        provider=provider,
        region=_said(row.get("region")),
        gpu=gpu,
        gpus=gpus,
        contract=_said(row.get("contract")) or "on-demand",
        usd_per_gpu_hour=Decimal(0),
        stat=_said(row.get("stat")) or "list",
        offers=_gpus(row.get("n_offers")),
        source=_said(row.get("source")) or source,
    )
    priced = [
        replace(usual, usd_per_gpu_hour=_usd(row[name], name, 1), stat=stat or usual.stat)
        for name, stat in _PRICES.items()
        if row.get(name) not in (None, "")
    ]
    if not priced and row.get("usd_per_hour") not in (None, ""):
        if gpus is None:
            raise NotBelieved(AlarmName.MISSING, "usd_per_hour without gpu_count")
        price_usd = _usd(row["usd_per_hour"], "usd_per_hour", gpus)
        priced = [replace(usual, usd_per_gpu_hour=price_usd)]
    if not priced:
        raise NotBelieved(AlarmName.MISSING, "no price")
    yield from priced


def _usd(value: object, name: str, gpus: int) -> Decimal:
    found = price(value, name, Decimal(1) / gpus)
    if found > DEAREST_USD:
        raise NotBelieved(AlarmName.IMPLAUSIBLE, f"{name} {found} USD per GPU and hour")
    return found


def _gpus(value: object) -> int | None:
    written = str(value or "")
    is_count = len(written) <= 6 and written.isdecimal() and int(written)
    return int(written) if is_count else None


def _said(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
