"""decide: put the offers of a model, or of several, in order for one request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.snapshot import MarketSnapshot
from ledger.money import Money
from routing.candidates import Candidate, First
from routing.costed import Costed, costed
from routing.decision import RouteDecision
from routing.intent import RoutingIntent
from routing.limits import Limits
from routing.preference_order import arranged, replaces_cost
from routing.preferences import NO_PREFERENCES
from routing.ranking import Ranking
from routing.state import State


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model that may serve the request: what the request is to it, and how its offers are to be
    put in order."""

    intent: RoutingIntent
    limits: Limits


@dataclass(frozen=True, slots=True)
class Moment:
    """at_ns: since 1970, for prices. monotonic_s: for what rests. draw: uniform in [0, 1).

    busy: the providers that have no headroom for the request, and until when, in monotonic seconds.
    """

    at_ns: int
    monotonic_s: float
    draw: float = 0.0
    busy: Mapping[str, float] = field(default_factory=dict)


NOTHING_WARM: Mapping[str, int] = {}


def decide(
    wanted: Sequence[Sequence[Wanted]],
    snapshot: MarketSnapshot,
    state: State,
    now: Moment,
    warm: Mapping[str, int] = NOTHING_WARM,
) -> RouteDecision:
    """Candidates, best first, and refusals.

    wanted: the models that may serve it, in groups: all offers of a group come before those of the
    next; within one, the best of all its models come first. At least one model.
    warm: by offer, how many tokens of the prompt are likely in its provider's cache.

    Raises KeyError for a model that the snapshot does not have.
    """
    groups = [[_costed(one, snapshot, state, now, warm) for one in group] for group in wanted]
    intent = wanted[0][0].intent
    # Where the request says who comes first, no load is spread, and nothing tried out.
    draw = 0.0 if replaces_cost(intent.preferences, intent.service_tier) else now.draw
    rankings = [
        Ranking(parts, group[0].limits, draw, state.purse.left)
        for parts, group in zip(groups, wanted, strict=True)
    ]
    leading = next((one for one in rankings if one.order), rankings[0])
    first, exploring_nanos = leading.first, leading.exploring_nanos
    candidates: Sequence[Candidate] = leading.candidates()
    if len(rankings) > 1:
        candidates = [candidate for one in rankings for candidate in one.candidates()]
    if intent.preferences is not NO_PREFERENCES or intent.service_tier is not None:
        before = candidates[0] if candidates else None
        ranks = [at for at, one in enumerate(rankings) for _ in one.order]
        candidates = arranged(
            *(candidates, intent.preferences), service_tier=intent.service_tier, model_ranks=ranks
        )
        if candidates and candidates[0] is not before:
            first, exploring_nanos = First.ASKED, 0.0
    listings = snapshot.models[intent.model]
    return RouteDecision(
        intent=intent,
        snapshot_version=snapshot.version,
        first_listed=listings[0] if listings else None,
        candidates=candidates,
        parts=[part for parts in groups for part in parts],
        first=first,
        exploring_cost=Money(math.ceil(exploring_nanos)),
    )


def _costed(
    one: Wanted, snapshot: MarketSnapshot, state: State, now: Moment, warm: Mapping[str, int]
) -> Costed:
    table = state.tables.of(snapshot, one.intent.model, one.limits, now.at_ns)
    return costed(
        *(table, one.intent, state.breakers, state.owned, warm),
        at_ns=now.at_ns,
        now_s=now.monotonic_s,
        busy=now.busy,
    )
