"""`hedgerow hedge book`: what was bought and what became of it; entries by hand and by file."""

from __future__ import annotations

import os
import secrets
import textwrap
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hedgerow.arguments import LABEL, LOCAL_MOMENT, USD_FROM_ZERO, nanos
from hedgerow.books import books
from hedgerow.config import load_config
from hedgerow.printing import config_option, json_option, print_json, table
from ledger.money import Money

if TYPE_CHECKING:
    from hedge.book.entering import Entry
    from hedge.book.standing import Standing

WIDTH = 100
_WIDEST_NAME = 20
_KINDS = (
    *("fill", "payment", "deposit", "withdrawal", "notice", "resale", "correction"),
    *("designation", "rebalancing", "dedesignation"),
)


@click.command("book")
@config_option
@click.option(
    "--import",
    "statement",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Enter every line of a statement (CSV, docs/hedge-book.md), or none of them.",
)
@click.option("--kind", type=click.Choice(_KINDS), help="What to enter.  [default: fill]")
@click.option("--line", type=LABEL, help="What the venue or bank calls it: it is entered once.")
@click.option("--plan", type=LABEL, help="Of a fill: the approved plan, or how its id begins.")
@click.option("--contract", type=LABEL, help="Of a fill.")
@click.option("--units", type=int, help="Of a fill or resale; of derivatives lots, below 0: sold.")
@click.option("--price", type=LABEL, help="USD per unit and month, or per index unit; exactly.")
@click.option("--month", type=LOCAL_MOMENT, help="That a derivative settles in, as 2027-01.")
@click.option("--months", type=click.IntRange(1, 60), help="The term of capacity.")
@click.option("--starts", type=LOCAL_MOMENT, help="The first day of the term.  [default: of --at]")
@click.option("--roll", type=LABEL, help="A name that the two fills of a roll share.")
@click.option("--team-rate-usd", "team_rate", type=USD_FROM_ZERO, help="Per million units drawn.")
@click.option("--over", "--reason", "reason", type=LABEL, help="Why more than approved; why wrong.")
@click.option("--of", "fill", type=LABEL, help="The fill that it is of; record; designation.")
@click.option("--with", "counterparty", type=LABEL, help="Of a deposit or withdrawal.")
@click.option("--usd", "amount", type=USD_FROM_ZERO, help="Of a payment, deposit or resale.")
@click.option("--objective", type=LABEL, help="Of a designation: what risk management wants.")
@click.option("--probability", type=LABEL, help="That the hedged purchases are made, as 0.95.")
@click.option("--models", type=LABEL, help="Whose purchases are hedged, `;` between.  [all]")
@click.option("--providers", type=LABEL, help="From whom, `;` between.  [all]")
@click.option("--index", type=LABEL, help="That prices them; `ledger`: what tokens cost us.")
@click.option("--volume", type=LABEL, help="Hedged, in index units or million tokens.")
@click.option("--beta", type=LABEL, help="By how many percent prices move with 1% of the index.")
@click.option("--method", type=click.Choice(("regression", "dollar_offset")), help="Of the test.")
@click.option("--risk", type=LABEL, help="That is hedged.")
@click.option("--strategy", type=LABEL, help="How.  [default: why the plan holds it]")
@click.option("--sources", type=LABEL, help="Of ineffectiveness, `;` between.")
@click.option("--expected/--not-expected", default=None, help="Purchases, when it is ended.")
@click.option("--at", type=LOCAL_MOMENT, help="When it happened (UTC).")
@click.option("--by", "who", type=LABEL, help="Who enters it: it is kept.")
@json_option
def book(
    path: Path, statement: Path | None, who: str | None, as_json: bool, **said: object
) -> None:
    """What the hedge holds, owes and has earned; with options, enter what has happened.

    Nothing is sent to any venue: fills are told here after they were made there. A fill needs
    --plan, --contract, --units, --price, --at and --by. Records are never changed: `--kind
    correction --of RECORD` reverses one.
    """
    from hedge.book.book import HedgeBook
    from hedge.book.entering import enter
    from hedge.book.standing import standing
    from hedge.book.statement_csv import import_statement

    given = {name: value for name, value in said.items() if value is not None}
    if (given or statement is not None) and who is None:
        raise click.UsageError("write --by: who enters it is kept")
    if given and statement is not None:
        raise click.UsageError("--import goes alone: what a line says stands in the file")
    config, now_ns = load_config(path, os.environ), time.time_ns()
    done = ""
    entry = _entry(given) if given else None
    writes = entry is not None or statement is not None
    with (
        books(config, create=False) as store,
        store.transaction() if writes else store.view(),
    ):
        found = HedgeBook(store.sql, now_ns)
        if statement is not None:
            imported = import_statement(found, statement, who or "")
            done = f"{imported.entered} entered, {imported.known} known already"
        elif entry is not None:
            is_news = enter(found, entry, who or "")
            done = f"{'entered' if is_news else 'known already:'} {entry.record}"
        seen = standing(found)
    if done:
        click.echo(done, err=True)
    if as_json:
        print_json(seen)
    elif not writes:
        click.echo("\n".join(book_lines(seen)))


def _entry(given: dict[str, object]) -> Entry:
    from hedge.book.entering import Entry, EntryKind
    from hedge.book.statement_csv import texts_of

    at, kind = given.get("at"), str(given.get("kind", "fill"))
    if not isinstance(at, datetime):
        raise click.UsageError("write --at: when it happened")
    is_back = kind == "withdrawal"
    fields: dict[str, Any] = {
        name: value.date() if isinstance(value, datetime) else value
        for name, value in given.items()
        if name not in ("at", "kind", "line", "price", "amount", *_NUMBERS, *_TEXTS)
    }
    if "price" in given:
        fields["price_usd"] = _number("price", str(given["price"]))
    fields |= {name: _number(name, str(given[name])) for name in _NUMBERS if name in given}
    fields |= {name: texts_of(str(given[name])) for name in _TEXTS if name in given}
    if isinstance(amount := given.get("amount"), int):
        fields["amount"] = Money(-amount if is_back else amount)
    line = given.get("line") or f"{at:%y%m%d}-{secrets.token_hex(4)}"
    return Entry(
        line=str(line),
        kind=EntryKind.DEPOSIT if is_back else EntryKind(kind),
        at_ns=nanos(at, UTC),
        **fields,
    )


_NUMBERS = ("probability", "volume", "beta")
_TEXTS = ("models", "providers", "sources")


def _number(name: str, text: str) -> Decimal:
    from hedge.book.statement_csv import price_of

    try:
        return price_of(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=f"--{name}") from None


# -- for people


def book_lines(seen: Standing) -> list[str]:
    """The book for a reader, at most 100 columns wide."""
    parts = [part for part in (_held(seen), _money(seen), _done(seen)) if part]
    lines = [line for part in parts for line in part]
    if not lines:
        lines = ["nothing is kept yet: `hedgerow hedge plan --save` keeps a plan", ""]
    for warning in seen.warnings:
        lines += textwrap.wrap(f"! {warning}", WIDTH, subsequent_indent="  ")
    return lines if seen.warnings else lines[:-1]


def _held(seen: Standing) -> list[str]:
    return [
        *_table(
            ("plan", "made by", "state", "approved by", "until", "planned", "filled"),
            [
                (
                    *(one.plan, one.made_by, one.state, ", ".join(one.approved_by)),
                    (one.approved_until or "")[:10],
                    sum(map(abs, one.planned.values())),
                    sum(map(abs, one.filled.values())),
                )
                for one in seen.plans
            ],
        ),
        *_table(
            ("commitment", "contract", "units", "until", "fee", "payable", "expensed"),
            [
                (
                    *(_short(one.fill), _short(one.contract), one.units, one.ends),
                    *map(_usd, (one.fee_usd, one.payable_usd, one.expensed_usd)),
                )
                for one in seen.commitments
            ],
        ),
        *_table(
            ("used of", "from", "until", "used", "covers", "stranded USD", "USD per Mtok"),
            [
                (
                    *(_short(one.commitment), one.since, one.until, _part(one.utilisation)),
                    *(_part(one.coverage), _known(one.stranded_usd), _known(one.usd_per_mtok)),
                )
                for one in seen.utilisation
            ],
        ),
        *_table(
            ("position", "month", "lots", "mark", "marked on", "unrealised"),
            [
                (
                    *(_short(one.contract), one.month or "", one.units),
                    *("" if one.mark_usd is None else one.mark_usd, one.marked_on or ""),
                    _usd(one.unrealised_usd),
                )
                for one in seen.positions
            ],
        ),
    ]


def _money(seen: Standing) -> list[str]:
    return [
        *_table(
            ("derivative", "realised", "unrealised", "funding", "fees", "total USD"),
            [
                (
                    *(_short(one.contract), _usd(one.realised_usd), _usd(one.unrealised_usd)),
                    *(_usd(one.funding_usd), _usd(one.fees_usd), _usd(one.total_usd)),
                )
                for one in seen.results
            ],
        ),
        *_table(
            ("designation", "of", "hedges", "lots", "volume", "since", "ended"),
            [
                (
                    *(_short(one.designation), _short(one.fill), one.month, one.lots),
                    *(f"{one.volume:f}", one.since, one.ended or ""),
                )
                for one in seen.designations
            ],
        ),
        *_table(
            ("margin with", "deposits", "equity", "initial", "maintenance", "free USD"),
            [
                (
                    *(_short(one.counterparty), _usd(one.deposits_usd), _usd(one.equity_usd)),
                    *(_usd(one.initial_usd), _usd(one.maintenance_usd), _usd(one.free_usd)),
                )
                for one in seen.margin
            ],
        ),
    ]


def _done(seen: Standing) -> list[str]:
    accounts = [(name.replace("_", " "), _usd(at)) for name, at in seen.accounts.items() if at]
    return [
        *_table(
            ("settled", "month", "lots", "at", "result", "fees USD"),
            [
                (
                    *(_short(one.contract), one.month, one.lots, one.price_usd),
                    *(_usd(one.gain_usd), _usd(one.fee_usd)),
                )
                for one in seen.settlements
            ],
        ),
        *_table(
            ("restated", "month", "settled at", "would be now", "difference USD"),
            [
                (
                    *(_short(one.contract), one.month, one.settled_usd, one.now_usd),
                    _usd(one.difference_usd),
                )
                for one in seen.restated
            ],
        ),
        *_table(("roll", "cost USD"), [(one.roll, _usd(one.cost_usd)) for one in seen.rolls]),
        *_table(("account", "USD (credits below zero)"), accounts),
    ]


def _table(headers: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    """A table with an empty line after it; nothing without rows."""
    rows = list(rows)
    if rows:
        yield from table(headers, rows).splitlines()
        yield ""


def _short(name: str) -> str:
    return name if len(name) <= _WIDEST_NAME else f"{name[: _WIDEST_NAME - 1]}…"


def _part(part: float | None) -> str:
    return "" if part is None else f"{part:.1%}"


def _known(amount: Decimal | None) -> str:
    return "" if amount is None else _usd(amount)


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f}"
