"""The LiteLLM SDK as a client, in one process for all tests; litellm_client.py has what it does."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.outside import environment
from tests.serving import MODEL, PACED, Gate, Proxy, serving

SEVEN = "hawthorn hazel holly dogwood elder field maple"
WIRES = ["openai", "anthropic"]
"""LiteLLM's name for who is asked: what it speaks to the proxy."""


class Sdk:
    """The process; one check at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "LiteLLM's process has ended; its complaint is above"
        return json.loads(line)

    def _ask(self, asked: dict[str, str]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self.hear()

    async def seen(self, check: str, proxy: Proxy, wire: str = "openai") -> Any:
        """What a check saw. Anthropic's clients put /v1 behind their URL themselves."""
        url = proxy.base_url if wire == "openai" else proxy.base_url.removesuffix("/v1")
        asked = {"check": check, "model": f"{wire}/{MODEL}", "api_base": url, "api_key": proxy.key}
        return await asyncio.to_thread(self._ask, asked)


@pytest.fixture(scope="module")
def started() -> Iterator[Sdk]:
    settings = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.clients.litellm_client"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(**settings),
        cwd=Path(__file__).parents[2],
    ) as process:
        yield Sdk(process)
        process.kill()


@pytest.fixture
async def sdk(started: Sdk) -> Sdk:
    return started


@pytest.mark.parametrize("wire", WIRES)
async def test_chat_plain_and_streamed_say_the_same(proxy: Proxy, sdk: Sdk, wire: str) -> None:
    """Text, reason and usage, on both wires, before every kind of host."""
    for check in ("chat", "chat_streamed"):
        found = await sdk.seen(check, proxy, wire)
        assert found == {"text": SEVEN, "finish": "stop", "usage": [3, 7]}
    first, second = await proxy.charges()
    assert first.effective == second.effective
    assert first.usage.completion == second.usage.completion == 7
