"""`hedgerow serve`: run the proxy."""

from __future__ import annotations

import gc
import logging
import os
from pathlib import Path

import click

from hedgerow.app import running
from hedgerow.arguments import LABEL
from hedgerow.commands.check import warnings_of
from hedgerow.config import Config, load_config
from hedgerow.loops import run, told_to_stop
from hedgerow.printing import config_option

YOUNG_OBJECTS = 10_000
"""How many new objects there may be before the collector looks at them. Hundreds live as long as
their request: at Python's own 700 it looks at those under way again and again, and finds nothing.
"""


@click.command()
@config_option
@click.option("--host", type=LABEL, help="Listen here instead of server.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of server.port; 0: any free.")
@click.option("--workers", type=click.IntRange(1, 1), help="Processes; this version runs one.")
def serve(path: Path, host: str | None, port: int | None, workers: int | None) -> None:  # noqa: ARG001 - 1 is all it takes
    """Run the proxy until SIGTERM or Ctrl-C.

    First it prints what `check` warns of. What is under way at its end is finished, for 20 s at
    most.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    config = load_config(path, os.environ)
    for warning in warnings_of(config, os.environ):
        click.echo(str(warning), err=True)
    run(_serve(config, host, port))


async def _serve(config: Config, host: str | None, port: int | None) -> None:
    stop = told_to_stop()
    async with running(config, host=host, port=port) as server:
        gc.freeze()  # what start-up has made stays: no collection need walk through it
        gc.set_threshold(YOUNG_OBJECTS)
        click.echo(f"ready at {server.base_url}", err=True)
        await stop.wait()
        click.echo("stopping: finishing what is under way", err=True)
