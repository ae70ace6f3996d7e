"""Following: what others change in the store, seen within a fraction of a second.

Keys and budgets, slices that another worker needs, and what other workers have spent of budgets
whose thresholds say something.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ledger.budgets import Account, AccountKey
from ledger.desk import Desk
from ledger.errors import StoreUnavailable
from ledger.grants import Grants
from ledger.idempotency import FORGOTTEN_AT_ONCE
from ledger.policy import Policy, Rules
from ledger.store import Store
from ledger.tables.leases import Standing

log = logging.getLogger("hedgerow.ledger")

POLL_S = 0.1
"""How often the store is asked: a change acts within this time and one read."""
SEEN_EVERY = 20
"""How often, in polls, a worker says that it lives..."""
WATCH_EVERY = 5
"""...asks what others have spent of budgets with thresholds..."""
WATCHED_AT_ONCE = 500
"""...of so many at a time, each in its turn: some ms of the store, however many members draw..."""
TIDY_EVERY = 50
"""...and returns slices that nobody draws on."""
FORGET_EVERY_S = 60.0
"""How often Idempotency-Keys are looked through for those that are too old."""


@dataclass(frozen=True, slots=True)
class _News:
    is_written_off: bool
    rules: Rules
    policy: Policy | None
    changed: frozenset[str]
    recalled: list[AccountKey]
    standings: list[tuple[Account, Standing]]


class Following:
    """Follows the store for one worker. `on_policy`: what is called with each new policy."""

    def __init__(
        self,
        desk: Desk,
        grants: Grants,
        rules: Rules,
        policy: Policy,
        on_policy: Callable[[Policy], None],
    ) -> None:
        self._store = desk.store
        self._writer = desk.writer
        self._writer_id = desk.writer_id
        self._slices = desk.slices
        self._clock_ns = desk.times.now_ns
        self._monotonic_s = desk.times.monotonic_s
        self._grants = grants
        self._rules = rules
        self._policy = policy
        self._on_policy = on_policy
        self._read = rules
        """The rules of its policy."""
        self._watched_from = 0
        self._following = asyncio.create_task(self._follow())
        self._forgetting = asyncio.create_task(self._forget_claims())

    @property
    def is_over(self) -> bool:
        """Whether something keeps it from following any further."""
        return self._following.done()

    def set_rules(self, rules: Rules) -> None:
        self._rules = rules

    async def stop(self) -> None:
        for task in (self._following, self._forgetting):
            task.cancel()
        await asyncio.gather(self._following, self._forgetting, return_exceptions=True)

    async def _follow(self) -> None:
        looked_ns, polls = self._clock_ns(), 0
        while True:
            await asyncio.sleep(POLL_S)
            polls += 1
            now_ns = self._clock_ns()
            if self._policy.has_edge_between(looked_ns, now_ns):
                self._grants.give_back(self._slices)  # some caps are others from now on
            looked_ns = now_ns
            if polls % TIDY_EVERY == 0:
                self._grants.give_back(self._slices.idle(now_ns, self._monotonic_s()))
            watched = self._watched() if polls % WATCH_EVERY == 0 else []
            is_alive = polls % SEEN_EVERY == 0
            asking = partial(self._asked, watched, is_alive=is_alive)
            # What is known holds; the next hold says what is wrong.
            with suppress(StoreUnavailable):
                self._heard(await self._writer.submit(asking))

    def _watched(self) -> list[Account]:
        """Accounts of which it matters what others have spent, those whose turn it is."""
        watched = [
            one.account
            for one in self._slices
            if one.account.is_shadow
            or one.is_units
            or ((budget := self._policy.by_name.get(one.account.budget)) and budget.thresholds)
        ]
        if self._watched_from >= len(watched):
            self._watched_from = 0
        since, self._watched_from = self._watched_from, self._watched_from + WATCHED_AT_ONCE
        return watched[since : self._watched_from]

    def _asked(self, watched: list[Account], *, is_alive: bool) -> _News:
        """On the writer's thread."""
        is_written_off = is_alive and not self._store.writers.seen(
            self._writer_id, self._clock_ns()
        )
        policy, changed, rules = None, frozenset[str](), self._rules  # others may come meanwhile
        if rules is not self._read or self._store.policy.version() != self._policy.version:
            policy = read_policy(self._store, rules, self._clock_ns())
            changed = policy.changed_since(self._policy)
        return _News(
            is_written_off,
            rules,
            policy,
            changed,
            self._store.leases.recalled(self._writer_id),
            [(one, self._store.leases.standing(one)) for one in watched],
        )

    def _heard(self, news: _News) -> None:
        if news.is_written_off:
            log.error("this worker was written off while it lived: its slices are given up")
            self._grants.give_back(self._slices)  # they have returned: this returns nothing more
        if news.policy is not None:
            self._policy, self._read = news.policy, news.rules
            self._on_policy(news.policy)
            others = [one for one in self._slices if one.account.budget in news.changed]
            self._grants.give_back(others)
        self._grants.return_recalled(news.recalled)
        for account, standing in news.standings:
            part = self._slices.get(account.key)
            if part is not None and part.account.cap == account.cap:
                part.seen(standing)

    async def _forget_claims(self) -> None:
        claims = self._store.claims
        while True:
            with suppress(StoreUnavailable):  # a claim that stays too long harms nobody
                while (
                    await self._writer.submit(
                        lambda: claims.forget(self._clock_ns(), FORGOTTEN_AT_ONCE)
                    )
                    == FORGOTTEN_AT_ONCE
                ):
                    pass
            await asyncio.sleep(FORGET_EVERY_S)


def read_policy(store: Store, rules: Rules, now_ns: int) -> Policy:
    """Keys and budgets now; those of files come first, in their order."""
    table = store.policy
    of_files, own = {one.name for one in rules.budgets}, table.budgets()
    if doubled := [one.name for one in own if one.name in of_files]:
        log.warning(
            "budgets %s were made without a file, and stand in policy files now, which count:"
            " choose other names there for both to act",
            ", ".join(doubled),
        )
    return Policy(
        table.version(),
        table.keys(),
        (*rules.budgets, *own),
        (*rules.raises, *table.raises(now_ns)),
    )
