"""Rollups: sums of posted entries over steps of time, so that statements need not read them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ledger.sql import Sql, marks
from ledger.tables import ROLLUP

Key: TypeAlias = tuple[int, int, int]
"""step_s, start_ns, subject_id."""
Sums: TypeAlias = tuple[int, ...]
"""The columns of ROLLUP after its key."""

_SUMMED = ROLLUP.split(", ")[3:]


def sums_of(
    usage: Sequence[int | None], charge: Sequence[int | None], held: int, *, estimated: bool
) -> Sums:
    """What one posted entry adds."""
    billed, effective, contracted, listed, first_offer, cheapest = charge
    own = effective or 0
    return (
        1,
        *((one or 0) for one in usage[:5]),
        billed or 0,
        own,
        contracted or 0,
        listed or 0,
        own if first_offer is None else first_offer,
        own if cheapest is None else cheapest,
        max(0, own - held),
        int(estimated),
    )


def added(one: Sums, other: Sums) -> Sums:
    return tuple(map(int.__add__, one, other))


def upsert(sql: Sql, rollups: Mapping[Key, Sums]) -> None:
    """Add to the rollups, those of one order: two writers do not lock each other out."""
    plus = ", ".join(f"{one} = rollups.{one} + excluded.{one}" for one in _SUMMED)
    for key in sorted(rollups):
        sql.execute(
            f"INSERT INTO rollups ({ROLLUP}) VALUES ({marks(3 + len(_SUMMED))})"
            f" ON CONFLICT (step_s, start_ns, subject_id) DO UPDATE SET {plus}",
            (*key, *rollups[key]),
        )
