"""`kill -9` at random points under load; all hundred rounds: HEDGEROW_KILL_ROUNDS=100."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.kill_rounds import ALL_EVERY, kill_rounds

ROUNDS = int(os.environ.get("HEDGEROW_KILL_ROUNDS", 2 * ALL_EVERY))


@pytest.mark.timeout(60 + 5 * ROUNDS)
async def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Single workers of several, all at once, the only one: every answer that a client received
    whole is in the books at its exact cost, nothing stays held or leased, no cap was passed at any
    moment, and the books verify."""
    await kill_rounds(tmp_path, ROUNDS)
