"""Telling: thresholds that what was spent has crossed, into the outbox.

It happens where the money is written, in the same transaction: neither is there without the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from ledger.budgets import Budget, Threshold
from ledger.directives import amount_at
from ledger.notices import Notice, NoticeKind
from ledger.policy import Policy
from ledger.tables.leases import LeaseTable
from ledger.tables.outbox import OutboxTable
from ledger.tables.writers import Posted


class Telling:
    """Of one worker, on its writer's thread. policy: the one that is followed at the moment."""

    def __init__(
        self,
        leases: LeaseTable,
        outbox: OutboxTable,
        policy: Callable[[], Policy],
        now_ns: Callable[[], int],
    ) -> None:
        self._leases = leases
        self._outbox = outbox
        self._policy = policy
        self._now_ns = now_ns

    def crossed(self, posts: Iterable[Posted]) -> None:
        """Tell of every threshold that these have crossed, once for each window."""
        policy = self._policy()
        for post in posts:
            budget = policy.by_name.get(post.key[0])
            if budget is None or post.spent <= 0 or budget.measure != post.key[1]:
                continue
            told = [one for one in budget.thresholds if one.notify]
            if told:
                self._look(policy, budget, told, post)

    def _look(
        self, policy: Policy, budget: Budget, thresholds: list[Threshold], post: Posted
    ) -> None:
        _, _, member, window, start_ns = post.key
        begin = datetime.fromtimestamp(start_ns // 1_000_000_000, UTC)
        now_ns = self._now_ns()
        account = budget.account(member, begin, policy.raises)
        if account.window != window:
            return  # of a budget that has another window since
        # Of a rolling window, the other buckets count as well.
        after = self._leases.standing(account).posted
        cap = budget.raised_cap(member, now_ns, policy.raises)
        for one in thresholds:
            amount = amount_at(cap, one.part)
            if after - post.spent < amount <= after:
                self._outbox.add(
                    Notice(
                        at_ns=now_ns,
                        budget=budget.name,
                        scope=account.scope,
                        kind=NoticeKind.THRESHOLD,
                        measure=budget.measure,
                        spent=after,
                        cap=cap,
                        part=one.part,
                        window=window,
                        window_start_ns=start_ns,
                        resets_at=account.resets_at,
                        channels=one.notify,
                        about=_what_it_does(one),
                    ),
                    now_ns,
                )


def _what_it_does(one: Threshold) -> str:
    does = []
    if one.cheapest:
        does.append("requests go to the cheapest offer")
    if one.only_models is not None:
        does.append(f"only {', '.join(sorted(one.only_models)) or 'nothing'} may be asked for")
    if one.throttle is not None:
        does.append(f"{one.throttle.requests_per_minute} requests a minute are let through")
    if one.blocks:
        does.append("nothing more is let through")
    return ", ".join(does)
