"""Contracts that serve requests: a fee buys tokens, tokens per minute, spend or GPU-hours."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from hedge.contracts.terms import (
    Cover,
    Milliseconds,
    Name,
    NonNegative,
    Part,
    Positive,
    Price,
    Quality,
    Reference,
    Resale,
    Share,
    Size,
    Terms,
    Usd,
)


class Burndown(Part):
    """Capacity units that one token (or request) takes. Each kind of token counts once."""

    prompt: NonNegative = Field(
        Decimal(1), description="A prompt token that was in no cache", examples=["1"]
    )
    cached: NonNegative = Field(
        Decimal(1), description="A prompt token out of a cache", examples=["0.1"]
    )
    completion: NonNegative = Field(
        Decimal(1), description="A token of the answer, reasoning included", examples=["8"]
    )
    request: NonNegative = Field(
        Decimal(0), description="A request, whatever its tokens", examples=["0"]
    )

    @model_validator(mode="after")
    def _takes_something(self) -> Self:
        if not any((self.prompt, self.cached, self.completion, self.request)):
            raise ValueError("nothing takes any capacity; write what a token takes")
        return self


class Overage(Part):
    """Use beyond the quota."""

    then: Literal["spill", "reject", "bill"] = Field(
        "spill",
        description="`spill`: it is served at pay-as-you-go, wherever that is cheapest; `reject`:"
        " the contract refuses it, and others serve it; `bill`: it costs `usd_per_unit`",
        examples=["bill"],
    )
    usd_per_unit: Usd | None = Field(
        None, description="With `then: bill`: USD per capacity unit", examples=["0.0000008"]
    )
    limit_units: Positive | None = Field(
        None,
        description="With `then: bill`: the most of it per unit held and month; when not given,"
        " there is no limit",
        examples=["500000000"],
    )

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if (self.then == "bill") != (self.usd_per_unit is not None):
            raise ValueError(
                "`then: bill` and usd_per_unit go together; write both, or take one out"
            )
        if self.then != "bill" and self.limit_units is not None:
            raise ValueError("limit_units goes with `then: bill`; take it out")
        return self


class Serving(Terms):
    """What every contract that serves requests states."""

    covers: tuple[Cover, ...] = Field(
        (),
        max_length=1000,
        description="The offers that it pays for",
        examples=["[{provider: azure, model: gpt-5.2}]"],
    )
    models: tuple[Name, ...] = Field(
        (),
        max_length=1000,
        description="The models that it can serve, by the names that clients ask for; when not"
        " given, those whose offers it covers",
        examples=["[gpt-5.2]"],
    )
    burndown: Burndown = Field(
        Burndown(),
        description="Capacity units per token",
        examples=["{prompt: 1, cached: 0.1, completion: 8}"],
    )
    size: Size = Field(
        description="How many units can be bought", examples=["{min: 15, step: 5, max: 500}"]
    )
    prices: tuple[Price, ...] = Field(
        min_length=1,
        max_length=20,
        description="One for each term length; the shortest is the usual one",
        examples=["[{months: 1, usd_per_month: 260}]"],
    )
    auto_renew: bool = Field(
        False,
        description="Whether it goes on for another term unless notice is given",
        examples=["true"],
    )
    notice_days: int = Field(
        0,
        ge=0,
        le=3660,
        description="How long before a term's end that notice has to be given",
        examples=["30"],
    )
    resale: Resale | None = Field(
        None,
        description="How what is not needed can be sold on; when not given, it cannot",
        examples=["{venue: sfcompute, haircut: 0.25}"],
    )
    quality: Quality | None = Field(
        None,
        description="The quality that it delivers, from 0 to 1; when not given, it passes no floor",
        examples=["0.8"],
    )
    ttft_ms_p95: Milliseconds | None = Field(
        None,
        description="The time to first token that it keeps for 95% of requests, in ms; when not"
        " given, it passes no limit",
        examples=["1200"],
    )
    overage: Overage = Field(
        Overage(), description="Use beyond the quota", examples=["{then: spill}"]
    )
    reference: Reference | None = Field(
        None,
        description="What the same tokens cost at pay-as-you-go, where no market says it: for"
        " comparison only",
        examples=["{model: gpt-5.2, input: 1.75, output: 14}"],
    )

    @model_validator(mode="after")
    def _terms_agree(self) -> Self:
        terms = [price.months for price in self.prices]
        twice = next((term for term in terms if terms.count(term) > 1), None)
        if twice is not None:
            raise ValueError(f"two prices for a term of {twice} months; keep one of them")
        if self.notice_days and not self.auto_renew:
            raise ValueError(
                "notice_days without auto_renew: nothing goes on by itself; write auto_renew: true,"
                " or take notice_days out"
            )
        return self


class _Quota(Serving):
    quota_units: Positive = Field(
        description="Capacity units that are included per unit held: of a flat plan each month, of"
        " a prepaid quota over the whole term",
        examples=["2500000000"],
    )


class FlatPlan(_Quota):
    """A monthly fee with a monthly quota. Nothing carries over."""

    kind: Literal["flat_plan"] = Field(
        "flat_plan", description="a fee with a quota of each month", examples=["flat_plan"]
    )


class PrepaidQuota(_Quota):
    """Units paid ahead that may be used at any time in the term; what is left expires with it."""

    kind: Literal["prepaid_quota"] = Field(
        "prepaid_quota",
        description="units paid ahead, to be used at any time in the term",
        examples=["prepaid_quota"],
    )


class _NoOverageBill(Serving):
    @model_validator(mode="after")
    def _has_no_quota(self) -> Self:
        if self.overage.then == "bill":
            raise ValueError(
                "overage is billed beyond a quota, and there is none here; write"
                " overage: {then: spill}, or take it out"
            )
        return self


class _PerMinute(_NoOverageBill):
    units_per_minute: Positive = Field(
        description="Capacity units per minute of one unit held; what a minute leaves perishes."
        " Where the seller names none: as measured",
        examples=["3400"],
    )


class ThroughputReservation(_PerMinute):
    """Reserved capacity units per minute. A minute's unused capacity perishes with the minute."""

    kind: Literal["throughput_reservation"] = Field(
        "throughput_reservation",
        description="reserved capacity of every minute",
        examples=["throughput_reservation"],
    )


class _Gpus(_PerMinute):
    gpu: Name = Field(description="Which GPU", examples=["H100-SXM"])
    gpus: int = Field(ge=1, le=100_000, description="GPUs of one unit", examples=["8"])


class DedicatedEndpoint(_Gpus):
    """GPUs that serve only us, billed while they run; usd_per_month of its price is for a month of
    running all the time."""

    kind: Literal["dedicated_endpoint"] = Field(
        "dedicated_endpoint",
        description="GPUs that serve nobody else, all month",
        examples=["dedicated_endpoint"],
    )


class GpuBlock(_Gpus):
    """GPUs for a window of time at a limit price, bought whole or not at all. One unit is `gpus`
    GPUs for the window; its price is for the whole window, given as one month's fee."""

    kind: Literal["gpu_block"] = Field(
        "gpu_block",
        description="GPUs for a window of days, the price for all of it as one month's fee",
        examples=["gpu_block"],
    )
    starts: date = Field(description="The first day of delivery", examples=["2026-12-07"])
    ends: date = Field(description="The last day of delivery", examples=["2026-12-20"])

    @model_validator(mode="after")
    def _window(self) -> Self:
        if self.ends < self.starts:
            raise ValueError(f"ends {self.ends} lies before starts {self.starts}; swap them")
        if [price.months for price in self.prices] != [1]:
            raise ValueError(
                "a block has one price, of the whole window; write prices: [{usd_per_month: ...}]"
            )
        return self

    @property
    def days(self) -> int:
        return (self.ends - self.starts).days + 1


class SpendCommitment(_NoOverageBill):
    """A promise to spend usd_per_month of the price, for a discount on what it covers; what is not
    spent is lost. It covers usd / (1 - discount) of pay-as-you-go spend; its capacity unit is a USD
    at pay-as-you-go."""

    kind: Literal["spend_commitment"] = Field(
        "spend_commitment",
        description="a promise to spend, for a discount on what it covers",
        examples=["spend_commitment"],
    )
    discount: Share = Field(
        gt=0, lt=1, description="Off the pay-as-you-go price, from 0 to 1", examples=["0.15"]
    )
    per: Literal["hour", "month"] = Field(
        "month", description="The window in which what is not spent is lost", examples=["hour"]
    )

    @model_validator(mode="after")
    def _counts_usd(self) -> Self:
        if "burndown" in self.model_fields_set:
            raise ValueError("a spend commitment counts USD, not tokens; take burndown out")
        return self
