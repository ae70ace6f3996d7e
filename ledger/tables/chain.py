"""Chain: each entry's hash covers its row and its writer's entry before it.

An entry names its subject and its accounts by numbers that another database may give otherwise;
the chain holds what they stand for, so that it says the same wherever the books are moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from ledger.databases.sql import Value
from ledger.tables.ddl import ENTRY

GENESIS = bytes(32)
"""What stands before a writer's first entry."""

CHAINED = tuple(ENTRY.split(", "))[:-3]
"""The columns that the chain covers: those of an entry, without its place on the chain."""

_encoder = msgspec.json.Encoder()


def canonical(columns: Sequence[Value]) -> bytes:
    """A row as it is hashed: the columns of CHAINED as one JSON array. The last one is left out
    where it is NULL: what was written before there was such a column follows as it did.

    In the place of subject_id stands the subject's key, in the place of draws_id what `drawn_text`
    makes of its accounts.
    """
    return _encoder.encode(columns if columns[-1] is not None else columns[:-1])


def drawn_text(accounts: Sequence[Sequence[Value]]) -> str:
    """A set of accounts by their keys [budget, measure, member, window, start in ns], sorted."""
    return _encoder.encode(sorted(accounts)).decode()


def chained(prev_hash: bytes, canonical_row: bytes) -> bytes:
    """The hash of a row, given that of the one before it: SHA-256."""
    return hashlib.sha256(prev_hash + canonical_row).digest()
