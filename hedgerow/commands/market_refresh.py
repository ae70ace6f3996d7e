"""`hedgerow market refresh`: every feed is asked now."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.alarms import Alarm
from benchmarks.market import Quoted
from hedgerow.config import Config, load_config
from hedgerow.loops import run
from hedgerow.market.feeding import Heard, refreshed
from hedgerow.market.offers import quoted_offers
from hedgerow.market.price_book import PriceBook
from hedgerow.printing import config_option, iso, json_option, price_told, print_json, table
from ledger.instants import as_ns, instant
from proxy.clock import SystemClock


@click.command()
@config_option
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    metavar="NAME",
    help="Believe what is doubted of this entry or feed, as its alarm names it; may be repeated.",
)
@json_option
def refresh(path: Path, accepted: tuple[str, ...], as_json: bool) -> None:
    """Ask every feed now: what has changed, and what of it is not believed.

    A server that runs follows within a second. Exit code 1 if a feed was refused, or if nothing is
    called as --accept says.
    """
    config = load_config(path, os.environ)
    found = run(_refreshed(config, accepted))
    if as_json:
        print_json(_described(found))
    else:
        click.echo(_told(found))
    unknown = [one for one in accepted if one not in found.names]
    if unknown:
        click.echo(f"--accept {', '.join(unknown)}: no feed and no alarm is called so", err=True)
    if unknown or any(one.is_refused for one in found.heard):
        raise click.exceptions.Exit(1)


@dataclass(frozen=True, slots=True)
class _Changed:
    """An offer before and after. Either quote is None where nobody knows its price."""

    before: Quoted
    after: Quoted


@dataclass(frozen=True, slots=True)
class _Found:
    heard: Sequence[Heard]
    changed: Sequence[_Changed]

    @property
    def alarms(self) -> list[Alarm]:
        return [alarm for one in self.heard for alarm in one.belief.alarms]

    @property
    def names(self) -> set[str]:
        """Of feeds, and of entries that they tell of or that were doubted before."""
        names = {one.source.name for one in self.heard}
        for one in self.heard:
            names.update(one.before.doubts, one.belief.standings)
        return names


async def _refreshed(config: Config, accepted: Collection[str]) -> _Found:
    clock = SystemClock()
    before, after, heard = await refreshed(config, clock, accepted)
    return _Found(heard, _changes(config, before, after, clock.now_ns()))


def _changes(config: Config, before: PriceBook, after: PriceBook, now_ns: int) -> list[_Changed]:
    at = instant(now_ns)
    old = {
        one.offer.id: one for quoted in quoted_offers(config, before, at).values() for one in quoted
    }
    new = {
        one.offer.id: one for quoted in quoted_offers(config, after, at).values() for one in quoted
    }
    return [
        _Changed(old[name], one) for name, one in new.items() if _cards(old[name]) != _cards(one)
    ]


def _cards(one: Quoted) -> object:
    quote = one.quote
    return None if quote is None else (quote.rates, quote.overrides, quote.batch_rates)


def _told(found: _Found) -> str:
    if not found.heard:
        return "no feeds are configured: name some under market.feeds"
    feeds = [
        (
            one.source.name,
            "refused" if one.is_refused else one.belief.version,
            str(len(one.belief.standings)),
            str(one.belief.listed),
        )
        for one in found.heard
    ]
    parts = [table(("feed", "version", "for us", "listed"), feeds)]
    if found.changed:
        rows = [
            (one.after.offer.id, _price(one.before), _price(one.after), _source(one.after))
            for one in found.changed
        ]
        parts.append(table(("offer", "before", "now", "price from"), rows))
    else:
        parts.append("no price has changed")
    parts += ["\n".join(map(str, found.alarms))] if found.alarms else []
    return "\n\n".join(parts)


def _price(one: Quoted) -> str:
    if one.quote is None:
        return "?"
    rates = one.quote.rates
    if rates.per is not None:
        return f"{rates.unit:f}/{rates.per}"
    return f"{rates.input:f} in, {rates.output:f} out"


def _source(one: Quoted) -> str:
    return "nobody" if one.quote is None else one.quote.source


def _described(found: _Found) -> dict[str, object]:
    return {
        "feeds": [
            {
                "feed": one.source.name,
                "refused": one.is_refused,
                "version": one.belief.version,
                "as_of": None if one.belief.as_of is None else iso(as_ns(one.belief.as_of)),
                "entries": len(one.belief.standings),
                "listed": one.belief.listed,
            }
            for one in found.heard
        ],
        "changed": [
            {
                "offer": one.after.offer.id,
                "before": None if one.before.quote is None else price_told(one.before.quote.rates),
                "now": None if one.after.quote is None else price_told(one.after.quote.rates),
                "source": None if one.after.quote is None else one.after.quote.source,
            }
            for one in found.changed
        ],
        "alarms": [
            {
                "name": one.name.value,
                "feed": one.feed,
                "what": one.what,
                "value": one.value,
                "last_good": one.last_good,
                "advice": one.advice,
            }
            for one in found.alarms
        ],
    }
