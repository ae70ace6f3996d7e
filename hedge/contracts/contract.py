"""Contract: any of the kinds, out of YAML or JSON."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from hedge.contracts.capacity import (
    DedicatedEndpoint,
    FlatPlan,
    GpuBlock,
    PrepaidQuota,
    SpendCommitment,
    ThroughputReservation,
)
from hedge.contracts.derivatives import Event, Forward, Future, Perpetual, Swap
from hedge.errors import ContractInvalid

CapacityContract = (
    FlatPlan | PrepaidQuota | ThroughputReservation | DedicatedEndpoint | GpuBlock | SpendCommitment
)
DerivativeContract = Future | Swap | Forward | Perpetual | Event
Contract = Annotated[CapacityContract | DerivativeContract, Field(discriminator="kind")]

_CONTRACTS: TypeAdapter[tuple[Contract, ...]] = TypeAdapter(tuple[Contract, ...])


def contracts_of(raw: object, source: str) -> tuple[Contract, ...]:
    """Contracts out of parsed YAML or JSON; `source` names it in errors.

    Raises ContractInvalid for the first thing that is wrong, and for two of one name.
    """
    try:
        contracts = _CONTRACTS.validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ContractInvalid(f"{source}: contract {where}: {first['msg']}") from None
    names = [contract.name for contract in contracts]
    for name in names:
        if names.count(name) > 1:
            raise ContractInvalid(f"{source}: two contracts are named {name}: rename one")
    return contracts
