"""The market: a snapshot that nobody can change, and another one when something was seen."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from benchmarks.market import Market, Quoted
from benchmarks.offers import Offer
from benchmarks.quotes import Quote
from benchmarks.traffic.observations import UNSEEN, Observation, Outcome
from ledger.rates import RateCard

AT = datetime(2026, 3, 14, tzinfo=UTC)
ONE, TWO = Offer("acme", "llama"), Offer("zeta", "llama")
QUOTE = Quote(RateCard.of(Decimal(1), Decimal(2)), None, (), "test", AT)


def market() -> Market:
    return Market({"llama": (Quoted(TWO, None), Quoted(ONE, QUOTE))}, AT)


def test_a_snapshot_has_every_offer_in_the_operator_s_order() -> None:
    """Offers without a price are listed too: that they have none is the router's to say."""
    snapshot = market().snapshot
    assert [(one.offer, one.quote, one.seen) for one in snapshot.models["llama"]] == [
        (TWO, None, UNSEEN),
        (ONE, QUOTE, UNSEEN),
    ]
    assert snapshot.taken_at == AT


def test_a_snapshot_does_not_change() -> None:
    """What the market learns is in the next snapshot, and not in the one that is being read."""
    found = market()
    before = found.snapshot
    found.note(ONE.id, Observation(AT.timestamp() + 1.0, Outcome.ANSWERED, 250.0))
    assert found.snapshot is before
    found.rebuild(AT + timedelta(seconds=2))
    after = found.snapshot
    assert [one.seen for one in before.models["llama"]] == [UNSEEN, UNSEEN]
    assert [one.seen.ttft_ms_p95 for one in after.models["llama"]] == [None, 250.0]
    assert after.taken_at == AT + timedelta(seconds=2)


def test_a_snapshot_cannot_be_written() -> None:
    """Neither the snapshot, nor its models, nor a listing takes another value."""
    snapshot = market().snapshot
    with pytest.raises(FrozenInstanceError):
        snapshot.version = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        snapshot.models["llama"] = ()  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        snapshot.models["llama"][0].quote = QUOTE  # type: ignore[misc]


def test_what_was_given_to_the_market_may_change_afterwards() -> None:
    """The market keeps its own list of models."""
    models = {"llama": (Quoted(ONE, QUOTE),)}
    found = Market(models, AT)
    models.clear()
    found.rebuild(AT)
    assert set(found.snapshot.models) == {"llama"}


def test_versions_grow() -> None:
    """Every rebuild has a higher version than all before."""
    found = market()
    versions = [found.snapshot.version]
    for _ in range(5):
        found.rebuild(AT)
        versions.append(found.snapshot.version)
    assert versions == sorted(set(versions))
