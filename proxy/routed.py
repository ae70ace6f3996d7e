"""Routed: which offers a request goes to, and in which order, by all that is known of it here."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ledger.principals import Principal
from proxy.by_prompt import by_prompt, question_in
from proxy.house import House
from proxy.intents import wanted_of, warm_for
from proxy.legs import Body
from proxy.race import planned
from proxy.wires.wire import Ask
from routing.decide import Moment, decide
from routing.decision import RouteDecision


def routed(
    ask: Ask, body: Body, who: Principal, house: House, at_ns: int, now_s: float, *, cheapest: bool
) -> RouteDecision:
    """There may be no candidate. at_ns: since 1970; now_s: monotonic. cheapest: a budget that runs
    out wants only money to count."""
    wanted = wanted_of(ask, who, house, cheapest=cheapest)
    busy = house.accounts.busy(now_s, wanted[0][0].intent.tokens)
    deciding = partial(
        decide,
        snapshot=house.market.snapshot,
        state=house.routing,
        now=Moment(at_ns, now_s, house.draw(), busy),
        warm=warm_for(ask, body, who, house, now_s),
    )
    decision = deciding(wanted)
    chooser = None if cheapest else house.chooser_of(ask)
    if chooser is not None:
        decision = by_prompt(decision, wanted, chooser, question_in(body.raw), deciding)
    if not decision.candidates:
        return decision
    house.routing.purse.spend(decision.exploring_cost)
    rule = house.manners_of(ask.model).second_offer
    return decision if rule is None else replace(decision, second=planned(decision, rule, ask))
