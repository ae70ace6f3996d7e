"""`hedgerow hedge`: which fixed-price contracts keep the month under its cap."""

from __future__ import annotations

import importlib
import os

import click

PARTS = ("contracts", "plan", "backtest", "approve", "book", "settle", "quote", "effectiveness")


class _Parts(click.Group):
    """Loads a subcommand when it is asked for: numpy and cvxpy take a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in PARTS:
            return super().get_command(ctx, cmd_name)
        # Scenarios are many small products: threads of the algebra only wait for each other.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        module = importlib.import_module(f"hedgerow.commands.hedge_{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=_Parts)
def hedge() -> None:
    """Which fixed-price contracts to hold."""
