"""`hedgerow schema`: the JSON Schemas of our files, for editors."""

from __future__ import annotations

import json

import click

from hedgerow.files.editor_schema import FILES, schema_of


@click.command()
@click.argument("file", type=click.Choice(list(FILES)), default="config")
def schema(file: str) -> None:
    """Print a JSON Schema for editors.

    That of hedgerow.yaml (config), of a policy file (policy) or of a contract file (contracts):
    save it, and write
    `# yaml-language-server: $schema=PATH` into a file's first line. What has no place in a schema,
    as names that must exist, is what `hedgerow check` tells.
    """
    click.echo(json.dumps(schema_of(file), indent=2, ensure_ascii=False))
