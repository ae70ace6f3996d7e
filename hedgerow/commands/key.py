"""`hedgerow key`: what applications authenticate with."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click

from hedgerow.arguments import (
    COUNT,
    COUNT_OR_NONE,
    LABEL,
    LABELS,
    MOMENT,
    NOTHING,
    SECONDS,
    USD,
    USD_OR_NONE,
    WINDOW,
    Nothing,
)
from hedgerow.books import books
from hedgerow.config import Config, load_config
from hedgerow.errors import NotFound
from hedgerow.printing import config_option, dollars, iso, json_option, moment, print_json, table
from ledger.budgets import Budget
from ledger.keys import KeyRecord, Role, hash_of, label_of, mint, new_key
from ledger.limits import KEY, Limits, Whose, budgets_for, limits_in, with_limits
from ledger.money import Money, as_usd
from ledger.tables.policy import KeyFilter, PolicyTable
from ledger.windows import AnyWindow

N = TypeVar("N", bound=int)

KEYS_AT_ONCE = 1000
"""How many are read from the books in one go."""


@click.group()
def key() -> None:
    """Make, list, change and revoke the keys of applications."""


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
@click.option("--window", type=WINDOW, help="What --budget counts over (UTC). [default: lifetime]")
@click.option("--rpm", type=COUNT, help="The most requests in a minute.")
@click.option("--tpm", type=COUNT, help="The most tokens in a minute.")
@click.option("--parallel", type=COUNT, help="The most requests under way at once.")
@click.option(
    "--role",
    type=click.Choice([str(one) for one in Role]),
    help="For a person at the dashboard and the admin API; it asks no model. Needs --name.",
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
    window: AnyWindow | None,
    rpm: int | None,
    tpm: int | None,
    parallel: int | None,
    role: str | None,
    as_json: bool,
) -> None:
    """Make a key. It is shown once: the books keep only its hash."""
    config = load_config(path, os.environ)
    if role is not None:
        spends = (org, team, project, user, tags, models, budget, window, rpm, tpm, parallel)
        if name is None:
            raise click.BadParameter("say whose it is: --name anna", param_hint="--role")
        if any(one not in (None, ()) for one in spends):
            raise click.BadParameter(
                "such a key asks no model and spends nothing: it takes --name and --expires alone",
                param_hint="--role",
            )
    if window is not None and budget is None:
        raise click.BadParameter("there is no --budget for it to count", param_hint="--window")
    refuse_models(models, config)
    at_ns = time.time_ns()
    refuse_past(expires, at_ns)
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
        role=None if role is None else Role(role),
    )
    over = Limits().window if window is None else window
    limits = Limits(usd=budget, window=over, rpm=rpm, tpm=tpm, parallel=parallel)
    own = budgets_for(Whose(KEY, record.id), limits)
    with books(config) as store, store.transaction():
        store.policy.add_key(record, hash_of(secret))
        store.policy.set_limits(KEY, record.id, own, at_ns=at_ns)
    if as_json:
        print_json({"key": secret, "id": record.id, **_described(record, own)})
    else:
        click.echo(secret)
        click.echo(f"made {record.id}; this is the only time that the key is shown", err=True)


@key.command("list")
@config_option
@click.option("--org", help="Those of this organisation alone.")
@click.option("--team", help="The same, of a team.")
@click.option("--user", help="The same, of a person or a service.")
@json_option
def list_keys(
    path: Path, org: str | None, team: str | None, user: str | None, as_json: bool
) -> None:
    """The keys that there are."""
    with books(load_config(path, os.environ), create=False) as store:
        records = list(_all_keys(store.policy, KeyFilter(org=org, team=team, user=user)))
        limits = {one.id: store.policy.limits_of(KEY, one.id) for one in records}
    if as_json:
        told = [{"id": one.id, **_described(one, limits[one.id])} for one in records]
        print_json({"keys": told})
        return
    now_ns = time.time_ns()
    click.echo(
        table(
            ("id", "key", "name", "role", "team", "user", "models", "limits", "made", "state"),
            [
                (
                    one.id,
                    one.label,
                    one.name or "",
                    one.role or "",
                    one.principal.team or "",
                    one.principal.user or "",
                    "all"
                    if one.principal.models is None
                    else ",".join(sorted(one.principal.models)),
                    _limits_text(limits_in(Whose(KEY, one.id), limits[one.id])),
                    moment(one.created_at_ns),
                    one.state(now_ns),
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


@key.command()
@config_option
@click.argument("key_id")
@click.option(
    "--grace",
    type=SECONDS,
    default=0,
    show_default="none",
    help="For how long the secret that is replaced still works, as in 24h.",
)
@json_option
def rotate(path: Path, key_id: str, grace: int, as_json: bool) -> None:
    """Give a key a new secret; its id, its limits and what it has spent stay."""
    at_ns = time.time_ns()
    secret, until_ns = new_key(secrets.token_bytes), at_ns + grace * 1_000_000_000
    with books(load_config(path, os.environ), create=False) as store, store.transaction():
        live_key(store.policy, key_id, at_ns)
        store.policy.rotate_key(key_id, hash_of(secret), label_of(secret), until_ns)
    if as_json:
        print_json({"key": secret, "id": key_id, "earlier_until": iso(until_ns)})
        return
    click.echo(secret)
    until = f"until {moment(until_ns)}" if grace else "no more"
    click.echo(f"{key_id} has a new secret, shown this once; the old one works {until}", err=True)


@key.command()
@config_option
@click.argument("key_id")
@click.option("--name", type=LABEL, help="For people, to know the key by.")
@click.option("--models", type=LABELS, help="The models that it may use; `all` for all.")
@click.option("--expires", type=MOMENT, help="When it stops working (UTC).")
@click.option("--budget", type=USD_OR_NONE, help="The most that it may spend, in USD.")
@click.option("--window", type=WINDOW, help="What its budget counts over (UTC).")
@click.option("--rpm", type=COUNT_OR_NONE, help="The most requests in a minute.")
@click.option("--tpm", type=COUNT_OR_NONE, help="The most tokens in a minute.")
@click.option("--parallel", type=COUNT_OR_NONE, help="The most requests under way at once.")
@click.option(
    "--block/--unblock", "blocked", default=None, help="Refuse it, until it is unblocked."
)
@json_option
def update(
    path: Path,
    key_id: str,
    name: str | None,
    models: tuple[str, ...] | None,
    expires: int | None,
    budget: Money | Nothing | None,
    window: AnyWindow | None,
    rpm: int | Nothing | None,
    tpm: int | Nothing | None,
    parallel: int | Nothing | None,
    blocked: bool | None,
    as_json: bool,
) -> None:
    """Change a key; what is not named stays. `none` takes a limit away."""
    config, at_ns = load_config(path, os.environ), time.time_ns()
    is_all = models == ("all",) and "all" not in config.models
    if not is_all:
        refuse_models(models, config)
    refuse_past(expires, at_ns)
    with books(config, create=False) as store, store.transaction():
        table = store.policy
        one = live_key(table, key_id, at_ns)
        asks = (models, budget, window, rpm, tpm, parallel)
        if one.role is not None and any(given is not None for given in asks):
            raise click.UsageError(
                f"key {key_id} has the role {one.role}: it asks no model, and has no limits"
            )
        allowed = one.principal.models if models is None else frozenset(models)
        changed = replace(
            one,
            name=one.name if name is None else name,
            principal=replace(one.principal, models=None if is_all else allowed),
            expires_at_ns=one.expires_at_ns if expires is None else expires,
            blocked=one.blocked if blocked is None else blocked,
        )
        table.change_key(changed)
        whose, there = Whose(KEY, key_id), table.limits_of(KEY, key_id)
        before = limits_in(whose, there)
        after = replace(
            before,
            usd=_given(budget, before.usd),
            window=before.window if window is None else window,
            rpm=_given(rpm, before.rpm),
            tpm=_given(tpm, before.tpm),
            parallel=_given(parallel, before.parallel),
        )
        if window is not None and after.usd is None and after.soft is None:
            raise click.BadParameter("there is no budget for it to count", param_hint="--window")
        own = with_limits(there, whose, after, _channels(there))
        table.set_limits(KEY, key_id, own, at_ns=at_ns)
    if as_json:
        print_json({"id": key_id, **_described(changed, own)})
    else:
        click.echo(f"changed {key_id}", err=True)


def refuse_models(models: tuple[str, ...] | None, config: Config) -> None:
    """Raises BadParameter for one that is not configured."""
    if unknown := sorted(set(models or ()) - set(config.models)):
        there = ", ".join(sorted(config.models))
        raise click.BadParameter(
            f"no model {unknown[0]!r} in {config.path}; there are: {there}", param_hint="--models"
        )


def refuse_past(expires: int | None, now_ns: int) -> None:
    """Raises BadParameter."""
    if expires is not None and expires <= now_ns:
        raise click.BadParameter(f"{moment(expires)} is over", param_hint="--expires")


def live_key(table: PolicyTable, key_id: str, now_ns: int) -> KeyRecord:
    """A key that can still be changed. Raises NotFound."""
    one = table.key(key_id)
    if one is None:
        raise NotFound(f"there is no key {key_id}: `hedgerow key list` shows those there are")
    if one.revoked_at_ns is not None and one.revoked_at_ns <= now_ns:
        raise NotFound(f"key {key_id} is revoked, which is for ever: make a new one")
    return one


def _given(value: N | Nothing | None, before: N | None) -> N | None:
    if value is NOTHING:
        return None
    return before if value is None else value


def _channels(there: Iterable[Budget]) -> tuple[str, ...]:
    """Who is told of a soft budget that was set elsewhere."""
    told = (one.notify for budget in there for one in budget.thresholds)
    return next((notify for notify in told if notify), ())


def _all_keys(table: PolicyTable, wanted: KeyFilter) -> Iterator[KeyRecord]:
    after = ""
    while page := table.key_page(wanted, after=after, limit=KEYS_AT_ONCE):
        yield from page
        after = page[-1].id


def _described(one: KeyRecord, budgets: tuple[Budget, ...]) -> dict[str, object]:
    who, limits = one.principal, limits_in(Whose(KEY, one.id), budgets)
    return {
        "label": one.label,
        "name": one.name,
        "org": who.org,
        "team": who.team,
        "project": who.project,
        "user": who.user,
        "tags": list(who.tags),
        "models": None if who.models is None else sorted(who.models),
        "blocked": one.blocked,
        "role": one.role,
        "created_at": iso(one.created_at_ns),
        "expires_at": None if one.expires_at_ns is None else iso(one.expires_at_ns),
        "revoked_at": None if one.revoked_at_ns is None else iso(one.revoked_at_ns),
        "limits": {
            "budget_usd": None if limits.usd is None else as_usd(limits.usd),
            "window": None if limits.usd is None else str(limits.window),
            "rpm": limits.rpm,
            "tpm": limits.tpm,
            "parallel": limits.parallel,
        },
    }


def _limits_text(limits: Limits) -> str:
    """As in `$5.00 per day, 60 rpm`; empty without any."""
    said = [] if limits.usd is None else [f"{dollars(limits.usd)} per {limits.window}"]
    counts = (("rpm", limits.rpm), ("tpm", limits.tpm), ("at once", limits.parallel))
    said += [f"{count:,} {name}" for name, count in counts if count is not None]
    return ", ".join(said)
