"""Printing: what every command does alike when it shows something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from tabulate import tabulate

from ledger.money import Money, as_usd, usd_text

F = TypeVar("F", bound=Callable[..., Any])

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


def print_json(value: object) -> None:
    """One object on one line; Decimals are numbers with all their digits."""
    click.echo(_encode(value).decode())


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
    """Enough digits to be of use: cents for what is worth dollars, all of them for less."""
    return f"${usd_text(money, 2 if abs(as_usd(money)) >= 100 else 6)}"


def moment(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _is_number(cell: object) -> bool:
    text = str(cell).lstrip("$-").replace(",", "").rstrip("%")
    return text == "" or text.replace(".", "", 1).isdigit()
