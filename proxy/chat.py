"""The whole story of one billable request. Knows no HTTP library and no database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from ledger.attempts import Hold
from ledger.budgets import Subject
from ledger.directives import Directives
from ledger.ids import new_id
from ledger.money import Money, usd_text
from ledger.principals import Principal
from ledger.requests import RequestRecord
from proxy.auth import authenticate
from proxy.delivery import StreamDelivery, charge_plain, first_of
from proxy.endpoints import Endpoint
from proxy.errors import (
    ModelForbidden,
    ModelRestricted,
    NotFound,
    OverBudget,
    OverLimit,
    ProxyError,
    as_answer,
)
from proxy.exchange import EVENTS, JSON, Exchange, Headers
from proxy.exclusions import nothing_eligible
from proxy.house import House
from proxy.legs import Body
from proxy.pursuit import Pursuit
from proxy.routed import routed
from proxy.tellers import broken_end
from proxy.terms import on_terms, refuse_offer, unknown_model
from proxy.trial import Request
from proxy.wires.wire import Ask, Wire
from routing.decision import RouteDecision
from routing.explanation import to_header, to_text

NO_PROVIDER = ""
"""Of a request that has none yet."""
MODEL_NAME_LIMIT = 200
"""Characters of a model's name that are kept, or said back: it may be one of a client's making."""


async def serve(x: Exchange, house: House, wire: Wire) -> None:
    """Answer one request: for a key that may ask, and once, if it says which request it is."""
    request_id = new_id("req", house.clock.now_ns(), house.random_bytes)
    try:
        who = authenticate(x, house)
        with house.doors.inside(who.key_id):
            story = partial(answer, house=house, wire=wire, who=who, request_id=request_id)
            await house.replays.once(x, who.key_id, request_id, story)
    except ConnectionError:
        pass  # the client has left
    except Exception as error:  # noqa: BLE001 - the edge: every error becomes an answer
        await tell(x, wire.endpoint, as_answer(error, request_id), request_id)


async def answer(x: Exchange, *, house: House, wire: Wire, who: Principal, request_id: str) -> None:
    """Answer a request of somebody who may ask: route, hold, ask, meter, post."""
    began_s, at_ns = house.clock.monotonic_s(), house.clock.now_ns()
    ask: Ask | None = None
    decision: RouteDecision | None = None
    pursuit: Pursuit | None = None
    outcome, status, is_cut_off = "answered", 200, False
    try:
        # What it asks for.
        body = Body(wire, x.body, x.headers, at_ns // 1_000_000_000)
        ask = on_terms(wire.ask(body.raw, body.content_type), x.headers, house.names)
        refuse_model(ask.model, house, who)
        refuse_offer(ask, house)
        directives = await house.book.directives(Subject(who, ask.model, NO_PROVIDER), at_ns)
        refuse_restricted(ask.model, directives)

        # Which offers, in which order.
        if ask.fallbacks:
            ask = replace(ask, fallbacks=allowed_of(ask.fallbacks, house, who, directives))
        cheapest = directives.cheapest
        decision = routed(ask, body, who, house, at_ns, began_s, cheapest=cheapest)
        if not decision.candidates:
            raise nothing_eligible(decision, ask.model)
        manners = house.manners_of(ask.model)

        # Hold the worst case, ask, and wait until an answer has certainly begun; else the next.
        deadline_s = began_s + manners.patience.deadline_s
        request = Request(
            *(request_id, at_ns, who, ask, body, decision, manners.patience, deadline_s),
            throttles=directives.throttles,
        )
        pursuit = Pursuit(house, request, x)
        opened = await first_of(pursuit, request, x)
        trial = opened.trial
        waited_s = house.clock.monotonic_s() - pursuit.asked_s
        headers: Headers = [
            ("x-request-id", request_id),
            ("x-hedgerow-provider", trial.listing.offer.provider),
            ("x-hedgerow-model", trial.listing.offer.model),
            ("x-hedgerow-attempts", str(pursuit.attempts)),
        ]
        if (draw := trial.hold.attempt.draw) is not None:
            headers.append(("x-hedgerow-commitment", draw.commitment.id))
        if x.headers.get("x-hedgerow-explain") == "1":
            headers.append(("x-hedgerow-explain", to_header(decision, ask.model)))

        # A plain answer is whole: charge it, then pass it on.
        if opened.plain is not None:
            cost, left, told = await charge_plain(opened)
            headers += [
                ("Content-Type", trial.leg.answer_type(opened.answer.headers)),
                ("x-hedgerow-cost-usd", usd_text(cost)),
                *_remaining(left),
                *_rates(trial.hold, at_ns),
                _overhead(house, began_s, waited_s),
            ]
            await x.answer(200, headers, told)

        # A stream is relayed as it comes; its end waits until the charge is in the books.
        else:
            headers += [
                EVENTS,
                ("Cache-Control", "no-cache"),
                *_remaining(trial.hold.left),
                *_rates(trial.hold, at_ns),
                _overhead(house, began_s, waited_s),
            ]
            fault = await StreamDelivery(x, house, pursuit).pass_on(opened, headers)
            if fault is not None:
                outcome = fault.code or "upstream_failed"
    except (asyncio.CancelledError, ConnectionError):
        outcome, status = "client_left", 499
        raise
    except Exception as error:  # noqa: BLE001 - an edge too: it is remembered, and told
        problem = as_answer(error, request_id)
        outcome, status = problem.code or problem.type, problem.answer_status
        is_cut_off = isinstance(problem, OverBudget | OverLimit)
        await tell(x, wire.endpoint, problem, request_id)
    finally:
        if ask is not None:
            made = _record(request_id, at_ns, who, ask, decision, outcome, status)
            if is_cut_off and decision is not None and decision.candidates:
                made = replace(made, would_have_cost=decision.candidates[0].billed_cost)
            if pursuit is not None:
                explore = house.manners_of(ask.model).limits.explore
                house.routing.purse.earn(explore, pursuit.cost)
                made = replace(
                    made,
                    attempts=pursuit.attempts,
                    failures=pursuit.failures,
                    would_block=pursuit.would_block,
                )
            house.book.remember(made)


async def tell(x: Exchange, endpoint: Endpoint, problem: ProxyError, request_id: str) -> None:
    """Answer with an error, in the shape that the endpoint's clients read."""
    if x.has_begun:
        problem.request_id = request_id
        await x.fail(broken_end(endpoint, problem))
        return
    headers: Headers = [JSON, ("x-request-id", request_id), *problem.headers]
    if endpoint in (Endpoint.MESSAGES, Endpoint.COUNT_TOKENS):
        headers.append(("request-id", request_id))
        body = problem.anthropic_body(request_id)
    else:
        body = problem.body()
    await x.answer(problem.answer_status, headers, body)


def refuse_model(model: str, house: House, who: Principal) -> None:
    """Raises NotFound or ModelForbidden for a model that this key cannot have."""
    if model not in house.names:
        raise _unknown_model(model, house, who)
    if who.models is not None and model not in who.models:
        raise ModelForbidden(
            f"this key may not use {model}; it may use {', '.join(sorted(who.models))}",
            param="model",
        )


def allowed_of(
    models: tuple[str, ...], house: House, who: Principal, directives: Directives
) -> tuple[str, ...]:
    """Of the other models that a request names, those that it can have: one that it cannot have is
    no reason to refuse the first."""
    allowed = []
    for model in models:
        try:
            refuse_model(model, house, who)
            refuse_restricted(model, directives)
        except (NotFound, ModelForbidden, ModelRestricted):
            continue
        allowed.append(model)
    return tuple(allowed)


def refuse_restricted(model: str, directives: Directives) -> None:
    """Raises ModelRestricted for a model that a budget no longer lets through."""
    allowed = directives.only_models
    if allowed is None or model in allowed:
        return
    by = {one.budget: one.account.resets_at for one in directives.reached if one.restricts}
    until = [at for at in by.values() if at is not None]
    raise ModelRestricted(
        f"budget {', '.join(by)} is nearly spent, and lets only"
        f" {', '.join(sorted(allowed)) or 'no model'} through"
        + (f" until {min(until).isoformat()}" if until else ""),
        param="model",
        more={"budgets": list(by), "models": sorted(allowed)},
    )


def _unknown_model(model: str, house: House, who: Principal) -> NotFound:
    allowed = sorted(one for one in house.names if who.models is None or one in who.models)
    return unknown_model(model[:MODEL_NAME_LIMIT], allowed)


def _remaining(left: Money | None) -> Headers:
    return [] if left is None else [("x-hedgerow-budget-remaining-usd", usd_text(left))]


def _rates(hold: Hold, at_ns: int) -> Headers:
    """How the limits by the minute stand, as clients of OpenAI read it."""
    headers: Headers = []
    for one in hold.rates:
        reset_s = max(0, one.resets_at_ns - at_ns) / 1e9
        headers += [
            (f"x-ratelimit-limit-{one.measure}", str(one.cap)),
            (f"x-ratelimit-remaining-{one.measure}", str(one.left)),
            (f"x-ratelimit-reset-{one.measure}", f"{reset_s:.0f}s"),
        ]
    return headers


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
) -> RequestRecord:
    return RequestRecord(
        id=request_id,
        at_ns=at_ns,
        key_id=who.key_id,
        team=who.team,
        user=who.user,
        model=(model := ask.model[:MODEL_NAME_LIMIT]),
        outcome=outcome,
        status=status,
        attempts=0,
        would_have_cost=None,
        decision=None if decision is None else to_text(decision, model),
    )
