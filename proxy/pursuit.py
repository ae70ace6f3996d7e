"""Pursuit: one request's way through the offers, under one deadline and one number of attempts.

Each offer is asked once, in the router's order; then again those at which it may go better later,
each when its rest is over: what it asked for by `retry-after`, or a back-off.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from ledger.money import Money
from ledger.requests import FailedAttempt
from proxy.accounts import Busy
from proxy.attempt import Opened, ask_upstream, reserve
from proxy.errors import (
    OverBudget,
    OverLimit,
    OverMaxCost,
    ProxyError,
    RateLimited,
    Refused,
    Untranslatable,
    UpstreamFailed,
    UpstreamLate,
)
from proxy.exchange import Exchange
from proxy.failures import AttemptFailed, NothingToDraw, Trouble
from proxy.house import House
from proxy.legs import Body, Leg, leg_to
from proxy.meter import estimate_delivered
from proxy.patience import StreamRescue
from proxy.race import Race
from proxy.splice import Splice
from proxy.trial import Request, Trial
from proxy.wires.wire import Ask
from routing.breaker import Health
from routing.candidates import Candidate, First
from routing.second_offers import SecondOffer

FIRST_BACK_OFF_S = 0.25
LONGEST_BACK_OFF_S = 4.0
OVERTAKEN = "another offer began its answer first"


@dataclass(slots=True)
class _Option:
    """A candidate, and how it did so far."""

    candidate: Candidate
    tries: int = 0
    was_asked: bool = False
    ready_at_s: float = 0.0
    is_out: bool = False

    def is_at(self, candidate: Candidate) -> bool:
        return self.candidate.listing is candidate.listing

    @property
    def context_tokens(self) -> int | None:
        return self.candidate.listing.offer.context_tokens

    @property
    def offer_id(self) -> str:
        return self.candidate.listing.offer.id

    @property
    def model(self) -> str:
        return self.candidate.intent.model


class Pursuit:
    """attempts: how many were made, each of which may have been billed. failures: those that
    failed, streams that broke off and those that were overtaken among them. asked_s: since when
    the answer was waited for, attempts that failed before it apart. would_block: budgets in shadow
    mode that the last one did not fit into."""

    def __init__(self, house: House, request: Request, x: Exchange) -> None:
        self._x = x
        self.attempts = 0
        self.asked_s = 0.0
        self.would_block: tuple[str, ...] = ()
        self._house = house
        self._request = request
        self._splice = self._new_splice()
        self._failures: dict[int, FailedAttempt] = {}
        self._options: list[_Option] = []
        self._refusals: list[OverBudget | OverLimit | OverMaxCost] = []
        self._untranslatable: list[Untranslatable] = []
        self._failed_by: list[AttemptFailed] = []
        self._busy_until_s: float | None = None

    @property
    def cost(self) -> Money:
        """As far as it is known by now."""
        return self._request.bill.posted

    @property
    def failures(self) -> tuple[FailedAttempt, ...]:
        return tuple(one for _, one in sorted(self._failures.items()))

    async def answer(self) -> Opened:
        """The next answer that begins well. Raises ProxyError when there will be none."""
        while True:
            self._x.abandonable = True  # nobody is being paid
            option = await self._next()
            if option is None:
                raise self._no_answer()
            opened = await self._try(option)
            if opened is not None:
                return opened

    async def _next(self) -> _Option | None:
        """The offer to ask now, after a wait if need be; None if none is worth it."""
        clock, request = self._house.clock, self._request
        if not self._options and request.decision.candidates:
            self._options.append(_Option(request.decision.candidates[0]))
            return self._options[0]  # most requests need no other
        options = [one for one in self._every() if not one.is_out]
        if self.attempts >= request.patience.attempts or not options:
            return None
        now_s = clock.monotonic_s()
        if self.attempts and now_s >= request.deadline_s:
            return None
        ready = [one for one in options if one.ready_at_s <= now_s]
        if ready:
            ready = self._of_unasked_models(ready) or ready
            # The first of them, in the router's order; but the last attempt is for one that has not
            # been asked: at another all of our accounts may be refused.
            is_last = self.attempts + 1 == request.patience.attempts
            return min(ready, key=lambda one: (one.tries, is_last and one.was_asked))
        soonest = min(options, key=lambda one: one.ready_at_s)
        if soonest.ready_at_s >= request.deadline_s:
            return None
        await clock.sleep(soonest.ready_at_s - now_s)
        return soonest

    def _every(self) -> list[_Option]:
        candidates = self._request.decision.candidates
        if len(self._options) < len(candidates):
            self._options += map(_Option, candidates[len(self._options) :])
        return self._options

    def _undraw(self, option: _Option) -> None:
        """So much is not left of what it was to draw on: it draws on what else we own there, or
        pays, and stands where its cost then puts it, among the others of its model, unless the
        request itself has said who comes first."""
        option.candidate = option.candidate.drawn_next
        every, cost = self._every(), option.candidate.expected_cost
        if self._request.decision.first is First.ASKED:
            return
        at = next(at for at, one in enumerate(every) if one is option)
        behind = at
        for place, one in enumerate(every[at + 1 :], start=at + 1):
            is_alike = one.model == option.model and one.candidate.place is option.candidate.place
            if is_alike and one.candidate.expected_cost < cost:
                behind = place
        every.insert(behind, every.pop(at))

    def _of_unasked_models(self, ready: list[_Option]) -> list[_Option]:
        """Of a request that names other models, too: the last attempts are for those that have not
        been asked."""
        if not self._request.ask.fallbacks:
            return []
        asked = {one.model for one in self._every() if one.was_asked}
        left = self._request.patience.attempts - self.attempts
        unasked = [one for one in ready if one.model not in asked]
        return unasked if left <= len({one.model for one in unasked}) else []

    async def _try(self, option: _Option) -> Opened | None:
        try:
            trial = await self._begin(option)
        except (OverBudget, OverLimit, OverMaxCost) as refused:
            self._refusals.append(refused)
            option.is_out = True
            return None
        except NothingToDraw:
            self._undraw(option)
            return None
        if trial is None:
            return None
        self.asked_s = trial.began_s
        second = self._request.decision.second
        is_first = self.attempts == 1 and option is self._options[0]
        if second is not None and is_first and not option.is_at(second.candidate):
            return await self._raced(option, trial, second)
        return await self._ask(option, trial, self._splice)

    async def _begin(self, option: _Option) -> Trial | None:
        """An attempt with its hold; None if it cannot be made now. Raises OverBudget, OverLimit,
        OverMaxCost, NothingToDraw."""
        house, request = self._house, self._request
        leg = self._leg(option)
        if leg is None:
            return None
        now_s = house.clock.monotonic_s()
        tokens = option.candidate.intent.tokens
        account = house.accounts.take(leg.provider.name, now_s, tokens=tokens)
        if isinstance(account, Busy):
            option.ready_at_s = self._busy_until_s = account.ready_at_s
            return None
        asking = request if leg.ask is request.ask else replace(request, ask=leg.ask)
        trial = await reserve(house, asking, option.candidate, leg, account, self.attempts + 1)
        self.attempts += 1
        self.would_block = trial.hold.would_block
        option.was_asked = True
        self._x.abandonable = request.ask.stream  # what is plain is written to its end, and billed
        return trial

    async def _ask(self, option: _Option, trial: Trial, splice: Splice | None) -> Opened | None:
        try:
            return await ask_upstream(trial, splice)
        except AttemptFailed as failed:
            self.note(trial, str(failed))
            self._failed(option, failed)
            return None
        except Refused as error:
            self._refused(option, trial, error)
            return None
        except Untranslatable as error:
            self._untranslatable.append(error)
            option.is_out = True
            return None

    def _refused(self, option: _Option, trial: Trial, error: Refused) -> None:
        """The request is wrong, or a filter dislikes it. No other offer of the model would say
        otherwise; of the other models that the client names, one may. Raises the error if there is
        none."""
        others = [one for one in self._every() if one.model != option.model and not one.is_out]
        if not self._request.ask.fallbacks or not others:
            raise error
        why = f"status {error.upstream_status}"
        self.note(trial, why)
        self._failed_by.append(AttemptFailed(why, refused=error))
        for one in self._every():
            one.is_out = one.is_out or one.model == option.model

    async def _raced(self, option: _Option, first: Trial, plan: SecondOffer) -> Opened | None:
        """The same, but a second offer is asked, too, if this one is silent for long."""
        offers, spare = self._house.second_offers, self._new_splice()
        race = Race(self._house, first)
        opened = await race.run(
            self._ask(option, first, self._splice),
            lambda: self._second(race, plan, spare),
            plan.after_ms / 1000,
        )
        if not race.was_silent:
            offers.earn(self._request.ask.model, plan.share_millionths)
        if opened is not None and opened.trial is not first:
            offers.won += 1
            self._splice = spare
        for one in race.trials:
            if one.is_overtaken:
                self.note(one, OVERTAKEN)
        return opened

    async def _second(self, race: Race, plan: SecondOffer, splice: Splice | None) -> Opened | None:
        """Ask the second offer, unless there is something against it. A hold that is refused to it
        says nothing: its offer may have one when the first has ended."""
        house, request, offers = self._house, self._request, self._house.second_offers
        offers.earn(request.ask.model, plan.share_millionths)
        option = next(one for one in self._every() if one.is_at(plan.candidate))
        now_s = house.clock.monotonic_s()
        is_well = house.breakers.health(option.offer_id, now_s) is Health.CLOSED
        has_time = now_s < request.deadline_s and self.attempts < request.patience.attempts
        if option.is_out or not is_well or not has_time:
            return None
        if not offers.take(request.ask.model):
            return None
        trial: Trial | None = None
        try:
            trial = await self._begin(option)
        except (OverBudget, OverLimit, OverMaxCost, NothingToDraw):
            pass
        finally:
            if trial is None:
                offers.give_back(request.ask.model)
        if trial is None:
            return None
        race.trials.append(trial)
        return await self._ask(option, trial, splice)

    def _new_splice(self) -> Splice | None:
        request = self._request
        if request.patience.stream_rescue is StreamRescue.PREFIX_MATCH and request.ask.choices == 1:
            return Splice(request.body.told_as())
        return None

    def _leg(self, option: _Option) -> Leg | None:
        """The way there; None, and the option is out, if there is none."""
        request, splice = self._request, self._splice
        body, ask = request.body, request.ask
        offer = option.candidate.listing.offer
        provider = self._house.providers[offer.provider]
        try:
            if splice is not None and splice.is_resumed:
                # A template may cut white space from the end, and the model would say it again.
                delivered = splice.delivered
                prefill = None if delivered[-1:].isspace() else provider.prefill
                if prefill is not None:
                    body = body.continued(delivered, prefill)
                    ask = _rest_of(ask, body, splice)
                elif not request.ask.is_greedy:
                    option.is_out = True
                    return None
                splice.resume(from_the_start=prefill is None)
            leg = leg_to(provider, offer, body, ask)
        except Untranslatable as error:
            self._untranslatable.append(error)
            option.is_out = True
            return None
        if splice is not None and splice.is_resumed and not leg.goes_by_chunks:
            option.is_out = True  # its events would not go through the splice
            return None
        return leg

    def _failed(self, option: _Option, failed: AttemptFailed) -> None:
        self._failed_by.append(failed)
        match failed.trouble:
            case Trouble.ACCOUNT:
                return  # with another of our accounts, at once
            case Trouble.OFFER:
                option.is_out = True
            case Trouble.TOO_LONG:
                for other in self._every():
                    other.is_out = other.is_out or not _is_longer(other, option)
            case Trouble.PASSES:
                option.tries += 1
                rest_s = failed.retry_after_s
                if not rest_s:  # "at once" is no answer to those who came too often
                    longest_s = min(FIRST_BACK_OFF_S * 2 ** (option.tries - 1), LONGEST_BACK_OFF_S)
                    rest_s = longest_s * (1 + self._house.draw()) / 2
                option.ready_at_s = self._house.clock.monotonic_s() + rest_s

    def note(self, trial: Trial, why: str) -> None:
        """Remember why an attempt failed: for whoever asks later."""
        after_ms = 1000 * (self._house.clock.monotonic_s() - trial.began_s)
        offer_id = trial.listing.offer.id
        failed = FailedAttempt(offer_id, trial.account.name, why, round(after_ms, 1))
        self._failures.setdefault(trial.number, failed)

    # -- for a stream that broke off after its first byte

    async def rest_of(self, broken: Opened) -> Opened | None:
        """Another answer that goes on where this one broke off; None if there is none."""
        house, splice = self._house, self._splice
        if splice is None or not splice.can_resume or not broken.trial.leg.goes_by_chunks:
            return None
        broken_id = broken.trial.listing.offer.id
        for option in self._every():
            option.is_out = option.is_out or option.offer_id == broken_id
        deadline_s = house.clock.monotonic_s() + self._request.patience.deadline_s
        self._request = replace(self._request, deadline_s=deadline_s)
        splice.resume(from_the_start=True)
        attempts_before = self.attempts
        try:
            return await self.answer()
        except ProxyError:
            return None  # the client is told of the first fault, not of the last
        finally:
            house.splices.tried += self.attempts > attempts_before

    def ended_well(self) -> None:
        """The stream reached its end."""
        if self._splice is not None and self._splice.is_resumed:
            self._house.splices.matched += 1

    def _no_answer(self) -> ProxyError:
        """What the client is told, by the most telling of all that happened."""
        failures = self._failed_by
        refused = [failed.refused for failed in failures if failed.refused is not None]
        if refused:
            return refused[0]
        if failures:
            told = Counter(f"{one.offer}: {one.why}" for one in self.failures)
            each = [f"{what} ({n} times)" if n > 1 else what for what, n in told.items()]
            why = "no provider gave an answer: " + "; ".join(each)
            rests_s = [one.retry_after_s for one in failures if one.retry_after_s is not None]
            if len(rests_s) == len(failures):
                return RateLimited(why, retry_after_s=min(rests_s))
            return UpstreamLate(why) if failures[-1].late else UpstreamFailed(why)
        if self._busy_until_s is not None:
            left_s = max(1.0, self._busy_until_s - self._house.clock.monotonic_s())
            why = "all of our accounts at the providers of this model are at their limits"
            return RateLimited(why, retry_after_s=left_s)
        if self._refusals:
            return max(self._refusals, key=lambda one: one.affordable_max_tokens)
        if self._untranslatable:
            return self._untranslatable[0]
        return UpstreamFailed("no offer can go on with this answer")


def _rest_of(ask: Ask, body: Body, splice: Splice) -> Ask:
    """What is asked for by a body that has the beginning of its answer: it is a prompt now, and
    counts for the client's limit."""
    most = ask.most_completion_tokens
    if most is not None:
        written = estimate_delivered(0, len(splice.delivered.encode()), splice.pieces)
        most = max(1, most - (written.completion or 0))
    return replace(ask, prompt_bytes=len(body.raw), most_completion_tokens=most)


def _is_longer(one: _Option, than: _Option) -> bool:
    """Whether its context is longer; an unknown one may be."""
    if one is than:
        return False
    if one.context_tokens is None or than.context_tokens is None:
        return True
    return one.context_tokens > than.context_tokens
