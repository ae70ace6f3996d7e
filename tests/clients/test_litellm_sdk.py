"""The LiteLLM SDK as a client, in one process for all tests; litellm_client.py has what it does."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ledger.windows import span_of
from proxy.admin.litellm.durations import window_of_duration
from tests.clients.outside import environment
from tests.serving import MODEL, PACED, Gate, Proxy, serving

UTC_ZONE = ZoneInfo("UTC")
SEVEN = "hawthorn hazel holly dogwood elder field maple"
WIRES = ["openai", "anthropic"]
"""LiteLLM's name for who is asked: what it speaks to the proxy."""


class Sdk:
    """The process; one check at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def hear(self) -> Any:
        """Its next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "LiteLLM's process has ended; its complaint is above"
        return json.loads(line)

    def _ask(self, asked: dict[str, str]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self.hear()

    async def managed(self, url: str, key: str) -> Any:
        """What its client of management routes saw."""
        return await self.told(check="management", api_base=url, api_key=key)

    async def told(self, **asked: str) -> Any:
        return await asyncio.to_thread(self._ask, asked)

    async def seen(self, check: str, proxy: Proxy, wire: str = "openai") -> Any:
        """What a check saw. Anthropic's clients put /v1 behind their URL themselves."""
        url = proxy.base_url if wire == "openai" else proxy.base_url.removesuffix("/v1")
        asked = {"check": check, "model": f"{wire}/{MODEL}", "api_base": url, "api_key": proxy.key}
        return await asyncio.to_thread(self._ask, asked)


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    settings = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.clients.litellm_client"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(**settings),
        cwd=Path(__file__).parents[2],
    ) as process:
        sdk = Sdk(process)
        try:
            sdk.hear()
            yield sdk
        finally:
            process.kill()


@pytest.mark.parametrize("wire", WIRES)
async def test_chat_plain_and_streamed_say_the_same(proxy: Proxy, sdk: Sdk, wire: str) -> None:
    """Text, reason and usage, on both wires, before every kind of host."""
    for check in ("chat", "chat_streamed"):
        found = await sdk.seen(check, proxy, wire)
        assert found == {"text": SEVEN, "finish": "stop", "usage": [3, 7]}
    first, second = await proxy.charges()
    assert first.effective == second.effective
    assert first.usage.completion == second.usage.completion == 7


@pytest.mark.parametrize("wire", WIRES)
async def test_a_conversation_with_tools(proxy: Proxy, sdk: Sdk, wire: str) -> None:
    """A call whole and in pieces, its result, and the answer to that."""
    call = ["echo", {"echo": "use the tool, please"}]
    assert await sdk.seen("tools", proxy, wire) == {
        "calls": [call, call],
        "finish": ["tool_calls", "tool_calls", "stop"],
    }


async def test_structured_output(proxy: Proxy, sdk: Sdk) -> None:
    """An answer of the class that was asked for."""
    assert await sdk.seen("structured", proxy) == "str"


async def test_messages(proxy: Proxy, sdk: Sdk) -> None:
    """Its own client of Anthropic's wire."""
    found = await sdk.seen("messages", proxy, "anthropic")
    assert found == {"text": "hawthorn hazel holly", "stop": "max_tokens", "usage": [3, 3]}


async def test_embeddings(full_proxy: Proxy, sdk: Sdk) -> None:
    """Two texts at once."""
    found = await sdk.seen("embeddings", full_proxy)
    assert found == {"indexes": [0, 1], "are_numbers": True, "tokens": 3}


@pytest.mark.parametrize("wire", WIRES)
async def test_errors_have_their_classes(full_proxy: Proxy, sdk: Sdk, wire: str) -> None:
    """A wrong key, an unknown model and a request that is none, each by its own class."""
    found = await sdk.seen("errors", full_proxy, wire)
    assert found == ["AuthenticationError", "NotFoundError", "BadRequestError"]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("endpoints", ["chat/completions", "messages"])
async def test_a_stream_that_is_left(tmp_path: Path, sdk: Sdk, wire: str, endpoints: str) -> None:
    """The provider is told at once; what was delivered is charged, as an estimate."""
    provider = f", endpoints: [{endpoints}]"
    gate = Gate(5)
    async with serving(
        tmp_path, behaviour=PACED, gate=gate, provider=provider, honest=False
    ) as proxy:
        assert await sdk.seen("aborted", proxy, wire) == 3
        await proxy.a.tally.until(lambda tally: tally.disconnects == 1)
        (charge,) = await proxy.settled(attempts=1)
        assert charge.estimated
        assert 3 <= (charge.usage.completion or 0) < 60


async def test_its_client_of_management_routes(tmp_path: Path, sdk: Sdk) -> None:
    """Keys, users, teams and models by LiteLLM's own client, with the master key."""
    async with serving(tmp_path, server="{port: 0, admin_key: sk-master-of-this-test}") as proxy:
        found = await sdk.managed(proxy.server.admin_url, "sk-master-of-this-test")
    assert found == {
        "user": "ada",
        "users": ["ada"],
        "its_keys": [True],
        "alias": "nightly",
        "listed": True,
        "teams": [],
        "models": [MODEL],
        "health": "healthy",
        "left": [],
    }


CALENDAR = ("1m", "60s", "60m", "1h", "1d", "24h", "daily", "7d", "weekly", "30d", "1mo", "monthly")
MOMENTS = (
    "2026-11-20T10:11:12.500000+00:00",
    "2026-12-31T23:59:59+00:00",
    "2028-02-29T00:00:01+00:00",
    "2027-03-01T12:00:00+00:00",
)


async def test_budgets_start_anew_when_its_do(sdk: Sdk) -> None:
    """A duration of the calendar ends for us when LiteLLM's own function says, at odd moments."""
    theirs = await sdk.told(check="resets", durations=" ".join(CALENDAR), moments=" ".join(MOMENTS))
    ends = [
        span_of(window_of_duration(duration, ""), UTC_ZONE, datetime.fromisoformat(at)).end
        for duration in CALENDAR
        for at in MOMENTS
    ]
    assert [datetime.fromisoformat(one) for one in theirs] == ends
