"""Hedgerow as its users meet it: the installed console script, as processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.serving import MODEL, UPSTREAM_MODEL

SCRIPT = Path(sys.executable).parent / "hedgerow"
PATIENCE_S = 90.0
"""Nothing here takes so long; what does has hung."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command that has ended left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """All of stdout, which must be one JSON value."""
        return json.loads(self.out)

    @property
    def failed_in_one_line(self) -> bool:
        """Exit code 1, nothing on stdout, one line on stderr that is no traceback."""
        return (self.code, self.out, self.err.count("\n")) == (1, "", 1)


async def hedgerow(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Done:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        SCRIPT, *arguments, stdout=PIPE, stderr=PIPE, env=os.environ | dict(env or {})
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


async def told(*arguments: str | Path) -> Any:
    """What a command that succeeds says with --json."""
    done = await hedgerow(*arguments, "--json")
    assert (done.code, done.err) == (0, ""), done.err
    return done.json


async def lines_until(stream: asyncio.StreamReader | None, start: str) -> list[str]:
    """What a process says, up to the line that starts so. Fails if it ends before."""
    assert stream is not None
    lines: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        while not (lines and lines[-1].startswith(start)):
            line = await stream.readline()
            assert line, f"it ended without {start!r}: {lines}"
            lines.append(line.decode().rstrip("\n"))
    return lines


@dataclass
class Serving:
    """A process that serves. Its stderr is read; `stopping` is set when it says that it is."""

    process: Process
    base_url: str
    said: list[str] = field(default_factory=list)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    collecting: asyncio.Task[None] | None = None

    async def post(self, key: str, **extra: Any) -> tuple[int, Mapping[str, str], Any]:
        """Ask for eight tokens: status, headers and the body as JSON."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": "a b c"}], "max_tokens": 8}
        async with (
            aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as http,
            http.post(f"{self.base_url}/chat/completions", json=body | extra) as answer,
        ):
            return answer.status, answer.headers, await answer.json()

    async def until(self, key: str, status: int, **extra: Any) -> Any:
        """Ask again and again until the answer has this status. A second is promised; a loaded
        machine gets more."""
        async with asyncio.timeout(PATIENCE_S):
            while (found := await self.post(key, **extra))[0] != status:
                pass
        return found[2]

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
            if self.collecting is not None:
                await self.collecting
        return code


@asynccontextmanager
async def serve(config: Path, *options: str) -> AsyncIterator[Serving]:
    """`hedgerow serve` on a free port, from its ready line on. At the end it is stopped."""
    process = await asyncio.create_subprocess_exec(
        SCRIPT, "serve", "-c", config, "--port", "0", *options, stderr=PIPE
    )
    assert process.stderr is not None
    try:
        *before, ready = await lines_until(process.stderr, "ready at http://127.0.0.1:")
        serving = Serving(process, ready.removeprefix("ready at "), before)
        serving.collecting = asyncio.create_task(_collect(process.stderr, serving))
        yield serving
        if process.returncode is None:
            assert await serving.stop() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


STOPPING = "stopping: finishing what is under way"


async def _collect(stream: asyncio.StreamReader, serving: Serving) -> None:
    async for line in stream:
        serving.said.append(line.decode().rstrip("\n"))
        if line.decode().rstrip("\n") == STOPPING:
            serving.stopping.set()


PRICES = {"a": (1, 2), "b": (3, 6)}
"""USD per million tokens, input and output."""


def write_config(
    folder: Path, urls: Mapping[str, str], *, budgets: str = "", more: str = ""
) -> Path:
    """hedgerow.yaml with an offer for each URL, and a policy file if there are budgets."""
    providers = [f"  {name}: {{dialect: openai, base_url: {url}}}" for name, url in urls.items()]
    offers = [
        f"      - {{provider: {name}, model: {UPSTREAM_MODEL}, features: [tools],"
        f" context_tokens: 8000, price: {{input: {PRICES[name][0]}, output: {PRICES[name][1]}}}}}"
        for name in urls
    ]
    lines = ["market: {feeds: []}", "providers:", *providers]
    lines += ["models:", f"  {MODEL}:", "    offers:", *offers, more]
    if budgets:
        (folder / "policy.yaml").write_text(f"budgets:\n{budgets}")
        lines.append("policies: [policy.yaml]")
    path = folder / "hedgerow.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


NOWHERE = {"a": "http://127.0.0.1:9/v1", "b": "http://127.0.0.1:9/v1"}
"""For commands that must not connect to anything."""
