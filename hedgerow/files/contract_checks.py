"""Checks of contract files across keys and files: names that must exist, and stand once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from hedge.contracts.capacity import Serving
from hedge.contracts.contract import Contract
from hedge.contracts.contracts_file import ContractsFile
from hedge.contracts.shipped import catalogue
from hedge.errors import ContractInvalid
from hedgerow.files.config_errors import did_you_mean
from hedgerow.files.yaml_source import Data, Source, Steps, items_in, mapping_in, shown, text_in


def used(file: ContractsFile) -> tuple[Contract, ...]:
    """The contracts of the catalogue that a file uses. Raises ContractInvalid."""
    return tuple(use.of(catalogue()) for use in file.uses)


def check_contracts(main: Source, files: Sequence[tuple[Source, ContractsFile | None]]) -> None:
    """All that contract files name exists, and every name stands once. Reads plain data where it
    can, so that it works while other keys are wrong."""
    sources = [source for source, _ in files]
    models = mapping_in(main.data.get("models"))
    _check_names(sources)
    _check_known(main, sources)
    _check_workloads(sources, models)
    for source, file in files:
        if file is None:
            continue
        _check_uses(source, file, models)
        for at, contract in enumerate(file.contracts):
            if isinstance(contract, Serving) and not (contract.covers or contract.models):
                source.refuse(
                    ("contracts", at), "says not what it serves", "write covers, or models"
                )
    limits = [source for source in sources if "limits" in source.data]
    for source in limits[1:]:
        message = f"stand in {limits[0].file}, too"
        source.refuse(("limits",), message, "keep one of them")


def _check_names(sources: Sequence[Source]) -> None:
    first: dict[tuple[str, str], str] = {}
    for source in sources:
        for what, steps, name in _names(source):
            place = f"{source.file}:{source.line(steps)}"
            if (what, name) in first:
                message = f"a {what} of this name stands in {first[what, name]}"
                source.refuse(steps, message, "give one of them another name")
            first.setdefault((what, name), place)


def _names(source: Source) -> Iterator[tuple[str, Steps, str]]:
    for key, what in (
        ("contracts", "contract"),
        ("uses", "contract"),
        ("counterparties", "counterparty"),
        ("workloads", "workload"),
    ):
        for at, item in items_in(source.data.get(key)):
            called = "name" if "name" in item or key != "uses" else "from"
            if (name := text_in(item.get(called))) is not None:
                yield what, (key, at, called), name


def _check_known(main: Source, sources: Sequence[Source]) -> None:
    """Providers, models and counterparties that contracts name."""
    providers = mapping_in(main.data.get("providers"))
    models = mapping_in(main.data.get("models"))
    owing = {
        str(one.get("name"))
        for source in sources
        for _, one in items_in(source.data.get("counterparties"))
    }
    for source in sources:
        _check_shipped(source)
        for key in ("contracts", "uses"):
            for at, item in items_in(source.data.get(key)):
                steps: Steps = (key, at)
                for of, cover in items_in(item.get("covers")):
                    _refuse_unknown(
                        source, (*steps, "covers", of, "provider"), cover, providers, "provider"
                    )
                _check_models(source, (*steps, "models"), item.get("models"), models)
                if "counterparty" in item:
                    path = (*steps, "counterparty")
                    _refuse_unknown(source, path, item, owing, "counterparty")


def _check_shipped(source: Source) -> None:
    for at, item in items_in(source.data.get("uses")):
        name = text_in(item.get("from"))
        if name is not None and name not in catalogue():
            steps: Steps = ("uses", at, "from")
            message = f"the catalogue has no contract {shown(source.written[steps])}"
            hint = did_you_mean(name, catalogue()) or "`hedgerow hedge contracts` lists them"
            source.refuse(steps, message, hint)


def _refuse_unknown(
    source: Source,
    steps: Steps,
    part: Mapping[str, Data],
    known: Collection[str],
    what: str,
) -> None:
    name = part.get(what)
    if isinstance(name, str) and name not in known:
        hint = did_you_mean(name, known) or f"name one under {_UNDER[what]}"
        source.refuse(steps, f"no {what} is called {shown(source.written[steps])}", hint)


_UNDER = {"provider": "providers in hedgerow.yaml", "counterparty": "counterparties"}


def _check_models(source: Source, steps: Steps, written: Data, models: Mapping[str, Data]) -> None:
    for at, name in enumerate(written if isinstance(written, list) else []):
        if isinstance(name, str) and name not in models:
            hint = did_you_mean(name, models) or "name a model of hedgerow.yaml"
            named = shown(source.written[*steps, at])
            source.refuse((*steps, at), f"no model is called {named}", hint)


def _check_workloads(sources: Sequence[Source], models: Mapping[str, Data]) -> None:
    """Each is made of models that there are; each model is in one at most."""
    first: dict[str, str] = {}
    for source in sources:
        for at, workload in items_in(source.data.get("workloads")):
            steps: Steps = ("workloads", at, "models")
            _check_models(source, steps, workload.get("models"), models)
            written = workload.get("models")
            for of, name in enumerate(written if isinstance(written, list) else []):
                if not isinstance(name, str):
                    continue
                if name in first:
                    message = f"is in workload {first[name]} already"
                    source.refuse((*steps, of), message, "keep it in one of them")
                first.setdefault(name, str(workload.get("name")))


def _check_uses(source: Source, file: ContractsFile, models: Mapping[str, Data]) -> None:
    for at, use in enumerate(file.uses):
        steps: Steps = ("uses", at)
        if use.contract not in catalogue():
            continue
        try:
            contract = use.of(catalogue())
        except ContractInvalid as error:
            source.refuse(steps, str(error))
            continue
        if not isinstance(contract, Serving) or contract.covers:
            continue
        if not any(model in models for model in contract.models):
            serves = ", ".join(contract.models)
            told = (
                f"serves {serves}, and no such model is here" if serves else "serves no model yet"
            )
            source.refuse(steps, told, "write covers, or models")
