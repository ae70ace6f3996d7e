"""`hedgerow`: the command line. A command's module is imported when it is called, not before."""

from __future__ import annotations

import importlib
import sys

import click

from benchmarks.errors import MarketError
from hedgerow.errors import HedgerowError
from ledger.errors import LedgerError

_HEADINGS = {
    "Run": ("demo", "serve", "check"),
    "Keys": ("key",),
    "Market and routing": ("market", "route", "explain", "simulate"),
    "Books": ("spend", "budget", "ledger"),
    "Hedge": ("hedge",),
}
_MODULES = {
    "demo": "demo",
    "serve": "serve",
    "check": "check",
    "key": "key",
    "market": "market",
    "route": "route",
    "explain": "route",
    "simulate": "simulate",
    "spend": "spend",
    "budget": "spend",
    "ledger": "ledger",
    "hedge": "hedge",
}


class _Commands(click.Group):
    """Loads a command when it is needed, and turns our errors into one line on stderr."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [name for names in _HEADINGS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"hedgerow.commands.{_MODULES[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, names in _HEADINGS.items():
            with formatter.section(heading):
                commands = [(name, self.get_command(ctx, name)) for name in names]
                formatter.write_dl(
                    [(name, one.get_short_help_str(80)) for name, one in commands if one]
                )

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (HedgerowError, LedgerError, MarketError) as error:
            raise click.ClickException(str(error)) from error


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hedgerow")
def hedgerow() -> None:
    """An OpenAI-compatible proxy that sends each request to the cheapest good offer, keeps every
    budget exactly, and says which contracts keep the month under its cap."""


def main() -> None:
    """The console script."""
    try:
        hedgerow()
    except BrokenPipeError:  # `hedgerow spend | head`: the reader has enough
        sys.stderr.close()
        sys.exit(0)
