"""Reading: what one document of a feed says, in our own terms.

A reader is a pure function from bytes to a Reading. It raises FeedRefused for a document that is
none; an entry that has no believable price it gives without one, and says so as a Fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from benchmarks.alarms import AlarmName
from benchmarks.feeds.document import Document
from benchmarks.feeds.litellm_cards import Cards
from benchmarks.offers import Feature, Task
from benchmarks.quality import Quality
from benchmarks.quotes import Override
from benchmarks.stats import Stats
from ledger.rates import RateCard


@dataclass(frozen=True, slots=True)
class PricedModel:
    """A model as a provider sells it, in the words of the feed.

    provider, model: as the feed names them. tag: what tells a provider's endpoints of one model
    apart, as the `fp8` of `deepinfra/fp8`; None where there is one. The other fields are those of
    an Offer; None is unknown.

    rates: None where the feed names no believable price that a card can hold. batch_rates,
    batch_overrides: through the provider's batch API; None where the feed names no price of it.
    tiers: the same at service tiers that it names prices of. valid_until: from when on its prices
    are none.
    """

    provider: str
    model: str
    task: Task | None
    rates: RateCard | None
    overrides: tuple[Override, ...] = ()
    batch_rates: RateCard | None = None
    batch_overrides: tuple[Override, ...] = ()
    tiers: Mapping[str, Cards] = field(default_factory=dict)
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    features: frozenset[Feature] | None = None
    speaks_chat: bool = True
    tag: str | None = None
    region: str | None = None
    quantization: str | None = None
    parameters: frozenset[str] | None = None
    ends_at: datetime | None = None
    valid_until: datetime | None = None
    stats: Stats | None = None

    @property
    def key(self) -> str:
        """Unique within its document."""
        name = f"{self.provider}/{self.model}"
        return name if self.tag is None else f"{name}@{self.tag}"


@dataclass(frozen=True, slots=True)
class ModelQuality:
    """How good a model is, whoever sells it. model: as the feed names it."""

    model: str
    quality: Quality

    @property
    def key(self) -> str:
        return f"{self.model}:{self.quality.benchmark}"


@dataclass(frozen=True, slots=True)
class CapacityRow:
    """A GPU-hour's price as its source states it, not yet compared with any other.

    contract: `on-demand`, `spot` or `reserved-1y`. stat: `list`, `min`, `median`, `index`, `bid` or
    `ask`. gpus: of the machine that is sold. usd_per_gpu_hour: for one of them.
    """

    at: datetime
    provider: str
    region: str | None
    gpu: str
    gpus: int | None
    contract: str
    usd_per_gpu_hour: Decimal
    stat: str
    offers: int | None
    source: str

    @property
    def key(self) -> str:
        """The series that it is the newest of."""
        machine = self.gpu if self.gpus is None else f"{self.gpus}x{self.gpu}"
        place = self.provider if self.region is None else f"{self.provider}/{self.region}"
        return f"{place}/{machine}@{self.contract}@{self.stat}@{self.source}"


Entry: TypeAlias = PricedModel | ModelQuality | CapacityRow


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in an entry that its reader could not believe. value: what stands there."""

    key: str
    name: AlarmName
    value: str


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a document says of what was asked.

    source: the feed, without its version. version: the document's own, or a digest of it. as_of:
    when it was stated, as far as it says; known_at: when we read it. listed: how many entries the
    document has, asked for or not.
    """

    source: str
    version: str
    known_at: datetime
    as_of: datetime
    entries: tuple[Entry, ...]
    listed: int
    faults: tuple[Fault, ...] = ()

    @property
    def name(self) -> str:
        """What a quote names as its source."""
        return f"{self.source} {self.version}"

    def models(self) -> Iterator[PricedModel]:
        return (one for one in self.entries if isinstance(one, PricedModel))


def reading_of(
    document: Document, source: str, found: Iterable[Entry | Fault], listed: int
) -> Reading:
    """Entries and faults told apart. What stands twice with different words is not believed at
    all."""
    entries: dict[str, Entry] = {}
    faults: list[Fault] = []
    doubled: set[str] = set()
    for one in found:
        if isinstance(one, Fault):
            faults.append(one)
        elif entries.setdefault(one.key, one) != one and one.key not in doubled:
            doubled.add(one.key)
            faults.append(Fault(one.key, AlarmName.DUPLICATE, "stands twice with other values"))
    return Reading(
        source=source,
        version=document.name,
        known_at=document.known_at,
        as_of=document.as_of or document.known_at,
        entries=tuple(one for key, one in entries.items() if key not in doubled),
        listed=listed,
        faults=tuple(faults),
    )
