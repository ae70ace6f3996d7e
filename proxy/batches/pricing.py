"""BatchPrices: what lines may cost, and did cost, through a provider's batch API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.offers import Feature
from benchmarks.snapshot import Listing
from ledger.attempts import Charge, Hold, Settlement
from ledger.errors import BudgetExceeded, UsageUnknown
from ledger.measures import Measure
from ledger.money import Money
from ledger.rates import RateCard
from ledger.usage import TokenUsage
from proxy import meter
from proxy.batches.batch import Batch
from proxy.batches.line import JSON, read_bodies
from proxy.batches.placing import eligible
from proxy.batches.rows import Job, Result, Row
from proxy.house import House
from proxy.intents import intent_of
from proxy.limits import LEAST_COMPLETION, UNKNOWN_OUTPUT_LIMIT, OutputLimit, prompt_bound, room
from proxy.terms import on_terms
from proxy.trial import quote_of
from proxy.wires.table import WIRES
from proxy.wires.wire import Ask, Plain
from routing.intent import RoutingIntent


@dataclass(frozen=True, slots=True)
class Read:
    """A line that was read again."""

    row: Row
    body: bytes
    ask: Ask
    intent: RoutingIntent


@dataclass(frozen=True, slots=True)
class Priced:
    """What a line may cost. expected_cost: what it is thought to."""

    line: Read
    limit: OutputLimit
    bound: int
    rates: RateCard
    worst_case: Money
    expected_cost: Money

    @property
    def most_tokens(self) -> int:
        return self.bound + self.limit.tokens * self.line.ask.choices

    def reserves(self, measure: Measure) -> int:
        """What its hold takes of an account that counts by this measure."""
        match measure:
            case Measure.USD:
                return self.worst_case
            case Measure.TOKENS:
                return self.most_tokens
            case Measure.REQUESTS | Measure.PARALLEL:
                return 1
            case Measure.UNITS:  # batches are billed apart, whatever was bought ahead
                return 0


@dataclass(slots=True)
class Ends:
    """What becomes of some lines: of their holds, and of themselves. returned: to us, by number."""

    posts: list[tuple[Hold, Settlement]] = field(default_factory=list)
    voids: list[Hold] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)


class BatchPrices:
    """Of one job. is_known: its offer still has a batch price."""

    def __init__(self, house: House, batch: Batch, job: Job) -> None:
        self._house = house
        self._job = job
        self._key_id = batch.key_id
        self._wire = WIRES[batch.asks]
        self._listing = _listing_of(house, job)
        quote = self._listing and self._listing.quote
        self._quote = quote.in_batches() if quote else None

    @property
    def is_known(self) -> bool:
        return self._quote is not None

    def read(self, path: Path, rows: Sequence[Row]) -> list[Read]:
        """Lines of the input. Runs in a thread."""
        found = []
        bodies = read_bodies(path, [(one.at, one.bytes) for one in rows])
        for row, body in zip(rows, bodies, strict=True):
            ask = on_terms(self._wire.ask(body, JSON), {}, self._house.names)
            found.append(Read(row, body, ask, intent_of(ask.model, ask, self._key_id, self._house)))
        return found

    # -- before

    def price(self, line: Read, share: Money | None) -> Priced:
        """share: the most that a line may hold that sets no limit of its own; None for any."""
        if self._quote is None or self._listing is None:
            raise AssertionError(f"{self._job.id} was priced without a price")
        offer, ask, intent = self._listing.offer, line.ask, line.intent
        bound = prompt_bound(ask.prompt_bytes, intent, offer)
        limit = self._limit(ask, bound, share)
        usage = TokenUsage(intent.prompt_tokens, intent.completion_tokens, units=intent.units)
        card = self._quote.card(intent.prompt_tokens, self._house.clock.now_ns())
        return Priced(
            line=line,
            limit=limit,
            bound=bound,
            rates=card,
            worst_case=self._quote.worst_case(bound, limit.tokens * ask.choices, ask.units),
            expected_cost=card.charge(usage),
        )

    def _limit(self, ask: Ask, bound: int, share: Money | None) -> OutputLimit:
        if self._quote is None or self._listing is None:
            raise AssertionError(f"{self._job.id} was priced without a price")
        if ask.most_completion_tokens is not None:
            return OutputLimit(ask.most_completion_tokens, ask.most_completion_tokens)
        offer = self._listing.offer
        known = [one for one in (offer.max_output_tokens, offer.context_tokens) if one]
        most = min(known, default=UNKNOWN_OUTPUT_LIMIT)
        if share is None:
            return OutputLimit(most, None)
        fair = self._quote.affordable_completion(share, bound, ask.units) // ask.choices
        told = min(most, max(fair, LEAST_COMPLETION))
        return OutputLimit(told, told)

    def affordable(self, priced: Priced, refused: BudgetExceeded) -> int:
        """The most completion tokens with which a line would fit into what is left."""
        if self._quote is None or priced.line.ask.most_completion_tokens == 0:
            return 0
        return room(refused, self._quote, priced.bound, priced.line.ask)

    # -- after

    def settlement(self, line: Read, hold: Hold, plain: Plain) -> Settlement:
        """By what the provider says that a line used; by an estimate if it does not say it all."""
        ask, prompt = line.ask, line.intent.prompt_tokens
        usage = plain.usage or TokenUsage(None, None)
        try:
            card = self._card(hold, usage.prompt or 0)
            card.charge(usage)
            estimated = not card.counts_all(usage)
        except UsageUnknown:
            estimated = True
            seen = meter.estimate_delivered(prompt, plain.text_bytes, ask.choices)
            written = 0 if ask.most_completion_tokens == 0 else seen.completion
            usage = replace(
                usage,
                prompt=prompt if usage.prompt is None else usage.prompt,
                completion=written if usage.completion is None else usage.completion,
                units=ask.units if usage.units is None else usage.units,
            )
        card = self._card(hold, usage.prompt or 0)
        teaches = not estimated and Feature.VISION not in ask.features
        if teaches and usage.completion is not None and ask.most_completion_tokens != 0:
            per_choice = usage.completion // ask.choices
            self._house.learned.note(
                ask.model, self._key_id, ask.prompt_bytes, usage.prompt or 0, per_choice
            )
        charge = self._charge(card.charge(usage), usage, line.intent, hold.attempt.at_ns)
        return self._ended(hold, usage, card, charge, estimated=estimated)

    def most(self, hold: Hold) -> Settlement:
        """All that was held: the provider may have billed it, and did not say what."""
        usage, most = TokenUsage(None, None), hold.attempt.worst_case
        charge = Charge(most, most, most, most, None, most)
        return self._ended(hold, usage, hold.attempt.rates, charge, estimated=True)

    def _card(self, hold: Hold, prompt: int) -> RateCard:
        """The prices at which it was held; above a threshold or at a time, those that belong to
        them."""
        quote = self._quote
        if quote is None:
            return hold.attempt.rates
        if hold.attempt.rates not in quote.cards:
            return hold.attempt.rates
        return quote.card(prompt, hold.attempt.at_ns)

    def _charge(
        self, effective: Money, usage: TokenUsage, intent: RoutingIntent, at_ns: int
    ) -> Charge:
        """What it would have cost elsewhere is as a request: at the first-listed offer, and at the
        cheapest of those that could have served it."""
        listings = self._house.market.snapshot.models.get(self._job.model, ())
        first = listings[0].quote if listings else None
        if first is not None and first.has_lapsed(at_ns):
            first = None
        able = eligible(self._house, intent, at_ns)
        costs = [quote_of(one).would_cost(usage, at_ns) for one in able]
        return Charge(
            billed=effective,
            effective=effective,
            contracted=effective,
            list=effective,
            first_offer=None if first is None else first.would_cost(usage, at_ns),
            cheapest=min([effective, *(one for one in costs if one is not None)]),
        )

    def _ended(
        self, hold: Hold, usage: TokenUsage, card: RateCard, charge: Charge, *, estimated: bool
    ) -> Settlement:
        now_ns = self._house.clock.now_ns()
        total_ms = (now_ns - hold.attempt.at_ns) / 1e6
        return Settlement(now_ns, usage, card, charge, estimated, None, max(0.0, total_ms))


def _listing_of(house: House, job: Job) -> Listing | None:
    """The offer of a job as the market shows it; None if it is no longer configured."""
    for one in house.market.snapshot.models.get(job.model, ()):
        if (one.offer.provider, one.offer.model) == (job.provider, job.offer_model):
            return one
    return None
