"""A file of contracts as it is written, with whom they are with and what they are for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from hedge.contracts.contract import Contract, contracts_of
from hedge.contracts.counterparty import Counterparty
from hedge.contracts.limits import HedgeLimits
from hedge.contracts.terms import (
    Cover,
    Milliseconds,
    Name,
    Part,
    Positive,
    Price,
    Quality,
    Size,
    Source,
)
from hedge.errors import ContractInvalid
from hedge.scenarios.workload import Workload


class WorkloadSpec(Part):
    """Demand that may be served by the same contracts."""

    name: Name = Field(
        description="Its name, once over all contract files", examples=["interactive"]
    )
    models: tuple[Name, ...] = Field(
        min_length=1,
        max_length=1000,
        description="The models whose requests it is made of; each is in one workload at most",
        examples=["[gpt-5.2]"],
    )
    quality_at_least: Quality | None = Field(
        None,
        description="What a contract has to deliver to serve it, from 0 to 1",
        examples=["0.7"],
    )
    ttft_ms_p95_max: Milliseconds | None = Field(
        None,
        description="The time to first token that a contract has to keep for 95% of requests, ms",
        examples=["2000"],
    )

    def workload(self) -> Workload:
        return Workload(self.name, self.models, self.quality_at_least, self.ttft_ms_p95_max)


class Use(Part):
    """A contract of the shipped catalogue, with what is different for us."""

    model_config = ConfigDict(populate_by_name=True)

    contract: Name = Field(
        alias="from", description="Its name in the catalogue", examples=["azure-ptu-gpt-5.2"]
    )
    name: Name | None = Field(
        None, description="Another name; when not given, that of the catalogue", examples=["ptu"]
    )
    covers: tuple[Cover, ...] | None = Field(
        None,
        max_length=1000,
        description="The offers that it pays for",
        examples=["[{provider: azure, model: gpt-5.2}]"],
    )
    models: tuple[Name, ...] | None = Field(
        None,
        max_length=1000,
        description="The models that it can serve, by the names that clients ask for",
        examples=["[gpt-5.2]"],
    )
    prices: tuple[Price, ...] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="Prices of our own, in the place of all of the catalogue's; `source` says whose"
        " they are",
        examples=["[{months: 1, usd_per_month: 240}]"],
    )
    units_per_minute: Positive | None = Field(
        None, description="Capacity of one unit, as measured", examples=["60000"]
    )
    size: Size | None = Field(
        None, description="How many units can be bought", examples=["{max: 10}"]
    )
    counterparty: Name | None = Field(
        None, description="Who owes it, as named under `counterparties`", examples=["azure"]
    )
    status: Literal["listed", "pending"] | None = Field(
        None, description="`listed`: it can be bought by now", examples=["listed"]
    )
    valid_to: date | None = Field(
        None, description="The last day it can be bought", examples=["2026-12-31"]
    )
    quality: Quality | None = Field(
        None, description="The quality that it delivers, from 0 to 1", examples=["0.8"]
    )
    ttft_ms_p95: Milliseconds | None = Field(
        None,
        description="The time to first token that it keeps for 95% of requests, in ms",
        examples=["1200"],
    )
    beta: float | None = Field(
        None,
        ge=-10,
        le=10,
        description="Of a derivative: by how many percent our spend moves with the index",
        examples=["0.6"],
    )
    source: Source | None = Field(
        None,
        description="Where our own terms come from",
        examples=["{url: offer of 2 November, retrieved_at: 2026-11-02, verification: primary}"],
    )

    @model_validator(mode="after")
    def _says_whose_terms(self) -> Self:
        if self.prices is not None and self.source is None:
            raise ValueError(
                "prices of our own without a source; write source: {url: ..., retrieved_at: ...,"
                " verification: primary}"
            )
        return self

    def of(self, catalogue: Mapping[str, Contract]) -> Contract:
        """The contract that is meant. Raises ContractInvalid if there is none, or if it has not
        what is said to be different."""
        known = catalogue.get(self.contract)
        if known is None:
            raise ContractInvalid(
                f"the catalogue has no contract {self.contract}: `hedgerow hedge contracts`"
                " lists them"
            )
        own = self.model_dump(exclude={"contract"}, exclude_unset=True, mode="json")
        fields = type(known).model_fields
        for key in own:
            if key not in fields:
                raise ContractInvalid(
                    f"{self.contract} is a {known.kind} and has no {key}: take it out"
                )
        raw = known.model_dump(exclude_unset=True, mode="json") | {"kind": known.kind} | own
        return contracts_of([raw], "uses")[0]


class ContractsFile(Part):
    """A file of contracts as written."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["contracts"]}, {"required": ["uses"]}]}
    )

    uses: tuple[Use, ...] = Field(
        (),
        max_length=1000,
        description="Contracts of the shipped catalogue",
        examples=["[{from: azure-ptu-gpt-5.2, covers: [{provider: azure, model: gpt-5.2}]}]"],
    )
    contracts: tuple[Contract, ...] = Field(
        (),
        max_length=1000,
        description="Contracts that can be bought",
        examples=[
            (
                "[{kind: flat_plan, name: team-plan, provider: acme, models: [oak],"
                " quota_units: 400000000, size: {max: 5}, prices: [{usd_per_month: 199}], source:"
                " {url: https://acme.example, retrieved_at: 2026-11-20, verification: primary}}]"
            )
        ],
    )
    counterparties: tuple[Counterparty, ...] = Field(
        (),
        max_length=1000,
        description="Who owes what was paid for, and how sure that is",
        examples=[
            (
                "[{name: acme, default_per_year: 0.03, recovery: 0.3, shortfall_chance: 0.02,"
                " shortfall: 0.2, source: {url: own estimate, retrieved_at: 2026-11-20,"
                " verification: assumed}}]"
            )
        ],
    )
    workloads: tuple[WorkloadSpec, ...] = Field(
        (),
        max_length=100,
        description="Demand that may be served by the same contracts; a model that is in none is a"
        " workload of its own",
        examples=["[{name: interactive, models: [gpt-5.2]}]"],
    )
    venues: tuple[Name, ...] = Field(
        (),
        max_length=100,
        description="Files of what venues quote, CSV or JSON: paths or globs, relative to this"
        " file",
        examples=["[quotes/*.csv]"],
    )
    limits: HedgeLimits | None = Field(
        None,
        description="How far a plan may go; in one contract file at most",
        examples=["{provider_share: 0.6}"],
    )
