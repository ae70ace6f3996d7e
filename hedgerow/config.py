"""The configuration, checked: `load_config` tells every error of every file at once.

Two stages. `config_file` has the files as written. `Config` is what the rest of the program gets:
defaults filled in, paths resolved, names that exist.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from hedgerow.config_errors import did_you_mean, explain
from hedgerow.config_file import (
    BudgetSpec,
    ConfigFile,
    LedgerFile,
    Market,
    Model,
    OfferSpec,
    PolicyFile,
    Provider,
    Routing,
    Server,
)
from hedgerow.errors import ConfigError, ConfigInvalid, NotFound
from hedgerow.yaml_source import Data, Source, Steps, read_yaml, shown

MAX_POLICY_FILES = 1000


@dataclass(frozen=True, slots=True)
class Ledger:
    """The books: an absolute path, and what a charge survives."""

    path: Path
    durability: Literal["process", "disk"]


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that was configured, checked. `path` is the file, as it was given."""

    path: Path
    server: Server
    ledger: Ledger
    market: Market
    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    routing: Routing
    budgets: tuple[BudgetSpec, ...]

    def model(self, name: str) -> Model:
        """Raises NotFound, naming those that there are."""
        if name not in self.models:
            known = ", ".join(self.models)
            raise NotFound(f"there is no model {name} in {self.path}; there are: {known}")
        return self.models[name]

    def replaced(self, providers: Mapping[str, Provider]) -> Config:
        """The same with some providers replaced, on a port of its own on loopback."""
        server = self.server.model_copy(update={"host": "127.0.0.1"})
        return replace(self, server=server, providers={**self.providers, **providers})


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read hedgerow.yaml and the policy files that it names; `${NAME}` is taken from `environ`.

    Raises ConfigInvalid with every error of every file. Opens files, nothing else.
    """
    main = read_yaml(path, environ)
    written = _checked(ConfigFile, main)
    _check_offers(main)
    errors: list[ConfigError] = []
    sources: list[Source] = []
    for file in _policy_files(path, main):
        try:
            sources.append(read_yaml(file, environ))
        except ConfigInvalid as unreadable:
            errors += unreadable.errors
    policies = [_checked(PolicyFile, source) for source in sources]
    _check_budget_names(sources)
    for source in (main, *sources):
        errors += source.errors.values()
    if errors or written is None:
        raise ConfigInvalid(tuple(errors))
    return Config(
        path=path,
        server=written.server,
        ledger=_ledger(path, written.ledger),
        market=written.market,
        providers=written.providers,
        models=written.models,
        routing=written.routing,
        budgets=tuple(budget for policy in policies if policy for budget in policy.budgets),
    )


def _ledger(path: Path, written: LedgerFile) -> Ledger:
    file = written.url.removeprefix("sqlite:///")
    return Ledger(path.absolute().parent / file, written.durability)


_File = TypeVar("_File", ConfigFile, PolicyFile)


def _checked(kind: type[_File], source: Source) -> _File | None:
    """The file's model, or None when pydantic found errors: they are in the source then."""
    try:
        return kind.model_validate(source.data)
    except ValidationError as invalid:
        explain(invalid, kind, source)
        return None


# The checks across keys read the plain data, so that they also work while other keys are wrong.


def _mapping(data: Data) -> dict[str, Data]:
    return data if isinstance(data, dict) else {}


def _items(data: Data) -> Iterator[tuple[int, dict[str, Data]]]:
    if isinstance(data, list):
        yield from ((at, item) for at, item in enumerate(data) if isinstance(item, dict))


_IDENTITY = ("provider", "model", "region", "quantization", "service_tier")


def _check_offers(source: Source) -> None:
    """Each offer names a provider that is there, has a price from somewhere, and stands once."""
    providers = _mapping(source.data.get("providers"))
    has_feeds = _mapping(source.data.get("market")).get("feeds") != []
    for name, model in _mapping(source.data.get("models")).items():
        seen: dict[tuple[str, ...], int] = {}
        for at, offer in _items(_mapping(model).get("offers")):
            steps: Steps = ("models", name, "offers", at)
            # an offer with a key misspelt or a value missing may be meant to be another one
            is_clear = offer.keys() <= OfferSpec.model_fields.keys() and not any(
                (*steps, key) in source.errors for key in _IDENTITY
            )
            same = tuple(str(offer.get(key)) for key in _IDENTITY)
            if is_clear and (first := seen.setdefault(same, at)) != at:
                line = source.line(("models", name, "offers", first))
                source.refuse(steps, f"the same offer stands in line {line}", "keep one of them")
            provider = offer.get("provider")
            is_known = not isinstance(provider, str) or provider in providers
            if providers and not is_known:
                named = shown(source.written[*steps, "provider"])
                hint = did_you_mean(str(provider), providers) or "name one under providers"
                source.refuse((*steps, "provider"), f"no provider is called {named}", hint)
            if not has_feeds and "price" not in offer:
                hint = "write price: {input: 0.88, output: 0.88}, or feed litellm"
                source.refuse(steps, "has no price, and there are no feeds", hint)


def _check_budget_names(sources: list[Source]) -> None:
    """A budget's name stands once over all files, and is none that `key create` gives."""
    first: dict[str, str] = {}
    for source in sources:
        for at, budget in _items(source.data.get("budgets")):
            steps: Steps = ("budgets", at, "name")
            name = budget.get("name")
            if isinstance(name, str):
                place = f"{source.file}:{source.line(steps)}"
                if name.startswith("key "):
                    message = "names that begin with `key ` are those of keys' own budgets"
                    source.refuse(steps, message, "choose another name")
                if name in first:
                    named = shown(source.written[steps])
                    message = f"budget {named} is already in {first[name]}"
                    source.refuse(steps, message, "give one of them another name")
                first.setdefault(name, place)


def _policy_files(path: Path, source: Source) -> list[Path]:
    """The files that the globs match, each once, in the globs' order and then by name."""
    globs = source.data.get("policies")
    files: dict[Path, Path] = {}
    for at, pattern in enumerate(globs if isinstance(globs, list) else []):
        steps: Steps = ("policies", at)
        if steps in source.errors or not isinstance(pattern, str):
            continue
        found = sorted(islice(_matches(path.parent, pattern), MAX_POLICY_FILES + 1))
        named = shown(source.written[steps])
        if not found:
            hint = f"globs are relative to {path.parent.absolute()}"
            source.refuse(steps, f"no file matches {named}", hint)
        if len(found) > MAX_POLICY_FILES:
            source.refuse(steps, f"more than {MAX_POLICY_FILES} files match {named}", "narrow it")
            continue
        for file in found:
            files.setdefault(file.resolve(), file)
    return list(files.values())


def _matches(folder: Path, pattern: str) -> Iterator[Path]:
    # Path.glob takes no absolute pattern, and raises for some relative ones
    names = glob.iglob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207 - lazy: a glob may match anything
    return (folder / name for name in names if (folder / name).is_file())
