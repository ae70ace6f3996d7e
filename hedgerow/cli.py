"""`hedgerow`: the command line. A command's module is imported when it is called, not before."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from difflib import get_close_matches
from pathlib import Path

import click

ROOMS = ("proxy", "routing", "hedge", "benchmarks", "ledger")

_HEADINGS = {
    "Run": ("demo", "serve", "check", "schema"),
    "Keys": ("key",),
    "Market and routing": ("market", "eval", "route", "explain", "simulate"),
    "Books": ("spend", "budget", "ledger", "report"),
    "Hedge": ("hedge",),
}
_MODULES = {
    "demo": "demo",
    "serve": "serve",
    "check": "check",
    "schema": "schema",
    "key": "key",
    "market": "market",
    "eval": "eval",
    "route": "route",
    "explain": "explain",
    "simulate": "simulate",
    "spend": "spend",
    "budget": "spend",
    "ledger": "ledger",
    "report": "report",
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and args[0] not in _MODULES:
            near = get_close_matches(args[0], _MODULES, n=1)
            hint = f"did you mean {near[0]}?" if near else "`hedgerow --help` lists them"
            ctx.fail(f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        from benchmarks.errors import MarketError  # other rooms only after `_stranger` has looked
        from hedge.errors import HedgeError
        from hedgerow.errors import ConfigInvalid, HedgerowError
        from ledger.errors import LedgerError

        try:
            return super().invoke(ctx)
        except ConfigInvalid as invalid:  # one line each, beginning with file and line
            click.echo(str(invalid), err=True)
            ctx.exit(1)
        except (HedgerowError, HedgeError, LedgerError, MarketError) as error:
            raise click.ClickException(str(error)) from error


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hedgerow")
def hedgerow() -> None:
    """An OpenAI-compatible proxy that sends each request to the cheapest good offer, keeps every
    budget exactly, and says which contracts keep the month under its cap."""


def main() -> None:
    """The console script."""
    if stranger := _stranger(Path(__file__).parents[1]):
        click.echo(f"Error: {stranger}", err=True)
        sys.exit(1)
    hedgerow()


def _stranger(home: Path) -> str | None:
    """What is wrong if a room is not the one beside us. Their names are plain, and PyPI's proxy.py
    has a `proxy` too: it may stand before ours on the path, or its files may overwrite ours."""
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        found = Path(spec.origin) if spec and spec.origin else None
        if found is None:
            return f"{home / room} is missing: install hedgerow anew"
        if found.parent.resolve() != (home / room).resolve() or not _is_ours(found):
            return (
                f"{found.parent} is not Hedgerow's `{room}` but another package of that name:"
                " install hedgerow into an environment of its own"
            )
    return None


def _is_ours(init: Path) -> bool:
    """Our `__init__.py` files hold a docstring and no code."""
    with init.open(encoding="utf-8", errors="replace") as file:
        return file.read(3) == '"""' and file.read(100_000).endswith('"""\n')
