"""Accounts: which of our accounts at a provider takes the next request.

Each has its own limits, and rests on its own: one that is rate limited, or whose key is refused,
leaves the offer to the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.providers import Account, Provider

MINUTE_S = 60.0
FULL_WAIT_S = 0.1
"""When to look again at an account that has as many requests as it may: one of them ends first."""


@dataclass(frozen=True, slots=True)
class Busy:
    """No account can take a request before then."""

    ready_at_s: float


@dataclass(slots=True)
class _State:
    account: Account
    in_flight: int = 0
    rests_until_s: float = 0.0
    last_taken: int = 0
    begun_s: deque[float] = field(default_factory=deque)

    def ready_at_s(self, now_s: float) -> float:
        """When it can take a request; `now_s` or before if it can now."""
        account, ready_s = self.account, self.rests_until_s
        if account.parallel is not None and self.in_flight >= account.parallel:
            ready_s = max(ready_s, now_s + FULL_WAIT_S)
        if account.requests_per_minute is not None:
            while self.begun_s and self.begun_s[0] <= now_s - MINUTE_S:
                self.begun_s.popleft()
            if len(self.begun_s) >= account.requests_per_minute:
                ready_s = max(ready_s, self.begun_s[0] + MINUTE_S)
        return ready_s


class Accounts:
    """The state of all accounts; times are monotonic seconds."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._taken = 0
        self._states = {
            name: {one.name: _State(one) for one in provider.accounts}
            for name, provider in providers.items()
        }

    def take(self, provider: str, now_s: float, *, is_counted: bool = True) -> Account | Busy:
        """The readiest account with the fewest requests under way; give it back when it is done.

        is_counted: among those that it may begin in a minute.
        """
        states = self._states[provider].values()
        ready = [one for one in states if one.ready_at_s(now_s) <= now_s]
        if not ready:
            return Busy(min(one.ready_at_s(now_s) for one in states))
        state = min(ready, key=lambda one: (one.in_flight, one.last_taken))
        self._taken += 1
        state.last_taken = self._taken
        state.in_flight += 1
        if is_counted and state.account.requests_per_minute is not None:
            state.begun_s.append(now_s)
        return state.account

    def give_back(self, provider: str, account: Account) -> None:
        self._states[provider][account.name].in_flight -= 1

    def is_resting(self, provider: str, account: Account, now_s: float) -> bool:
        return self._states[provider][account.name].rests_until_s > now_s

    def rest(self, provider: str, account: Account, now_s: float, rest_s: float) -> bool:
        """An account that was refused rests. True if another does not, however busy it is.

        The only account never rests here: whether its offer does is the breaker's affair.
        """
        states = self._states[provider]
        if len(states) == 1:
            return False
        states[account.name].rests_until_s = now_s + rest_s
        return any(one.rests_until_s <= now_s for one in states.values())
