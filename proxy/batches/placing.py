"""Placer: which lines of a batch go to a provider's batch API, and in which job."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.snapshot import Listing
from ledger.usage import TokenUsage
from proxy.batches.batch import Batch
from proxy.batches.line import Checked
from proxy.batches.rows import Job, JobState
from proxy.endpoints import Endpoint
from proxy.house import House
from proxy.intents import intent_of
from proxy.litellm_upstream import SCHEME
from proxy.trial import quote_of
from routing.eligibility import refusal, too_bad
from routing.intent import RoutingIntent
from routing.preferences import Preferences, Sort

MOST_JOB_LINES = 10_000
MOST_JOB_BYTES = 32 << 20
"""A job's input is made in memory; and providers limit it too."""
WINDOW_S = 86_400
"""What providers promise: a batch with a shorter window cannot wait for them."""


@dataclass(slots=True)
class _Filling:
    """A job that still takes lines."""

    job: Job
    lines: int = 0
    bytes: int = 0


class Placer:
    """For the lines of one batch, in their order."""

    def __init__(self, house: House, batch: Batch) -> None:
        self._house = house
        self._batch = batch
        self._filling: dict[tuple[str, str], _Filling] = {}
        self._new: list[Job] = []
        self._made = 0

    def place(self, line: Checked) -> str | None:
        """The id of its job; None if it is cheapest to run it ourselves."""
        if self._batch.expires_at - self._batch.created_at < WINDOW_S:
            return None
        if _has_own_order(line.ask.preferences):
            return None
        model = line.ask.model
        if model not in self._house.market.snapshot.models:
            return None  # a class: whichever of its models is best is asked, line by line
        listing = self._cheapest(intent_of(model, line.ask, self._batch.key_id, self._house))
        if listing is None:
            return None
        key = (model, listing.offer.id)
        filling = self._filling.get(key)
        if (
            filling is None
            or filling.lines >= MOST_JOB_LINES
            or filling.bytes + line.place.bytes > MOST_JOB_BYTES
        ):
            filling = self._filling[key] = _Filling(self._job(model, listing))
        filling.lines += 1
        filling.bytes += line.place.bytes
        return filling.job.id

    def new_jobs(self) -> list[Job]:
        """Those that were made since this was last asked."""
        new, self._new = self._new, []
        return new

    def _job(self, model: str, listing: Listing) -> Job:
        self._made += 1
        job_id = f"job_{self._batch.id.removeprefix('batch_')}_{self._made:03d}"
        offer = listing.offer
        job = Job(job_id, self._batch.id, JobState.HOLDING, model, offer.provider, offer.model)
        self._new.append(job)
        return job

    def _cheapest(self, intent: RoutingIntent) -> Listing | None:
        """The cheapest batch API, if it is cheaper than every way to run it as a request."""
        if intent.service_tier is not None:  # batches are a tier of their own
            return None
        at_ns = self._house.clock.now_ns()
        usage = TokenUsage(intent.prompt_tokens, intent.completion_tokens, units=intent.units)
        floor = self._house.manners_of(intent.model).limits.quality
        able = eligible(self._house, intent, at_ns)
        # As the router has it, one of unknown quality comes after all that are known to be good.
        listings = [one for one in able if floor is None or floor.benchmark in one.quality] or able
        there = [
            (cost, one) for one in listings if (cost := self._cost(one, usage, at_ns)) is not None
        ]
        if not there:
            return None
        cost, best = min(there, key=lambda one: one[0])
        others = (quote_of(one).would_cost(usage, at_ns) for one in listings)
        return best if all(other is None or cost < other for other in others) else None

    def _cost(self, listing: Listing, usage: TokenUsage, at_ns: int) -> int | None:
        """In the provider's batch API; None where it has none for this."""
        provider = self._house.providers[listing.offer.provider]
        needs = {Endpoint.FILES, Endpoint.BATCHES, self._batch.asks}
        if not needs <= provider.endpoints or provider.base_url.startswith(f"{SCHEME}://"):
            return None
        quote = listing.quote and listing.quote.in_batches()
        return quote.would_cost(usage, at_ns) if quote else None


def eligible(house: House, intent: RoutingIntent, at_ns: int) -> list[Listing]:
    """The offers that could serve a line as a request."""
    floor = house.manners_of(intent.model).limits.quality
    return [
        one
        for one in house.market.snapshot.models.get(intent.model, ())
        if refusal(one, intent, at_ns) is None and too_bad(one, floor) is None
    ]


def _has_own_order(wanted: Preferences) -> bool:
    """Whether the cheapest may be another than the one it asks for first."""
    by_speed = wanted.sort not in (None, Sort.PRICE)
    return bool(wanted.order) or by_speed or not wanted.allow_fallbacks
