"""One attempt, step by step: hold, ask, and wait until an answer has certainly begun."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TypeVar

from benchmarks.offers import Feature
from benchmarks.traffic.observations import Outcome, Seen
from ledger.attempts import Attempt
from ledger.budgets import Subject
from ledger.draws import Draw
from ledger.errors import BudgetExceeded, StoreUnavailable
from ledger.instants import instant
from ledger.measures import Measure
from ledger.money import Money
from proxy import meter
from proxy.errors import UpstreamFailed, over_budget
from proxy.failures import AttemptFailed, NothingToDraw, erred, judge_refusal, nonsense, unanswered
from proxy.house import House
from proxy.legs import Leg
from proxy.limits import OutputLimit, drawn_limit, output_limit, prompt_bound, room, within_max_cost
from proxy.patience import StreamRescue
from proxy.providers import Account
from proxy.refusals import read_refusal
from proxy.relay import StreamRelay
from proxy.splice import Splice
from proxy.trial import Request, Trial, quote_of
from proxy.upstream import (
    Answer,
    Late,
    NotConnected,
    TooLong,
    UpstreamError,
    UpstreamRequest,
)
from proxy.wires.wire import Ask, Plain
from routing.candidates import Candidate
from routing.intent import RoutingIntent

T = TypeVar("T")

ANSWER_LIMIT = 64 << 20
"""Bytes of a whole answer, also of a stream that is held back until it is one."""
REFUSAL_LIMIT = 1 << 20


@dataclass(slots=True)
class Opened:
    """An attempt whose provider has begun to answer: a whole plain answer, or a stream's start.

    body: as the client reads it.
    """

    trial: Trial
    answer: Answer
    body: bytes
    plain: Plain | None
    relay: StreamRelay | None


async def reserve(
    house: House, request: Request, candidate: Candidate, leg: Leg, account: Account, number: int
) -> Trial:
    """Hold the worst case of the attempt about to be made. Raises OverBudget, OverLimit,
    OverMaxCost, NothingToDraw."""
    offer_id = candidate.listing.offer.id
    # Before anything is awaited, so that one request alone tries an offer that is on trial.
    house.breakers.attempt(offer_id, house.clock.monotonic_s())
    try:
        return await _held(house, request, candidate, leg, account, number)
    except BaseException:
        house.breakers.unjudged(offer_id)  # it was never asked
        house.accounts.give_back(leg.provider.name, account)
        raise


async def _held(
    house: House, request: Request, candidate: Candidate, leg: Leg, account: Account, number: int
) -> Trial:
    offer, quote = candidate.listing.offer, quote_of(candidate.listing)
    intent, ask = candidate.intent, request.ask
    asked = ask.most_completion_tokens
    attempt_id, at_ns = f"{request.id}.{number}", house.clock.now_ns()
    bound = prompt_bound(ask.prompt_bytes, intent, offer)
    if request.has_known_prompt and Feature.VISION not in intent.features:
        beginnings = request.body.conversation.beginnings
        known = house.known_prompts.bound(request.principal.key_id, offer.id, beginnings, bound)
        bound = bound if known is None else min(bound, known)
    limit = OutputLimit(1 if asked is None else asked, asked)
    spent = Money(request.bill.posted + request.bill.held)
    affordable = within_max_cost(ask, spent, offer, quote, bound, limit.tokens)
    plan = candidate.draw
    allowance = None if plan is None else plan.bid.allowance_at(at_ns)

    is_dearer_drawn = False

    def attempt() -> Attempt:
        nonlocal is_dearer_drawn
        most = limit.tokens * ask.choices
        worst_case, draw = quote.worst_case(bound, most, ask.units), None
        if plan is not None and allowance is not None:
            most_units = allowance.commitment.takes_at_most(bound, most, worst_case)
            draw = Draw(allowance, most_units, plan.is_overage)
            is_dearer_drawn = draw.costs(most_units) > worst_case
            worst_case = max(worst_case, draw.costs(most_units))
        return Attempt(
            id=attempt_id,
            request_id=request.id,
            at_ns=at_ns,
            principal=request.principal,
            model=intent.model,
            provider=offer.provider,
            upstream_model=offer.model,
            rates=quote.card(intent.prompt_tokens, at_ns),
            streamed=ask.stream,
            worst_case=worst_case,
            most_tokens=bound + most,
            is_counted=not request.bill.is_counted,
            account=account.name,
            draw=draw,
        )

    def share(left: Money | None) -> Attempt:
        nonlocal limit
        limit = output_limit(offer, quote, intent, bound, left)
        if candidate.is_owned and plan is not None:
            limit = drawn_limit(limit, plan.bid, quote, intent, bound, at_ns)
        if affordable is not None and limit.tokens > affordable:
            limit = OutputLimit(affordable, affordable)
        return attempt()

    throttles = request.throttles
    if intent.model != ask.model:  # of a class, or one to fall back on: it has its own
        model = Subject(request.principal, intent.model, "")
        throttles = (await house.book.directives(model, at_ns)).throttles
    more = throttles
    if plan is not None and allowance is not None:
        more = (*throttles, *(allowance.drawn_on if candidate.is_owned else (allowance.overage,)))
    try:
        if asked is not None:
            hold = await house.book.hold(attempt(), more)
        else:
            subject = Subject(request.principal, intent.model, offer.provider)
            hold = await house.book.hold_share(subject, at_ns, share, more)
    except StoreUnavailable as unavailable:
        if not candidate.is_owned:
            raise
        raise NothingToDraw("nobody knows what is left to draw") from unavailable
    except BudgetExceeded as refused:
        if candidate.is_owned and (refused.measure is Measure.UNITS or is_dearer_drawn):
            raise NothingToDraw(str(refused)) from refused
        fits = 0 if asked == 0 else room(refused, quote, bound, ask)
        raise over_budget(refused, fits, instant(at_ns), request.principal.name) from None
    request.bill.held = Money(request.bill.held + hold.attempt.worst_case)
    now_s = house.clock.monotonic_s()
    return Trial(house, request, candidate, leg, account, hold, limit, now_s, number)


async def ask_upstream(trial: Trial, splice: Splice | None = None) -> Opened:
    """Send it, and wait until the answer has certainly begun: then there is no way back.

    Raises AttemptFailed if another offer may do better, Untranslatable if this one cannot be asked
    within the limit, Refused if none would answer. Either way, and if
    the caller is cancelled, the hold is resolved, or will be by what hears the answer out.

    splice: what a stream's chunks go through, so that another can go on from where it breaks off.
    """
    try:
        asked = _request_to(trial)
    except Exception:  # whatever it is that cannot be said: nothing was sent
        trial.unjudged()
        await trial.void("never sent")
        raise
    if not trial.request.ask.stream:
        return await _ask_plain(trial, asked)
    answer: Answer | None = None
    try:
        answer = await trial.house.upstream.send(asked)
        trial.note_headroom(answer.headers)
        opened = await _opened(trial, answer, asked.first_byte_timeout_s, splice)
    except UpstreamError as error:
        _close(answer)
        raise await unanswered(trial, error) from error
    except BaseException:
        _close(answer)
        await erred(trial)
        raise
    trial.unjudged()  # its end is far away: others need not wait for it to try the offer
    return opened


# -- a plain answer: written to its end and billed, whoever still listens


@dataclass(frozen=True, slots=True)
class _Whole:
    """An answer that was read to its end."""

    answer: Answer
    body: bytes


async def _ask_plain(trial: Trial, asked: UpstreamRequest) -> Opened:
    limit_s = asked.first_byte_timeout_s
    patient = replace(asked, first_byte_timeout_s=limit_s + trial.request.patience.unheard_s)
    reading = asyncio.ensure_future(_read(trial, patient))
    try:
        await asyncio.wait((reading,), timeout=limit_s)
        if trial.first_byte_s is not None:  # its head has come: the rest should not be far
            limit_s += asked.idle_timeout_s
            await asyncio.wait((reading,), timeout=asked.idle_timeout_s)
        if not reading.done():
            raise await _late(trial, reading, limit_s)
        whole = await reading
        if whole.answer.status != 200:
            await judge_refusal(trial, whole.answer, whole.body)
        plain = trial.leg.plain(whole.body)
        told = None if plain is None else _told(trial, whole.body)
        if told is None:
            kind = whole.answer.headers.get("content-type", "")
            what = trial.leg.theirs.endpoint
            raise await nonsense(trial, f"its answer is no answer of /{what} ({kind})")
    except UpstreamError as error:
        raise await unanswered(trial, error) from error
    except AttemptFailed:
        raise
    except BaseException:
        if trial.is_overtaken and not trial.resolved and trial.house.unheard.has_room:
            trial.overtaken()
            trial.house.unheard.listen(_hear_out(trial, reading))
            raise
        late = reading.cancel()  # it is written to its end all the same
        await erred(trial, late=late)
        raise
    return Opened(trial, whole.answer, told, plain, None)


def _told(trial: Trial, body: bytes) -> bytes | None:
    """A whole answer as the client reads it; None for one that its wire cannot say."""
    try:
        return trial.leg.told(body)
    except UpstreamFailed:
        return None


async def _read(trial: Trial, asked: UpstreamRequest) -> _Whole:
    answer = await trial.house.upstream.send(asked)
    trial.first_byte_s = trial.house.clock.monotonic_s()
    trial.note_headroom(answer.headers)
    try:
        limit = ANSWER_LIMIT if answer.status == 200 else REFUSAL_LIMIT
        return _Whole(answer, await answer.all(limit))
    except UpstreamError:
        if answer.status == 200:
            raise
        return _Whole(answer, b"")  # the status has said enough
    finally:
        answer.close()


async def _late(trial: Trial, reading: asyncio.Future[_Whole], limit_s: float) -> AttemptFailed:
    """Another offer is asked, while this one is heard out."""
    trial.failed(Outcome.FAILED)
    if trial.house.unheard.has_room:
        trial.house.unheard.listen(_hear_out(trial, reading))
    else:
        reading.cancel()
        await trial.abandon(late=True)
    return AttemptFailed(f"no answer in {limit_s:g} s", late=True)


async def _hear_out(trial: Trial, reading: asyncio.Future[_Whole]) -> None:
    """Book an answer that its client no longer waits for by what it really used."""
    try:
        whole = await _all_of(trial, reading)
    except NotConnected:
        await trial.void("not connected")
        return
    except UpstreamError as error:
        await trial.abandon(late=isinstance(error, Late))
        return
    except asyncio.CancelledError:
        reading.cancel()
        await trial.abandon(late=True)
        raise
    refusal = None
    if whole.answer.status != 200:
        refusal = read_refusal(whole.answer.status, whole.body)
    plain = None if refusal else trial.leg.plain(whole.body)
    if refusal is not None and not refusal.maybe_billed:
        await trial.void(f"status {refusal.status}")
    elif plain is None:
        await trial.abandon()
    else:
        usage, estimated = trial.used(plain)
        await trial.post(usage, estimated=estimated)


# -- a stream: until something of it can be passed on


async def _opened(trial: Trial, answer: Answer, limit_s: float, splice: Splice | None) -> Opened:
    if answer.status != 200:
        try:
            left_s = max(0.0, trial.began_s + limit_s - trial.house.clock.monotonic_s())
            async with asyncio.timeout(left_s):
                body = await answer.all(REFUSAL_LIMIT)
        except (UpstreamError, TimeoutError):
            body = b""  # the status has said enough
        await judge_refusal(trial, answer, body)
    kind = answer.headers.get("content-type", "")
    if not trial.leg.streams(kind):
        return await _not_streamed(trial, answer, kind)
    relay = trial.relay = trial.leg.relay(splice)
    resumes = splice is not None and splice.is_resumed
    first = await _first_events(trial, answer, relay, limit_s, resumes=resumes)
    if not first and not relay.complete and not (resumes and relay.events):
        raise await nonsense(trial, relay.fault or "its stream ended before it began")
    if trial.request.patience.stream_rescue is StreamRescue.BUFFER:
        first = await _all_events(trial, answer, relay, first)
    return Opened(trial, answer, first, None, relay)


async def _not_streamed(trial: Trial, answer: Answer, kind: str) -> Opened:
    """A whole answer where a stream was asked for: it is billed, and to some it is an answer."""
    why = f"it answered a stream with {kind or 'no content type'}"
    body = await _all_of(trial, answer.all(ANSWER_LIMIT))
    plain = trial.leg.plain(body)
    if plain is None:
        raise await nonsense(trial, why)
    if trial.leg.may_be_whole:
        answer.close()
        return Opened(trial, answer, body, plain, None)
    usage, estimated = trial.used(plain)
    trial.failed(Outcome.FAILED)
    await trial.post(usage, estimated=estimated)
    raise AttemptFailed(why)


async def _all_of(trial: Trial, reading: Awaitable[T]) -> T:
    """What is read for nobody's sake, byte by byte if need be, for so long. Raises Late."""
    limit_s = trial.request.patience.unheard_s
    try:
        async with asyncio.timeout(limit_s):
            return await reading
    except TimeoutError:
        raise Late(f"not whole after {limit_s:g} s more") from None


async def _first_events(
    trial: Trial, answer: Answer, relay: StreamRelay, limit_s: float, *, resumes: bool
) -> bytes:
    """What can be passed on first; b"" if the stream ends, or goes wrong, before there is any.

    resumes: it says again what has been delivered, and has begun with its first event. The limit
    is on the first event: comments keep a connection alive, but are no answer.
    """
    while True:
        left_s = trial.began_s + limit_s - trial.house.clock.monotonic_s()
        if left_s <= 0:
            raise Late(f"no answer in {limit_s:g} s")
        data = await answer.some(left_s)
        if trial.first_byte_s is None:
            trial.first_byte_s = trial.house.clock.monotonic_s()
        first = relay.feed(data)
        if first or (resumes and relay.events) or not data or relay.complete or relay.fault:
            return first


async def _all_events(trial: Trial, answer: Answer, relay: StreamRelay, first: bytes) -> bytes:
    """The whole stream, held back: if it breaks, nobody has seen any of it."""
    clock, idle_s = trial.house.clock, trial.request.patience.idle_timeout_s
    parts, size, broke, last_event_s = [first], len(first), None, clock.monotonic_s()
    try:
        while not relay.done and relay.fault is None:
            # As of a stream that is passed on, the idle limit is on events.
            data = await answer.some(max(0.0, last_event_s + idle_s - clock.monotonic_s()))
            if not data:
                break
            events_before = relay.events
            parts.append(relay.feed(data))
            if relay.events > events_before:
                last_event_s = clock.monotonic_s()
            size += len(parts[-1])
            if size > ANSWER_LIMIT:
                raise TooLong(f"its answer is longer than {ANSWER_LIMIT} bytes")
    except UpstreamError as error:
        broke = str(error)
    if relay.complete:
        return b"".join(parts)
    raise await nonsense(trial, broke or relay.fault or "it ended its answer in the middle")


def _request_to(trial: Trial) -> UpstreamRequest:
    request, leg, patience = trial.request, trial.leg, trial.request.patience
    offer, seen, intent = trial.listing.offer, trial.listing.seen, trial.candidate.intent
    # A plain answer has no first byte until all of it is written.
    more_s = 0.0 if request.ask.stream else writing_s(request.ask, intent, seen)
    left_s = max(0.0, request.deadline_s - trial.began_s)
    return UpstreamRequest(
        url=leg.url,
        headers=leg.headers(trial.account),
        body=leg.request(offer.model, trial.limit, offer.service_tier),
        first_byte_timeout_s=min(patience.first_byte_timeout_s, left_s) + more_s,
        idle_timeout_s=patience.idle_timeout_s + more_s,
    )


def writing_s(ask: Ask, intent: RoutingIntent, seen: Seen) -> float:
    """How long the whole of an answer may well take. What is no writing is not learned: an image is
    painted for minutes, whatever the last one took."""
    tokens = intent.completion_tokens
    if not ask.task.is_writing and ask.most_completion_tokens is not None:
        tokens = ask.most_completion_tokens * ask.choices
    return tokens * (seen.inter_token_ms_p95 or meter.INTER_TOKEN_MS_UNKNOWN) / 1000


def _close(answer: Answer | None) -> None:
    if answer is not None:
        answer.close()
