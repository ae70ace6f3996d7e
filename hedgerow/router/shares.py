"""Shares: who served how much, step by step; what it saved, and what the cheapest would have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ledger.money import Money
from ledger.routed import Routed

NAMED = 5
"""So many are told apart in a chart; the rest are one more."""
OTHERS = "others"


class By(StrEnum):
    OFFER = "offer"
    """As the books know it: a provider, and its name of a model."""
    PROVIDER = "provider"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Share:
    """Charged attempts of one of them, in all of a span.

    saved: against the offer that is listed first; below 0 where that would have been cheaper.
    missed: what the cheapest quote of each moment would have saved still. Attempts for which either
    is unknown count as if it had cost the same.
    """

    name: str
    requests: int
    tokens: int
    cost: Money
    saved: Money
    missed: Money


@dataclass(frozen=True, slots=True)
class StepSum:
    """All of them together in the step that began then."""

    start_ns: int
    requests: int
    cost: Money
    first_offer: Money
    cheapest: Money


@dataclass(frozen=True, slots=True)
class Shares:
    """each: the busiest first. total: of all. steps: every one of the span, also without traffic.
    named: the names that are told apart, `OTHERS` last if there are more; requests: by step, of
    each of these."""

    each: tuple[Share, ...]
    total: Share
    steps: tuple[StepSum, ...]
    named: tuple[str, ...]
    requests: tuple[tuple[int, ...], ...]

    def of(self, share: Share) -> Decimal | None:
        """Its part of all requests; None where there was none."""
        if not self.total.requests:
            return None
        return Decimal(share.requests) / self.total.requests


def shares(rows: Sequence[Routed], by: By, span_ns: tuple[int, int], step_ns: int) -> Shares:
    """rows: of the span, in steps of that size."""
    by_name: dict[str, list[Routed]] = defaultdict(list)
    by_step: dict[int, list[Routed]] = defaultdict(list)
    for one in rows:
        by_name[_name(one, by)].append(one)
        by_step[one.start_ns].append(one)
    each = [_share(name, found) for name, found in by_name.items()]
    each.sort(key=lambda one: (-one.requests, -one.cost, one.name))
    names = [one.name for one in each]
    named = names if len(names) <= NAMED + 1 else [*names[:NAMED], OTHERS]
    starts = range(span_ns[0] - span_ns[0] % step_ns, span_ns[1], step_ns)
    counts: dict[tuple[str, int], int] = defaultdict(int)
    apart = frozenset(named)
    for one in rows:
        name = _name(one, by)
        counts[name if name in apart else OTHERS, one.start_ns] += one.requests
    return Shares(
        tuple(each),
        _share("all", rows),
        tuple(_step(at, by_step.get(at, [])) for at in starts),
        tuple(named),
        tuple(tuple(counts[name, at] for at in starts) for name in named),
    )


def _name(one: Routed, by: By) -> str:
    match by:
        case By.OFFER:
            return f"{one.provider}/{one.upstream_model}"
        case By.PROVIDER:
            return one.provider
        case By.MODEL:
            return one.model


def _share(name: str, rows: Iterable[Routed]) -> Share:
    requests = tokens = cost = first_offer = cheapest = 0
    for one in rows:
        requests += one.requests
        tokens += one.tokens
        cost += one.cost
        first_offer += one.first_offer
        cheapest += one.cheapest
    return Share(
        *(name, requests, tokens, Money(cost)),
        *(Money(first_offer - cost), Money(cost - cheapest)),
    )


def _step(at_ns: int, rows: Sequence[Routed]) -> StepSum:
    return StepSum(
        at_ns,
        sum(one.requests for one in rows),
        Money(sum(one.cost for one in rows)),
        Money(sum(one.first_offer for one in rows)),
        Money(sum(one.cheapest for one in rows)),
    )
