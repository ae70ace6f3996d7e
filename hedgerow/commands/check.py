"""`hedgerow check`: every error of a configuration, with file, line and what to write instead."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from hedgerow.config import Config, load_config
from hedgerow.errors import ConfigInvalid
from hedgerow.offers import price_file, quoted_offers
from hedgerow.printing import config_option, json_option, print_json
from hedgerow.provider_spec import MAIN_ACCOUNT, usual_variable
from proxy.presets import Preset


@click.command()
@config_option
@json_option
@click.pass_context
def check(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Check a configuration and its policy files.

    Exit code 0: valid; offers without a price, which get no requests, and providers without a key
    are named on stderr. 1: invalid, with one line on stderr for each error.
    """
    try:
        config = load_config(path, os.environ)
    except ConfigInvalid as invalid:
        if as_json:
            errors = [asdict(error) for error in invalid.errors]
            print_json({"valid": False, "errors": errors, "warnings": []})
        else:
            click.echo(str(invalid), err=True)
        ctx.exit(1)
    warnings = [*_keyless(config), *_unpriced(config)]
    if as_json:
        print_json({"valid": True, "errors": [], "warnings": warnings})
        return
    for warning in warnings:
        click.echo(f"{path}: {warning}", err=True)
    click.echo(f"{path}: ok ({_summary(config)})")


def _keyless(config: Config) -> list[str]:
    """Accounts without a key at hosts that want one."""
    return [
        f"providers.{name}: {_wanted(account.name, known, provider.base_url)}"
        for name, provider in config.providers.items()
        if (known := provider.known) and known.key_variable
        for account in provider.accounts
        if account.api_key is None
    ]


def _wanted(account: str, known: Preset, base_url: str) -> str:
    if account != MAIN_ACCOUNT:
        return f"the account {account} has no key: write its api_key"
    variable = usual_variable(known, base_url)
    return "has no key: " + (f"set {variable}, or write api_key" if variable else "write api_key")


def _unpriced(config: Config) -> list[str]:
    """Offers that nobody has a price for, and models that have no other."""
    warnings = []
    for name, quoted in quoted_offers(config, price_file(config), datetime.now(UTC)).items():
        unpriced = [one.offer.id for one in quoted if one.quote is None]
        warnings += [
            f"models.{name}: nobody knows a price of {one}: give it one" for one in unpriced
        ]
        if len(unpriced) == len(quoted):
            warnings.append(f"models.{name}: every request will be refused, for want of a price")
    return warnings


def _summary(config: Config) -> str:
    counts = {
        "provider": len(config.providers),
        "model": len(config.models),
        "offer": sum(len(model.offers) for model in config.models.values()),
        "budget": len(config.budgets),
    }
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
