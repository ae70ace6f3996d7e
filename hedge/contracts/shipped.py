"""The shipped catalogue: real terms, each with its source, its date and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import yaml

from hedge.contracts.contract import Contract, contracts_of
from hedge.errors import ContractInvalid

_FOLDER = Path(__file__).parent / "catalogue"


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Contract]:
    """Every shipped contract by its name, in the order of the files.

    verification is of the price; the note says what is assumed beside it.
    """
    found: dict[str, Contract] = {}
    for path in sorted(_FOLDER.glob("*.yaml")):
        # text alone, as a number that is read as a float is no longer the one that was written
        raw = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
        for contract in contracts_of(raw["contracts"], path.name):
            if contract.name in found:
                raise ContractInvalid(f"{path.name}: {contract.name} stands in another file, too")
            found[contract.name] = contract
    return MappingProxyType(found)
