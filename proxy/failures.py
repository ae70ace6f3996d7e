"""AttemptFailed: an attempt that another offer may make good, and the ways to come to it.

Each of them judges the offer, and posts or voids the attempt's hold.
"""

from __future__ import annotations

from enum import StrEnum

from benchmarks.traffic.observations import Outcome
from proxy.errors import Refused, log
from proxy.refusals import Fault, read_refusal
from proxy.trial import Trial
from proxy.upstream import Answer, Diverged, Late, NotConnected, UpstreamError, retry_after_s

ACCOUNT_REST_S = 60.0
"""How long an account rests whose key was refused."""


class Trouble(StrEnum):
    """What an attempt that failed says of trying the same offer again."""

    PASSES = "passes"
    """Later it may go better."""
    ACCOUNT = "account"
    """With another of our accounts it may go better, now."""
    OFFER = "offer"
    """Not for this request."""
    TOO_LONG = "too_long"
    """Not for this request, nor at any offer with as short a context."""


class NothingToDraw(Exception):
    """So much is not left of the commitment that an attempt was to draw on: nothing was held, and
    the offer stands where its usual cost puts it."""


class AttemptFailed(Exception):
    """This offer did not answer; another may.

    late: for want of time. retry_after_s: it is rate limited, for so long. refused: what the
    caller is told if no other does better.
    """

    def __init__(
        self,
        why: str,
        trouble: Trouble = Trouble.PASSES,
        *,
        late: bool = False,
        retry_after_s: float | None = None,
        refused: Refused | None = None,
    ) -> None:
        super().__init__(why)
        self.trouble = trouble
        self.late = late
        self.retry_after_s = retry_after_s
        self.refused = refused


async def unanswered(trial: Trial, error: UpstreamError) -> AttemptFailed:
    if isinstance(error, Diverged):  # it would say so again; and nothing is wrong with it
        trial.unjudged()
        await trial.abandon()
        return AttemptFailed(str(error), Trouble.OFFER)
    trial.failed(Outcome.FAILED)
    if isinstance(error, NotConnected):
        await trial.void("not connected")
        return AttemptFailed(str(error))
    late = isinstance(error, Late)
    await trial.abandon(late=late)
    return AttemptFailed(str(error), late=late)


async def erred(trial: Trial, *, late: bool = False) -> None:
    """The client left, another offer was faster, or we erred: it may have been billed."""
    if trial.is_overtaken and not trial.resolved:
        trial.overtaken()
    trial.unjudged()  # says nothing where it has been judged already
    if not trial.resolved:
        await trial.abandon(late=late)


async def nonsense(trial: Trial, why: str) -> AttemptFailed:
    trial.failed(Outcome.FAILED)
    await trial.abandon()
    return AttemptFailed(why)


async def judge_refusal(trial: Trial, answer: Answer, body: bytes) -> None:
    """An answer that is no 200. Raises AttemptFailed or Refused; nothing is billed for most."""
    refusal, offer = read_refusal(answer.status, body), trial.listing.offer
    why = f"status {refusal.status}"
    if refusal.maybe_billed:
        trial.failed(Outcome.FAILED)
        await trial.abandon()
        raise AttemptFailed(why)
    await trial.void(f"status {refusal.status}")
    match refusal.fault:
        case Fault.CALLER:
            trial.unjudged()
            raise refusal.error
        case Fault.TOO_LONG:
            trial.unjudged()
            raise AttemptFailed(why, Trouble.TOO_LONG, refused=refusal.error)
        case Fault.BUSY:
            now_ns = trial.house.clock.now_ns()
            _rest(trial, Outcome.RATE_LIMITED, why, retry_after_s(answer.headers, now_ns))
        case Fault.ACCOUNT:
            _alarm(trial, refusal.status)
            _rest(trial, Outcome.FAILED, why, None)
        case Fault.OFFER:
            log.error(
                "%s answers %d at %s: check the offer's model name, and the provider's base_url"
                " (most end in /v1)",
                *(offer.id, refusal.status, trial.leg.url.partition("?")[0]),
            )
            trial.failed(Outcome.FAILED)
            raise AttemptFailed(why, Trouble.OFFER)
        case Fault.PROVIDER:
            trial.failed(Outcome.FAILED)
            raise AttemptFailed(why)


def _alarm(trial: Trial, status: int) -> None:
    """Our key, or our account, is refused: the operator's to mend. Said once while it rests."""
    provider, account = trial.leg.provider.name, trial.account
    if trial.house.accounts.is_resting(provider, account, trial.house.clock.monotonic_s()):
        return
    if account.api_key is None:
        log.error("provider %s answers %d: it has no api_key, and wants one", provider, status)
        return
    log.error(
        "provider %s answers %d to account %s: check its api_key, and its credit",
        *(provider, status, account.name),
    )


def _rest(trial: Trial, outcome: Outcome, why: str, rest_s: float | None) -> None:
    """Our account was refused: it rests. Only without another one, the offer rests."""
    house, now_s = trial.house, trial.house.clock.monotonic_s()
    own_rest_s = ACCOUNT_REST_S if rest_s is None else rest_s
    if house.accounts.rest(trial.leg.provider.name, trial.account, now_s, own_rest_s):
        trial.unjudged()
        raise AttemptFailed(why, Trouble.ACCOUNT, retry_after_s=rest_s)
    trial.failed(outcome, rest_s)
    if rest_s is None:
        raise AttemptFailed(why, Trouble.OFFER)
    raise AttemptFailed("it is rate limited (429)", retry_after_s=rest_s)
