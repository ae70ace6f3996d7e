"""`hedgerow market`: the price board."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click

from benchmarks.market import Quoted
from hedgerow.config import load_config
from hedgerow.offers import price_file, quoted_offers
from hedgerow.printing import config_option, json_option, print_json, table


@click.command()
@config_option
@click.option("--model", help="Only this model.")
@json_option
def market(path: Path, model: str | None, as_json: bool) -> None:
    """What each offer costs, and who says so."""
    config = load_config(path, os.environ)
    models = quoted_offers(config, price_file(config), datetime.now(UTC))
    if model is not None:
        config.model(model)
        models = {model: models[model]}
    if as_json:
        print_json(
            {
                "models": {
                    name: [_described(one) for one in quoted] for name, quoted in models.items()
                }
            }
        )
        return
    headers = (
        "offer",
        "input",
        "output",
        "cached",
        "per unit",
        "context",
        "output limit",
        "price from",
    )
    boards = (
        f"{name}\n\n{table(headers, [_row(one) for one in quoted])}"
        for name, quoted in models.items()
    )
    click.echo("\n\n".join(boards))


def _row(one: Quoted) -> tuple[str, ...]:
    offer, quote = one.offer, one.quote
    sizes = (_count(offer.context_tokens), _count(offer.max_output_tokens))
    if quote is None:
        return (offer.id, "?", "?", "?", "", *sizes, "nobody: it gets no requests")
    rates = quote.rates
    source = quote.source + (" (other prices for long prompts or hours)" if quote.overrides else "")
    return (
        offer.id,
        f"{rates.input:f}",
        f"{rates.output:f}",
        f"{rates.cache_read:f}",
        f"{rates.unit:f}/{rates.per}" if rates.per else "",
        *sizes,
        source,
    )


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"


def _described(one: Quoted) -> dict[str, object]:
    offer, quote = one.offer, one.quote
    price: dict[str, Decimal | str] | None = None
    if quote is not None:
        rates = quote.rates
        price = {
            "input": rates.input,
            "output": rates.output,
            "cache_read": rates.cache_read,
            "cache_write": rates.cache_write,
            "request": rates.request,
        }
        if rates.per is not None:
            price |= {"unit": rates.unit, "per": rates.per}
    return {
        "offer": offer.id,
        "provider": offer.provider,
        "model": offer.model,
        "price": price,
        "source": None if quote is None else quote.source,
        "context_tokens": offer.context_tokens,
        "max_output_tokens": offer.max_output_tokens,
        "features": None if offer.features is None else sorted(offer.features),
        "tasks": None if offer.tasks is None else sorted(offer.tasks),
    }
