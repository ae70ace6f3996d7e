"""What second offers do to the time to the first token, and what they cost.

Two sandbox providers on loopback whose times to the first token have a heavy tail, through the
whole proxy; the same draws with and without.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from benchmarks.sandbox import Behaviour
from tests.serving import UPSTREAM_MODEL, Proxy, asking, offer, serving, wishing

REQUESTS, AT_ONCE, WARM_UP = 1000, 32, 200
TAIL = Behaviour(
    models=(UPSTREAM_MODEL,), ttft_ms_median=300.0, ttft_sigma=1.0, inter_token_ms=0.0, seed=7
)
PROMPT_WORDS, OUTPUT_TOKENS = 200, 50
PRICES = {"b": offer("b", price="{input: 1.2, output: 2.4}")}
RULES = {
    "none": "{after: off}",
    "p95, 5%": "{after: p95, share: 5%}",
    "p95, 10%": "{after: p95, share: 10%}",
    "600 ms, 50%": "{after: 600ms, share: 50%}",
}


def rows() -> Iterator[tuple[str, ...]]:
    for name, rule in RULES.items():
        yield (name, *asyncio.run(_run(rule)))


async def _run(rule: str) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with serving(
            Path(folder),
            names=("a", "b"),
            behaviour=TAIL,
            offers=PRICES,
            routing=f"{{explore: 0, hedge: {rule}}}",
            honest=False,
        ) as proxy:
            times_ms: list[float] = []
            todo = iter(range(WARM_UP + REQUESTS))

            async def worker() -> None:
                for number in todo:
                    ttft_ms = await _ttft_ms(proxy)
                    if number >= WARM_UP:
                        times_ms.append(ttft_ms)

            await asyncio.gather(*[worker() for _ in range(AT_ONCE)])
            charges = await proxy.settled(0)
            offers = proxy.server.house.second_offers
    cost_usd = sum(one.effective for one in charges) / 1e9
    ordered = sorted(times_ms)
    quantiles = [ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.95, 0.99, 0.999)]
    return (
        *(f"{one:,.0f}" for one in quantiles),
        f"{offers.asked / (WARM_UP + REQUESTS):.1%}",
        f"{offers.won / max(1, offers.asked):.0%}",
        f"{1e6 * cost_usd / (WARM_UP + REQUESTS):.1f}",
    )


async def _ttft_ms(proxy: Proxy) -> float:
    words = " ".join(["oak"] * PROMPT_WORDS)
    body = asking(
        stream=True,
        max_tokens=OUTPUT_TOKENS,
        messages=[{"role": "user", "content": words}],
        sandbox=wishing(OUTPUT_TOKENS),
        provider={"order": ["a", "b"]},
    )
    sent = {"authorization": f"Bearer {proxy.key}"}
    patience = aiohttp.ClientTimeout(60)
    began = time.perf_counter()
    async with proxy.http.post(
        f"{proxy.base_url}/chat/completions", json=body, headers=sent, timeout=patience
    ) as response:
        await response.content.readany()
        took_ms = 1000 * (time.perf_counter() - began)
        await response.read()
    return took_ms
