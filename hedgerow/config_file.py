"""hedgerow.yaml and policy files as they are written: each key, its meaning, default and limits."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from hedgerow.settings import (
    BaseUrl,
    Cap,
    Count,
    Kind,
    Name,
    Price,
    Seconds,
    Secret,
    Setting,
    SqliteUrl,
    Text,
    TimeZone,
    WorkerCount,
    settings_of,
)
from ledger.budgets import Budget, Scope
from ledger.money import usd
from ledger.rates import RateCard
from ledger.windows import Window


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Server(_Part):
    """Where the proxy listens."""

    host: Text = Field("127.0.0.1", description="The address to listen on", examples=["127.0.0.1"])
    port: Annotated[int, Field(ge=0, le=65535), Kind("whole number")] = Field(
        8400, description="The port to listen on; 0 takes a free one", examples=["8400"]
    )
    workers: WorkerCount = Field(
        1, description="How many processes serve; this version runs one", examples=["1"]
    )
    admin_key: Secret | None = Field(
        None,
        description="The key for the admin API, which this version does not have yet",
        examples=["${HEDGEROW_ADMIN_KEY}"],
    )
    max_body_bytes: Count = Field(
        10 * 1024 * 1024,
        description="The largest request body in bytes; a larger one is answered with 413",
        examples=["10485760"],
    )


class LedgerFile(_Part):
    """Where the books are kept."""

    url: SqliteUrl = Field(
        "sqlite:///hedgerow.db",
        description="The file of the books, relative to this file's folder;"
        " with four slashes an absolute path",
        examples=["sqlite:///hedgerow.db"],
    )
    durability: Literal["process", "disk"] = Field(
        "process",
        description="What a charge survives: `process`, a killed process; `disk`, a power loss too",
        examples=["process"],
    )


class Feed(_Part):
    """A source of prices."""

    kind: Literal["litellm"] = Field(
        description="`litellm`: the price file of the installed litellm package; no network",
        examples=["litellm"],
    )


class Market(_Part):
    """Where prices come from."""

    feeds: tuple[Feed, ...] = Field(
        (Feed(kind="litellm"),),
        description="Sources of prices for offers that name none",
        examples=["[{kind: litellm}]"],
    )


class Provider(_Part):
    """One upstream API."""

    dialect: Literal["openai"] = Field(
        description="The API that it speaks; this version knows `openai`", examples=["openai"]
    )
    base_url: BaseUrl = Field(
        description="Its URL up to and with the version, without /chat/completions",
        examples=["https://api.groq.com/openai/v1"],
    )
    api_key: Secret | None = Field(
        None,
        description="Our key there; without one no authorization header is sent",
        examples=["${GROQ_API_KEY}"],
    )
    litellm_provider: Name | None = Field(
        None,
        description="Its name in litellm's price file, if that is not its name here",
        examples=["groq"],
    )
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = Field(
        None,
        description="The request field that limits the output, under which every limit is sent;"
        " when not given, `max_completion_tokens` at OpenAI and Azure OpenAI, `max_tokens`"
        " elsewhere",
        examples=["max_tokens"],
    )

    @property
    def output_limit_field(self) -> Literal["max_tokens", "max_completion_tokens"]:
        """The request field that limits the output: the one given, or what the host takes."""
        if self.max_tokens_field:
            return self.max_tokens_field
        host = urlsplit(self.base_url).hostname or ""
        is_openai = host == "api.openai.com" or host.endswith(".openai.azure.com")
        return "max_completion_tokens" if is_openai else "max_tokens"


class PriceSpec(_Part):
    """Prices that override the feeds."""

    input: Price = Field(description="USD per million input tokens", examples=["0.88"])
    output: Price = Field(description="USD per million output tokens", examples=["0.88"])
    cache_read: Price | None = Field(
        None,
        description="USD per million tokens read from the provider's cache;"
        " when not given, the input price",
        examples=["0.44"],
    )
    cache_write: Price | None = Field(
        None,
        description="USD per million tokens written to it; when not given, the input price",
        examples=["1.10"],
    )
    request: Price = Field(
        Decimal(0), description="USD per request, besides tokens", examples=["0.001"]
    )

    def rate_card(self) -> RateCard:
        """The prices as the ledger charges them."""
        return RateCard.of(self.input, self.output, self.cache_read, self.cache_write, self.request)


Feature: TypeAlias = Literal["tools", "vision", "json_schema", "logprobs"]


class OfferSpec(_Part):
    """One way to buy a model's completions."""

    provider: Name = Field(description="A name under `providers`", examples=["groq"])
    model: Name = Field(
        description="The model's name at the provider", examples=["llama-3.3-70b-versatile"]
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
        None, description="The provider's service tier", examples=["flex"]
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


class Model(_Part):
    """A model as clients name it."""

    offers: tuple[OfferSpec, ...] = Field(
        min_length=1,
        description="The ways to buy it",
        examples=["[{provider: groq, model: llama-3.3-70b-versatile}]"],
    )


class Routing(_Part):
    """How offers are chosen and how long they are waited for."""

    ttft_ms_p95_max: Count = Field(
        2000,
        description="Offers whose 95th percentile time to the first token, in ms, is longer come"
        " last; none is refused",
        examples=["2000"],
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
    stream_rescue: Literal["error"] = Field(
        "error",
        description="What happens when a stream breaks off: `error` tells the client",
        examples=["error"],
    )


class ConfigFile(_Part):
    """hedgerow.yaml as written."""

    server: Server = Field(
        Server(), description="Where the proxy listens", examples=["{port: 8400}"]
    )
    ledger: LedgerFile = Field(
        LedgerFile(),
        description="Where the books are kept",
        examples=['{url: "sqlite:///hedgerow.db"}'],
    )
    market: Market = Field(
        Market(), description="Where prices come from", examples=["{feeds: [{kind: litellm}]}"]
    )
    providers: Mapping[Name, Provider] = Field(
        min_length=1,
        description="The upstream APIs, by a name of your choice",
        examples=["{groq: {dialect: openai, base_url: https://api.groq.com/openai/v1}}"],
    )
    models: Mapping[Name, Model] = Field(
        min_length=1,
        description="The models, by the name that clients ask for",
        examples=["{llama: {offers: [{provider: groq, model: llama-3.3-70b-versatile}]}}"],
    )
    routing: Routing = Field(
        Routing(), description="How offers are chosen and waited for", examples=["{attempts: 3}"]
    )
    policies: tuple[Text, ...] = Field(
        (),
        description="Policy files: paths or globs, relative to this file",
        examples=["[policies/*.yaml]"],
    )


class BudgetScope(_Part):
    """What a budget counts: all that is given must match; `{}` is everything."""

    org: Text | None = Field(None, description='An organisation, or "*": one budget for each')
    team: Text | None = Field(None, description='A team, or "*": one budget for each')
    project: Text | None = Field(None, description='A project, or "*": one budget for each')
    user: Text | None = Field(None, description='A user, or "*": one budget for each')
    key: Text | None = Field(None, description='A key\'s id, or "*": one budget for each')
    tag: Text | None = Field(None, description='A tag, or "*": one budget for each')
    model: Text | None = Field(None, description='A model, or "*": one budget for each')
    provider: Text | None = Field(None, description='A provider, or "*": one budget for each')


class Threshold(_Part):
    """What happens when so much is spent."""

    spent: Literal["100%"] = Field(
        description="The part of the cap that is spent; this version knows 100%", examples=["100%"]
    )
    then: Literal["block"] = Field(
        description="What happens then: `block` refuses with HTTP 402", examples=["block"]
    )


class BudgetSpec(_Part):
    """A budget as written in a policy file."""

    name: Text = Field(
        description="Its name, once over all policy files", examples=["research-month"]
    )
    scope: BudgetScope = Field(
        description='What it counts: all that is given must match, {} is everything, "*" means'
        " one budget for each",
        examples=["{team: research}"],
    )
    window: Literal["minute", "hour", "day", "week", "month", "quarter", "year", "lifetime"] = (
        Field(description="The calendar span after which it starts anew", examples=["month"])
    )
    timezone: TimeZone = Field(
        "UTC", description="Where its windows begin at midnight", examples=["Europe/Berlin"]
    )
    cap_usd: Cap = Field(
        description="The most that may be spent in a window, with at most 9 decimals",
        examples=["20000"],
    )
    at: Annotated[tuple[Threshold, ...], Field(min_length=1, max_length=1)] = Field(
        (Threshold(spent="100%", then="block"),),
        description="What happens as it fills up; this version blocks when it is spent",
        examples=["[{spent: 100%, then: block}]"],
    )
    on_ledger_error: Literal["deny"] = Field(
        "deny",
        description="What happens to requests while the books cannot be read",
        examples=["deny"],
    )

    def budget(self) -> Budget:
        """The budget as the ledger keeps it."""
        scope = Scope(**self.scope.model_dump())
        return Budget(self.name, scope, Window(self.window), self.timezone, usd(self.cap_usd))


class PolicyFile(_Part):
    """A policy file as written."""

    budgets: tuple[BudgetSpec, ...] = Field(
        description="The budgets; all that match a request apply",
        examples=["[{name: all, scope: {}, window: month, cap_usd: 100}]"],
    )


def settings() -> list[Setting]:
    """Every key of hedgerow.yaml and of a policy file (`budgets...`), in the order of the files."""
    return [*settings_of(ConfigFile), *settings_of(PolicyFile)]
