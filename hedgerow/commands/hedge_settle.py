"""`hedgerow hedge settle`: what has come due, written into the book."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hedgerow.arguments import LOCAL_MOMENT
from hedgerow.books import books
from hedgerow.config import load_config
from hedgerow.printing import config_option, dollars, iso, json_option, moment, print_json
from ledger.money import as_usd

if TYPE_CHECKING:
    from hedge.book.facts import BilledFee
    from hedge.book.settling import Done


@click.command()
@config_option
@click.option(
    "--prices",
    "files",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Fixings and marks to take in first, CSV or JSON (docs/hedge-book.md).  [several]",
)
@click.option(
    "--month", type=LOCAL_MOMENT, help="Only what falls before the end of this month, as 2027-01."
)
@json_option
@click.pass_context
def settle(
    ctx: click.Context,
    path: Path,
    files: tuple[Path, ...],
    month: datetime | None,
    as_json: bool,
) -> None:
    """Write into the book what has come due: fees by the day, marks, funding, settlements.

    Running it again changes nothing, so that it can be run every day. What was settled stays so;
    fixings that are restated later are listed by `hedgerow hedge book`. Nothing is sent to any
    venue.

    Exit code 1: something that is due lacks a price, with one line on stderr for each.
    """
    from hedge.book.book import HedgeBook
    from hedge.book.prices_file import read_prices
    from hedge.book.settling import settle as settled
    from hedge.fixed_fee.agreements import bill_teams
    from ledger.calendar_months import months_later
    from ledger.tables.fixings import FixingTable

    config, now_ns = load_config(path, os.environ), time.time_ns()
    prices = [one for file in files for one in read_prices(file, now_ns)]
    until = None if month is None else months_later(month.date().replace(day=1), 1)
    with books(config, create=False) as store, store.transaction():
        added = FixingTable(store.sql).add(prices)
        book = HedgeBook(store.sql, now_ns)
        done = settled(book, until)
        bills = bill_teams(book, until)
    if as_json:
        print_json(_described(done, bills, added))
    else:
        click.echo("\n".join(_told(done, bills, added)))
        for sentence in done.waiting:
            click.echo(sentence, err=True)
    if done.waiting:
        ctx.exit(1)


def _described(done: Done, bills: list[BilledFee], prices: int) -> dict[str, object]:
    return {
        "prices": prices,
        "bills_and_expenses": done.bills_and_expenses,
        "marks": done.marks,
        "funding": [
            {
                "contract": one.contract,
                "until": iso(one.until_ns),
                "rate": one.rate,
                "amount_usd": as_usd(one.amount),
            }
            for one in done.funding
        ],
        "settled": [
            {
                "contract": one.contract,
                "month": f"{one.month:%Y-%m}",
                "lots": one.lots,
                "price_usd": one.price_usd,
                "gain_usd": as_usd(one.gain),
                "fee_usd": as_usd(one.fee),
                "fallbacks": one.fallbacks,
            }
            for one in done.settled
        ],
        "margin_calls": [
            {
                "counterparty": one.counterparty,
                "amount_usd": as_usd(one.amount),
                "due_at": iso(one.due_at_ns),
            }
            for one in done.calls
        ],
        "team_bills": [
            {
                "quote": one.quote,
                "month": f"{one.month:%Y-%m}",
                "billed_usd": as_usd(one.bill.billed),
                "metered_usd": as_usd(one.bill.metered),
                "platform_result_usd": as_usd(one.bill.result),
            }
            for one in bills
        ],
        "waiting": done.waiting,
    }


def _told(done: Done, bills: list[BilledFee], prices: int) -> Iterator[str]:
    yield (
        f"new prices: {prices}; written: bills and days' expenses {done.bills_and_expenses},"
        f" marks {done.marks}, fundings {len(done.funding)}"
    )
    for one in done.settled:
        yield (
            f"settled {one.contract} {one.month:%Y-%m}: {one.lots} lots at {one.price_usd} USD,"
            f" {dollars(one.gain)}, fees {dollars(one.fee)}"
        )
        yield from (f"  {sentence}" for sentence in one.fallbacks)
    for bill in bills:
        yield (
            f"billed {bill.quote} {bill.month:%Y-%m}: {dollars(bill.bill.billed)}; its usage"
            f" cost {dollars(bill.bill.metered)}"
        )
    for call in done.calls:
        yield (
            f"margin call of {call.counterparty}: {dollars(call.amount)} by"
            f" {moment(call.due_at_ns)}"
        )
