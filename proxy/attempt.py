"""Trial: one attempt at one offer, from its hold to the end of its hold.

Whatever happens, the hold is resolved exactly once: posted at what the provider says, posted at an
estimate where it may have billed without saying so, voided only where it cannot have.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.observations import Observation, Outcome
from benchmarks.offers import Feature
from benchmarks.quotes import Quote
from benchmarks.snapshot import Listing
from ledger.attempts import Attempt, Charge, Hold, Settlement
from ledger.budgets import Subject
from ledger.errors import BudgetExceeded
from ledger.money import Money
from ledger.principals import Principal
from ledger.usage import TokenUsage
from proxy import meter
from proxy.ask import Ask
from proxy.dialects.openai import read_error, rewrite
from proxy.errors import Refused, log, over_budget
from proxy.house import House
from proxy.limits import OutputLimit, output_limit, prompt_bound
from proxy.meter import PlainAnswer
from proxy.sse import StreamRelay
from proxy.upstream import (
    Answer,
    Late,
    NotConnected,
    UpstreamError,
    UpstreamRequest,
    retry_after_s,
)
from routing.breaker import Health
from routing.decision import Candidate, RouteDecision

ANSWER_LIMIT = 64 << 20
"""Bytes of a plain answer."""
OUR_FAULT = frozenset((401, 402, 403, 404, 405))
"""Statuses by which a provider refuses our key, our account there, its URL or our name of its
model: not the caller's doing."""

MAYBE_BILLED = frozenset((*range(201, 300), 504, 524))
"""Statuses after which the model behind may have written all the same: a gateway gave up waiting
for it, or it is a success of a kind that we do not know."""


class AttemptFailed(Exception):
    """This offer did not answer; another may.

    late: for want of time. retry_after_s: it is rate limited, for so long.
    """

    def __init__(self, why: str, *, late: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.late = late
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Request:
    """A request that has been understood: who asks, for what, and what was decided."""

    id: str
    at_ns: int
    principal: Principal
    ask: Ask
    body: bytes
    decision: RouteDecision
    deadline_s: float

    @property
    def streamed(self) -> bool:
        return self.ask.stream is True

    @property
    def choices(self) -> int:
        return self.ask.n or 1


@dataclass(slots=True)
class Trial:
    """An attempt that is under way."""

    house: House
    request: Request
    candidate: Candidate
    hold: Hold
    limit: OutputLimit
    began_s: float
    first_byte_s: float | None = None
    resolved: bool = False

    @property
    def listing(self) -> Listing:
        return self.candidate.listing

    # -- the ends of a hold

    async def post(self, usage: TokenUsage, *, estimated: bool) -> tuple[Money, Money | None]:
        """Charge it. Returns the charge, and the least that is left in its budgets."""
        self.resolved = True
        house, now_s = self.house, self.house.clock.monotonic_s()
        quote = quote_of(self.listing)
        prompt = usage.prompt or 0
        end = Settlement(
            at_ns=house.clock.now_ns(),
            usage=usage,
            rates=quote.card(prompt),
            charge=self._charge(quote, prompt, usage),
            estimated=estimated,
            ttft_ms=None if self.first_byte_s is None else _ms(self.first_byte_s - self.began_s),
            total_ms=_ms(now_s - self.began_s),
        )
        left = await house.book.post(self.hold, end)
        features = self.request.decision.intent.features
        if not estimated and usage.completion is not None and Feature.VISION not in features:
            size = len(self.request.body)
            per_choice = usage.completion // self.request.choices
            house.learned.note(self.request.ask.model, size, prompt, per_choice)
        return end.charge.effective, left

    def _charge(self, quote: Quote, prompt: int, usage: TokenUsage) -> Charge:
        effective = quote.card(prompt).charge(usage)
        listed = self.request.decision.first_listed
        first = None if listed is None else listed.quote
        eligible = [quote_of(one.listing) for one in self.request.decision.candidates]
        return Charge(
            billed=effective,
            effective=effective,
            contracted=effective,
            list=quote.list_card(prompt).charge(usage),
            first_offer=None if first is None else first.card(prompt).charge(usage),
            cheapest=min(one.card(prompt).charge(usage) for one in eligible),
        )

    async def void(self, reason: str) -> None:
        self.resolved = True
        await self.house.book.void(self.hold, reason)

    async def abandon(self, *, late: bool = False) -> None:
        """End it by an estimate: the provider may have billed, and did not say what.

        late: it was still writing when we hung up. Most providers write a plain answer to its end
        all the same, and bill it: only the hold bounds that.
        """
        prompt = self.request.decision.intent.prompt_tokens
        most = self.limit.tokens * self.request.choices
        if late and not self.request.streamed:
            usage = TokenUsage(prompt, most)
        else:
            elapsed_ms = _ms(self.house.clock.monotonic_s() - self.began_s)
            usage = meter.estimate_unseen(
                prompt,
                0.0 if self.request.streamed else elapsed_ms,
                self.listing.seen.inter_token_ms_p50,
                most,
            )
        await self.post(usage, estimated=True)

    # -- what the market learns

    def answered(self, completion_tokens: int | None, writing_s: float | None = None) -> None:
        """It ended well. writing_s: from a stream's first byte to its last event, without the time
        that the client took to read: a slow client does not make a provider slow."""
        ttft_ms = inter_token_ms = None
        if self.request.streamed and self.first_byte_s is not None:
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

    def unjudged(self) -> None:
        self.house.breakers.unjudged(self.listing.offer.id)

    def _note(self, outcome: Outcome, ttft_ms: float | None, gap_ms: float | None) -> None:
        at_s = self.house.clock.monotonic_s()
        self.house.market.note(self.listing.offer.id, Observation(at_s, outcome, ttft_ms, gap_ms))


@dataclass(slots=True)
class Opened:
    """An attempt whose provider has begun to answer: a whole plain answer, or a stream's start."""

    trial: Trial
    answer: Answer
    body: bytes
    plain: PlainAnswer | None
    relay: StreamRelay | None


# -- an attempt, step by step


async def reserve(house: House, request: Request, candidate: Candidate, number: int) -> Trial:
    """Hold the worst case of the attempt about to be made. Raises OverBudget."""
    offer_id = candidate.listing.offer.id
    # Before anything is awaited, so that one request alone tries an offer that is on trial.
    house.breakers.attempt(offer_id, house.clock.monotonic_s())
    try:
        return await _held(house, request, candidate, number)
    except BaseException:
        house.breakers.unjudged(offer_id)  # it was never asked
        raise


async def _held(house: House, request: Request, candidate: Candidate, number: int) -> Trial:
    offer, quote = candidate.listing.offer, quote_of(candidate.listing)
    intent, asked = request.decision.intent, request.ask.most_completion_tokens
    attempt_id, at_ns = f"{request.id}.{number}", house.clock.now_ns()
    bound = prompt_bound(len(request.body), intent, offer)
    limit = OutputLimit(asked or 1, asked)

    def attempt() -> Attempt:
        return Attempt(
            id=attempt_id,
            request_id=request.id,
            at_ns=at_ns,
            principal=request.principal,
            model=request.ask.model,
            provider=offer.provider,
            upstream_model=offer.model,
            rates=quote.card(intent.prompt_tokens),
            streamed=request.streamed,
            worst_case=quote.worst_case(bound, limit.tokens * request.choices),
        )

    def share(left: Money | None) -> Attempt:
        nonlocal limit
        limit = output_limit(offer, quote, intent, bound, left)
        return attempt()

    try:
        if asked is not None:
            hold = await house.book.hold(attempt())
        else:
            subject = Subject(request.principal, request.ask.model, offer.provider)
            hold = await house.book.hold_share(attempt_id, subject, at_ns, share)
    except BudgetExceeded as refused:
        room = quote.affordable_completion(Money(max(0, refused.left)), bound)
        raise over_budget(refused, room // request.choices) from None
    return Trial(house, request, candidate, hold, limit, house.clock.monotonic_s())


async def ask_upstream(trial: Trial) -> Opened:
    """Send it, and wait until the answer has certainly begun: then there is no way back.

    Raises AttemptFailed if another offer may do better, Refused if none would. Either way, and if
    the caller is cancelled, the hold has been resolved.
    """
    answer: Answer | None = None
    try:
        asked = _request_to(trial)
        answer = await trial.house.upstream.send(asked)
        opened = await _opened(trial, answer, asked.first_byte_timeout_s)
    except NotConnected as error:
        trial.failed(Outcome.FAILED)
        await trial.void("not connected")
        raise AttemptFailed(str(error)) from error
    except UpstreamError as error:
        _close(answer)
        trial.failed(Outcome.FAILED)
        late = isinstance(error, Late)
        await trial.abandon(late=late)
        raise AttemptFailed(str(error), late=late) from error
    except BaseException:
        _close(answer)
        trial.unjudged()  # says nothing where it has been judged already
        if not trial.resolved:  # the client left, or we erred: either way it may have been billed
            await trial.abandon()
        raise
    if trial.request.streamed:
        trial.unjudged()  # its end is far away: others need not wait for it to try the offer
    return opened


async def _opened(trial: Trial, answer: Answer, limit_s: float) -> Opened:
    if answer.status != 200:
        await _refused(trial, answer)
    clock = trial.house.clock
    kind = answer.headers.get("content-type", "")
    if not trial.request.streamed:
        body = await answer.all(ANSWER_LIMIT)
        trial.first_byte_s = clock.monotonic_s()
        plain = meter.read_plain(body)
        if plain is None:
            raise await _nonsense(trial, f"its answer is no chat completion ({kind})")
        return Opened(trial, answer, body, plain, None)
    if not kind.startswith("text/event-stream"):
        raise await _nonsense(trial, f"it answered a stream with {kind or 'no content type'}")
    relay = StreamRelay(trial.request.ask.wants_usage, trial.request.choices)
    first = await _first_events(trial, answer, relay, limit_s)
    if not first and not relay.complete:
        raise await _nonsense(trial, relay.fault or "its stream ended before it began")
    return Opened(trial, answer, first, None, relay)


async def _first_events(trial: Trial, answer: Answer, relay: StreamRelay, limit_s: float) -> bytes:
    """What can be passed on first; b"" if the stream ends, or goes wrong, before there is any.

    The limit is on the first event: comments keep a connection alive, but are no answer.
    """
    while True:
        left_s = trial.began_s + limit_s - trial.house.clock.monotonic_s()
        if left_s <= 0:
            raise Late(f"no answer in {limit_s:g} s")
        data = await answer.some(left_s)
        if trial.first_byte_s is None:
            trial.first_byte_s = trial.house.clock.monotonic_s()
        first = relay.feed(data)
        if first or not data or relay.complete or relay.fault is not None:
            return first


async def _nonsense(trial: Trial, why: str) -> AttemptFailed:
    trial.failed(Outcome.FAILED)
    await trial.abandon()
    return AttemptFailed(why)


async def _refused(trial: Trial, answer: Answer) -> None:
    """An answer that is no 200: nothing is billed for it. Raises AttemptFailed or Refused."""
    status, offer = answer.status, trial.listing.offer
    try:
        body = await answer.all(ANSWER_LIMIT)
    except UpstreamError:
        body = b""  # the status has said enough
    if status in MAYBE_BILLED:
        trial.failed(Outcome.FAILED)
        await trial.abandon()
        raise AttemptFailed(f"it answered with status {status}")
    await trial.void(f"status {status}")
    if status == 429:
        rest_s = retry_after_s(answer.headers, trial.house.clock.now_ns())
        trial.failed(Outcome.RATE_LIMITED, rest_s)
        raise AttemptFailed("it is rate limited (429)", retry_after_s=rest_s)
    if 400 <= status < 500 and status not in OUR_FAULT and status != 408:
        trial.unjudged()
        raise _passed_on(status, body)
    if status in OUR_FAULT:
        log.error(
            "%s answers %d: check the provider's api_key, and the offer's model name",
            offer.id,
            status,
        )
    trial.failed(Outcome.FAILED)
    raise AttemptFailed(f"it answered with status {status}")


def _passed_on(status: int, body: bytes) -> Refused:
    """The provider's error in our shape, in its own words."""
    said = read_error(body)
    return Refused(
        said.message or f"the provider refused the request with status {status}",
        param=said.param,
        code=None if said.code is None else str(said.code),
        upstream_status=status,
    )


def _request_to(trial: Trial) -> UpstreamRequest:
    house, request, patience = trial.house, trial.request, trial.house.patience
    offer, seen = trial.listing.offer, trial.listing.seen
    provider = house.providers[offer.provider]
    writing_s = 0.0
    if not request.streamed:  # a plain answer has no first byte until all of it is written
        per_token_ms = seen.inter_token_ms_p95 or meter.INTER_TOKEN_MS_UNKNOWN
        writing_s = request.decision.intent.completion_tokens * per_token_ms / 1000
    left_s = max(0.0, request.deadline_s - trial.began_s)
    return UpstreamRequest(
        url=provider.chat_url,
        headers=provider.headers,
        body=rewrite(
            request.body,
            provider,
            offer.model,
            stream=request.streamed,
            max_completion_tokens=trial.limit.told,
        ),
        first_byte_timeout_s=min(patience.first_byte_timeout_s, left_s) + writing_s,
        idle_timeout_s=patience.idle_timeout_s + writing_s,
    )


def quote_of(listing: Listing) -> Quote:
    """The quote of a candidate: no offer without one is ever a candidate."""
    if listing.quote is None:
        raise AssertionError(f"{listing.offer.id} became a candidate without a price")
    return listing.quote


def _close(answer: Answer | None) -> None:
    if answer is not None:
        answer.close()


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
