"""Trial: one attempt at one offer, from its hold to the end of its hold.

Whatever happens, the hold is resolved exactly once: posted at what the provider says, posted at an
estimate where it may have billed without saying so, voided only where it cannot have.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

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
from proxy.dialects.openai import rewrite
from proxy.errors import OverBudget, Refused, over_budget
from proxy.house import House, log
from proxy.meter import PlainAnswer
from proxy.sse import StreamRelay
from proxy.upstream import Answer, Late, NotConnected, UpstreamError, UpstreamRequest
from routing.decision import Candidate, RouteDecision
from routing.eligibility import SURELY_TOO_LONG

ANSWER_LIMIT = 64 << 20
"""Bytes of a plain answer."""
UNKNOWN_OUTPUT_LIMIT = 8192
"""Completion tokens that we ask for when neither the client nor the offer names a limit."""
FAIR_SHARES = 16
"""A request without a limit may hold at most this fraction of what is left in its budgets..."""
LEAST_COMPLETION = 1024
"""...or so many tokens, if that is more and they can be afforded."""
OUR_FAULT = frozenset((401, 402, 403, 404, 405))
"""Statuses by which a provider refuses our key, our account there, its URL or our name of its
model: not the caller's doing."""


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
    most_completion_tokens: int
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
        if not estimated and usage.completion is not None:
            size = len(self.request.body)
            per_choice = usage.completion // self.request.choices
            house.learned.note(self.request.ask.model, size, prompt, per_choice)
        return end.charge.effective, left

    def _charge(self, quote: Quote, prompt: int, usage: TokenUsage) -> Charge:
        effective = quote.card(prompt).charge(usage)
        first = self.house.market.snapshot.models[self.request.ask.model][0].quote
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

    async def abandon(self) -> None:
        """End it by an estimate: the provider may have billed, and did not say what."""
        elapsed_ms = _ms(self.house.clock.monotonic_s() - self.began_s)
        seen = self.listing.seen
        usage = meter.estimate_unseen(
            self.request.decision.intent.prompt_tokens,
            0.0 if self.request.streamed else elapsed_ms,
            seen.inter_token_ms_p50,
            self.most_completion_tokens * self.request.choices,
        )
        await self.post(usage, estimated=True)

    # -- what the market learns

    def answered(self, completion_tokens: int | None) -> None:
        now_s, first_s = self.house.clock.monotonic_s(), self.first_byte_s
        ttft_ms = inter_token_ms = None
        if self.request.streamed and first_s is not None:
            ttft_ms = _ms(first_s - self.began_s)
            if completion_tokens is not None and completion_tokens > 1:
                inter_token_ms = _ms(now_s - first_s) / (completion_tokens - 1)
        self._note(Outcome.ANSWERED, ttft_ms, inter_token_ms)
        self.house.breakers.succeeded(self.listing.offer.id)

    def failed(self, outcome: Outcome, retry_after_s: float | None = None) -> None:
        self._note(outcome, None, None)
        now_s = self.house.clock.monotonic_s()
        self.house.breakers.failed(self.listing.offer.id, now_s, retry_after_s)

    def cut(self) -> None:
        """The provider broke off in the middle of an answer."""
        self.failed(Outcome.FAILED)

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
    subject = Subject(request.principal, request.ask.model, offer.provider)
    bound = prompt_bound(request, candidate.listing)
    most = request.ask.most_completion_tokens
    if most is None:
        most = await _fair_limit(house, request, subject, candidate.listing, bound)
    attempt = Attempt(
        id=f"{request.id}.{number}",
        request_id=request.id,
        at_ns=house.clock.now_ns(),
        principal=request.principal,
        model=request.ask.model,
        provider=offer.provider,
        upstream_model=offer.model,
        rates=quote.card(request.decision.intent.prompt_tokens),
        streamed=request.streamed,
        worst_case=quote.worst_case(bound, most * request.choices),
    )
    try:
        hold = await house.book.hold(attempt)
    except BudgetExceeded as refused:
        left = Money(max(0, refused.left))
        affordable = quote.affordable_completion(left, bound) // request.choices
        raise over_budget(refused, affordable) from None
    return Trial(house, request, candidate, hold, most, house.clock.monotonic_s())


def prompt_bound(request: Request, listing: Listing) -> int:
    """The most prompt tokens that the provider can count: a token is at least one byte of the body,
    but an image is a short URL, and only the context bounds it."""
    size = len(request.body)
    context = listing.offer.context_tokens
    if Feature.VISION in request.decision.intent.features and context is not None:
        return max(size, context)
    return size


async def _fair_limit(
    house: House, request: Request, subject: Subject, listing: Listing, bound: int
) -> int:
    """max_tokens for a client that named none: the model's limit, or a fair share of what is left.

    At least 1, so that a budget with nothing left refuses by its own numbers.
    """
    limit = listing.offer.max_output_tokens or UNKNOWN_OUTPUT_LIMIT
    context = listing.offer.context_tokens
    if context is not None:  # many refuse a limit that does not fit beside the prompt
        expected = request.decision.intent.prompt_tokens
        limit = min(limit, max(LEAST_COMPLETION, context - SURELY_TOO_LONG * expected))
    left = await house.book.left(subject, house.clock.now_ns())
    if left is None:
        return limit
    quote = quote_of(listing)
    share = Money(max(0, left) // FAIR_SHARES)
    fair = quote.affordable_completion(share, bound) // request.choices
    affordable = quote.affordable_completion(Money(max(0, left)), bound) // request.choices
    return max(1, min(limit, max(fair, min(affordable, LEAST_COMPLETION))))


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
        await trial.abandon()
        raise AttemptFailed(str(error), late=isinstance(error, Late)) from error
    except BaseException:
        _close(answer)
        if not trial.resolved:  # the client left, or we erred: either way it may have been billed
            trial.unjudged()
            await trial.abandon()
        raise
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
    await trial.void(f"status {status}")
    if status == 429:
        retry_after_s = _retry_after_s(answer, trial.house.clock.now_ns())
        trial.failed(Outcome.RATE_LIMITED, retry_after_s)
        raise AttemptFailed("it is rate limited (429)", retry_after_s=retry_after_s)
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


class _TheirError(msgspec.Struct):
    message: str = ""
    param: str | None = None
    code: str | int | None = None


class _TheirBody(msgspec.Struct):
    """OpenAI's shape; some write the error as a string, vLLM and FastAPI at the top."""

    error: _TheirError | str | None = None
    message: str | None = None
    detail: str | None = None


def _passed_on(status: int, body: bytes) -> Refused:
    """The provider's error in our shape, in its own words."""
    try:
        said = msgspec.json.decode(body, type=_TheirBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = _TheirBody()
    error = said.error
    if not isinstance(error, _TheirError):
        words = error or said.message or said.detail
        error = _TheirError(words or f"the provider refused the request with status {status}")
    code = None if error.code is None else str(error.code)
    return Refused(error.message, param=error.param, code=code, upstream_status=status)


def _request_to(trial: Trial) -> UpstreamRequest:
    house, request, patience = trial.house, trial.request, trial.house.patience
    offer, seen = trial.listing.offer, trial.listing.seen
    provider = house.providers[offer.provider]
    added = trial.most_completion_tokens if request.ask.most_completion_tokens is None else None
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
            max_completion_tokens=added,
        ),
        first_byte_timeout_s=min(patience.first_byte_timeout_s, left_s) + writing_s,
        idle_timeout_s=patience.idle_timeout_s + writing_s,
    )


def quote_of(listing: Listing) -> Quote:
    """The quote of a candidate: no offer without one is ever a candidate."""
    if listing.quote is None:
        raise AssertionError(f"{listing.offer.id} became a candidate without a price")
    return listing.quote


def dearest_refusal(refusals: list[OverBudget]) -> OverBudget:
    """Of several refused holds, the one that would afford the most."""
    return max(refusals, key=lambda one: int(str(one.more["affordable_max_tokens"])))


def _close(answer: Answer | None) -> None:
    if answer is not None:
        answer.close()


def _retry_after_s(answer: Answer, now_ns: int) -> float:
    """Seconds that a 429 asks us to wait; 1 if it does not say."""
    text = answer.headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 1.0
    if at.tzinfo is None:  # HTTP dates are GMT, also where one does not say so
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.fromtimestamp(now_ns / 1e9, UTC)).total_seconds())


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
