"""RequestRecord: what became of one request, refused ones included."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.money import Money


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as its client saw it.

    outcome: `answered`, or the code of the error that the client got.
    would_have_cost: what a request that a budget refused was expected to cost; demand that a cap
    cut off is still demand. None for every other request.
    decision: the router's decision as JSON text, opaque here; None if none was made.
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
