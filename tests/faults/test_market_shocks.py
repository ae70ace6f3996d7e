"""Shocks in a sandbox market: traffic moves, and nobody is left without an answer."""

from __future__ import annotations

import pytest

from tests.faults.market_shocks import SHOCKS, Shock, outcome

BACK_WITHIN_S = 400.0
IN_VAIN = 40
"""Generous: what matters is that it is a few, and not for ever. How many it takes depends on where
in its minute an offer was when the shock came."""


@pytest.mark.parametrize("shock", SHOCKS, ids=[one.name for one in SHOCKS])
async def test_traffic_moves_and_nothing_is_lost(shock: Shock) -> None:
    """Whatever befalls the best offer, the others have its traffic after a few attempts
    in vain; every request has its whole answer. It has its traffic back as soon as prices
    and quality are told to be; else when it was tried again, and did well."""
    came = await outcome(shock, shock_s=20, patience_s=BACK_WITHIN_S)
    assert came.lost == 0
    assert came.moved_s is not None
    assert came.failed <= IN_VAIN
    assert came.late <= IN_VAIN
    assert came.back_s is not None
    if shock.is_told:
        assert (came.failed, came.late) == (0, 0)
        assert max(came.moved_s, came.back_s) <= 1
