"""decide: put the offers of a model, or of several, in order for one request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.snapshot import MarketSnapshot
from ledger.money import Money
from routing.candidates import Candidate, First
from routing.costed import Costed, costed
from routing.decision import RouteDecision
from routing.intent import RoutingIntent
from routing.limits import Limits
from routing.preference_order import arranged
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
    """at_ns: since 1970, for prices. monotonic_s: for what rests. draw: uniform in [0, 1)."""

    at_ns: int
    monotonic_s: float
    draw: float = 0.0


NOTHING_WARM: Mapping[str, int] = {}


def decide(
    wanted: Sequence[Wanted],
    snapshot: MarketSnapshot,
    state: State,
    now: Moment,
    warm: Mapping[str, int] = NOTHING_WARM,
) -> RouteDecision:
    """Candidates, best first, and refusals.

    wanted: the models that may serve it, at least one. The best offers of all of them come first;
    but if the request names models in an order (`Preferences.by_model`), all offers of one come
    before those of the next. warm: by offer, how many tokens of the prompt are likely in its
    provider's cache.

    Raises KeyError for a model that the snapshot does not have.
    """
    parts = [_costed(one, snapshot, state, now, warm) for one in wanted]
    preferences, limits = wanted[0].intent.preferences, wanted[0].limits
    candidates: Sequence[Candidate]
    if len(parts) == 1 or not preferences.by_model:
        leading = Ranking(parts, limits, now.draw, state.purse.left)
        candidates = leading.candidates()
    else:
        rankings = [
            Ranking([part], one.limits, now.draw, state.purse.left)
            for part, one in zip(parts, wanted, strict=True)
        ]
        leading = next((one for one in rankings if one.order), rankings[0])
        candidates = [candidate for one in rankings for candidate in one.candidates()]
    first, exploring_nanos = leading.first, leading.exploring_nanos
    if preferences is not NO_PREFERENCES:
        before = candidates[0] if candidates else None
        candidates = arranged(candidates, preferences)
        if candidates and candidates[0] is not before:
            first, exploring_nanos = First.ASKED, 0.0
    listings = snapshot.models[wanted[0].intent.model]
    return RouteDecision(
        intent=wanted[0].intent,
        snapshot_version=snapshot.version,
        first_listed=listings[0] if listings else None,
        candidates=candidates,
        parts=parts,
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
    )
