"""`hedgerow market history`: what offers cost in the past, as it is known now or was known then."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.tables.history import MarketHistory, PastQuote
from hedgerow.arguments import MOMENT
from hedgerow.books import market_books
from hedgerow.config import Config, load_config
from hedgerow.errors import NotFound
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers
from hedgerow.printing import config_option, iso, json_option, moment, price_told, print_json, table
from ledger.instants import as_ns, instant


@click.command()
@config_option
@click.option("--model", help="Only the offers that this model has now.")
@click.option("--offer", help="Only this offer, by its id; it may have been taken out since.")
@click.option("--from", "since_ns", type=MOMENT, help="What held from then on, as in 2027-01-31.")
@click.option("--to", "until_ns", type=MOMENT, help="What held before then.")
@click.option(
    "--known-at",
    "known_ns",
    type=MOMENT,
    help="As it was known then, without what was told or put right later. [default: now]",
)
@json_option
def history(
    path: Path,
    model: str | None,
    offer: str | None,
    since_ns: int | None,
    until_ns: int | None,
    known_ns: int | None,
    as_json: bool,
) -> None:
    """Every price of an offer with the time from which it held, and when that was known."""
    config = load_config(path, os.environ)
    now_ns = time.time_ns()
    known_ns = now_ns if known_ns is None else known_ns
    since_ns = since_ns or 0
    until_ns = max(known_ns, now_ns) if until_ns is None else until_ns
    if since_ns >= until_ns:
        raise click.BadParameter("it is not after --from", param_hint="--to")
    with market_books(config.ledger, create=False) as sql:
        kept = MarketHistory(sql)
        told = [
            one
            for name in _offers(config, kept.quotes.subjects(), model, offer)
            for one in kept.changes(name, *map(instant, (since_ns, until_ns, known_ns)))
        ]
    if as_json:
        print_json({"known_at": iso(known_ns), "prices": [_described(one) for one in told]})
        return
    if not told:
        click.echo("nothing is known of this time")
        return
    headers = ("offer", "since", "known", "input", "output", "cached", "price from")
    click.echo(table(headers, [_row(one) for one in told]))


def _offers(config: Config, kept: list[str], model: str | None, offer: str | None) -> list[str]:
    """Ids. Raises NotFound, naming those that there are."""
    if model is not None:
        config.model(model)
        at = datetime.now(UTC)
        now = quoted_offers(config, known_prices(config, at), at)
        ids = {one.offer.id for one in now[model]}
        kept = [name for name in kept if name in ids]
    if offer is None:
        return kept
    if offer not in kept:
        raise NotFound(
            f"no price of offer {offer!r} was kept: there are {', '.join(kept) or 'none'}"
        )
    return [offer]


def _row(one: PastQuote) -> tuple[str, ...]:
    times = (moment(as_ns(one.value_time)), moment(as_ns(one.known_time)))
    if one.said is None:
        return (one.subject, *times, "?", "?", "?", "nobody")
    rates = one.said.rates
    more = " (and others)" if one.said.overrides else ""
    prices = (f"{price:f}" for price in (rates.input, rates.output, rates.cache_read))
    return (one.subject, *times, *prices, one.source + more)


def _described(one: PastQuote) -> dict[str, object]:
    return {
        "offer": one.subject,
        "since": iso(as_ns(one.value_time)),
        "known": iso(as_ns(one.known_time)),
        "source": one.source,
        "price": None if one.said is None else price_told(one.said.rates),
        "overrides": []
        if one.said is None
        else [
            {
                "above_prompt_tokens": each.above_prompt_tokens,
                "utc_minutes": None
                if each.hours is None
                else [each.hours.start_minute, each.hours.end_minute],
                "price": price_told(each.rates),
            }
            for each in one.said.overrides
        ],
    }
