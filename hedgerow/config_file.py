"""hedgerow.yaml as it is written: each key, its meaning, default and limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from benchmarks.offers import Task
from hedgerow.config_errors import wrong
from hedgerow.hedging_spec import Hedging
from hedgerow.notify_spec import NotifySpec
from hedgerow.policy_file import PolicyFile
from hedgerow.price_spec import PriceSpec
from hedgerow.provider_spec import DataPolicy, ProviderSpec
from hedgerow.settings import (
    MOST_BYTES,
    Bytes,
    Count,
    Days,
    Heartbeat,
    Hours,
    Kind,
    LedgerUrl,
    Name,
    Part,
    SameAs,
    Seconds,
    Secret,
    Text,
    TimeZone,
    WorkerCount,
)
from hedgerow.settings_reference import Setting, settings_of


class AdminAddress(Part):
    """Where the admin API listens, if not where the proxy does."""

    host: Text = Field("127.0.0.1", description="The address to listen on", examples=["127.0.0.1"])
    port: Annotated[int, Field(ge=0, le=65535), Kind("whole number")] = Field(
        description="The port to listen on; 0 takes a free one", examples=["8401"]
    )


class Server(Part):
    """Where the proxy listens."""

    host: Text = Field("127.0.0.1", description="The address to listen on", examples=["127.0.0.1"])
    port: Annotated[int, Field(ge=0, le=65535), Kind("whole number")] = Field(
        8400, description="The port to listen on; 0 takes a free one", examples=["8400"]
    )
    workers: WorkerCount = Field(
        1,
        description="How many processes serve, 64 at most; they share the port, the books and the"
        " files",
        examples=["4"],
    )
    admin_key: Secret | None = Field(
        None,
        description="Who has it may all that the admin API can: keys, teams, budgets; without it"
        " there is none",
        examples=["${HEDGEROW_ADMIN_KEY}"],
    )
    admin: AdminAddress | None = Field(
        None,
        description="An address of its own for the admin API: then it is there alone; one worker"
        " listens on it",
        examples=["{port: 8401}"],
    )
    max_body_bytes: Bytes = Field(
        32 * 2**20,
        ge=1,
        le=2**30,
        description="The largest request body; a larger one is answered with 413",
        examples=["32 MiB"],
    )
    max_header_bytes: Bytes = Field(
        32 * 2**10,
        ge=2**10,
        le=2**20,
        description="The most that a request's line and its headers may have",
        examples=["32 KiB"],
    )
    body_timeout: Seconds = Field(
        60.0,
        description="How long a request's body may take to arrive; a slower one is answered with"
        " 408",
        examples=["60s"],
    )
    parallel_per_key: Count | None = Field(
        None,
        description="The most requests that one key may have under way at once; one more is"
        " answered with 429. Each worker allows its share, rounded up. When not given, there is no"
        " limit",
        examples=["100"],
    )


class LedgerFile(Part):
    """Where the books are kept."""

    url: LedgerUrl = Field(
        "sqlite:///hedgerow.db",
        description="The file of the books, relative to this file's folder, with four slashes an"
        " absolute path; or a PostgreSQL database, which several hosts may share",
        examples=["sqlite:///hedgerow.db", "postgresql://hedgerow@db.example/hedgerow"],
    )
    journal: Text | None = Field(
        None,
        description="The folder of this host's journals, relative to this file's folder; when not"
        " given, it lies beside the SQLite file, or beside this file",
        examples=["hedgerow.journal"],
    )
    durability: Literal["process", "disk"] = Field(
        "process",
        description="What a charge survives: `process`, a killed process; `disk`, a power loss too",
        examples=["process"],
    )
    keep: Days | None = Field(
        None,
        description="For how long single charges are kept; sums by day stay. When not given, for"
        " ever",
        examples=["400d"],
    )
    keep_requests: Days | None = Field(
        None,
        description="For how long is kept what was decided for each request. When not given, for"
        " ever",
        examples=["90d"],
    )


class Feed(Part):
    """A source of prices."""

    kind: Literal["litellm"] = Field(
        description="`litellm`: the price file of the installed litellm package; no network",
        examples=["litellm"],
    )


class Market(Part):
    """Where prices come from."""

    feeds: tuple[Feed, ...] = Field(
        (Feed(kind="litellm"),),
        description="Sources of prices for offers that name none",
        examples=["[{kind: litellm}]"],
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
    at_least: Annotated[float, Field(ge=0, le=1), Kind("number from 0 to 1")] = Field(
        description="What the score must reach, with the lower end of its 90% interval",
        examples=["0.70"],
    )


class Routing(Part):
    """How offers are chosen and how long they are waited for."""

    ttft_ms_p95_max: Count = Field(
        2000,
        description="Offers that give their first token within so many ms in less than 95% of"
        " attempts come last; none is refused",
        examples=["2000"],
    )
    total_ms_p95_max: Count | None = Field(
        None,
        description="The same of the whole answer, by its expected length; when not given, it may"
        " take any time",
        examples=["15000"],
    )
    miss_cost: Annotated[float, Field(ge=0, le=1000), Kind("number from 0 to 1000")] = Field(
        1.0,
        description="What a late or missing answer is worth avoiding, as a multiple of what the"
        " request usually costs: with 0 only money counts, with 10 reliable offers win over cheap"
        " ones",
        examples=["1.0"],
    )
    explore: Annotated[float, Field(ge=0, le=0.1), Kind("number from 0 to 0.1")] = Field(
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
    hedge: Hedging = Field(
        Hedging(),
        description="When a second offer is asked for the same answer",
        examples=["{after: p95, share: 5%}"],
    )


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

    @model_validator(mode="after")
    def _has_one_of_both(self) -> Self:
        if bool(self.offers) == bool(self.any_of):
            what = "both offers and any_of" if self.offers else "neither offers nor any_of"
            raise wrong(f"has {what}", "give it `offers`, or the names of other models in `any_of`")
        return self


class Idempotency(Part):
    """How answers to requests with an Idempotency-Key are kept."""

    keep: Seconds = Field(
        600.0,
        description="How long an answer is kept for a retry with the same Idempotency-Key; after"
        " that a retry is answered with 409, uncharged",
        examples=["10m"],
    )
    max_bytes: Bytes = Field(
        64 * 2**20,
        ge=1,
        le=MOST_BYTES,
        description="The most memory that kept answers take; the oldest go first",
        examples=["64 MiB"],
    )


class FilesSpec(Part):
    """Where /v1/files are kept."""

    path: Text = Field(
        "hedgerow-files",
        description="The folder of uploaded files and of what batches answered, relative to this"
        " file's folder",
        examples=["hedgerow-files"],
    )
    max_bytes_per_file: Bytes = Field(
        200 * 2**20,
        ge=1,
        le=MOST_BYTES,
        description="The largest file; a larger one is answered with 413",
        examples=["200 MiB"],
    )
    max_bytes: Bytes = Field(
        10 * 2**30,
        ge=1,
        le=MOST_BYTES,
        description="The most that all files take",
        examples=["10 GiB"],
    )


class Batches(Part):
    """How batches that no provider takes are run by ourselves."""

    hours: tuple[Hours, ...] = Field(
        (),
        description="Off-peak hours of the day, in which our own batches run first; outside of"
        " them they run only as far as their completion window needs. When not given, they run"
        " at any time",
        examples=['["22:00-06:00"]'],
    )
    timezone: TimeZone = Field(
        "UTC", description="Where the hours are those of the clock", examples=["Europe/Berlin"]
    )
    parallel: Count = Field(
        8, description="The most lines of batches under way at once", examples=["8"]
    )

    def is_off_peak(self, at: datetime) -> bool:
        """Whether `at`, which knows its time zone, is within the hours, or there are none."""
        clock = at.astimezone(ZoneInfo(self.timezone)).time()
        return not self.hours or any(one.holds(clock) for one in self.hours)


class ConfigFile(Part):
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
    providers: Mapping[Name, ProviderSpec] = Field(
        min_length=1,
        description="The upstream APIs, by a name of your choice",
        examples=["{groq: {api_key: ${GROQ_API_KEY}}}"],
    )
    models: Mapping[Name, Model] = Field(
        min_length=1,
        description="The models, by the name that clients ask for",
        examples=["{gpt-oss: {offers: [{provider: groq, model: openai/gpt-oss-120b}]}}"],
    )
    routing: Routing = Field(
        Routing(), description="How offers are chosen and waited for", examples=["{attempts: 3}"]
    )
    idempotency: Idempotency = Field(
        Idempotency(),
        description="How answers to requests with an Idempotency-Key are kept",
        examples=["{keep: 10m}"],
    )
    files: FilesSpec = Field(
        FilesSpec(),
        description="Where uploaded files are kept",
        examples=["{path: hedgerow-files}"],
    )
    batches: Batches = Field(
        Batches(),
        description="How batches that no provider takes are run",
        examples=['{hours: ["22:00-06:00"], timezone: Europe/Berlin}'],
    )
    notify: Mapping[Name, NotifySpec] = Field(
        {},
        description="Whom thresholds of budgets tell, by a name of your choice",
        examples=["{ops: {kind: log}}"],
    )
    policies: tuple[Text, ...] = Field(
        (),
        description="Policy files: paths or globs, relative to this file",
        examples=["[policies/*.yaml]"],
    )


def settings() -> list[Setting]:
    """Every key of hedgerow.yaml and of a policy file (`budgets...`), in the order of the files."""
    return [*settings_of(ConfigFile), *settings_of(PolicyFile)]
