"""`hedgerow report hedge` and `report spend`: what finance reads after a month."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import click

from hedgerow.arguments import LOCAL_MOMENT, nanos
from hedgerow.books import books
from hedgerow.config import Config, load_config
from hedgerow.printing import config_option
from hedgerow.reports.document import Document
from hedgerow.reports.formats import Format, rendered
from ledger.calendar_months import months_later
from ledger.errors import FileRefused
from ledger.instants import day_ns
from ledger.store import Store

F = TypeVar("F", bound=Callable[..., Any])
Made: TypeAlias = Callable[[Config, Store, date, int], Document]

_MINUTE_NS = 60_000_000_000


@click.group()
def report() -> None:
    """What finance reads after a month; every number names its source."""


def _options(command: F) -> F:
    for option in reversed(
        (
            config_option,
            click.option(
                "--month",
                type=LOCAL_MOMENT,
                help="Which month (UTC), as in 2027-01.  [default: the one before this one]",
            ),
            click.option(
                "--at",
                type=LOCAL_MOMENT,
                help="As of this moment (UTC).  [default: the month's end; now, while it runs]",
            ),
            click.option(
                "--format",
                "form",
                type=click.Choice([one.value for one in Format]),
                help="[default: by the name of the file; else json]",
            ),
            click.option(
                "-o",
                "--output",
                "files",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                multiple=True,
                help="The file to write; several times: all of one reading.  [default: stdout]",
            ),
        )
    ):
        command = option(command)
    return command


@report.command("hedge")
@_options
def hedge_(
    path: Path,
    month: datetime | None,
    at: datetime | None,
    form: str | None,
    files: tuple[Path, ...],
) -> None:
    """Whether the hedge worked: cost against the cap, effectiveness, accounting proposals.

    The same books and the same --at give the same report; its last page says how to make it again.
    """
    from hedgerow.reports.hedge_report import hedge_report

    _write(hedge_report, path, month, at, form, files)


@report.command("spend")
@_options
def spend_(
    path: Path,
    month: datetime | None,
    at: datetime | None,
    form: str | None,
    files: tuple[Path, ...],
) -> None:
    """What the month cost: chargeback by team, commitments, FOCUS, invoices, how far it is closed.

    The same books and the same --at give the same report; its last page says how to make it again.
    """
    from hedgerow.reports.spend_report import spend_report

    _write(spend_report, path, month, at, form, files)


def _write(
    made: Made,
    path: Path,
    month: datetime | None,
    at: datetime | None,
    form: str | None,
    files: tuple[Path, ...],
) -> None:
    chosen = [_form(form, file) for file in files or (None,)]
    if not files and not chosen[0].is_text and sys.stdout.isatty():
        raise click.BadParameter(
            f"a terminal cannot show {chosen[0].value}: name a file", param_hint="-o"
        )
    if form is not None and len(files) > 1:
        raise click.BadParameter("several files say by their names what they are", param_hint="-o")
    now_ns = time.time_ns()
    first = _month(month, now_ns)
    at_ns = _moment(first, at, now_ns)
    config = load_config(path, os.environ)
    with books(config, create=False) as store:
        document = made(config, store, first, at_ns)
    if not files:
        click.echo(rendered(document, chosen[0]), nl=False)
    for file, its in zip(files, chosen, strict=False):
        content = rendered(document, its)
        _keep(file, content)
        click.echo(f"{file}: {first:%Y-%m}, {len(content):,} bytes", err=True)


def _form(said: str | None, file: Path | None) -> Format:
    if said is not None:
        return Format(said)
    if file is None:
        return Format.JSON
    ending = file.suffix.removeprefix(".").lower()
    if ending not in list(Format):
        known = ", ".join(f".{one.value}" for one in Format)
        raise click.BadParameter(
            f"the name of {file} does not say what to write: end it with {known}, or say --format",
            param_hint="-o",
        )
    return Format(ending)


def _month(said: datetime | None, now_ns: int) -> date:
    if said is not None:
        return said.date().replace(day=1)
    today = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).date()
    return months_later(today.replace(day=1), -1)


def _moment(first: date, said: datetime | None, now_ns: int) -> int:
    """The end of a month that is over; else this minute, so that it can be said again."""
    if said is None:
        return min(day_ns(months_later(first, 1)), now_ns - now_ns % _MINUTE_NS)
    at_ns = nanos(said, UTC)
    if at_ns > now_ns:
        raise click.BadParameter("it has not come yet", param_hint="--at")
    return at_ns


def _keep(file: Path, content: bytes) -> None:
    """Whole or not at all: what breaks off leaves the old one."""
    part = file.with_name(f"{file.name}.part")
    try:
        try:
            part.write_bytes(content)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise FileRefused(
            f"cannot write {file}: {error.strerror or error}; name a file in a folder that is there"
            " and has room"
        ) from error
