"""`hedgerow serve`: run the proxy."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click

from hedgerow.app import running
from hedgerow.arguments import LABEL
from hedgerow.commands.check import warnings_of
from hedgerow.config import Config, load_config
from hedgerow.files.settings import MOST_WORKERS
from hedgerow.loops import run, settle_in, told_to_stop
from hedgerow.printing import config_option
from hedgerow.supervisor import supervised
from proxy.clock import SystemClock


@click.command()
@config_option
@click.option("--host", type=LABEL, help="Listen here instead of server.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of server.port; 0: any free.")
@click.option(
    "--workers", type=click.IntRange(1, MOST_WORKERS), help="Processes, instead of server.workers."
)
def serve(path: Path, host: str | None, port: int | None, workers: int | None) -> None:
    """Run the proxy until SIGTERM or Ctrl-C.

    First it prints what `check` warns of. What is under way at its end is finished, for 20 s at
    most.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    config = load_config(path, os.environ)
    for warning in warnings_of(config, os.environ):
        click.echo(str(warning), err=True)
    host = config.server.host if host is None else host
    port = config.server.port if port is None else port
    workers = config.server.workers if workers is None else workers
    run(_serve(config, host, port) if workers == 1 else _supervise(config, host, port, workers))


async def _serve(config: Config, host: str, port: int) -> None:
    stop = told_to_stop()
    async with running(config, host=host, port=port) as server:
        settle_in()
        _ready(server.base_url)
        await stop.wait()
        _stopping()


async def _supervise(config: Config, host: str, port: int, workers: int) -> None:
    await supervised(
        config,
        SystemClock(),
        told_to_stop(),
        host=host,
        port=port,
        workers=workers,
        ready=_ready,
        stopping=_stopping,
    )


def _ready(base_url: str) -> None:
    click.echo(f"ready at {base_url}", err=True)


def _stopping() -> None:
    click.echo("stopping: finishing what is under way", err=True)
