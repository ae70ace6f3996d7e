"""Clients in processes of their own: run one, and read what it prints."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.serving import Proxy

START_S = 30.0
"""Until a client that is slow to import is there, on a busy machine, and has done its work."""
NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there: what would leave this machine fails instead."""


def environment(**more: str) -> Mapping[str, str]:
    """Ours, without what would lead a client elsewhere than to the proxy."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "ANTHROPIC_", "LITELLM_", "LANGCHAIN_", "LLM_"))
        and not name.lower().endswith("_proxy")
    }
    nowhere = {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1,localhost"}
    return kept | nowhere | more


def openai_environment(proxy: Proxy) -> Mapping[str, str]:
    """Where OpenAI's own clients look for their URL and key."""
    return environment(OPENAI_BASE_URL=proxy.base_url, OPENAI_API_KEY=proxy.key)


@asynccontextmanager
async def started(*command: str, env: Mapping[str, str]) -> AsyncIterator[Process]:
    """A command with pipes for what it prints and complains; killed where it has not ended."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=env
    )
    try:
        async with asyncio.timeout(START_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def output_of(*command: str, env: Mapping[str, str]) -> str:
    """What a command prints; it must end well, and in time."""
    async with started(*command, env=env) as process:
        printed, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return printed.decode()


async def complaint_of(*command: str, env: Mapping[str, str]) -> str:
    """What a command complains of; it must not end well."""
    async with started(*command, env=env) as process:
        printed, complained = await process.communicate()
    assert process.returncode != 0, printed.decode()
    return complained.decode()
