"""Tries: logins that failed lately, so that nobody tries keys one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

WITHIN_S = 300.0
OF_ADDRESS = 10
IN_ALL = 100
"""Failed logins within that time, from one address and from all, after which none is looked at."""


@dataclass(slots=True)
class Tries:
    """Those of one worker: each counts for itself."""

    monotonic_s: Callable[[], float]
    _failed: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=IN_ALL))

    def wait_s(self, address: str) -> float:
        """How long this address has to wait; 0 if it need not."""
        now_s = self.monotonic_s()
        while self._failed and self._failed[0][0] <= now_s - WITHIN_S:
            self._failed.popleft()
        its = [at_s for at_s, who in self._failed if who == address]
        if len(its) >= OF_ADDRESS:
            return its[-OF_ADDRESS] + WITHIN_S - now_s
        if len(self._failed) >= IN_ALL:
            return self._failed[0][0] + WITHIN_S - now_s
        return 0.0

    def failed(self, address: str) -> None:
        self._failed.append((self.monotonic_s(), address))

    def take_back(self, address: str) -> None:
        """One that was counted before it was known, and has not failed."""
        for place in reversed(range(len(self._failed))):
            if self._failed[place][1] == address:
                del self._failed[place]
                return
