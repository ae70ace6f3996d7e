"""`hedgerow check`: every error of a configuration, with file, line and what to write instead."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.errors import PredictorInvalid
from benchmarks.predictor.predictor import load_predictor
from hedgerow.config import Config, load_config
from hedgerow.errors import ConfigError, ConfigInvalid
from hedgerow.files.contract_warnings import contract_warnings
from hedgerow.files.model_spec import Routing
from hedgerow.files.policy_warnings import policy_warnings
from hedgerow.files.provider_spec import usual_variable
from hedgerow.files.settings import P95
from hedgerow.files.yaml_source import Steps
from hedgerow.market.market_warnings import market_warnings
from hedgerow.printing import config_option, json_option, print_json
from proxy.presets import PRESETS, Preset


@click.command()
@config_option
@json_option
@click.pass_context
def check(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Check a configuration, its policy files and its contract files.

    Exit code 0: valid; what is hardly meant (offers without a price, providers without a key, feeds
    that tell nothing, waits that another cuts off, quality floors and budgets that refuse nothing,
    contracts that have expired or whose price is assumed) is named on stderr. 1: invalid, with one
    line on stderr for each error.
    """
    try:
        config = load_config(path, os.environ)
        if errors := tuple(_without_predictor(config)):
            raise ConfigInvalid(errors)
    except ConfigInvalid as invalid:
        if as_json:
            told = [asdict(error) for error in invalid.errors]
            print_json({"valid": False, "errors": told, "warnings": []})
        else:
            click.echo(str(invalid), err=True)
        ctx.exit(1)
    warnings = warnings_of(config, os.environ)
    if as_json:
        found = [asdict(warning) for warning in warnings]
        print_json({"valid": True, "errors": [], "warnings": found})
        return
    for warning in warnings:
        click.echo(str(warning), err=True)
    click.echo(f"{path}: ok ({_summary(config)})")


def warnings_of(config: Config, environ: Mapping[str, str]) -> list[ConfigError]:
    """What is valid and hardly meant, by file and line. Reads files of feeds and of
    predictors, and the books where there are some. Raises FeedUnreadable, PredictorInvalid."""
    now = datetime.now(UTC)
    found = [
        *_only_called_so(config),
        *_keyless(config, environ),
        *market_warnings(config, now),
        *_idle_predictors(config),
        *_impatient(config),
        *policy_warnings(config, now),
        *contract_warnings(config, now.date()),
    ]
    return sorted(found, key=lambda warning: (warning.file, warning.line or 0, warning.where))


def _without_predictor(config: Config) -> Iterator[ConfigError]:
    """Classes whose predictor cannot be read: a server would not start. It is no error to others,
    of which one writes it."""
    for steps, path in _predictors(config):
        try:
            load_predictor(path)
        except PredictorInvalid as error:
            yield config.places.error(steps, str(error), "`hedgerow eval train` writes it")


def _idle_predictors(config: Config) -> Iterator[ConfigError]:
    for steps, path in _predictors(config):
        predictor = load_predictor(path)
        members = config.models[str(steps[1])].any_of
        hint = "train it on these models: `hedgerow eval train`"
        if not predictor.evidence.verdict.is_on:
            message = f"chooses nothing: {predictor.evidence.verdict.reason}"
            yield config.places.error(steps, message, "take it out, or train it on other prompts")
        elif len({*members} & {*predictor.models}) < 2:
            message = f"chooses nothing: it knows {', '.join(predictor.models)}"
            yield config.places.error(steps, message, hint)


def _predictors(config: Config) -> Iterator[tuple[Steps, Path]]:
    for name, model in config.models.items():
        if (its := model.choose_by_prompt) is not None:
            steps = ("models", name, "choose_by_prompt", "predictor")
            yield steps, config.path.absolute().parent / its.predictor


def _only_called_so(config: Config) -> Iterator[ConfigError]:
    """Providers with a preset's name that are not that preset, for their URL.

    Whoever writes a dialect, too, relies on no preset.
    """
    for name, provider in config.providers.items():
        steps: Steps = ("providers", name)
        wanted, known = PRESETS.get(name), provider.known
        has = {key for key in ("preset", "dialect") if (*steps, key) in config.places.lines}
        if not wanted or has or (known and known.name == wanted.name):
            continue
        whose = f"is {known.name}'s" if known else "is another's"
        message = f"its name is a preset's, but its base_url {whose}"
        if wanted.base_url is None:
            message = "its name is a preset's, which with a base_url is not meant by its name alone"
        hint = f"write preset: {name} if it is one"
        yield config.places.error((*steps, "base_url"), message, hint)


def _keyless(config: Config, environ: Mapping[str, str]) -> Iterator[ConfigError]:
    """Accounts without a key at hosts that want one."""
    for name, provider in config.providers.items():
        if not (known := provider.known) or not known.key_variable:
            continue
        for at, account in enumerate(provider.accounts):
            if account.api_key is not None:
                continue
            steps: Steps = ("providers", name, "accounts", at)
            if steps in config.places.lines:
                yield config.places.error(steps, "has no key", "write its api_key")
            else:
                message, hint = _wanted(known, provider.base_url, environ)
                yield config.places.error(steps[:2], message, hint)


def _wanted(known: Preset, base_url: str, environ: Mapping[str, str]) -> tuple[str, str]:
    if variable := usual_variable(known, base_url):
        return "has no key", f"set {variable}, or write api_key"
    if known.key_variable and environ.get(known.key_variable):
        message = f"has no key: {known.key_variable} goes to {known.base_url} only"
        hint = f"write api_key: ${{{known.key_variable}}} if that is for this base_url, too"
        return message, hint
    return "has no key", "write api_key"


_LONGER = (
    ("first_byte_timeout", "deadline", "one attempt may take all the time that there is"),
    ("heartbeat", "idle_timeout", "a silence that long ends the answer"),
)
"""Waits of which the first should not be longer than the second, and why."""


def _impatient(config: Config) -> Iterator[ConfigError]:
    """Waits that another wait cuts off, for all models and where one has its own."""
    parts: list[tuple[Steps, Routing]] = [(("routing",), config.routing)]
    parts += [
        (("models", name, "routing"), config.routing_of(name))
        for name, model in config.models.items()
        if model.routing is not None
    ]
    for steps, routing in parts:
        for short, long, why in _LONGER:
            wait, limit = getattr(routing, short), getattr(routing, long)
            if wait is None or wait <= limit:
                continue
            if (at := (*steps, short)) in config.places.lines:
                yield config.places.error(at, f"is longer than {long}: {why}", "write less")
            elif (at := (*steps, long)) in config.places.lines:
                yield config.places.error(at, f"is shorter than {short}: {why}", "write more")
        yield from _never_second(config, steps, routing)


def _never_second(config: Config, steps: Steps, routing: Routing) -> Iterator[ConfigError]:
    """A second offer that can never be asked."""
    at, after = (*steps, "hedge", "after"), routing.hedge.after
    if after is None or at not in config.places.lines:
        return
    if routing.attempts == 1:
        message = "never comes to that: a second offer is a second attempt"
        yield config.places.error(at, message, "let attempts be 2 or more")
    elif after != P95 and after >= routing.first_byte_timeout:
        message = "never comes to that: first_byte_timeout ends the first attempt before"
        yield config.places.error(at, message, "write less")


def _summary(config: Config) -> str:
    counts = {
        "provider": len(config.providers),
        "model": len(config.models),
        "offer": sum(len(model.offers) for model in config.models.values()),
        "budget": len(config.budgets),
    }
    if raises := config.raises:
        counts["increase"] = len(raises)
    if contracts := sum(len(one.contracts) for one in config.contracts):
        counts["contract"] = contracts
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
