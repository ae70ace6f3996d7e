"""What a journal's records say: a hold that was taken, and how it ended.

They are MessagePack arrays. A field is only ever added at the end, with a default: a later version
reads what an earlier one left.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from ledger.attempts import Attempt, Hold, Settlement
from ledger.budgets import AccountKey
from ledger.entries import Drawn, Kind

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

CardRow: TypeAlias = tuple[str, str, str, str, str, str, str | None]
"""A rate card's prices as exact text, and its unit."""


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


class Ended(msgspec.Struct, array_like=True, tag=2, frozen=True, gc=False):
    """The end of a hold: written before its client reads the last byte.

    card: None if it is that of its hold. usage, charge: of what was posted, in the orders of
    TokenUsage and Charge. spent, uncovered: one for each of the hold's accounts (`entries.Drawn`);
    both empty if nothing was spent.
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


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Held | Ended).decode

decode = _decode


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


def held(hold: Hold) -> bytes:
    attempt = hold.attempt
    return _encode(
        Held(
            attempt.id,
            attempt.request_id,
            attempt.at_ns,
            subject_key(attempt),
            attempt.streamed,
            attempt.rates.as_row(),
            attempt.worst_case,
            attempt.most_tokens,
            attempt.is_counted,
            tuple([(one.key, attempt.reserves(one.measure)) for one in hold.accounts]),
        )
    )
