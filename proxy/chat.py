"""The whole story of one chat request. Knows no HTTP library and no database."""

from __future__ import annotations

import asyncio

from benchmarks.observations import Outcome
from ledger.ids import new_id
from ledger.money import Money, usd_text
from ledger.principals import Principal
from ledger.requests import RequestRecord
from proxy.ask import Ask, parse
from proxy.attempt import AttemptFailed, Opened, Request, ask_upstream, reserve
from proxy.auth import authenticate
from proxy.dialects.openai import with_cost
from proxy.errors import (
    Invalid,
    ModelForbidden,
    NotFound,
    OverBudget,
    ProxyError,
    RateLimited,
    UpstreamFailed,
    UpstreamLate,
    as_answer,
)
from proxy.exchange import EVENTS, JSON, Exchange, Headers
from proxy.house import House
from proxy.meter import estimate_delivered
from proxy.sse import StreamRelay
from proxy.upstream import Late, UpstreamError
from routing.decide import decide
from routing.decision import RouteDecision
from routing.eligibility import Reason
from routing.explanation import to_text
from routing.intent import RoutingIntent

MODEL_NAME_LIMIT = 200
"""Characters of a model's name that are kept, or said back: it may be one of a client's making."""


async def serve(x: Exchange, house: House) -> None:
    """Answer one chat completion, whatever happens on the way."""
    began_s, at_ns = house.clock.monotonic_s(), house.clock.now_ns()
    request_id = new_id("req", at_ns, house.random_bytes)
    who: Principal | None = None
    ask: Ask | None = None
    decision: RouteDecision | None = None
    outcome, status, attempts = "answered", 200, 0
    opened: Opened | None = None
    answering = False
    try:
        # Who asks, and for what.
        who = authenticate(x, house)
        ask = parse(x.body)
        if ask.model not in house.market.snapshot.models:
            raise _unknown_model(ask.model, house, who)
        if who.models is not None and ask.model not in who.models:
            raise ModelForbidden(
                f"this key may not use {ask.model}; it may use {', '.join(sorted(who.models))}",
                param="model",
            )
        x.abandonable = ask.stream is True

        # Which offers, in which order.
        decision = decide(
            _intent(ask, x.body, house),
            house.market.snapshot,
            house.breakers,
            house.limits,
            house.draw(),
            began_s,
        )
        if not decision.candidates:
            raise _nothing_eligible(decision)
        request = Request(
            request_id, at_ns, who, ask, x.body, decision, began_s + house.patience.deadline_s
        )

        # Hold the worst case, ask, and wait until an answer has certainly begun; else the next.
        refusals: list[OverBudget] = []
        failures: list[tuple[str, AttemptFailed]] = []
        for candidate in decision.candidates:
            if attempts >= house.patience.attempts:
                break
            if attempts and house.clock.monotonic_s() >= request.deadline_s:
                break
            try:
                trial = await reserve(house, request, candidate, attempts + 1)
            except OverBudget as refused:
                refusals.append(refused)
                continue
            attempts += 1
            try:
                opened = await ask_upstream(trial)
                break
            except AttemptFailed as failed:
                failures.append((candidate.listing.offer.id, failed))
        if opened is None:
            raise _no_answer(refusals, failures)
        waited_s = house.clock.monotonic_s() - opened.trial.began_s
        headers: Headers = [
            ("x-request-id", request_id),
            ("x-hedgerow-provider", opened.trial.listing.offer.provider),
            ("x-hedgerow-model", opened.trial.listing.offer.model),
            ("x-hedgerow-attempts", str(attempts)),
        ]

        # A plain answer is whole: charge it, then pass it on.
        if opened.plain is not None:
            opened.answer.close()
            cost, left, body = await _charge_plain(opened)
            headers += [
                JSON,
                ("x-hedgerow-cost-usd", usd_text(cost)),
                *_remaining(left),
                _overhead(house, began_s, waited_s),
            ]
            answering = True
            await x.answer(200, headers, body)

        # A stream is relayed as it comes; its end waits until the charge is in the books.
        elif opened.relay is not None:
            headers += [
                EVENTS,
                ("Cache-Control", "no-cache"),
                *_remaining(opened.trial.hold.left),
                _overhead(house, began_s, waited_s),
            ]
            answering = True
            fault = await _relay(x, headers, opened, opened.relay, house)
            if fault is not None:
                outcome = fault.code or "upstream_failed"
    except asyncio.CancelledError:
        outcome, status = "client_left", 499
        raise
    except ConnectionError:
        outcome, status = "client_left", 499
    except Exception as error:  # the edge of the room: every error becomes an answer
        problem = as_answer(error, request_id)
        outcome, status = problem.code or problem.type, problem.answer_status
        if answering:
            raise  # the transport cuts what has begun; it must not look whole
        headers = [JSON, ("x-request-id", request_id), *problem.headers]
        await x.answer(problem.answer_status, headers, problem.body())
    finally:
        if opened is not None:
            opened.answer.close()
        if who is not None and ask is not None:
            house.book.remember(
                _record(request_id, at_ns, who, ask, decision, outcome, status, attempts)
            )


async def _charge_plain(opened: Opened) -> tuple[Money, Money | None, bytes]:
    """Post a plain answer. Returns the charge, what is left, and the body with its cost."""
    trial, plain = opened.trial, opened.plain
    if plain is None:
        raise AssertionError("a stream has no plain answer")
    if plain.usage is not None:
        trial.answered(plain.usage.completion)
        cost, left = await trial.post(plain.usage, estimated=False)
        return cost, left, with_cost(opened.body, cost)
    trial.answered(None)
    prompt = trial.request.decision.intent.prompt_tokens
    usage = estimate_delivered(prompt, plain.text_bytes, trial.request.choices)
    cost, left = await trial.post(usage, estimated=True)
    return cost, left, opened.body


async def _relay(
    x: Exchange, headers: Headers, opened: Opened, relay: StreamRelay, house: House
) -> ProxyError | None:
    """Pass a stream on to its end, and charge it before its last bytes. Returns what cut it."""
    trial, fault = opened.trial, None
    clock, idle_s = house.clock, house.patience.idle_timeout_s
    last_event_s = began_s = clock.monotonic_s()
    reading_s = 0.0  # the client's part of the time
    try:
        await x.open(200, headers)
        if opened.body:
            await x.write(opened.body)
        last_event_s = began_s = clock.monotonic_s()
        while relay.fault is None and not relay.done:
            # The idle limit is on events: comments keep a connection alive, but are no answer.
            idle_left_s = last_event_s + idle_s - clock.monotonic_s()
            data = await opened.answer.some(max(0.0, idle_left_s))
            if not data:
                break
            events_before = relay.events
            passed, came_s = relay.feed(data), clock.monotonic_s()
            if relay.events > events_before:
                last_event_s = came_s
            if passed:
                await x.write(passed)
                took_s = clock.monotonic_s() - came_s
                reading_s, last_event_s = reading_s + took_s, last_event_s + took_s
    except UpstreamError as error:
        if not relay.complete:
            late = isinstance(error, Late)
            fault = UpstreamLate(str(error)) if late else UpstreamFailed(str(error))
    finally:  # also when the client has left: what was delivered is charged
        if not relay.done:  # else its connection is about to be free for the next request
            opened.answer.close()
        usage, estimated = relay.used(trial.request.decision.intent.prompt_tokens)
        trial.unjudged()  # unless it is judged below: the client may have left
        cost, _ = await trial.post(usage, estimated=estimated)
    if fault is None and not relay.complete:
        fault = UpstreamFailed(relay.fault or "the provider ended its answer in the middle")
    if fault is None:
        trial.answered(usage.completion, last_event_s - began_s - reading_s)
        await x.finish(relay.close(cost))
    else:
        trial.failed(Outcome.FAILED)
        fault.message = f"{trial.listing.offer.provider} broke off: {fault.message}"
        await x.finish(relay.broken(fault))
    return fault


def _intent(ask: Ask, body: bytes, house: House) -> RoutingIntent:
    choices = ask.n or 1
    most = ask.most_completion_tokens
    completion = house.learned.completion_tokens(ask.model)
    return RoutingIntent(
        model=ask.model,
        prompt_tokens=house.learned.prompt_tokens(ask.model, len(body)),
        completion_tokens=(completion if most is None else min(completion, most)) * choices,
        max_completion_tokens=most,
        choices=choices,
        features=ask.features,
    )


def _unknown_model(model: str, house: House, who: Principal) -> NotFound:
    known, model = house.market.snapshot.models, model[:MODEL_NAME_LIMIT]
    allowed = sorted(one for one in known if who.models is None or one in who.models)
    return NotFound(
        f"there is no model {model!r} here; there are: {', '.join(allowed[:20]) or 'none'}",
        param="model",
        code="model_not_found",
    )


def _nothing_eligible(decision: RouteDecision) -> Invalid:
    """Every offer was refused: say why, in the client's terms if they all agree."""
    codes = {Reason.CONTEXT_TOO_SHORT: "context_length_exceeded", Reason.NO_PRICE: "price_unknown"}
    reasons = {one.reason for one in decision.refused}
    code = codes.get(next(iter(reasons)), "no_eligible_offer") if len(reasons) == 1 else None
    why = "; ".join(f"{one.offer.id} {one.why}" for one in decision.refused[:5])
    return Invalid(
        f"no offer of {decision.intent.model} can serve this request: {why}",
        param="model",
        code=code or "no_eligible_offer",
    )


def _no_answer(refusals: list[OverBudget], failures: list[tuple[str, AttemptFailed]]) -> ProxyError:
    if not failures:
        return max(refusals, key=lambda one: one.affordable_max_tokens)
    why = "no provider answered: " + "; ".join(f"{offer}: {failed}" for offer, failed in failures)
    rests_s = [failed.retry_after_s for _, failed in failures if failed.retry_after_s is not None]
    if len(rests_s) == len(failures):
        return RateLimited(why, retry_after_s=min(rests_s))
    return UpstreamLate(why) if failures[-1][1].late else UpstreamFailed(why)


def _remaining(left: Money | None) -> Headers:
    return [] if left is None else [("x-hedgerow-budget-remaining-usd", usd_text(left))]


def _overhead(house: House, began_s: float, waited_s: float) -> tuple[str, str]:
    """What we took ourselves: all but the waiting for the provider that answered."""
    own_s = house.clock.monotonic_s() - began_s - waited_s
    return ("x-hedgerow-overhead-ms", f"{max(0.0, own_s) * 1000:.3f}")


def _record(
    request_id: str,
    at_ns: int,
    who: Principal,
    ask: Ask,
    decision: RouteDecision | None,
    outcome: str,
    status: int,
    attempts: int,
) -> RequestRecord:
    cut_off = outcome == OverBudget.default_code and decision is not None and decision.candidates
    return RequestRecord(
        id=request_id,
        at_ns=at_ns,
        key_id=who.key_id,
        team=who.team,
        user=who.user,
        model=ask.model[:MODEL_NAME_LIMIT],
        outcome=outcome,
        status=status,
        attempts=attempts,
        would_have_cost=decision.candidates[0].expected_cost if decision and cut_off else None,
        decision=None if decision is None else to_text(decision),
    )
