"""Contracts that serve requests: a fee buys tokens, tokens per minute, spend or GPU-hours."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hedge.contracts.terms import (
    Cover,
    Name,
    Part,
    Positive,
    Price,
    Resale,
    Share,
    Size,
    Terms,
    Usd,
)

NonNegative = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class Burndown(Part):
    """Capacity units that one token (or request) takes.

    Each kind counts once: `prompt` are tokens that were not in a cache, `cached` those that were,
    `completion` all of the answer, reasoning included; `request` is per request.
    """

    prompt: NonNegative = Decimal(1)
    cached: NonNegative = Decimal(1)
    completion: NonNegative = Decimal(1)
    request: NonNegative = Decimal(0)


class Overage(Part):
    """Use beyond the quota. then: `spill` is served at pay-as-you-go (wherever that is cheapest),
    `reject` refuses, `bill` costs usd_per_unit per capacity unit, up to limit_units per unit held
    and month (None: no limit)."""

    then: Literal["spill", "reject", "bill"] = "spill"
    usd_per_unit: Usd | None = None
    limit_units: Positive | None = None

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if (self.then == "bill") != (self.usd_per_unit is not None):
            raise ValueError("overage: usd_per_unit goes with `then: bill`, and with nothing else")
        return self


class Serving(Terms):
    """What every contract that serves requests states.

    covers: the offers it pays for. models: the public names it can serve, if no config says which
    names its offers stand under (the catalogue, samples). burndown: capacity units per token.
    prices: one per term length; the shortest is the usual one. auto_renew: it goes on for another
    term unless notice is given. quality, ttft_ms_p95: what it delivers, where a workload asks for
    that; None passes no floor.
    """

    covers: tuple[Cover, ...] = ()
    models: tuple[Name, ...] = ()
    burndown: Burndown = Burndown()
    size: Size
    prices: tuple[Price, ...] = Field(min_length=1)
    auto_renew: bool = False
    notice_days: int = Field(default=0, ge=0, le=3660)
    resale: Resale | None = None
    quality: float | None = Field(default=None, ge=0, le=1)
    ttft_ms_p95: float | None = Field(default=None, gt=0)
    overage: Overage = Overage()

    @model_validator(mode="after")
    def _terms_differ(self) -> Self:
        terms = [price.months for price in self.prices]
        if len(set(terms)) < len(terms):
            raise ValueError("prices: two of the same term: keep one")
        return self


class FlatPlan(Serving):
    """A monthly fee with a monthly quota. Nothing carries over."""

    kind: Literal["flat_plan"] = "flat_plan"
    quota_units: Positive


class PrepaidQuota(Serving):
    """Units paid ahead that may be used at any time in the term; what is left expires with it."""

    kind: Literal["prepaid_quota"] = "prepaid_quota"
    quota_units: Positive


class ThroughputReservation(Serving):
    """Reserved capacity units per minute. A minute's unused capacity perishes with the minute."""

    kind: Literal["throughput_reservation"] = "throughput_reservation"
    units_per_minute: Positive


class DedicatedEndpoint(Serving):
    """GPUs that serve only us, billed while they run. units_per_minute: measured, of one unit.
    gpu, gpus: of one unit. usd_per_month of its price is for a month of running all the time."""

    kind: Literal["dedicated_endpoint"] = "dedicated_endpoint"
    gpu: Name
    gpus: int = Field(ge=1)
    units_per_minute: Positive


class GpuBlock(Serving):
    """GPUs for a window of time at a limit price, bought whole or not at all; delivery from
    `starts` to `ends`, days inclusive. One unit is `gpus` GPUs for the window; its price is for
    the whole window, given as one month's fee."""

    kind: Literal["gpu_block"] = "gpu_block"
    gpu: Name
    gpus: int = Field(ge=1)
    units_per_minute: Positive
    starts: date
    ends: date

    @model_validator(mode="after")
    def _window(self) -> Self:
        if self.ends < self.starts:
            raise ValueError(f"ends {self.ends} lies before starts {self.starts}")
        return self


class SpendCommitment(Serving):
    """A promise to spend usd_per_month of the price, for a discount on what it covers; what is not
    spent is lost. discount: off the pay-as-you-go price. per: the window in which it is lost, as
    AWS's Savings Plans by the hour. It covers usd / (1 - discount) of pay-as-you-go spend; its
    capacity unit is a USD at pay-as-you-go."""

    kind: Literal["spend_commitment"] = "spend_commitment"
    discount: Share
    per: Literal["hour", "month"] = "month"
