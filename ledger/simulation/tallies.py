"""Tally: what one member of a budget has spent and holds, followed from window to window.

For a replay alone: the books themselves keep accounts. Moments come in order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

from ledger.budgets import Budget, Mode, Raise, Threshold
from ledger.directives import amount_at, throttle_of
from ledger.instants import instant


class Total:
    """What counts against a cap together: of a window, or of all buckets of a rolling one.

    told: how many of the budget's thresholds are reached, and have been said to be.
    """

    __slots__ = ("pending", "posted", "told")

    def __init__(self) -> None:
        self.posted = self.pending = self.told = 0

    @property
    def used(self) -> int:
        return self.posted + self.pending


class Bucket:
    """What began in one window, or in one bucket of a rolling one. It ends where it began."""

    __slots__ = ("_pending", "_posted", "_start_ns", "_total")

    def __init__(self, start_ns: int, total: Total) -> None:
        self._start_ns = start_ns
        self._posted = self._pending = 0
        self._total: Total | None = total

    @property
    def start_ns(self) -> int:
        return self._start_ns

    @property
    def total(self) -> Total | None:
        """None for a bucket that no window counts any more."""
        return self._total

    def take(self, posted: int, pending: int) -> None:
        """Add to both; what a hold releases is negative."""
        self._posted += posted
        self._pending += pending
        if self._total is not None:
            self._total.posted += posted
            self._total.pending += pending

    def leave(self) -> None:
        """It is outside of the window from now on."""
        if self._total is not None:
            self._total.posted -= self._posted
            self._total.pending -= self._pending
            self._total = None


class Tally:
    """A member of a budget. `turn` brings it to the window of a moment at or after `until_ns`.

    cap: what is refused above, None for nothing; bucket: what a hold of now goes to. part_of: the
    budget's name, and for a throttle that of the budget that throttles.
    """

    def __init__(
        self, budget: Budget, member: str, raises: Sequence[Raise] = (), part_of: str | None = None
    ) -> None:
        self.budget = budget
        self.part_of = part_of or budget.name
        self.member = member
        self.is_shadow = budget.mode is Mode.SHADOW
        self.until_ns = -1
        self.cap: int | None = None
        self._raises = raises
        self._thresholds = tuple(sorted(budget.thresholds, key=lambda one: one.part))
        self._amounts: list[int] = []
        self._buckets: deque[Bucket] = deque()
        self._throttles: dict[Threshold, Tally] = {}
        self.total = Total()

    @property
    def bucket(self) -> Bucket:
        return self._buckets[-1]

    @property
    def left(self) -> int | None:
        """What is neither spent nor held; None without a cap."""
        return None if self.cap is None else self.cap - self.total.used

    def lacks(self, amount: int) -> bool:
        """It refuses an amount. What takes nothing always fits, even where a provider has billed
        above a hold."""
        left = self.left
        return left is not None and amount > max(0, left)

    def turn(self, at_ns: int) -> None:
        """Bring it to the window, and to the increases, of a moment."""
        account = self.budget.account(self.member, instant(at_ns), self._raises)
        if not self._buckets or self._buckets[-1].start_ns != account.window_start_ns:
            if account.counted_since_ns == account.window_start_ns:
                self._buckets.clear()
                self.total = Total()
            self._buckets.append(Bucket(account.window_start_ns, self.total))
            while self._buckets[0].start_ns < account.counted_since_ns:
                self._buckets.popleft().leave()
        self.cap = account.cap
        if self._thresholds:
            whole = self.budget.raised_cap(self.member, at_ns, self._raises)
            self._amounts = [amount_at(whole, one.part) for one in self._thresholds]
        self.total.told = min(self.total.told, self._reached(self.total))
        changes = [edge for one in self._raises for edge in (one.since_ns, one.until_ns)]
        later = [edge for edge in changes if edge > at_ns]
        self.until_ns = min([account.resets_at_ns, *later])

    def reached(self) -> Sequence[Threshold]:
        """The thresholds that say how a request goes on, as what is spent has reached them, lowest
        first. Those of a provider's budget say nothing: they are asked before there is one."""
        if not self._thresholds or self.budget.scope.provider is not None:
            return ()
        return self._thresholds[: self._reached(self.total)]

    def newly_reached(self, total: Total) -> Sequence[Threshold]:
        """Those of a window that have not been told of, which they are herewith."""
        if not self._thresholds:
            return ()
        before, total.told = total.told, self._reached(total)
        return self._thresholds[before : total.told]

    def _reached(self, total: Total) -> int:
        return bisect_right(self._amounts, total.posted)

    def throttles(self, at_ns: int) -> list[Tally]:
        """The requests of this minute, for each threshold reached that lets only so many pass."""
        found: list[Tally] = []
        for one in self.reached():
            throttle = self._throttles.get(one)
            if throttle is None:
                limit = throttle_of(self.budget, one)
                if limit is None:
                    continue
                throttle = self._throttles[one] = Tally(limit, self.member, part_of=self.part_of)
            if at_ns >= throttle.until_ns:
                throttle.turn(at_ns)
            found.append(throttle)
        return found
