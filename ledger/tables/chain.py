"""Chain: each entry's hash covers its row and its writer's entry before it.

An entry names its subject and its accounts by numbers that another database may give otherwise;
the chain holds what they stand for, so that it says the same wherever the books are moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from ledger.databases.sql import Value
from ledger.tables.ddl import ENTRY, ENTRY_7

GENESIS = bytes(32)
"""What stands before a writer's first entry."""

CHAINED = tuple(ENTRY.split(", "))[:-3]
"""The columns that the chain covers: those of an entry, without its place on the chain."""
_COLUMNS_7 = len(ENTRY_7.split(", ")) - 3

_encoder = msgspec.json.Encoder()


def canonical(columns: Sequence[Value]) -> bytes:
    """A row as it is hashed: the columns of CHAINED as one JSON array. Those that came after
    version 7 are left out at its end where they are NULL: what was written before there were such
    columns follows as it did.

    In the place of subject_id stands the subject's key, in the place of draws_id what `drawn_text`
    makes of its accounts.
    """
    end = len(columns)
    while end > _COLUMNS_7 and columns[end - 1] is None:
        end -= 1
    return _encoder.encode(columns[:end])


def drawn_text(accounts: Sequence[Sequence[Value]]) -> str:
    """A set of accounts by their keys [budget, measure, member, window, start in ns], sorted."""
    return _encoder.encode(sorted(accounts)).decode()


def chained(prev_hash: bytes, canonical_row: bytes) -> bytes:
    """The hash of a row, given that of the one before it: SHA-256."""
    return hashlib.sha256(prev_hash + canonical_row).digest()
