"""Models, their offers and how requests are routed, as they are written in hedgerow.yaml."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from benchmarks.offers import Task
from hedgerow.files.config_errors import wrong
from hedgerow.files.price_spec import PriceSpec
from hedgerow.files.provider_spec import DataPolicy
from hedgerow.files.second_offer_spec import SecondOfferSpec
from hedgerow.files.settings import (
    Count,
    Heartbeat,
    Kind,
    ModelSlug,
    Name,
    Part,
    Price,
    SameAs,
    Seconds,
    Text,
    number_kind,
)

Feature: TypeAlias = Literal["tools", "vision", "json_schema", "logprobs"]


class OfferSpec(Part):
    """One way to buy a model's completions."""

    provider: Name = Field(description="A name under `providers`", examples=["groq"])
    model: Name = Field(
        description="The model's name at the provider", examples=["openai/gpt-oss-120b"]
    )
    price: PriceSpec | None = Field(
        None,
        description="Prices that override the feeds",
        examples=["{input: 0.88, output: 0.88}"],
    )
    region: Text | None = Field(
        None, description="Where it runs, as the provider calls it", examples=["eu-west-1"]
    )
    quantization: Text | None = Field(
        None, description="The precision of its weights", examples=["fp8"]
    )
    service_tier: Text | None = Field(
        None,
        description="The service tier that its provider is asked for; `flex`, `priority` and others"
        " with prices of their own serve only requests that ask for them",
        examples=["flex"],
    )
    context_tokens: Count | None = Field(
        None,
        description="Input and output tokens that fit in; unknown refuses nothing",
        examples=["131072"],
    )
    max_output_tokens: Count | None = Field(
        None, description="The most output tokens that it gives", examples=["32768"]
    )
    features: frozenset[Feature] | None = Field(
        None,
        description="All that it can do; when not given, what the feeds say",
        examples=["[tools, json_schema]"],
    )
    tasks: Annotated[frozenset[Task], Field(min_length=1)] | None = Field(
        None,
        description="The kinds of work that it does; when not given, that of its price `per_…`, or"
        " what the feeds say",
        examples=["[chat, completion]"],
    )

    parameters: frozenset[Text] | None = Field(
        None,
        description="All the fields of a request that it takes, in the words of OpenRouter's"
        " `supported_parameters`; only requests with `provider.require_parameters` ask. When not"
        " given, what the feeds say",
        examples=["[tools, tool_choice, temperature, max_tokens, seed]"],
    )
    data: DataPolicy | None = Field(
        None,
        description="What becomes of what it is sent; what this does not say is as the provider's"
        " `data` has it",
        examples=["{keeps_nothing: true}"],
    )
    speaks_chat: bool | None = Field(
        None,
        description="Whether it takes chat completions; `false` for a model that only takes"
        " responses. When not given, what the feeds say, else yes",
        examples=["false"],
    )

    @model_validator(mode="after")
    def _counts_what_it_sells(self) -> Self:
        per = self.price.rate_card().per if self.price else None
        if per and self.tasks and not any(task.unit is per for task in self.tasks):
            sold = ", ".join(task for task in Task if task.unit is per)
            raise wrong(
                f"has a price per {per}, but no task that takes one", f"add the task {sold}"
            )
        return self


class QualityFloor(Part):
    """The least quality of what answers."""

    benchmark: Text = Field(
        description="What was measured: `ours` is what `hedgerow eval run` measures; others are"
        " indices that a feed brings",
        examples=["ours"],
    )
    at_least: Annotated[float, Field(ge=0, le=1), number_kind("1")] = Field(
        description="What the score must reach, with the lower end of its 90% interval",
        examples=["0.70"],
    )


class Routing(Part):
    """How offers are chosen and how long they are waited for."""

    ttft_ms_p95_max: Count = Field(
        2000,
        description="A first token that takes longer, in ms, is late. Offers that are in time less"
        " than one time in four come last; how much the others are set back, `late` says; none is"
        " refused",
        examples=["2000"],
    )
    total_ms_p95_max: Count | None = Field(
        None,
        description="Offers that take longer for the whole answer, in ms, by its expected length"
        " and their p95, come last; when not given, it may take any time",
        examples=["15000"],
    )
    late: Literal["last", "priced"] = Field(
        "priced",
        description="What becomes of an offer that is late now and then: `priced`, it is as much"
        " dearer as its lateness is worth by `miss_cost`; `last`, it comes after the others,"
        " however cheap it is, if it is late in more than 5% of attempts: if its p95 is longer",
        examples=["priced"],
    )
    miss_cost: Annotated[float, Field(ge=0, le=1000), number_kind("1000")] = Field(
        1.0,
        description="What a late or missing answer is worth avoiding, as a multiple of what the"
        " request usually costs: with 0 only money counts, with 10 reliable offers win over cheap"
        " ones",
        examples=["1.0"],
    )
    explore: Annotated[float, Field(ge=0, le=0.1), number_kind("0.1")] = Field(
        0.01,
        description="The most that is spent besides on offers that are not known well and could be"
        " the best, as a share of all that is spent",
        examples=["0.01"],
    )
    attempts: Annotated[int, Field(ge=1, le=20), Kind("whole number")] = Field(
        3, description="The most offers tried for one request", examples=["3"]
    )
    first_byte_timeout: Seconds = Field(
        20.0, description="How long one attempt may take to its first byte", examples=["20s"]
    )
    idle_timeout: Seconds = Field(
        30.0, description="The longest silence within an answer", examples=["30s"]
    )
    deadline: Seconds = Field(
        60.0, description="The time to the first byte, over all attempts", examples=["60s"]
    )
    stream_rescue: Literal["error", "buffer", "prefix_match"] = Field(
        "error",
        description="What happens when a stream breaks off: `error` tells the client; `buffer`"
        " holds the answer back until it is whole, and begins anew elsewhere; `prefix_match` begins"
        " anew elsewhere, and goes on where the new answer starts with what was delivered",
        examples=["error"],
    )
    heartbeat: Heartbeat = Field(
        None,
        description="After how long a silence a stream gets a comment, so that nobody between"
        " hangs up; some clients take no comments",
        examples=["15s"],
    )
    hedge: SecondOfferSpec = Field(
        SecondOfferSpec(),
        description="When a second offer is asked for the same answer",
        examples=["{after: p95, share: 5%}"],
    )


class PromptChooserSpec(Part):
    """Which model of a class suffices for a prompt. One of `at_least` and `worth_usd`."""

    predictor: Text = Field(
        description="The file that `hedgerow eval train` has written, relative to this file's"
        " folder; one that cross-validation found of no use chooses nothing",
        examples=["predictor.json"],
    )
    at_least: Annotated[float, Field(ge=0, le=1), number_kind("1")] | None = Field(
        None, description="The mean score that the class has to keep", examples=["0.80"]
    )
    worth_usd: Price | None = Field(
        None, description="What a right answer is worth, in USD", examples=["0.01"]
    )

    @model_validator(mode="after")
    def _has_one_aim(self) -> Self:
        if (self.at_least is None) == (self.worth_usd is None):
            raise wrong("has not one aim", "give it either at_least or worth_usd")
        return self


class Model(Part):
    """A model as clients name it."""

    offers: tuple[OfferSpec, ...] = Field(
        (),
        description="The ways to buy it",
        examples=["[{provider: groq, model: openai/gpt-oss-120b}]"],
    )
    any_of: tuple[Name, ...] = Field(
        (),
        description="In place of `offers`: other models of this file, any of which may answer; the"
        " best offer of all of them does",
        examples=["[llama-3.3-70b, claude-haiku]"],
    )
    choose_by_prompt: PromptChooserSpec | None = Field(
        None,
        description="Of `any_of`: have a predictor say which model suffices for each prompt; when"
        " not given, the cheapest offer answers",
        examples=["{predictor: predictor.json, at_least: 0.80}"],
    )
    quality: QualityFloor | None = Field(
        None,
        description="The least quality: offers known to be below it are refused, those of unknown"
        " quality come last",
        examples=["{benchmark: ours, at_least: 0.70}"],
    )
    routing: Annotated[Routing | None, SameAs("routing")] = Field(
        None,
        description="What differs for this model from the top-level `routing`, key by key",
        examples=["{first_byte_timeout: 5s, stream_rescue: buffer}"],
    )
    openrouter: ModelSlug | None = Field(
        None,
        description="Which of OpenRouter's models it is: the feed `openrouter` asks for its"
        " endpoints",
        examples=["meta-llama/llama-3.3-70b-instruct"],
    )
    artificial_analysis: Name | None = Field(
        None,
        description="Its slug at Artificial Analysis, for the feed of that kind",
        examples=["llama-3-3-instruct-70b"],
    )

    @model_validator(mode="after")
    def _has_one_of_both(self) -> Self:
        if bool(self.offers) == bool(self.any_of):
            what = "both offers and any_of" if self.offers else "neither offers nor any_of"
            raise wrong(f"has {what}", "give it `offers`, or the names of other models in `any_of`")
        if self.choose_by_prompt is not None and not self.any_of:
            raise wrong("chooses by prompt among no models", "name them in `any_of`")
        return self
