"""The whole story of one billable request. Knows no HTTP library and no database."""

from __future__ import annotations

import asyncio
import math
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
    Invalid,
    ModelForbidden,
    ModelRestricted,
    NotFound,
    OverBudget,
    OverLimit,
    ProxyError,
    as_answer,
)
from proxy.exchange import EVENTS, JSON, Exchange, Headers
from proxy.hedged import planned
from proxy.house import House
from proxy.legs import Body
from proxy.pursuit import Pursuit
from proxy.tellers import broken_end
from proxy.trial import Request
from proxy.wires.wire import Ask, Wire
from routing.decide import Limits, decide
from routing.decision import RouteDecision
from routing.eligibility import Reason
from routing.explanation import to_text
from routing.intent import RoutingIntent

NO_PROVIDER = ""
"""Of a request that has none yet."""
CHEAPEST_FIRST = Limits(ttft_ms_p95_max=math.inf)
"""As a budget that runs out wants it: whatever the latency, and without spreading load."""
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
        ask = wire.ask(body.raw, body.content_type)
        refuse_model(ask.model, house, who)
        directives = await house.book.directives(Subject(who, ask.model, NO_PROVIDER), at_ns)
        refuse_restricted(ask.model, directives)

        # Which offers, in which order.
        manners = house.manners_of(ask.model)
        decision = decide(
            intent_of(ask, house),
            house.market.snapshot,
            house.breakers,
            CHEAPEST_FIRST if directives.cheapest else manners.limits,
            0.0 if directives.cheapest else house.draw(),
            began_s,
        )
        if not decision.candidates:
            raise _nothing_eligible(decision)
        if manners.hedge is not None:
            decision = replace(decision, second=planned(decision, manners.hedge, ask))

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
                made = replace(made, would_have_cost=decision.candidates[0].expected_cost)
            if pursuit is not None:
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


def intent_of(ask: Ask, house: House) -> RoutingIntent:
    """What the router needs to know of it."""
    most, learned = ask.most_completion_tokens, house.learned
    completion = learned.completion_tokens(ask.model)
    return RoutingIntent(
        model=ask.model,
        prompt_tokens=learned.prompt_tokens(ask.model, ask.prompt_bytes),
        completion_tokens=(completion if most is None else min(completion, most)) * ask.choices,
        max_completion_tokens=most,
        choices=ask.choices,
        features=ask.features,
        task=ask.task,
        units=ask.units,
    )


def refuse_model(model: str, house: House, who: Principal) -> None:
    """Raises NotFound or ModelForbidden for a model that this key cannot have."""
    known = house.market.snapshot.models
    if model not in known:
        raise _unknown_model(model, house, who)
    if who.models is not None and model not in who.models:
        raise ModelForbidden(
            f"this key may not use {model}; it may use {', '.join(sorted(who.models))}",
            param="model",
        )


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
        model=ask.model[:MODEL_NAME_LIMIT],
        outcome=outcome,
        status=status,
        attempts=0,
        would_have_cost=None,
        decision=None if decision is None else to_text(decision),
    )
