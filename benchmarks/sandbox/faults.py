"""Fault: one way for a sandbox provider to go wrong, and FaultRates: how often each happens."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum


class Fault(StrEnum):
    """One way to go wrong, drawn by FaultRates or asked for in `sandbox: {"fault": …}`.

    Instead of an answer:
    http_500, http_429, http_401: refuses with this status; 429 says in how many seconds to come
    back. retry_after_ms, retry_after_date: the same 429, which says it in milliseconds, or by the
    date.
    content_filter, context: refuses with 400 a prompt that its filter dislikes, or that it calls
    too long.
    reset: closes the connection before any answer, with a TCP reset.
    hang: takes the request and never answers.
    trickle: status 200, then signs of life alone until the client leaves: comments in a stream,
    empty lines in place of a plain answer.
    nonsense: status 200, and a body that is no JSON.

    In the middle of the answer:
    cut: closes the connection.
    stall: falls silent until the client leaves.
    short: a stream ends properly, but here: nothing says how it ended, what it used, that it did.
    error_event: a stream ends with an error event.
    malformed: one event of a stream is broken; the others are the whole answer.

    All of the answer:
    no_usage: it does not say what it cost; it is billed all the same.
    no_done: a stream lacks its last event, [DONE] or `message_stop`; `response.completed` and
    `transcript.text.done` take the usage with them.
    slow: the first byte comes `slow_ms` later, and nothing is billed before.
    late: a plain answer is billed at once and comes `slow_ms` later.

    What is about streams only leaves a plain answer as it is, and `late` a stream.
    """

    HTTP_500 = "http_500"
    HTTP_429 = "http_429"
    HTTP_401 = "http_401"
    RESET = "reset"
    HANG = "hang"
    CUT = "cut"
    SHORT = "short"
    NONSENSE = "nonsense"
    NO_USAGE = "no_usage"
    NO_DONE = "no_done"
    SLOW = "slow"
    RETRY_AFTER_MS = "retry_after_ms"
    RETRY_AFTER_DATE = "retry_after_date"
    CONTENT_FILTER = "content_filter"
    CONTEXT = "context"
    TRICKLE = "trickle"
    STALL = "stall"
    ERROR_EVENT = "error_event"
    MALFORMED = "malformed"
    LATE = "late"


RATE_LIMITED = frozenset((Fault.HTTP_429, Fault.RETRY_AFTER_MS, Fault.RETRY_AFTER_DATE))
UNANSWERED = frozenset((Fault.RESET, Fault.HANG))
DOWN = RATE_LIMITED | UNANSWERED | {Fault.HTTP_500, Fault.HTTP_401}
"""What is wrong with the provider as a whole: lists of models, files and batches meet it too."""
BROKEN_OFF = frozenset((Fault.CUT, Fault.STALL, Fault.SHORT, Fault.ERROR_EVENT))
"""A stream goes no further than its middle."""


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Chance of each fault, 0 to 1, for every request; together at most 1."""

    http_500: float = 0.0
    http_429: float = 0.0
    http_401: float = 0.0
    reset: float = 0.0
    hang: float = 0.0
    cut: float = 0.0
    short: float = 0.0
    nonsense: float = 0.0
    no_usage: float = 0.0
    no_done: float = 0.0
    slow: float = 0.0
    retry_after_ms: float = 0.0
    retry_after_date: float = 0.0
    content_filter: float = 0.0
    context: float = 0.0
    trickle: float = 0.0
    stall: float = 0.0
    error_event: float = 0.0
    malformed: float = 0.0
    late: float = 0.0

    def __post_init__(self) -> None:
        rates = [getattr(self, one.name) for one in fields(self)]
        if not all(0 <= rate <= 1 for rate in rates) or sum(rates) > 1 + 1e-9:
            raise ValueError(f"fault rates {rates}: each is 0 to 1, and together at most 1")

    def pick(self, draw: float) -> Fault | None:
        """The fault that a uniform draw from [0, 1) falls on, or None."""
        for fault in Fault:
            draw -= getattr(self, fault)
            if draw < 0:
                return fault
        return None
