"""`hedgerow check`: every error of a configuration, with file, line and what to write instead."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from hedgerow.config import Config, load_config
from hedgerow.errors import ConfigInvalid


@click.command()
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The configuration, hedgerow.yaml.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_context
def check(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Check a configuration and its policy files.

    Exit code 0: valid. 1: invalid, with one line on stderr for each error.
    """
    try:
        config = load_config(path, os.environ)
    except ConfigInvalid as invalid:
        if as_json:
            errors = [asdict(error) for error in invalid.errors]
            click.echo(json.dumps({"valid": False, "errors": errors}))
        else:
            click.echo(str(invalid), err=True)
        ctx.exit(1)
    if as_json:
        click.echo(json.dumps({"valid": True, "errors": []}))
    else:
        click.echo(f"{path}: ok ({_summary(config)})")


def _summary(config: Config) -> str:
    counts = {
        "provider": len(config.providers),
        "model": len(config.models),
        "offer": sum(len(model.offers) for model in config.models.values()),
        "budget": len(config.budgets),
    }
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
