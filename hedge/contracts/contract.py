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
from hedge.contracts.refusals import refusal
from hedge.errors import ContractInvalid

CapacityContract = (
    FlatPlan | PrepaidQuota | ThroughputReservation | DedicatedEndpoint | GpuBlock | SpendCommitment
)
DerivativeContract = Future | Swap | Forward | Perpetual | Event
Contract = Annotated[CapacityContract | DerivativeContract, Field(discriminator="kind")]

KINDS = (
    "flat_plan",
    "prepaid_quota",
    "throughput_reservation",
    "dedicated_endpoint",
    "gpu_block",
    "spend_commitment",
    "future",
    "swap",
    "forward",
    "perp",
    "event",
)

_CONTRACTS: TypeAdapter[tuple[Contract, ...]] = TypeAdapter(tuple[Contract, ...])


def contracts_of(raw: object, source: str) -> tuple[Contract, ...]:
    """Contracts out of parsed YAML or JSON; `source` names it in errors.

    Raises ContractInvalid for the first thing that is wrong, and for two of one name.
    """
    try:
        contracts = _CONTRACTS.validate_python(raw)
    except ValidationError as error:
        raise ContractInvalid(f"{source}: {refusal(error, raw)}") from None
    names = [contract.name for contract in contracts]
    for name in names:
        if names.count(name) > 1:
            raise ContractInvalid(f"{source}: two contracts are named {name}: rename one")
    return contracts
