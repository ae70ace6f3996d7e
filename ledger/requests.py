"""RequestRecord: what became of one request, refused ones included."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from ledger.money import Money

FAILURES_KEPT = 20
"""Of one request, the first ones."""
WHY_LIMIT = 300
"""Characters of a reason that are kept: it may be in a provider's words."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that brought no answer, or not the whole of it.

    offer: the id of the offer that was asked. account: which of our accounts at its provider.
    why: for people. after_ms: from its beginning to its failure.
    """

    offer: str
    account: str | None
    why: str
    after_ms: float


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as its client saw it.

    outcome: `answered`, or the code of the error that the client got.
    would_have_cost: what a request that a budget refused was expected to cost; demand that a cap
    cut off is still demand. None for every other request.
    decision: the router's decision as JSON text, opaque here; None if none was made.
    failures: the attempts that failed, in order; none in books from before they were kept.
    would_block: names of budgets in shadow mode that would have refused it.
    """

    id: str
    at_ns: int
    key_id: str
    team: str | None
    user: str | None
    model: str
    outcome: str
    status: int
    attempts: int
    would_have_cost: Money | None
    decision: str | None
    failures: tuple[FailedAttempt, ...] = ()
    would_block: tuple[str, ...] = ()


def failures_to_text(failures: tuple[FailedAttempt, ...]) -> str | None:
    """As they are kept: JSON within the limits, each reason in one printable line; None if none."""
    kept = [asdict(replace(one, why=_line(one.why))) for one in failures[:FAILURES_KEPT]]
    return json.dumps(kept) if kept else None


def failures_from_text(text: str | None) -> tuple[FailedAttempt, ...]:
    return () if text is None else tuple(FailedAttempt(**one) for one in json.loads(text))


def _line(why: str) -> str:
    plain = "".join(one if one.isprintable() else " " for one in why)
    return " ".join(plain.split())[:WHY_LIMIT].rstrip()
