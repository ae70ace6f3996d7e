"""Claim: which request an Idempotency-Key belongs to, so that a retry is charged only once."""

from __future__ import annotations

from dataclasses import dataclass

CLAIM_NS = 24 * 3600 * 1_000_000_000
"""How long a key stays taken; after that it may come again as a new one."""
FORGOTTEN_AT_ONCE = 500
"""How many old claims are deleted in one turn of the writer: about a millisecond."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A request's claim on an Idempotency-Key.

    key: in the client's own words; each API key (`key_id`) has its own.
    digest: of what was asked for, SHA-256. The same key with another one is a mistake.
    """

    key_id: str
    key: str
    digest: bytes
    request_id: str
    at_ns: int
