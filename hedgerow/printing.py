"""Printing: what every command does alike when it shows something."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from tabulate import tabulate

from ledger.instants import instant
from ledger.money import NANOS_PER_USD, Money, usd_text
from ledger.rates import RateCard

F = TypeVar("F", bound=Callable[..., Any])

_CENT = NANOS_PER_USD // 100
_NUMBER = re.compile(r"[~≤]?-?\$?[0-9,]*\.?[0-9]*(%| ms| ×)?|\?")

_encode = msgspec.json.Encoder(decimal_format="number").encode

config_option: Callable[[F], F] = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The configuration, hedgerow.yaml.",
)
json_option: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout."
)

limits_option: Callable[[F], F] = click.option(
    "--limits",
    "has_limits",
    is_flag=True,
    help="Those of keys, teams, users, organisations and tags, too.",
)


def json_bytes(value: object) -> bytes:
    """One object on one line; Decimals are numbers with all their digits."""
    return _encode(value)


def print_json(value: object) -> None:
    """The same on stdout."""
    click.echo(json_bytes(value).decode())


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Text left, numbers right, as they are."""
    rows = list(rows)
    right = [
        bool(rows) and all(_is_number(row[index]) for row in rows) for index in range(len(headers))
    ]
    return tabulate(
        rows,
        headers=headers,
        tablefmt="simple",
        disable_numparse=True,
        colalign=["right" if one else "left" for one in right] if rows else None,
    )


def dollars(money: Money) -> str:
    """Enough digits to be of use: cents from 100 dollars on and for whole cents; else six."""
    is_plain = money % _CENT == 0 or abs(money) >= 100 * NANOS_PER_USD
    text = usd_text(Money(abs(money)), 2 if is_plain else 6)
    return f"-${text}" if money < 0 else f"${text}"


def moment(at_ns: int) -> str:
    """A time for people."""
    return instant(at_ns).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(at_ns: int) -> str:
    """A time for programs: ISO 8601 in UTC."""
    return instant(at_ns).isoformat().replace("+00:00", "Z")


def price_told(rates: RateCard) -> dict[str, Decimal | str]:
    """A rate card for programs: USD per million tokens, per request, and per unit if it has one."""
    price: dict[str, Decimal | str] = {
        "input": rates.input,
        "output": rates.output,
        "cache_read": rates.cache_read,
        "cache_write": rates.cache_write,
        "request": rates.request,
    }
    for name in ("reasoning", "cache_write_1h"):
        if (more := getattr(rates, name)) is not None:
            price[name] = more
    if rates.per is not None:
        price |= {"unit": rates.unit, "per": rates.per}
    return price


def _is_number(cell: object) -> bool:
    return _NUMBER.fullmatch(str(cell)) is not None
