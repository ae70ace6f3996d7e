"""What a client is told when its request cannot be answered.

ProxyError                       status  type                     code
├── Invalid                      400     invalid_request_error    (the fault's own)
│   ├── OverMaxCost              400     invalid_request_error    max_cost_exceeded
│   └── Untranslatable           400     invalid_request_error    not_translatable
├── NotAuthenticated             401     authentication_error     invalid_api_key
├── OverBudget                   402     insufficient_quota       budget_exceeded
├── ModelForbidden               403     permission_error         model_not_allowed
├── ModelRestricted              403     permission_error         model_restricted
├── RoleForbidden                403     permission_error         role_not_allowed
├── NotFound                     404     invalid_request_error    model_not_found, unknown_url
├── MethodNotAllowed             405     invalid_request_error    method_not_allowed
├── TooSlow                      408     invalid_request_error    request_timeout
├── Conflict                     409     invalid_request_error    conflict
│   └── AlreadyAnswered          409     invalid_request_error    idempotency_key_used
├── TooLarge                     413     invalid_request_error    request_too_large
├── KeyReused                    422     invalid_request_error    idempotency_key_reused
├── RateLimited                  429     rate_limit_error         rate_limit_exceeded
│   ├── OverLimit                429     rate_limit_error         (the same, and the next one's)
│   └── TooManyAtOnce            429     rate_limit_error         concurrency_limit_exceeded
├── Refused                      (the provider's own 4xx, its error passed on)
├── Internal                     500     api_error                internal_error
├── UpstreamFailed               502     api_error                upstream_failed
├── LedgerUnavailable            503     api_error                ledger_unavailable
├── FilesUnavailable             503     api_error                files_unavailable
├── Draining                     503     api_error                shutting_down
└── UpstreamLate                 504     api_error                upstream_timeout

OpenAI's shape: {"error": {"message", "type", "param", "code"}}, all four always there. To a client
that speaks Messages, Anthropic's: {"type": "error", "error": {"type", "message", …}, "request_id"}.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

import msgspec

from ledger.errors import BudgetExceeded, LedgerError
from ledger.limits import is_reserved
from ledger.measures import Measure
from ledger.money import Money, as_usd, usd_text
from proxy.exchange import Headers

log = logging.getLogger("hedgerow")
log.addHandler(logging.NullHandler())  # `serve` says where it goes; elsewhere it is nobody's
_encode = msgspec.json.Encoder(decimal_format="number").encode

BOOKS_BACK_S = 2.0
"""How long a client is asked to wait for books that cannot be written."""


@dataclass(eq=False)
class ProxyError(Exception):
    """An answer that is an error. `param` names the field at fault; `more` adds to the error.

    retry_after_s: when to come back, for errors that pass. request_id: of the request that it ends,
    where it is told by those who do not know that (the last event of a stream).
    """

    message: str
    param: str | None = None
    code: str | None = None
    more: dict[str, object] = field(default_factory=dict)
    retry_after_s: float | None = None
    request_id: str | None = None

    status: ClassVar[int] = 500
    type: ClassVar[str] = "api_error"
    default_code: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        self.code = self.code or self.default_code

    @property
    def answer_status(self) -> int:
        return self.status

    def __str__(self) -> str:
        return self.message

    @property
    def headers(self) -> Headers:
        """What goes with it: clients wait for so many whole seconds."""
        if self.retry_after_s is None:
            return []
        return [("retry-after", str(math.ceil(self.retry_after_s)))]

    def body(self) -> bytes:
        """In OpenAI's shape."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return _encode({"error": error | self.more})

    def anthropic_body(self, request_id: str | None = None) -> bytes:
        """In Anthropic's shape, with what OpenAI's has besides."""
        kind = _ANTHROPIC_TYPES.get(self.answer_status, "api_error")
        error = {"type": kind, "message": self.message, "param": self.param, "code": self.code}
        asked = request_id or self.request_id
        return _encode({"type": "error", "error": error | self.more, "request_id": asked})


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "invalid_request_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class Invalid(ProxyError):
    status, type = 400, "invalid_request_error"


@dataclass(eq=False)
class OverMaxCost(Invalid):
    """It may cost more than its client lets it. affordable_max_tokens: as of OverBudget."""

    affordable_max_tokens: int = 0

    default_code = "max_cost_exceeded"


class Untranslatable(Invalid):
    """No provider of the model speaks the client's wire, and another cannot say the same."""

    default_code = "not_translatable"


class NotAuthenticated(ProxyError):
    status, type, default_code = 401, "authentication_error", "invalid_api_key"


@dataclass(eq=False)
class OverBudget(ProxyError):
    """affordable_max_tokens: with which it would fit; 0 if nothing of this size does."""

    affordable_max_tokens: int = 0

    status, type, default_code = 402, "insufficient_quota", "budget_exceeded"


class ModelForbidden(ProxyError):
    status, type, default_code = 403, "permission_error", "model_not_allowed"


class ModelRestricted(ProxyError):
    """A budget is nearly spent, and lets only other models through."""

    status, type, default_code = 403, "permission_error", "model_restricted"


class RoleForbidden(ProxyError):
    """Somebody is known, and may not do this."""

    status, type, default_code = 403, "permission_error", "role_not_allowed"


class NotFound(ProxyError):
    status, type = 404, "invalid_request_error"


class MethodNotAllowed(ProxyError):
    status, type, default_code = 405, "invalid_request_error", "method_not_allowed"


class TooSlow(ProxyError):
    status, type, default_code = 408, "invalid_request_error", "request_timeout"


class Conflict(ProxyError):
    """What it is about is in a state in which this cannot be done to it."""

    status, type, default_code = 409, "invalid_request_error", "conflict"

    @property
    def headers(self) -> Headers:
        """OpenAI's and Anthropic's clients try a 409 again, unless they are told."""
        return [*super().headers, ("x-should-retry", "false")]


class AlreadyAnswered(Conflict):
    """An Idempotency-Key whose answer is not here (any more). Nothing is charged for saying so."""

    default_code = "idempotency_key_used"


class TooLarge(ProxyError):
    status, type, default_code = 413, "invalid_request_error", "request_too_large"


class KeyReused(ProxyError):
    """An Idempotency-Key that another request has, for something else."""

    status, type, default_code = 422, "invalid_request_error", "idempotency_key_reused"


class RateLimited(ProxyError):
    status, type, default_code = 429, "rate_limit_error", "rate_limit_exceeded"


@dataclass(eq=False)
class OverLimit(RateLimited):
    """A budget of tokens or requests has not so much left, now.

    affordable_max_tokens: as of OverBudget. limits: the headers that tell clients of it.
    """

    affordable_max_tokens: int = 0
    limits: Headers = field(default_factory=list)

    @property
    def headers(self) -> Headers:
        return [*super().headers, *self.limits]


class TooManyAtOnce(RateLimited):
    default_code = "concurrency_limit_exceeded"


class Internal(ProxyError):
    status, type, default_code = 500, "api_error", "internal_error"


class UpstreamFailed(ProxyError):
    status, type, default_code = 502, "api_error", "upstream_failed"


class LedgerUnavailable(ProxyError):
    status, type, default_code = 503, "api_error", "ledger_unavailable"


class FilesUnavailable(ProxyError):
    status, type, default_code = 503, "api_error", "files_unavailable"


class Draining(ProxyError):
    status, type, default_code = 503, "api_error", "shutting_down"


class UpstreamLate(ProxyError):
    status, type, default_code = 504, "api_error", "upstream_timeout"


@dataclass(eq=False)
class Refused(ProxyError):
    """A provider says that the request is wrong; no other offer would say otherwise."""

    upstream_status: int = 400

    type = "invalid_request_error"

    @property
    def answer_status(self) -> int:
        return self.upstream_status


def as_answer(error: Exception, request_id: str) -> ProxyError:
    """What the client is told of an error: ours as they are, the others without their insides."""
    if isinstance(error, ProxyError):
        return error
    if isinstance(error, LedgerError):
        log.error("%s: %s", request_id, error)
        return LedgerUnavailable(
            "the books cannot be written now, so nothing may be spent: try again in a few seconds",
            retry_after_s=BOOKS_BACK_S,
        )
    log.error("%s failed by a fault of ours", request_id, exc_info=error)
    return Internal(f"a fault in Hedgerow; its log names it by {request_id}")


def over_budget(
    refused: BudgetExceeded, affordable_max_tokens: int, at: datetime, key_name: str | None = None
) -> OverBudget | OverLimit:
    """What a client is told of a budget that is too small for its request: which one, its numbers,
    and what would still fit. One of money is a 402; one of tokens or requests passes: a 429."""
    if refused.measure is not Measure.USD:
        return _over_limit(refused, affordable_max_tokens, at, key_name)
    left = usd_text(Money(max(0, refused.left)))
    return OverBudget(
        f"{_which(refused, key_name)} ({refused.scope}) has {left} USD left of"
        f" {usd_text(Money(refused.cap))}; this request may cost up to"
        f" {usd_text(Money(refused.needed))} USD;{_what_fits(affordable_max_tokens)};"
        f" {_when(refused)}",
        param="max_tokens" if affordable_max_tokens > 0 else None,
        affordable_max_tokens=affordable_max_tokens,
        more={
            "budget": refused.budget,
            "scope": refused.scope,
            "cap_usd": as_usd(Money(refused.cap)),
            "spent_usd": as_usd(Money(refused.spent)),
            "held_usd": as_usd(Money(refused.held)),
            "needed_usd": as_usd(Money(refused.needed)),
            "affordable_max_tokens": affordable_max_tokens,
            "resets_at": _iso(refused.resets_at),
        },
    )


def over_max_cost(
    offer_id: str, most: Money, spent: Money, needed: Money, affordable_max_tokens: int
) -> OverMaxCost:
    """spent: what its attempts have cost, and may still cost. needed: by the one that is not
    made."""
    so_far = f", and {usd_text(spent)} may be spent already" if spent else ""
    return OverMaxCost(
        f"{offer_id} may cost up to {usd_text(needed)} USD; x-hedgerow-max-cost-usd lets this"
        f" request cost {usd_text(most)}{so_far};{_what_fits(affordable_max_tokens)}",
        param="x-hedgerow-max-cost-usd",
        affordable_max_tokens=affordable_max_tokens,
        more={
            "max_cost_usd": as_usd(most),
            "spent_usd": as_usd(spent),
            "needed_usd": as_usd(needed),
            "affordable_max_tokens": affordable_max_tokens,
        },
    )


def _over_limit(
    refused: BudgetExceeded, affordable_max_tokens: int, at: datetime, key_name: str | None
) -> OverLimit:
    unit, left = refused.measure.unit, max(0, refused.left)
    more: dict[str, object] = {
        "budget": refused.budget,
        "scope": refused.scope,
        "cap": refused.cap,
        "spent": refused.spent,
        "held": refused.held,
        "needed": refused.needed,
        "unit": refused.measure.value,
        "resets_at": _iso(refused.resets_at),
    }
    if refused.measure is Measure.PARALLEL:
        return OverLimit(
            f"{_which(refused, key_name)} ({refused.scope}) allows {refused.cap} {unit}, and so"
            " many are under way: wait for one of them",
            code="concurrency_limit_exceeded",
            retry_after_s=1.0,
            more=more,
        )
    fits = ""
    if refused.measure is Measure.TOKENS:
        fits = _what_fits(affordable_max_tokens) + ";"
        more["affordable_max_tokens"] = affordable_max_tokens
    wait_s = None if refused.resets_at is None else (refused.resets_at - at).total_seconds()
    limits = [
        (f"x-ratelimit-limit-{refused.measure}", str(refused.cap)),
        (f"x-ratelimit-remaining-{refused.measure}", str(left)),
    ]
    if wait_s is not None:
        limits.append((f"x-ratelimit-reset-{refused.measure}", f"{max(0.0, wait_s):.0f}s"))
    if never := refused.needed > refused.cap:
        limits.append(("x-should-retry", "false"))
    return OverLimit(
        f"{_which(refused, key_name)} ({refused.scope}) has {left} {unit} left of {refused.cap};"
        f" this request may need {refused.needed}{', more than it ever lets through' * never};"
        f"{fits} {_when(refused)}",
        param="max_tokens" if affordable_max_tokens > 0 and fits else None,
        retry_after_s=None if wait_s is None else max(1.0, wait_s),
        affordable_max_tokens=affordable_max_tokens,
        limits=limits,
        more=more,
    )


def _which(refused: BudgetExceeded, key_name: str | None) -> str:
    if not is_reserved(refused.budget):
        return f"budget {refused.budget}"
    if not refused.budget.startswith("key "):
        return f"the own limit of {refused.budget.rpartition(' ')[0]}"
    return "this key's own limit" if key_name is None else f"the own limit of key {key_name}"


def _what_fits(affordable_max_tokens: int) -> str:
    if affordable_max_tokens > 0:
        return f" with max_tokens of at most {affordable_max_tokens} it would fit"
    return " nothing of this size fits any more"


def _when(refused: BudgetExceeded) -> str:
    resets = _iso(refused.resets_at)
    return f"the budget starts anew at {resets}" if resets else "the budget never starts anew"


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
