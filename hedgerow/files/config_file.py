"""hedgerow.yaml as it is written: each key, its meaning, default and limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from hedge.contracts.contracts_file import ContractsFile
from hedgerow.files.feed_spec import FeedSpec, LitellmFeed
from hedgerow.files.model_spec import Model, Routing
from hedgerow.files.notify_spec import NotifySpec
from hedgerow.files.policy_file import PolicyFile
from hedgerow.files.prices_file import PricesFile
from hedgerow.files.probe_spec import Probe
from hedgerow.files.provider_spec import ProviderSpec
from hedgerow.files.settings import (
    MOST_BYTES,
    Bytes,
    Count,
    Days,
    Hours,
    Kind,
    LedgerUrl,
    Name,
    Part,
    Seconds,
    Secret,
    Text,
    TimeZone,
    WorkerCount,
)
from hedgerow.files.settings_reference import Setting, settings_of

CONTRACT_FILE = "contracts.yaml:"
"""What the reference writes before keys of a contract file, some of which have other meanings
elsewhere."""


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
        description="Who has it may all that the admin API and the dashboard can, but approve;"
        " without it there is no admin API, and the dashboard is for keys with a role",
        examples=["${HEDGEROW_ADMIN_KEY}"],
    )
    admin: AdminAddress | None = Field(
        None,
        description="An address of its own for the admin API and the dashboard: then they are"
        " there alone; one worker listens on it",
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
    chargeback: Literal["draw", "spend", "none"] = Field(
        "draw",
        description="By what teams share what a commitment costs in a month beyond what its draws"
        " were charged: `draw`, the capacity units that each drew; `spend`, what the requests of"
        " each cost; `none`, it stays with the platform",
        examples=["draw"],
    )


class Market(Part):
    """Where prices come from."""

    feeds: tuple[FeedSpec, ...] = Field(
        (LitellmFeed(kind="litellm"),),
        description="Sources of prices for offers that name none, of latency and of quality. Of"
        " several that know an offer's price counts: the configuration's, then your file of prices,"
        " the provider's own list, litellm, OpenRouter",
        examples=["[{kind: litellm}, {kind: openrouter, every: 5m}]"],
    )
    probe: Probe | None = Field(
        None,
        description="Probes, to know offers that get no traffic; when not given, there are none",
        examples=["{every: 10m, budget_usd_per_day: 0.50}"],
    )


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
    contracts: tuple[Text, ...] = Field(
        (),
        description="Contract files: what can be bought at fixed prices, for `hedgerow hedge`;"
        " paths or globs, relative to this file",
        examples=["[contracts/*.yaml]"],
    )


def settings() -> list[Setting]:
    """Every key of hedgerow.yaml, of a policy file (`budgets...`), of a file of prices
    (`prices...`) and of a contract file, in the order of the files."""
    return [
        *settings_of(ConfigFile),
        *settings_of(PolicyFile),
        *settings_of(PricesFile),
        *settings_of(ContractsFile, CONTRACT_FILE),
    ]
