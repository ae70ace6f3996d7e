"""`hedgerow market probe`: ask every offer something short, now."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.market import Quoted
from benchmarks.prober import Probed, Target, probe_all, targets
from benchmarks.snapshot import Listing
from benchmarks.traffic.observations import UNSEEN
from hedgerow.arguments import LABELS, USD
from hedgerow.config import Config, load_config
from hedgerow.errors import NotFound
from hedgerow.files.probe_spec import Probe
from hedgerow.loops import run
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers, sold_as
from hedgerow.market.probing import TEAM, probing_of
from hedgerow.printing import config_option, dollars, json_option, print_json, table
from hedgerow.visiting import Address, Visitor, visiting
from ledger.money import Money, as_usd, usd

_USUAL = Probe.model_validate({"budget_usd_per_day": "0"})
"""What is asked, where `market.probe` says nothing; its budget is not looked at."""


@click.command()
@config_option
@click.option("--model", help="Only this model's offers.")
@click.option("--offers", type=LABELS, help="Only these offers, as `hedgerow market` names them.")
@click.option(
    "--budget-usd",
    "cap",
    type=USD,
    default=usd("0.05"),
    show_default="0.05",
    help="The most that it may cost.",
)
@click.option("--url", help="A proxy that runs, up to and with /v1. [default: found, or started]")
@click.option(
    "--key",
    envvar="HEDGEROW_KEY",
    help="A key of it, or $HEDGEROW_KEY. [default: one of its own, of the team hedgerow]",
)
@json_option
def probe(
    path: Path,
    model: str | None,
    offers: tuple[str, ...] | None,
    cap: Money,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Ask every offer something short, now: its time to the first token, its speed, its cost.

    The requests are charged to a key, as all are. What `market.probe` says of them holds, but for
    its budget. A proxy that runs learns from what it sees.
    """
    config = load_config(path, os.environ)
    due = _due(config, model, offers)
    probed = run(_probe(config, due, cap, Address(url, key)))
    if as_json:
        print_json({"offers": [_described(one) for one in probed]})
    else:
        headers = ("offer", "first token", "tokens/s", "tokens", "cost", "")
        click.echo(table(headers, [_row(one) for one in probed]))


async def _probe(
    config: Config, due: Sequence[Target], cap: Money, address: Address
) -> list[Probed]:
    """Raises BudgetSpent."""
    settings = probing_of(config.market.probe or _USUAL)
    who = Visitor(name="market probe", team=TEAM, user=None, most=cap)
    async with visiting(config, who, address) as api:
        return await probe_all(api, settings, due)


def _due(config: Config, model: str | None, offers: Sequence[str] | None) -> list[Target]:
    """Whom to ask. Raises NotFound."""
    at = datetime.now(UTC)
    market = quoted_offers(config, known_prices(config, at), at)
    wanted = market if model is None else sold_as(config, model)
    found = targets(_listings({one: market[one] for one in wanted}), fresh_too=True)
    known = [one.offer.id for one in found]
    if unknown := [one for one in offers or () if one not in known]:
        there = ", ".join(known) or "none"
        raise NotFound(f"there is no offer {unknown[0]} to be probed; there are: {there}")
    return [one for one in found if offers is None or one.offer.id in offers]


def _listings(market: Mapping[str, Sequence[Quoted]]) -> dict[str, list[Listing]]:
    return {
        name: [Listing(one.offer, one.quote, UNSEEN) for one in quoted]
        for name, quoted in market.items()
    }


def _row(one: Probed) -> tuple[str, ...]:
    offer, seen = one.target.offer.id, one.seen
    if seen is None:
        return (offer, "?", "?", "?", "?", one.error or "")
    return (
        offer,
        "?" if seen.ttft_ms is None else f"{seen.ttft_ms:,.0f} ms",
        "?" if seen.tokens_per_s is None else f"{seen.tokens_per_s:,.0f}",
        "?" if seen.completion_tokens is None else f"{seen.completion_tokens:,}",
        "?" if seen.cost is None else dollars(seen.cost),
        "",
    )


def _described(one: Probed) -> dict[str, object]:
    seen = one.seen
    return {
        "offer": one.target.offer.id,
        "model": one.target.model,
        "ttft_ms": None if seen is None else seen.ttft_ms,
        "tokens_per_s": None if seen is None else seen.tokens_per_s,
        "completion_tokens": None if seen is None else seen.completion_tokens,
        "cost_usd": None if seen is None or seen.cost is None else as_usd(seen.cost),
        "error": one.error,
    }
