"""Prober: short requests to offers that nobody has asked lately, so that the market knows them.

They go through our own HTTP, pinned, and are charged like anybody's: what they see reaches the
market as all traffic does. Their money is accrued over the day, so that the last hour is probed as
well as the first; the budget in the books is what holds, and its refusal ends them until it resets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from benchmarks.errors import BudgetSpent, NotAnswered
from benchmarks.offers import Offer, Task
from benchmarks.own_api import OwnApi, Streamed
from benchmarks.quotes import Quote
from benchmarks.snapshot import Listing
from ledger.money import ZERO, Money

log = logging.getLogger("hedgerow")

ENOUGH_SEEN = 8
"""Attempts in the last minutes that make a probe needless."""
AT_ONCE = 4
NEVER_S = 7 * 86_400.0
"""How long ago an offer counts as probed that never was."""
DAY_S = 86_400.0
_COMPARED_TOKENS = (1000, 250)
"""In and out, by which offers are compared in price."""


@dataclass(frozen=True, slots=True)
class Probing:
    """How it is probed. per_day: the budget, which the books keep; here it is only paced."""

    every_s: float
    per_day: Money
    max_tokens: int
    prompt: str

    def request(self, model: str) -> dict[str, object]:
        message = {"role": "user", "content": self.prompt}
        return {"model": model, "messages": [message], "max_tokens": self.max_tokens}

    def worst_case(self, quote: Quote) -> Money:
        """No token is shorter than a byte; what stands around the prompt is a few dozen."""
        return quote.worst_case(len(self.prompt.encode()) + 64, self.max_tokens)


@dataclass(frozen=True, slots=True)
class Target:
    """An offer that can be probed. relative: its price, in that of the model's cheapest. attempts:
    how often traffic has seen it in the last minutes."""

    model: str
    offer: Offer
    quote: Quote
    relative: float
    attempts: int


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe saw; error: why it saw nothing, None if it did."""

    target: Target
    seen: Streamed | None
    error: str | None


def targets(models: Mapping[str, Sequence[Listing]], *, fresh_too: bool = False) -> list[Target]:
    """Each offer that writes and has a price, once, by the first model that has it. Those that
    traffic has seen enough of lately are left out, unless `fresh_too`."""
    found: dict[str, Target] = {}
    for model, listings in models.items():
        quotes = [one.quote for one in listings if one.quote is not None]
        cheapest = min((_price(one) for one in quotes), default=0)
        for one in listings:
            tasks = one.offer.tasks
            if one.quote is None or (tasks is not None and Task.CHAT not in tasks):
                continue
            if one.seen.attempts >= ENOUGH_SEEN and not fresh_too:
                continue
            relative = (_price(one.quote) + 1) / (cheapest + 1)
            target = Target(model, one.offer, one.quote, relative, one.seen.attempts)
            found.setdefault(one.offer.id, target)
    return list(found.values())


def most_due(
    candidates: Sequence[Target], since_s: Mapping[str, float], every_s: float
) -> list[Target]:
    """Those whose last probe is long ago, the longest first. What is dear counts as less long ago,
    since requests hardly go there; so does what traffic has seen. since_s: how long ago it was, by
    offer; who is not there never was."""

    def due(one: Target) -> float:
        ago_s = min(since_s.get(one.offer.id, NEVER_S), NEVER_S)
        return ago_s / one.relative / (1 + one.attempts)

    ready = [one for one in candidates if since_s.get(one.offer.id, NEVER_S) >= every_s / 2]
    return sorted(ready, key=lambda one: (-due(one), one.offer.id))


def affordable(
    ordered: Sequence[Target], worst: Callable[[Quote], Money], left: Money, per_day: Money
) -> list[Target]:
    """The first of them whose worst cases fit into `left` together. One that does not fit yet is
    waited for; one that no day's budget would pay is passed over."""
    found = []
    for one in ordered:
        cost = worst(one.quote)
        if cost > per_day:
            continue
        if cost > left:
            break
        left = Money(left - cost)
        found.append(one)
    return found


@dataclass(slots=True)
class Prober:
    """Probes again and again. models: those of the newest snapshot. now: in UTC.

    allowance: what may be spent by now of what the day may cost.
    """

    api: OwnApi
    probing: Probing
    models: Callable[[], Mapping[str, Sequence[Listing]]]
    monotonic_s: Callable[[], float]
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    draw: Callable[[], float]
    allowance: Money = ZERO
    last_s: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Until it is cancelled. Rounds are `every_s` apart, more or less: several proxies that
        started together do not probe together."""
        await self.sleep(self.probing.every_s * self.draw())
        while True:
            try:
                await self.round()
            except BudgetSpent as spent:
                wait_s = seconds_until(spent.resets_at, self.now())
                log.info("probes rest for %.0f s: %s", wait_s, spent)
                await self.sleep(wait_s)
            await self.sleep(self.probing.every_s * (0.75 + self.draw() / 2))

    async def round(self) -> list[Probed]:
        """One round. Raises BudgetSpent once the budget in the books refuses."""
        probing = self.probing
        share = int(probing.per_day * min(1.0, probing.every_s / DAY_S))
        self.allowance = Money(min(probing.per_day, self.allowance + share))
        now_s, found = self.monotonic_s(), targets(self.models())
        known = {one.offer.id for one in targets(self.models(), fresh_too=True)}
        self.last_s = {name: at for name, at in self.last_s.items() if name in known}
        since_s = {name: now_s - at for name, at in self.last_s.items()}
        ordered = most_due(found, since_s, probing.every_s)
        due = affordable(ordered, probing.worst_case, self.allowance, probing.per_day)
        for one in due:
            self.last_s[one.offer.id] = now_s
        probed = await probe_all(self.api, probing, due)
        spent = (_cost(one, probing) for one in probed)
        self.allowance = Money(max(0, self.allowance - sum(spent)))
        return probed


async def probe_all(api: OwnApi, probing: Probing, due: Sequence[Target]) -> list[Probed]:
    """Each of them once, a few at a time. Raises BudgetSpent when those under way have ended."""
    gate = asyncio.Semaphore(AT_ONCE)
    refused: list[BudgetSpent] = []

    async def one(target: Target) -> Probed:
        async with gate:
            if refused:
                return Probed(target, None, str(refused[0]))
            try:
                seen = await api.stream(probing.request(target.model), target.offer)
            except BudgetSpent as spent:
                refused.append(spent)
                return Probed(target, None, str(spent))
            except NotAnswered as error:  # the market has seen it, too
                log.debug("probe of %s: %s", target.offer.id, error)
                return Probed(target, None, str(error))
            return Probed(target, seen, None)

    probed = await asyncio.gather(*map(one, due))
    if refused:
        raise refused[0]
    return list(probed)


def seconds_until(resets_at: datetime | None, now: datetime) -> float:
    """Until a budget lets more through; without a word of it, until the next day in UTC."""
    if resets_at is None:
        midnight = datetime.combine(now.astimezone(UTC).date(), datetime.min.time(), UTC)
        resets_at = midnight + timedelta(days=1)
    return max(1.0, (resets_at - now).total_seconds())


def _price(quote: Quote) -> Money:
    return quote.worst_case(*_COMPARED_TOKENS)


def _cost(one: Probed, probing: Probing) -> Money:
    """What it cost; nobody knows of one that was not answered: then the most that it can have."""
    if one.seen is not None and one.seen.cost is not None:
        return one.seen.cost
    return probing.worst_case(one.target.quote)
