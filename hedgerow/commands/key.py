"""`hedgerow key`: what applications authenticate with."""

from __future__ import annotations

import os
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from hedgerow.amounts import USD
from hedgerow.app import books
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
@click.option("--name", help="For people, to know the key by.")
@click.option("--org", help="Whose spend it is; nothing need exist before.")
@click.option("--team", help="The same, for a team.")
@click.option("--project", help="The same, for a project.")
@click.option("--user", help="The same, for a person or a service.")
@click.option("--tags", help="Comma-separated; budgets and spend can go by tag.")
@click.option("--models", help="Comma-separated model names that it may use; default: all.")
@click.option("--expires", type=click.DateTime(), help="When it stops working (UTC).")
@click.option("--budget", type=USD, help="The most that it may spend, in USD.")
@click.option(
    "--window",
    type=click.Choice([one.value for one in Window]),
    default=Window.LIFETIME.value,
    show_default=True,
    help="What --budget counts over (UTC).",
)
@json_option
def create(
    path: Path,
    name: str | None,
    org: str | None,
    team: str | None,
    project: str | None,
    user: str | None,
    tags: str | None,
    models: str | None,
    expires: datetime | None,
    budget: Money | None,
    window: str,
    as_json: bool,
) -> None:
    """Make a key. It is shown once: the books keep only its hash."""
    config = load_config(path, os.environ)
    wanted = _listed(models)
    if unknown := sorted(set(wanted or ()) - set(config.models)):
        raise click.BadParameter(
            f"no model {unknown[0]!r} in {path}; there are: {', '.join(sorted(config.models))}",
            param_hint="--models",
        )
    at_ns = time.time_ns()
    expires_at_ns = None
    if expires is not None:
        expires_at_ns = int(expires.replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    secret, record = mint(
        at_ns,
        secrets.token_bytes,
        name=name,
        org=org,
        team=team,
        project=project,
        user=user,
        tags=tuple(_listed(tags) or ()),
        models=None if wanted is None else frozenset(wanted),
        expires_at_ns=expires_at_ns,
    )
    with books(config) as store, store.transaction():
        store.add_key(record, hash_of(secret))
        if budget is not None:
            own = Budget(f"key {record.id}", Scope(key=record.id), Window(window), "UTC", budget)
            store.add_budget(own, at_ns)
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
        records = list(store.keys().values())
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
        if not store.revoke_key(key_id, time.time_ns()):
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


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [one.strip() for one in text.split(",") if one.strip()]
