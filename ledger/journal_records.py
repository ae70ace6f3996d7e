"""What a journal's records say: a hold that was taken, and how it ended.

They are MessagePack arrays. A field is only ever added at the end, with a default: a later version
reads what an earlier one left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from ledger.attempts import Attempt, Settlement
from ledger.budgets import Account, AccountKey
from ledger.draws import Draw
from ledger.entries import Drawn, Kind
from ledger.measures import Measure
from ledger.rates import CardRow

SubjectKey: TypeAlias = tuple[
    str | None,
    str | None,
    str | None,
    str | None,
    str,
    tuple[str, ...],
    str,
    str,
    str,
    str | None,
]
"""org, team, project, user, key id, tags, model, provider, upstream model, account."""


class HeldDraw(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a hold reserves of a commitment, in micro-units, and what that costs."""

    commitment: str
    micro_units: int
    cost: int
    is_overage: bool


class Held(msgspec.Struct, array_like=True, tag=1, frozen=True, gc=False):
    """A hold: written before its attempt is sent."""

    attempt_id: str
    request_id: str
    at_ns: int
    subject: SubjectKey
    streamed: bool
    card: CardRow
    worst_case: int
    most_tokens: int
    is_counted: bool
    accounts: tuple[tuple[AccountKey, int], ...]
    """Each with what is held in it."""
    batch: str | None = None
    """Never in a journal: such holds are in the store."""
    covered: tuple[bool, ...] = ()
    """Whether each amount was taken out of a slice; empty if all of them were."""
    draw: HeldDraw | None = None


class Ended(msgspec.Struct, array_like=True, tag=2, frozen=True, gc=False):
    """The end of a hold: written before its client reads the last byte.

    card: None if it is that of its hold. usage, charge: of what was posted, in the orders of
    TokenUsage and Charge; shorter if an earlier version wrote it. spent, uncovered: one for each of
    the hold's accounts (`entries.Drawn`); both empty if nothing was spent. micro_units: what it
    took of the commitment that it drew on.
    """

    attempt_id: str
    kind: Kind
    at_ns: int
    reason: str = ""
    card: CardRow | None = None
    usage: tuple[int | None, ...] | None = None
    charge: tuple[int | None, ...] | None = None
    estimated: bool = False
    ttft_ms: float | None = None
    total_ms: float | None = None
    spent: tuple[int, ...] = ()
    uncovered: tuple[int, ...] = ()
    micro_units: int = 0


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Held | Ended).decode


def subject_key(attempt: Attempt) -> SubjectKey:
    who = attempt.principal
    return (
        who.org,
        who.team,
        who.project,
        who.user,
        who.key_id,
        who.tags,
        attempt.model,
        attempt.provider,
        attempt.upstream_model,
        attempt.account,
    )


def held_of(attempt: Attempt, accounts: tuple[Account, ...]) -> Held:
    """A hold of all that an attempt reserves."""
    return held_in(attempt, tuple([(one.key, attempt.reserves(one.measure)) for one in accounts]))


def held_in(
    attempt: Attempt, accounts: tuple[tuple[AccountKey, int], ...], covered: tuple[bool, ...] = ()
) -> Held:
    """A hold of so much in each account."""
    return Held(
        attempt.id,
        attempt.request_id,
        attempt.at_ns,
        subject_key(attempt),
        attempt.streamed,
        attempt.rates.row,
        attempt.worst_case,
        attempt.most_tokens,
        attempt.is_counted,
        accounts,
        attempt.batch,
        covered,
        None if attempt.draw is None else _draw(attempt.draw),
    )


def _draw(draw: Draw) -> HeldDraw:
    most = draw.micro_units
    return HeldDraw(draw.commitment.id, most, draw.costs(most), draw.is_overage)


def posted_of(attempt: Attempt, end: Settlement, drawn: Sequence[Drawn]) -> Ended:
    """The end of a hold that was charged, with what it took of each of its accounts."""
    spent, uncovered = [one.spent for one in drawn], [one.uncovered for one in drawn]
    return posted_as(attempt, end, tuple(spent), tuple(uncovered))


def posted_as(
    attempt: Attempt, end: Settlement, spent: tuple[int, ...], uncovered: tuple[int, ...]
) -> Ended:
    """The same, by numbers alone: one of each for each account."""
    usage, charge = end.usage, end.charge
    return Ended(
        attempt.id,
        Kind.POSTED,
        end.at_ns,
        "",
        None if end.rates.version == attempt.rates.version else end.rates.row,
        (
            usage.prompt,
            usage.completion,
            usage.cached,
            usage.cache_write,
            usage.reasoning,
            usage.units,
            usage.cache_write_1h,
        ),
        (
            charge.billed,
            charge.effective,
            charge.contracted,
            charge.list,
            charge.first_offer,
            charge.cheapest,
        ),
        end.estimated,
        end.ttft_ms,
        end.total_ms,
        spent,
        uncovered,
        end.drawn(attempt),
    )


def lost(held: Held, now_ns: int) -> Ended:
    """The end of a hold whose worker died: its provider may have billed all of it; what was really
    used, nobody knows."""
    amount, draw = held.worst_case, held.draw
    effective = amount if draw is None else draw.cost
    billed = effective if draw is None or draw.is_overage else 0
    spent = tuple(0 if key[1] == Measure.PARALLEL else most for key, most in held.accounts)
    covered = held.covered or (True,) * len(spent)
    return Ended(
        held.attempt_id,
        Kind.POSTED,
        now_ns,
        "lost with its worker",
        usage=(None,) * 7,
        charge=(billed, effective, amount, amount, None, None),
        estimated=True,
        spent=spent,
        uncovered=tuple(0 if one else most for one, most in zip(covered, spent, strict=True)),
        micro_units=0 if draw is None else draw.micro_units,
    )
