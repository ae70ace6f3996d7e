"""Recent: what became of the newest requests, and why each went where it went."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ledger.databases.sql import Sql
from ledger.money import Money
from ledger.requests import FailedAttempt, RequestRecord
from ledger.tables.requests import RequestTable
from proxy.pursuit import OVERTAKEN
from routing.candidates import First

LOOKED_AT = 5_000
"""Requests, the newest ones: their decisions are texts, and every one of them is read."""
GROUPS_TOLD = 50
ODD_TOLD = 50
TRIED_TOLD = 10
"""Of those, at most so many that merely tried an offer out: in quiet times there are no others."""


@dataclass(frozen=True, slots=True)
class InVain:
    """Attempts at one offer that failed for one reason. lost_ms: from their beginnings to their
    failures, in all; it is what their requests waited for nothing."""

    offer: str
    why: str
    attempts: int
    lost_ms: float


@dataclass(frozen=True, slots=True)
class Decided:
    """A request that did not simply go to the best offer and come back. offer: the first of its
    decision; None where nobody could serve it, or nothing was decided. why: what is odd."""

    request_id: str
    at_ns: int
    model: str
    outcome: str
    status: int
    attempts: int
    offer: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Recent:
    """Of `requests`, the newest ones of their span; is_all: there are no more in it.

    refused: those that got an error. failed_over: answered, but not by the first that was asked.
    overtaken: attempts at whose cost a second offer, or the first, was faster. firsts: why the
    first offer was the first, as `routing.candidates.First` has it. exploring: what was expected to
    be paid for trying offers that are not known well.
    """

    requests: int
    is_all: bool
    since_ns: int | None
    until_ns: int | None
    refused: int
    failed_over: int
    overtaken: int
    firsts: Mapping[str, int]
    exploring: Money
    in_vain: tuple[InVain, ...]
    odd: tuple[Decided, ...]

    @property
    def lost_ms(self) -> float:
        return sum(one.lost_ms for one in self.in_vain)


TRIED = "tried an offer that is not known well"


class _Offer(msgspec.Struct, gc=False):
    offer: str


class _Kept(msgspec.Struct, gc=False):
    """What is needed of an Explanation."""

    candidates: list[_Offer] = []
    first: str = First.VALUE
    exploring_nanos: int = 0


_decode = msgspec.json.Decoder(_Kept).decode


def recent(sql: Sql, since_ns: int, model: str | None = None, limit: int = LOOKED_AT) -> Recent:
    """Of the newest requests since then. Raises StoreError."""
    return summary(RequestTable(sql).newest(since_ns, limit, model), limit)


def summary(records: Sequence[RequestRecord], limit: int) -> Recent:
    """records: the newest first, `limit` at most."""
    firsts: Counter[str] = Counter()
    lost: dict[tuple[str, str], list[float]] = defaultdict(list)
    odd: list[Decided] = []
    refused = failed_over = overtaken = exploring = tried = 0
    for one in records:
        decision = _Kept() if one.decision is None else _read(one.decision)
        if decision.candidates:
            firsts[decision.first] += 1
            exploring += decision.exploring_nanos
        in_vain = [each for each in one.failures if each.why != OVERTAKEN]
        for each in in_vain:
            lost[each.offer, each.why].append(each.after_ms)
        overtaken += len(one.failures) - len(in_vain)
        is_refused = one.status >= 400
        refused += is_refused
        failed_over += bool(in_vain) and not is_refused
        why = _why_odd(one, decision, in_vain)
        if why == TRIED:
            tried += 1
        if why is not None and len(odd) < ODD_TOLD and (why != TRIED or tried <= TRIED_TOLD):
            offer = decision.candidates[0].offer if decision.candidates else None
            odd.append(
                Decided(
                    *(one.id, one.at_ns, one.model, one.outcome, one.status, one.attempts),
                    *(offer, why),
                )
            )
    groups = [InVain(*key, len(each), sum(each)) for key, each in lost.items()]
    groups.sort(key=lambda one: (-one.attempts, -one.lost_ms, one.offer, one.why))
    return Recent(
        requests=len(records),
        is_all=len(records) < limit,
        since_ns=records[-1].at_ns if records else None,
        until_ns=records[0].at_ns if records else None,
        refused=refused,
        failed_over=failed_over,
        overtaken=overtaken,
        firsts=dict(firsts),
        exploring=Money(exploring),
        in_vain=tuple(groups[:GROUPS_TOLD]),
        odd=tuple(odd),
    )


def _read(text: str) -> _Kept:
    """Nothing of what another version has kept otherwise."""
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return _Kept()


def _why_odd(one: RequestRecord, decision: _Kept, in_vain: Sequence[FailedAttempt]) -> str | None:
    """None if it is not."""
    if one.status >= 400:
        return f"{one.outcome}{_of(in_vain)}"
    if in_vain:
        return f"went on elsewhere{_of(in_vain)}"
    if len(one.failures) > len(in_vain):
        return f"{one.failures[-1].offer} was overtaken by another offer"
    if decision.candidates and decision.first == First.EXPLORED:
        return TRIED
    return None


def _of(in_vain: Sequence[FailedAttempt]) -> str:
    if not in_vain:
        return ""
    last = in_vain[-1]
    return f": {last.offer}, {last.why}"
