"""Warmth: which providers likely have the beginning of a prompt in their cache.

A provider that has answered a prompt remembers it for some minutes, and charges less for what the
next one has in common with it. So where a conversation went before is cheaper for its next turn,
and it stays there for as long as that saves more than another offer would.

How much of what could come from a cache does come differs between providers: that is learned, of
each key by itself. What a client calls one conversation may be none, and no other one pays for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

IDLE_S = 300.0
"""After which most providers forget; those that keep it longer only surprise us well."""
PROMPTS_REMEMBERED = 50_000
SHARES_REMEMBERED = 10_000
LEAST_TOKENS = 1024
"""Shorter beginnings are kept in no cache."""
FIRST_HIT_SHARE = 0.5
"""Of the tokens that could come from a cache, before any have been seen."""
WEIGHT = 1 / 8
"""Of the newest request in the running mean."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What prompts may have in common: a mark that only it has, and its bytes."""

    mark: bytes
    bytes: int


@dataclass(frozen=True, slots=True)
class _Sent:
    """When a beginning was sent to an offer, and how many tokens it had there."""

    at_s: float
    tokens: int


class Warmth:
    """Of one worker. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._sent: OrderedDict[tuple[str, bytes], dict[str, _Sent]] = OrderedDict()
        self._hit_shares: OrderedDict[tuple[str, str], float] = OrderedDict()

    def expected(
        self, key_id: str, beginnings: Sequence[Beginning], now_s: float
    ) -> dict[str, int]:
        """By offer, how many tokens of a prompt with these beginnings are likely in its cache."""
        return {
            offer_id: round(self._hit_shares.get((key_id, offer_id), FIRST_HIT_SHARE) * tokens)
            for offer_id, tokens in self._known(key_id, beginnings, now_s).items()
        }

    def note(
        self,
        key_id: str,
        offer_id: str,
        beginnings: Sequence[Beginning],
        tokens: int,
        cached: int | None,
        now_s: float,
    ) -> None:
        """An offer has answered a prompt of so many tokens, and read so many of them from a cache;
        None if it did not say."""
        if not beginnings:
            return
        could = self._known(key_id, beginnings, now_s).get(offer_id)
        if could is not None:
            whose = (key_id, offer_id)
            share = self._hit_shares.pop(whose, FIRST_HIT_SHARE)
            share += WEIGHT * (min(1.0, (cached or 0) / could) - share)
            self._hit_shares[whose] = share
            if len(self._hit_shares) > SHARES_REMEMBERED:
                self._hit_shares.popitem(last=False)
        whole = max(1, beginnings[-1].bytes)
        # What all prompts of an application begin with, and what this conversation goes on from.
        for one in {beginnings[0], beginnings[-1]}:
            where = (key_id, one.mark)
            sent = self._sent.pop(where, {})
            sent[offer_id] = _Sent(now_s, tokens * one.bytes // whole)
            self._sent[where] = sent
        while len(self._sent) > PROMPTS_REMEMBERED:
            self._sent.popitem(last=False)

    def _known(self, key_id: str, beginnings: Sequence[Beginning], now_s: float) -> dict[str, int]:
        """By offer, the tokens of the longest of these beginnings that it may still remember."""
        found: dict[str, int] = {}
        for one in beginnings:
            for offer_id, sent in self._sent.get((key_id, one.mark), _NOWHERE).items():
                if now_s - sent.at_s <= IDLE_S and sent.tokens >= LEAST_TOKENS:
                    found[offer_id] = max(found.get(offer_id, 0), sent.tokens)
        return found


_NOWHERE: dict[str, _Sent] = {}
