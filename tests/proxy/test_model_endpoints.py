"""The offers of a model as OpenRouter lists endpoints: exact prices, and how they do."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.traffic.observations import Observation, Outcome
from tests.serving import MODEL, offer, serving


async def test_each_offer_with_its_price_and_how_it_does(tmp_path: Path) -> None:
    """USD per token as exact text; what was not seen is null; an offer that rests says so; one
    without a price is not for sale."""
    offers = {
        "a": offer("a", price="{input: 0.15, output: 0.6, cache_read: 0.075}", more=", region: eu"),
        "c": offer("c", price=None),
    }
    async with serving(
        tmp_path, names=("a", "b", "c"), offers=offers, feeds="[{kind: litellm}]"
    ) as proxy:
        house = proxy.server.house
        for ttft_ms in range(1, 101):
            seen = Observation(time.time(), Outcome.ANSWERED, float(ttft_ms), 10.0)
            house.market.note("a/oak-70b@eu", seen)
        house.market.rebuild(datetime.now(UTC))
        for _ in range(3):
            house.breakers.failed("b/oak-70b", house.clock.monotonic_s())
        reply = await proxy.get(f"/models/{MODEL}/endpoints", authorization=f"Bearer {proxy.key}")
        assert reply.status == 200
        a, b = reply.json["data"]["endpoints"]
        assert a["pricing"] == {
            "prompt": "0.00000015",
            "completion": "0.0000006",
            "request": "0",
            "input_cache_read": "0.000000075",
            "input_cache_write": "0.00000015",
        }
        assert (a["tag"], a["status"], a["uptime_last_5m"]) == ("a/eu", 0, 100.0)
        assert a["latency_last_30m"] == {"p50": 50.0, "p75": 75.0, "p90": 90.0, "p99": 99.0}
        assert a["throughput_last_30m"]["p50"] == 100.0
        assert (b["status"], b["uptime_last_5m"], b["latency_last_30m"]) == (-2, None, None)


async def test_of_what_a_key_may_have(tmp_path: Path) -> None:
    """A model that is not here, or not for this key, is a 404 to it."""
    async with serving(tmp_path) as proxy:
        key = await proxy.new_key(models=frozenset({"elm"}))
        for model, its in (("nobody", proxy.key), (MODEL, key)):
            reply = await proxy.get(f"/models/{model}/endpoints", authorization=f"Bearer {its}")
            assert (reply.status, reply.error["code"]) == (404, "model_not_found")
