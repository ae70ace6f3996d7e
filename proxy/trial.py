"""Trial: one attempt at one offer, from its hold to the end of its hold.

Whatever happens, the hold is resolved exactly once: posted at what the provider says, posted at an
estimate where it may have billed without saying so, voided only where it cannot have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from benchmarks.offers import Feature, paid_tier
from benchmarks.quotes import Quote
from benchmarks.snapshot import Listing
from benchmarks.traffic.observations import Observation, Outcome
from ledger.attempts import Charge, Hold, Settlement
from ledger.budgets import Account as LimitAccount
from ledger.errors import UsageUnknown
from ledger.money import ZERO, Money
from ledger.principals import Principal
from ledger.usage import TokenUsage
from proxy import meter
from proxy.errors import log
from proxy.headroom import headroom_in
from proxy.house import House
from proxy.intents import marks_of
from proxy.known_prompts import LEAST_BYTES
from proxy.legs import Body, Leg
from proxy.limits import OutputLimit
from proxy.patience import Patience
from proxy.providers import Account
from proxy.relay import StreamRelay
from proxy.wires.wire import Ask, Plain
from routing.breaker import Health
from routing.candidates import Candidate
from routing.decision import RouteDecision


@dataclass(slots=True)
class Bill:
    """What a request has cost so far, attempts that failed included.

    held: for attempts whose end is not known yet: they may still cost so much. is_counted: it
    counts as a request already, by an attempt that was charged.
    """

    posted: Money = ZERO
    held: Money = ZERO
    is_counted: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request that has been understood: who asks, for what, and what was decided.

    throttles: what it has to fit into besides its budgets, by their thresholds.
    """

    id: str
    at_ns: int
    principal: Principal
    ask: Ask
    body: Body
    decision: RouteDecision
    patience: Patience
    deadline_s: float
    throttles: tuple[LimitAccount, ...] = ()
    bill: Bill = field(default_factory=Bill)

    @property
    def is_long(self) -> bool:
        return self.ask.prompt_bytes >= LEAST_BYTES

    @property
    def has_known_prompt(self) -> bool:
        """Whether it is long, and goes as it came: what was counted of it before can be used."""
        goes_as_it_came = self.ask.prompt_bytes == len(self.body.raw)
        return self.is_long and goes_as_it_came and self.body.conversation.is_countable


@dataclass(slots=True)
class Trial:
    """An attempt that is under way: the request's `number`-th.

    is_overtaken: another offer has begun to answer the same request. tier: the service tier that
    its provider says it was served at, if it does.
    """

    house: House
    request: Request
    candidate: Candidate
    leg: Leg
    account: Account
    hold: Hold
    limit: OutputLimit
    began_s: float
    number: int
    first_byte_s: float | None = None
    relay: StreamRelay | None = None
    tier: str | None = None
    resolved: bool = False
    is_overtaken: bool = False

    @property
    def listing(self) -> Listing:
        return self.candidate.listing

    @property
    def has_begun(self) -> bool:
        """Whether anything of its answer has come: comments of a stream are none."""
        if self.request.ask.stream:
            return self.relay is not None and self.relay.events > 0
        return self.first_byte_s is not None

    # -- the ends of a hold

    async def post(self, usage: TokenUsage, *, estimated: bool) -> tuple[Money, Money | None]:
        """Charge it. Returns what the request has cost with it, and the least that is left in its
        budgets."""
        self._resolve()
        house, now_s = self.house, self.house.clock.monotonic_s()
        quote, _ = self._served_by(usage)
        if usage.units is None and quote.rates.per is not None:  # no stream counts them
            usage, estimated = replace(usage, units=self.request.ask.units), True
        prompt = usage.prompt or 0
        end = Settlement(
            at_ns=house.clock.now_ns(),
            usage=usage,
            rates=quote.card(prompt, self.hold.attempt.at_ns),
            charge=self._charge(quote, prompt, usage),
            estimated=estimated,
            ttft_ms=None if self.first_byte_s is None else _ms(self.first_byte_s - self.began_s),
            total_ms=_ms(now_s - self.began_s),
        )
        left = await house.book.post(self.hold, end)
        ask = self.request.ask
        teaches = not estimated and Feature.VISION not in ask.features
        if teaches and usage.completion is not None and ask.most_completion_tokens != 0:
            per_choice = usage.completion // ask.choices
            who, model = self.request.principal.key_id, self.candidate.intent.model
            house.learned.note(model, who, ask.prompt_bytes, prompt, per_choice)
            if self.request.is_long:
                self._know_prompt(prompt, usage.cached)
        if not estimated and usage.is_known:
            self._note_cost(end)
        bill = self.request.bill
        bill.held = Money(bill.held - self.hold.attempt.worst_case)
        bill.posted = Money(bill.posted + end.charge.effective)
        bill.is_counted = True
        return bill.posted, left

    def _charge(self, quote: Quote, prompt: int, usage: TokenUsage) -> Charge:
        at_ns, draw = self.hold.attempt.at_ns, self.hold.attempt.draw
        usual = quote.card(prompt, at_ns).charge(usage)
        drawn = 0 if draw is None else draw.used(usage, usual)
        listed = self.request.decision.first_listed
        first = None if listed is None else listed.quote
        if first is not None and first.has_lapsed(at_ns):
            first = None
        first_offer = None if first is None else first.would_cost(usage, at_ns)
        least = self.request.decision.cheapest(usage)
        cheapest = usual if least is None else min(least, usual)
        if self.is_overtaken:  # who asks one offer alone pays for the other answer alone
            first_offer = cheapest = ZERO
        return Charge(
            billed=usual if draw is None else draw.bills(drawn),
            effective=usual if draw is None else draw.costs(drawn),
            contracted=usual,
            list=quote.listed(usage, at_ns),
            first_offer=first_offer,
            cheapest=cheapest,
        )

    def _note_cost(self, end: Settlement) -> None:
        """What the answer cost, of what its sizes and the caches that were foreseen had it cost."""
        usage, ratio = end.usage, 1.0
        foreseen = min(self.candidate.cached_tokens, usage.prompt or 0)
        if foreseen or usage.cached or usage.cache_write:
            as_foreseen = replace(usage, cached=foreseen, cache_write=0, cache_write_1h=0)
            ratio = end.charge.contracted / max(1, end.rates.charge(as_foreseen))
        self.house.market.note_cost(self.listing.offer.id, end.at_ns / 1e9, ratio)

    def _know_prompt(self, tokens: int, cached: int | None) -> None:
        request, offer_id, house = self.request, self.listing.offer.id, self.house
        who, body = request.principal.key_id, request.body
        now_s = house.clock.monotonic_s()
        house.warmth.note(who, offer_id, marks_of(request.ask, body), tokens, cached, now_s)
        if request.has_known_prompt:
            house.known_prompts.note(who, offer_id, body.conversation.beginnings, tokens)

    async def void(self, reason: str) -> None:
        self._resolve()
        await self.house.book.void(self.hold, reason)
        bill = self.request.bill
        bill.held = Money(bill.held - self.hold.attempt.worst_case)

    def _resolve(self) -> None:
        self.resolved = True
        self.house.accounts.give_back(self.leg.provider.name, self.account)

    async def abandon(self, *, late: bool = False) -> None:
        """End it by an estimate: the provider may have billed, and did not say what.

        late: it was still writing when we hung up. Most providers write a plain answer to its end
        all the same, and bill it: only the hold bounds that.
        """
        ask = self.request.ask
        prompt = self.candidate.intent.prompt_tokens
        most = self.limit.tokens * ask.choices
        if self.relay is not None:
            usage, _ = self.heard(self.relay)
        elif ask.stream:
            usage = TokenUsage(prompt, 0)
        elif late:
            usage = TokenUsage(prompt, most, units=ask.units)
        else:
            elapsed_ms = _ms(self.house.clock.monotonic_s() - self.began_s)
            written = meter.unseen_tokens(elapsed_ms, self.listing.seen.inter_token_ms_p50, most)
            usage = TokenUsage(prompt, written, units=ask.units)
        await self.post(usage, estimated=True)

    async def give_up(self, plain: Plain | None) -> None:
        """End it by what has come of an answer that has begun, and that nobody waits for."""
        if plain is not None:
            usage, estimated = self.used(plain)
        elif self.relay is not None:
            usage, estimated = self.heard(self.relay)
        else:
            raise AssertionError("an answer that has begun is a plain one or a stream")
        self.answered(None)
        await self.post(usage, estimated=estimated)

    def used(self, plain: Plain) -> tuple[TokenUsage, bool]:
        """What a whole answer used, and whether that is an estimate: it may not have said all that
        its offer is priced by."""
        prompt, choices = self.candidate.intent.prompt_tokens, self.request.ask.choices
        seen = meter.estimate_delivered(prompt, plain.text_bytes, choices)
        self.tier = plain.tier
        return self._charged_by(plain.usage or TokenUsage(None, None), seen)

    def heard(self, relay: StreamRelay) -> tuple[TokenUsage, bool]:
        """The same of a stream, as far as it came."""
        prompt = self.candidate.intent.prompt_tokens
        said, is_estimate = relay.used(prompt)
        seen = meter.estimate_delivered(prompt, relay.text_bytes, relay.pieces)
        self.tier = relay.tier
        usage, is_guess = self._charged_by(said, seen)
        if is_estimate or is_guess:
            return self._within_limit(usage), True
        return usage, False

    def _charged_by(self, said: TokenUsage, seen: TokenUsage) -> tuple[TokenUsage, bool]:
        """What was said, with what is missing for the offer's prices by what was seen."""
        ask, prompt, at_ns = self.request.ask, seen.prompt, self.hold.attempt.at_ns
        try:
            quote, is_guess = self._served_by(said)
            card = quote.card(said.prompt or 0, at_ns)
            card.charge(said)
        except UsageUnknown:
            written = 0 if ask.most_completion_tokens == 0 else seen.completion
            guess = replace(
                said,
                prompt=prompt if said.prompt is None else said.prompt,
                completion=written if said.completion is None else said.completion,
                units=ask.units if said.units is None else said.units,
            )
            return self._within_limit(guess), True
        if card.cache_write_1h is not None and said.cache_write_1h is None:
            said = self._cached(said)
        return said, is_guess or not card.counts_all(said)

    def _cached(self, said: TokenUsage) -> TokenUsage:
        """Where it has a price to be kept for an hour, and nobody counted it: what nobody has asked
        for is not; of what somebody has, all may be."""
        if not self.request.ask.long_cache:
            return replace(said, cache_write_1h=0) if said.cache_write else said
        if said.cache_write is None:
            return replace(said, cache_write=max(0, (said.prompt or 0) - (said.cached or 0)))
        return said

    def _served_by(self, usage: TokenUsage) -> tuple[Quote, bool]:
        """The prices of the tier that it was served at, and whether that is a guess: the dearer of
        those of the tier that was asked for and of the usual one, where it has no price."""
        quote, asked = quote_of(self.listing), paid_tier(self.listing.offer.service_tier)
        if self.tier is None or (served := paid_tier(self.tier)) == asked:
            return quote, False
        if (known := quote.tiers.get(served)) is not None:
            return known, False
        prompt, at_ns = usage.prompt or 0, self.hold.attempt.at_ns
        either = (quote, quote.tiers.get(None, quote))
        return max(either, key=lambda one: one.card(prompt, at_ns).charge(usage)), True

    def _within_limit(self, guess: TokenUsage) -> TokenUsage:
        """A provider that was told a limit is not guessed to have billed more, whatever it sent."""
        if self.limit.told is None or guess.completion is None:
            return guess
        most = self.limit.tokens * self.request.ask.choices
        return replace(guess, completion=min(guess.completion, most))

    # -- what the market learns

    def answered(self, completion_tokens: int | None, writing_s: float | None = None) -> None:
        """It ended well. writing_s: from a stream's first byte to its last event, without the time
        that the client took to read: a slow client does not make a provider slow."""
        ttft_ms = inter_token_ms = None
        if self.request.ask.stream and self.first_byte_s is not None:
            ttft_ms = _ms(self.first_byte_s - self.began_s)
            if writing_s is not None and completion_tokens is not None and completion_tokens > 1:
                inter_token_ms = _ms(writing_s) / (completion_tokens - 1)
        self._note(Outcome.ANSWERED, ttft_ms, inter_token_ms)
        self.house.breakers.succeeded(self.listing.offer.id, self.began_s)

    def failed(self, outcome: Outcome, retry_after_s: float | None = None) -> None:
        """It did not answer, or broke off in the middle."""
        self._note(outcome, None, None)
        offer_id, now_s = self.listing.offer.id, self.house.clock.monotonic_s()
        before = self.house.breakers.health(offer_id, now_s)
        self.house.breakers.failed(offer_id, now_s, retry_after_s)
        if before is Health.CLOSED and self.house.breakers.health(offer_id, now_s) is Health.OPEN:
            log.warning("%s rests: it failed (%s)", offer_id, outcome)

    def overtaken(self) -> None:
        """Another offer was faster. All that this one is known to be is slower than until now."""
        waited_s = self.house.clock.monotonic_s() - self.began_s
        self._note(Outcome.OVERTAKEN, _ms(waited_s) if self.request.ask.stream else None, None)
        self.unjudged()

    def note_headroom(self, headers: Mapping[str, str]) -> None:
        """What the head of an answer says of our limits there."""
        clock = self.house.clock
        headroom = headroom_in(headers, clock.now_ns(), clock.monotonic_s())
        if headroom is not None:
            self.house.accounts.told(self.leg.provider.name, self.account, headroom)

    def unjudged(self) -> None:
        self.house.breakers.unjudged(self.listing.offer.id)

    def _note(self, outcome: Outcome, ttft_ms: float | None, gap_ms: float | None) -> None:
        at_s = self.house.clock.now_ns() / 1e9
        self.house.market.note(self.listing.offer.id, Observation(at_s, outcome, ttft_ms, gap_ms))


def quote_of(listing: Listing) -> Quote:
    """The quote of a candidate: no offer without one is ever a candidate."""
    if listing.quote is None:
        raise AssertionError(f"{listing.offer.id} became a candidate without a price")
    return listing.quote


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
