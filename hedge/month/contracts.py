"""Contract: what can be bought for a month at a fixed fee, with where its terms come from."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from hedge.errors import ContractInvalid
from ledger.money import Money, usd

MAX_UNITS = 100_000


def _exact(amount: Decimal) -> Decimal:
    usd(amount)
    return amount


Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False), AfterValidator(_exact)]
"""An amount that the books can hold to the nano-USD."""
Mtok = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
"""Million tokens, prompt and completion counted alike."""


class _Terms(BaseModel):
    """What every contract states.

    models: the models whose requests it can serve, as the ledger names them.
    fee_usd: per unit and month, used or not.
    min_units, step, max_units: none, or `min_units` plus whole steps up to `max_units`.
    verification: how sure the terms are: the seller's own page, a transcript of it, somebody's
        report of it, or assumed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    provider: str = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)
    fee_usd: Usd
    min_units: int = Field(default=1, ge=1, le=MAX_UNITS)
    step: int = Field(default=1, ge=1, le=MAX_UNITS)
    max_units: int = Field(ge=1, le=MAX_UNITS)
    source: str = Field(min_length=1)
    retrieved_at: date
    verification: Literal["primary", "transcribed", "secondary", "assumed"]

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if self.max_units < self.min_units:
            raise ValueError(f"max_units {self.max_units} is below min_units {self.min_units}")
        return self

    @property
    def fee(self) -> Money:
        """Per unit and month."""
        return usd(self.fee_usd)

    @property
    def most_steps(self) -> int:
        """Steps that can be bought on top of the minimum."""
        return (self.max_units - self.min_units) // self.step

    def sells(self, units: int) -> bool:
        """True when so many units can be held: none is always one of the answers."""
        if units == 0:
            return True
        steps, rest = divmod(units - self.min_units, self.step)
        return rest == 0 and 0 <= steps <= self.most_steps


class Overage(BaseModel):
    """Use beyond the quota at the contract's own price, up to a limit per unit and month."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd_per_mtok: Annotated[Usd, Field(gt=0)]
    limit_mtok: Mtok


class FlatPlan(_Terms):
    """A fee with a monthly quota.

    quota_mtok: included per unit and month. Nothing carries over.
    overage: None sends what is beyond the quota to pay-as-you-go.
    """

    kind: Literal["flat_plan"] = "flat_plan"
    quota_mtok: Mtok
    overage: Overage | None = None


class ThroughputUnit(_Terms):
    """Reserved tokens per minute. A minute's unused capacity perishes with the minute.

    tokens_per_minute: capacity of one unit, where a prompt token counts 1.
    output_burndown: how much capacity a completion token takes.
    """

    kind: Literal["throughput_reservation"] = "throughput_reservation"
    tokens_per_minute: int = Field(ge=1)
    output_burndown: Decimal = Field(default=Decimal(1), gt=0, allow_inf_nan=False)


Contract = Annotated[FlatPlan | ThroughputUnit, Field(discriminator="kind")]
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
