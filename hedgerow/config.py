"""The configuration, checked: `load_config` tells every error of every file at once.

Two stages. `config_file` and `policy_file` have the files as written. `Config` is what the rest of
the program gets: defaults and presets filled in, paths resolved, names that exist.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from hedge.contracts.contract import Contract
from hedge.contracts.contracts_file import ContractsFile
from hedgerow.errors import ConfigError, ConfigInvalid, NotFound
from hedgerow.files.config_checks import (
    check_admin,
    check_classes,
    check_feeds,
    check_offers,
    check_providers,
)
from hedgerow.files.config_errors import explain
from hedgerow.files.config_file import (
    Batches,
    ConfigFile,
    FilesSpec,
    Idempotency,
    LedgerFile,
    Market,
    Server,
)
from hedgerow.files.contract_checks import check_contracts, used
from hedgerow.files.model_spec import Model, Routing
from hedgerow.files.notify_spec import NotifySpec
from hedgerow.files.policy_checks import check_channels, check_policies
from hedgerow.files.policy_file import BudgetSpec, IncreaseSpec, PolicyFile
from hedgerow.files.provider_spec import Provider, filled_in
from hedgerow.files.yaml_source import Places, Source, Steps, mapping_in, read_yaml, shown
from ledger.budgets import Raise
from ledger.chargeback import Rule
from ledger.policy import Rules

MAX_FILES = 1000
"""Of policies, of contracts, of venues' quotes."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The books, and what a charge survives.

    url: of PostgreSQL; "" with SQLite. path: of the SQLite file, absolute; None with PostgreSQL.
    journals: the folder of this host's journals. keep_days, keep_requests_days: for how long
    charges, and what was decided for requests, are kept; None: for ever. chargeback: by what teams
    share what commitments cost beyond their draws.
    """

    url: str = field(repr=False)
    path: Path | None
    journals: Path
    durability: Literal["process", "disk"]
    keep_days: int | None = None
    keep_requests_days: int | None = None
    chargeback: Rule = Rule.DRAW

    @property
    def place(self) -> Path:
        """What the locks of this host are named after."""
        return self.journals.with_suffix("") if self.path is None else self.path


@dataclass(frozen=True, slots=True)
class Files:
    """Where uploaded files are kept: an absolute path, and how much."""

    path: Path
    max_bytes_per_file: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy file, checked. `places`: where in it things stand."""

    budgets: tuple[BudgetSpec, ...]
    increases: tuple[IncreaseSpec, ...]
    places: Places = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Contracts:
    """A contract file, checked. contracts: its own, and those of the catalogue that it uses.
    venues: the files of quotes that it names."""

    written: ContractsFile
    contracts: tuple[Contract, ...]
    venues: tuple[Path, ...]
    places: Places = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that was configured, checked. `path` is the file, as it was given; `places`, where
    in it things stand; `stand_ins`, what was read in the place of the policy files it names."""

    path: Path
    server: Server
    ledger: Ledger
    market: Market
    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    routing: Routing
    idempotency: Idempotency
    files: Files
    batches: Batches
    notify: Mapping[str, NotifySpec]
    policies: tuple[Policy, ...]
    contracts: tuple[Contracts, ...]
    places: Places = field(repr=False, compare=False)
    stand_ins: tuple[Path, ...] | None = field(default=None, repr=False, compare=False)

    @property
    def budgets(self) -> tuple[BudgetSpec, ...]:
        """Those of all policy files, in their order."""
        return tuple(budget for policy in self.policies for budget in policy.budgets)

    @property
    def raises(self) -> tuple[Raise, ...]:
        """The increases of all policy files, as the ledger keeps them."""
        timezones = {one.name: one.timezone for one in self.budgets}
        return tuple(
            one.increase(timezones[one.budget])
            for policy in self.policies
            for one in policy.increases
        )

    def rules(self) -> Rules:
        """What the policy files say, as the books follow it."""
        return Rules(tuple(one.budget() for one in self.budgets), self.raises)

    def model(self, name: str) -> Model:
        """Raises NotFound, naming those that there are."""
        if name not in self.models:
            known = ", ".join(self.models)
            raise NotFound(f"there is no model {name} in {self.path}; there are: {known}")
        return self.models[name]

    def routing_of(self, model: str) -> Routing:
        """How a model's requests are routed: by its own keys, else by those for all.

        Raises NotFound.
        """
        own = self.model(model).routing
        return self.routing if own is None else self.routing.with_own(own)

    def replaced(self, providers: Mapping[str, Provider]) -> Config:
        """The same with some providers replaced, on a port of its own on loopback."""
        server = self.server.model_copy(update={"host": "127.0.0.1"})
        return replace(self, server=server, providers={**self.providers, **providers})


def load_config(
    path: Path, environ: Mapping[str, str], stand_ins: Sequence[Path] | None = None
) -> Config:
    """Read hedgerow.yaml, and the policy and contract files that it names; `${NAME}` is taken from
    `environ`.

    stand_ins: files in the place of the policy files that it names.
    Raises ConfigInvalid with every error of every file. Opens files, nothing else.
    """
    main = read_yaml(path, environ)
    written = _checked(ConfigFile, main)
    check_providers(main, environ)
    check_admin(main)
    check_offers(main)
    check_feeds(main)
    check_classes(main)
    errors: list[ConfigError] = []
    named = _named_files(path, main, "policies") if stand_ins is None else stand_ins
    sources = _read(named, environ, errors)
    checked = [(source, _checked(PolicyFile, source)) for source in sources]
    check_policies(main, sources)
    check_channels(sources, mapping_in(main.data.get("notify")))
    of_contracts = _read(_named_files(path, main, "contracts"), environ, errors)
    contracts = [(source, _checked(ContractsFile, source)) for source in of_contracts]
    check_contracts(main, contracts)
    venues = [_named_files(Path(source.file), source, "venues") for source in of_contracts]
    for source in (main, *sources, *of_contracts):
        errors += source.errors.values()
    if errors or written is None:
        raise ConfigInvalid(tuple(errors))
    providers = {name: filled_in(name, spec, environ) for name, spec in written.providers.items()}
    return Config(
        path=path,
        server=written.server,
        ledger=_ledger(path, written.ledger),
        market=written.market,
        providers=providers,
        models={name: _named(model, providers) for name, model in written.models.items()},
        routing=written.routing,
        idempotency=written.idempotency,
        files=_files(path, written.files),
        batches=written.batches,
        notify=written.notify,
        policies=tuple(
            Policy(one.budgets, one.increases, source.places) for source, one in checked if one
        ),
        contracts=tuple(
            Contracts(one, (*one.contracts, *used(one)), tuple(quotes), source.places)
            for (source, one), quotes in zip(contracts, venues, strict=True)
            if one
        ),
        places=main.places,
        stand_ins=None if stand_ins is None else tuple(stand_ins),
    )


def _ledger(path: Path, written: LedgerFile) -> Ledger:
    folder = path.absolute().parent
    is_file = written.url.startswith("sqlite:")
    file = folder / written.url.removeprefix("sqlite:///") if is_file else None
    journals = (file or folder / "hedgerow").with_suffix(".journal")
    return Ledger(
        url="" if is_file else written.url,
        path=file,
        journals=journals if written.journal is None else folder / written.journal,
        durability=written.durability,
        keep_days=written.keep,
        keep_requests_days=written.keep_requests,
        chargeback=Rule(written.chargeback),
    )


def _files(path: Path, written: FilesSpec) -> Files:
    folder = path.absolute().parent / written.path
    return Files(folder, written.max_bytes_per_file, written.max_bytes)


def _named(model: Model, providers: Mapping[str, Provider]) -> Model:
    """The model with its offers named as their providers name them."""
    offers = []
    for offer in model.offers:
        known = providers[offer.provider].known
        name = known.model_name(offer.model) if known else offer.model
        offers.append(offer if name == offer.model else offer.model_copy(update={"model": name}))
    return model.model_copy(update={"offers": tuple(offers)})


_File = TypeVar("_File", ConfigFile, PolicyFile, ContractsFile)


def _checked(kind: type[_File], source: Source) -> _File | None:
    """The file's model, or None when pydantic found errors: they are in the source then."""
    try:
        return kind.model_validate(source.data)
    except ValidationError as invalid:
        explain(invalid, kind, source)
        return None


def _read(
    files: Sequence[Path], environ: Mapping[str, str], errors: list[ConfigError]
) -> list[Source]:
    """Those that can be read; what is wrong with the others goes to the errors."""
    sources = []
    for file in files:
        try:
            sources.append(read_yaml(file, environ))
        except ConfigInvalid as unreadable:
            errors += unreadable.errors
    return sources


def _named_files(path: Path, source: Source, key: str) -> list[Path]:
    """The files that the globs under a key match, each once, in the globs' order and then by
    name."""
    globs = source.data.get(key)
    files: dict[Path, Path] = {}
    for at, pattern in enumerate(globs if isinstance(globs, list) else []):
        steps: Steps = (key, at)
        if steps in source.errors or not isinstance(pattern, str):
            continue
        found = matching_files(path, pattern)
        named = shown(source.written[steps])
        if not found:
            hint = f"globs are relative to {path.parent.absolute()}"
            source.refuse(steps, f"no file matches {named}", hint)
        if len(found) > MAX_FILES:
            source.refuse(steps, f"more than {MAX_FILES} files match {named}", "narrow it")
            continue
        for file in found:
            files.setdefault(file.resolve(), file)
    return list(files.values())


def matching_files(path: Path, pattern: str) -> list[Path]:
    """What a glob in a file matches now, by name; at most one file more than may be."""
    return sorted(islice(_matches(path.parent, pattern), MAX_FILES + 1))


def _matches(folder: Path, pattern: str) -> Iterator[Path]:
    # Path.glob takes no absolute pattern, and raises for some relative ones
    names = glob.iglob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207 - lazy: a glob may match anything
    return (folder / name for name in names if (folder / name).is_file())
