"""The reference of commands, written from the commands themselves.

`python -m hedgerow.reference > docs/reference/commands.md`
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click

from hedgerow.cli import hedgerow

_WIDTH = 100
_INTRODUCTION = """\
# Commands

Written by `python -m hedgerow.reference` from the commands themselves; a test holds both together.

- Exit codes: 0 done, 1 the thing asked about is not so (a configuration is invalid, the ledger does
  not verify, there is no such key), 2 wrong usage.
- Errors go to stderr, and say what to do. stdout has the answer and nothing else.
- With `--json` it is one JSON object; every cost in it is in USD, exact, and *effective*.
- Times are UTC. Long work shows its progress on a terminal, and none in a pipe.
"""


def commands(
    group: click.Group = hedgerow, words: tuple[str, ...] = ("hedgerow",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something by itself, by its words, in the order of
    `hedgerow --help`."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield (*words, name), command
            yield from commands(command, (*words, name))
        elif command is not None:
            yield (*words, name), command


def page() -> str:
    """docs/reference/commands.md."""
    return "\n".join([_INTRODUCTION, *(_section(*one) for one in commands())])


def _section(words: tuple[str, ...], command: click.Command) -> str:
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    options = [one for one in command.params if isinstance(one, click.Option)]
    title = " ".join([*words, *(one.human_readable_name for one in arguments)])
    rows = [f"| `{_written(one)}` | {_default(one)} | {_meaning(one)} |" for one in options]
    table = ["| Option | Default | Meaning |", "|---|---|---|", *rows]
    return "\n".join([f"## {title}\n", _text(command.help or ""), "", *table, ""])


def _text(text: str) -> str:
    paragraphs = (" ".join(one.split()) for one in text.strip().split("\n\n"))
    return "\n\n".join(textwrap.fill(one, _WIDTH) for one in paragraphs)


def _written(option: click.Option) -> str:
    names = ", ".join(option.opts)
    if option.is_flag:
        return names
    if isinstance(option.type, click.Choice):
        return f"{names} {'/'.join(option.type.choices)}"
    return f"{names} {option.metavar or option.type.name.split()[0].upper()}"


def _default(option: click.Option) -> str:
    if option.required:
        return "required"
    if not option.show_default:
        _, found, default = (option.help or "").partition("[default: ")
        return default.removesuffix("]") if found else ""
    shown = option.show_default  # a text where the value is no way to write it
    value = shown if isinstance(shown, str) else option.default
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _meaning(option: click.Option) -> str:
    return (option.help or "").partition(" [default: ")[0]


if __name__ == "__main__":
    click.echo(page(), nl=False)
