"""Accounts: which of our accounts at a provider takes the next request.

Each has its own limits, and rests on its own: one that is rate limited, or whose key is refused,
leaves the offer to the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from proxy.headroom import Headroom, Left
from proxy.providers import Account, Provider

MINUTE_S = 60.0
FULL_WAIT_S = 0.1
"""When to look again at an account that has as many requests as it may: one of them ends first."""


@dataclass(frozen=True, slots=True)
class Busy:
    """No account can take a request before then."""

    ready_at_s: float


@dataclass(frozen=True, slots=True)
class Room:
    """What an account may take, as far as it is known. ready_at_s: when it can take a request of no
    tokens to speak of."""

    provider: str
    account: Account
    in_flight: int
    ready_at_s: float
    requests_left: Left | None
    tokens_left: Left | None


@dataclass(slots=True)
class _State:
    account: Account
    in_flight: int = 0
    rests_until_s: float = 0.0
    last_taken: int = 0
    begun_s: deque[float] = field(default_factory=deque)
    requests_left: Left | None = None
    tokens_left: Left | None = None

    def ready_at_s(self, now_s: float, tokens: int) -> float:
        """When it can take a request of so many tokens; `now_s` or before if it can now."""
        account, ready_s = self.account, self.rests_until_s
        if account.parallel is not None and self.in_flight >= account.parallel:
            ready_s = max(ready_s, now_s + FULL_WAIT_S)
        if account.requests_per_minute is not None:
            while self.begun_s and self.begun_s[0] <= now_s - MINUTE_S:
                self.begun_s.popleft()
            if len(self.begun_s) >= account.requests_per_minute:
                ready_s = max(ready_s, self.begun_s[0] + MINUTE_S)
        for left, wanted in ((self.requests_left, 1), (self.tokens_left, tokens)):
            if left is not None and left.forbids(wanted, now_s):
                ready_s = max(ready_s, left.until_s)
        return ready_s

    def begins(self, tokens: int, now_s: float) -> None:
        """A request goes out that its provider has not told of yet."""
        if self.requests_left is not None:
            self.requests_left = self.requests_left.less(1, now_s)
        if self.tokens_left is not None:
            self.tokens_left = self.tokens_left.less(tokens, now_s)


class Accounts:
    """The state of all accounts; times are monotonic seconds."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._taken = 0
        self._states = {
            name: {one.name: _State(one) for one in provider.accounts}
            for name, provider in providers.items()
        }
        self._limited = {
            name
            for name, provider in providers.items()
            if any(one.parallel or one.requests_per_minute for one in provider.accounts)
        }

    def take(
        self, provider: str, now_s: float, *, tokens: int = 0, is_counted: bool = True
    ) -> Account | Busy:
        """The readiest account with the fewest requests under way; give it back when it is done.

        tokens: of prompt and answer, as expected. is_counted: among those that it may begin in a
        minute.
        """
        states = self._states[provider].values()
        ready = [one for one in states if one.ready_at_s(now_s, tokens) <= now_s]
        if not ready:
            return Busy(min(one.ready_at_s(now_s, tokens) for one in states))
        state = min(ready, key=lambda one: (one.in_flight, one.last_taken))
        self._taken += 1
        state.last_taken = self._taken
        state.in_flight += 1
        if is_counted:
            state.begins(tokens, now_s)
            if state.account.requests_per_minute is not None:
                state.begun_s.append(now_s)
        return state.account

    def give_back(self, provider: str, account: Account) -> None:
        self._states[provider][account.name].in_flight -= 1

    def told(self, provider: str, account: Account, headroom: Headroom) -> None:
        """What its provider says of it with an answer; until then it was reckoned."""
        state = self._states[provider][account.name]
        state.requests_left = headroom.requests or state.requests_left
        state.tokens_left = headroom.tokens or state.tokens_left
        self._limited.add(provider)

    def busy(self, now_s: float, tokens: int) -> Mapping[str, float]:
        """Providers none of whose accounts can take a request of so many tokens now, and when one
        can. Those without any limit are not looked at."""
        found = {}
        for provider in self._limited:
            states = self._states[provider].values()
            ready_s = min(one.ready_at_s(now_s, tokens) for one in states)
            if ready_s > now_s:
                found[provider] = ready_s
        return found

    def rooms(self, now_s: float) -> Iterator[Room]:
        """Of every account, to be shown."""
        for provider, states in self._states.items():
            for one in states.values():
                ready_s = one.ready_at_s(now_s, 1)
                left = (one.requests_left, one.tokens_left)
                yield Room(provider, one.account, one.in_flight, ready_s, *left)

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
