"""`hedgerow ledger chargeback` and `close`: what each team bears of a month, and that it was
billed."""

from __future__ import annotations

import os
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from hedgerow.arguments import LABEL, LOCAL_MOMENT, ZONE
from hedgerow.books import books
from hedgerow.config import load_config
from hedgerow.printing import config_option, dollars, json_option, print_json, table
from ledger.chargeback import Chargeback, MonthSpan, Rule, chargeback
from ledger.closing import Correction, close_month, corrections
from ledger.money import Money, as_usd
from ledger.tables.closes import Payer

_RULE = click.Choice([one.value for one in Rule])
_month_option = click.option(
    "--month", type=LOCAL_MOMENT, required=True, help="Which month, as in 2027-01."
)
_rule_option = click.option(
    "--rule",
    type=_RULE,
    help="By what teams share what commitments cost beyond their draws.  [default: as"
    " ledger.chargeback says]",
)
_zone_option = click.option(
    "--timezone",
    "zone",
    type=ZONE,
    default="UTC",
    show_default=True,
    help="Where the month begins and ends, for requests; commitments have months of UTC.",
)


@click.command("chargeback")
@config_option
@_month_option
@_rule_option
@_zone_option
@json_option
def chargeback_(
    path: Path, month: datetime, rule: str | None, zone: ZoneInfo, as_json: bool
) -> None:
    """What each team bears of a month, to the nano-USD; all together is what the month cost."""
    from hedgerow.fixed_bills import bills_of

    config = load_config(path, os.environ)
    span = MonthSpan.of(month.date(), zone)
    now_ns = time.time_ns()
    with books(config, create=False) as store, store.view():
        bills = bills_of(store.sql, now_ns)
        chosen = config.ledger.chargeback if rule is None else Rule(rule)
        found = chargeback(store.sql, span, chosen, bills(span.month), now_ns)
        late = tuple(corrections(store.sql, span.month, bills, now_ns))
    _print(found, late, as_json=as_json)


@click.command()
@config_option
@_month_option
@click.option("--by", "who", type=LABEL, required=True, help="Who closes it: it is kept.")
@_rule_option
@_zone_option
@json_option
def close(
    path: Path, month: datetime, who: str, rule: str | None, zone: ZoneInfo, as_json: bool
) -> None:
    """Keep what each team bears of a month as billed. What is charged to it later is a correction
    of the next month that is closed."""
    from hedgerow.fixed_bills import bills_of

    config = load_config(path, os.environ)
    span = MonthSpan.of(month.date(), zone)
    now_ns = time.time_ns()
    with books(config, create=False) as store, store.transaction():
        bills = bills_of(store.sql, now_ns)
        chosen = config.ledger.chargeback if rule is None else Rule(rule)
        found = chargeback(store.sql, span, chosen, bills(span.month), now_ns)
        late = close_month(store.sql, found, bills, who=who, now_ns=now_ns)
    _print(found, late, as_json=as_json)
    if not as_json:
        click.echo(f"{span.month:%Y-%m} is closed", err=True)


def _print(found: Chargeback, late: tuple[Correction, ...], *, as_json: bool) -> None:
    if as_json:
        print_json(_told(found, late))
        return
    click.echo(
        table(
            ("team", "requests", "as it went", "drawn", "unused", "variance", "fixed", "bears"),
            [
                (
                    *(one.team or "(none)", f"{one.requests:,}", dollars(one.as_it_went)),
                    *(dollars(one.drawn), _share(one.unused), _share(one.variance)),
                    *("" if one.fixed is None else dollars(one.fixed), dollars(one.total)),
                )
                for one in found.teams
            ],
        )
    )
    platform = found.platform
    click.echo(
        f"\nthe platform bears {dollars(platform.total)}, of which fixed fees"
        f" {dollars(platform.fixed)} and what was sold on {dollars(platform.sold)}"
    )
    without = "" if found.why_not is None else ", what commitments cost beyond their draws left out"
    click.echo(f"the month cost {dollars(found.total)}{without}. {found.rule.says}")
    if found.why_not is not None:
        click.echo(found.why_not)
    for one in late:
        click.echo(f"correction of {one.of_month:%Y-%m}: {_name(one.payer)} {dollars(one.amount)}")


def _told(found: Chargeback, late: tuple[Correction, ...]) -> dict[str, object]:
    """A sum with a part that is not known is not known: its parts stand beside it."""

    def total_usd(amount: Money) -> Decimal | None:
        return as_usd(amount) if found.why_not is None else None

    platform = found.platform
    return {
        "month": f"{found.month:%Y-%m}",
        "timezone": found.zone,
        "rule": found.rule.value,
        "is_over": found.is_over,
        "total_usd": total_usd(found.total),
        "why_not": found.why_not,
        "teams": [
            {
                "team": one.team,
                "requests": one.requests,
                "as_it_went_usd": as_usd(one.as_it_went),
                "drawn_usd": as_usd(one.drawn),
                "unused_usd": _usd(one.unused),
                "variance_usd": _usd(one.variance),
                "fixed_usd": _usd(one.fixed),
                "total_usd": total_usd(one.total),
                "estimated_usd": as_usd(one.estimated),
                "refused": one.refused,
                "refused_usd": as_usd(one.refused_cost),
            }
            for one in found.teams
        ],
        "platform": {
            "unused_usd": _usd(platform.unused),
            "variance_usd": _usd(platform.variance),
            "fixed_usd": as_usd(platform.fixed),
            "sold_usd": as_usd(platform.sold),
            "total_usd": total_usd(platform.total),
        },
        "corrections": [
            {
                "of_month": f"{one.of_month:%Y-%m}",
                "team": one.payer.team,
                "is_platform": one.payer.is_platform,
                "amount_usd": as_usd(one.amount),
            }
            for one in late
        ],
    }


def _name(payer: Payer) -> str:
    return "the platform" if payer.is_platform else payer.team or "(no team)"


def _usd(amount: Money | None) -> Decimal | None:
    return None if amount is None else as_usd(amount)


def _share(amount: Money | None) -> str:
    return "?" if amount is None else dollars(amount)
