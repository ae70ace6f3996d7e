"""`hedgerow key`: what applications authenticate with."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

import click

from hedgerow.arguments import LABEL, LABELS, MOMENT, USD
from hedgerow.books import books
from hedgerow.config import load_config
from hedgerow.errors import NotFound
from hedgerow.printing import config_option, json_option, moment, print_json, table
from ledger.budgets import Budget, Scope
from ledger.keys import KeyRecord, hash_of, mint
from ledger.money import Money
from ledger.windows import Window


@click.group()
def key() -> None:
    """Make, list and revoke the keys of applications."""


@key.command()
@config_option
@click.option("--name", type=LABEL, help="For people, to know the key by.")
@click.option("--org", type=LABEL, help="Whose spend it is; nothing need exist before.")
@click.option("--team", type=LABEL, help="The same, for a team.")
@click.option("--project", type=LABEL, help="The same, for a project.")
@click.option("--user", type=LABEL, help="The same, for a person or a service.")
@click.option("--tags", type=LABELS, default=(), help="Budgets and spend can go by tag.")
@click.option("--models", type=LABELS, help="The models that it may use. [default: all]")
@click.option("--expires", type=MOMENT, help="When it stops working (UTC), as in 2027-01-31.")
@click.option("--budget", type=USD, help="The most that it may spend, in USD.")
@click.option(
    "--window",
    type=click.Choice([one.value for one in Window]),
    help="What --budget counts over (UTC). [default: lifetime]",
)
@json_option
def create(
    path: Path,
    name: str | None,
    org: str | None,
    team: str | None,
    project: str | None,
    user: str | None,
    tags: tuple[str, ...],
    models: tuple[str, ...] | None,
    expires: int | None,
    budget: Money | None,
    window: str | None,
    as_json: bool,
) -> None:
    """Make a key. It is shown once: the books keep only its hash."""
    config = load_config(path, os.environ)
    if window is not None and budget is None:
        raise click.BadParameter("there is no --budget for it to count", param_hint="--window")
    if unknown := sorted(set(models or ()) - set(config.models)):
        raise click.BadParameter(
            f"no model {unknown[0]!r} in {path}; there are: {', '.join(sorted(config.models))}",
            param_hint="--models",
        )
    at_ns = time.time_ns()
    if expires is not None and expires <= at_ns:
        raise click.BadParameter(f"{moment(expires)} is over", param_hint="--expires")
    secret, record = mint(
        at_ns,
        secrets.token_bytes,
        name=name,
        org=org,
        team=team,
        project=project,
        user=user,
        tags=tags,
        models=None if models is None else frozenset(models),
        expires_at_ns=expires,
    )
    with books(config) as store, store.transaction():
        store.policy.add_key(record, hash_of(secret))
        if budget is not None:
            over = Window.LIFETIME if window is None else Window(window)
            own = Budget(f"key {record.id}", Scope(key=record.id), over, "UTC", budget)
            store.policy.add_budget(own, at_ns)
    if as_json:
        print_json({"key": secret, "id": record.id, **_described(record)})
    else:
        click.echo(secret)
        click.echo(f"made {record.id}; this is the only time that the key is shown", err=True)


@key.command("list")
@config_option
@json_option
def list_keys(path: Path, as_json: bool) -> None:
    """The keys that there are."""
    with books(load_config(path, os.environ), create=False) as store:
        records = list(store.policy.keys().values())
    if as_json:
        print_json({"keys": [{"id": one.id, **_described(one)} for one in records]})
        return
    now_ns = time.time_ns()
    click.echo(
        table(
            ("id", "key", "name", "team", "user", "models", "made", "state"),
            [
                (
                    one.id,
                    one.label,
                    one.name or "",
                    one.principal.team or "",
                    one.principal.user or "",
                    "all"
                    if one.principal.models is None
                    else ",".join(sorted(one.principal.models)),
                    moment(one.created_at_ns),
                    _state(one, now_ns),
                )
                for one in records
            ],
        )
    )


@key.command()
@config_option
@click.argument("key_id")
def revoke(path: Path, key_id: str) -> None:
    """Stop a key; a running proxy refuses it within a second."""
    with books(load_config(path, os.environ), create=False) as store, store.transaction():
        if not store.policy.revoke_key(key_id, time.time_ns()):
            raise NotFound(f"there is no key {key_id}: `hedgerow key list` shows those there are")
    click.echo(f"revoked {key_id}", err=True)


def _described(one: KeyRecord) -> dict[str, object]:
    who = one.principal
    return {
        "label": one.label,
        "name": one.name,
        "org": who.org,
        "team": who.team,
        "project": who.project,
        "user": who.user,
        "tags": list(who.tags),
        "models": None if who.models is None else sorted(who.models),
        "created_at": moment(one.created_at_ns),
        "expires_at": None if one.expires_at_ns is None else moment(one.expires_at_ns),
        "revoked_at": None if one.revoked_at_ns is None else moment(one.revoked_at_ns),
    }


def _state(one: KeyRecord, now_ns: int) -> str:
    if one.revoked_at_ns is not None:
        return "revoked"
    if one.expires_at_ns is not None and one.expires_at_ns <= now_ns:
        return "expired"
    return "active"
