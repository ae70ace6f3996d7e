"""The life of LiteLLM's process: its start, its ends, and who may talk to it. A package of the same
name stands in for LiteLLM here, since the real one takes seconds to import."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from proxy.litellm_link import SECRET_HEADER, Start
from proxy.litellm_upstream import STEADY_S, LitellmUpstream, litellm_upstream
from proxy.upstream import Broken, NotConnected, UpstreamRequest
from tests.serving import PATIENCE_S, ManualClock

STAND_IN = """
import asyncio, os

openai_compatible_providers = []
if "HELD" in os.environ:  # until the test writes into this pipe
    open(os.environ["HELD"]).read()
if "BROKEN" in os.environ:
    raise ImportError("no such thing as " + os.environ["BROKEN"])

class Said:
    def __init__(self, **said):
        self.said = said

    def model_dump(self, **_):
        return self.said

async def chunks():
    yield Said(choices=[{"index": 0, "delta": {"content": str(os.getpid())}}])
    await asyncio.Event().wait()

async def acompletion(messages, stream=False, **_):
    if stream:
        return chunks()
    if messages == "wait":
        await asyncio.Event().wait()
    return Said(choices=[{"index": 0, "message": {"content": str(os.getpid())}}])
"""
BESIDE = {
    "integrations/custom_logger.py": "class CustomLogger:\n    pass\n",
    "llms/custom_httpx/http_handler.py": "class AsyncHTTPHandler:\n    pass\n",
}
UNBOUNDED = 1 << 20


def stand_in(folder: Path, **environ: str) -> dict[str, str]:
    """An environment in which LiteLLM is the stand-in."""
    package = folder / "packages" / "litellm"
    for name, text in {"__init__.py": STAND_IN, **BESIDE}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        (path.parent / "__init__.py").touch()
    return os.environ | {"PYTHONPATH": str(package.parent)} | environ


def asking(limit_s: float = PATIENCE_S, **body: Any) -> UpstreamRequest:
    asked = json.dumps({"model": "m", "messages": "hello"} | body).encode()
    return UpstreamRequest("litellm://any/chat/completions", {}, asked, limit_s, PATIENCE_S)


async def answered_by(upstream: LitellmUpstream) -> int:
    """The process that answers a request."""
    answer = await upstream.send(asking())
    body = json.loads(await answer.all(UNBOUNDED))
    answer.close()
    assert answer.status == 200
    return int(body["choices"][0]["message"]["content"])


async def dies(process_id: int, number: int = signal.SIGKILL) -> None:
    """Kill a process, and wait until it is gone; 0 only waits."""
    watched = os.pidfd_open(process_id)
    os.kill(process_id, number)
    gone, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(watched, gone.set)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)


@dataclass(slots=True)
class Held:
    """A start that waits in the middle until it is let go on."""

    pipe: Path
    _end: int | None = None

    async def reached(self) -> None:
        """Wait until the process is there."""
        self._end = await asyncio.to_thread(os.open, self.pipe, os.O_WRONLY)

    def let_go(self) -> None:
        assert self._end is not None
        os.close(self._end)


@pytest.fixture
def held(tmp_path: Path) -> Held:
    os.mkfifo(tmp_path / "held")
    return Held(tmp_path / "held")


@pytest.fixture(autouse=True)
def folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Where temporary folders are made: its path is short enough for a Unix socket."""
    tmp_path_factory.getbasetemp()  # pytest's own are made elsewhere
    with tempfile.TemporaryDirectory(prefix="hr") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


def names_in(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


# -- its start


async def test_nothing_starts_before_the_first_request(tmp_path: Path, folder: Path) -> None:
    """A proxy without a request for such a provider pays nothing: no process, no file."""
    async with litellm_upstream(ManualClock(), stand_in(tmp_path)) as upstream:
        assert upstream.process_id is None
        assert names_in(folder) == []
        assert await answered_by(upstream) == upstream.process_id


async def test_one_process_for_all(tmp_path: Path) -> None:
    """Requests that come while it starts wait for the same one."""
    async with litellm_upstream(ManualClock(), stand_in(tmp_path)) as upstream:
        found = await asyncio.gather(*[answered_by(upstream) for _ in range(20)])
        assert set(found) == {upstream.process_id}


async def test_a_start_that_takes_long(tmp_path: Path, held: Held) -> None:
    """Nobody waits for it longer than for a first byte, and nothing was sent; it goes on all the
    same, and answers when it is there."""
    environ = stand_in(tmp_path, HELD=str(held.pipe))
    async with litellm_upstream(ManualClock(), environ) as upstream:
        with pytest.raises(NotConnected, match=r"does not listen yet, after 0\.05 s"):
            await upstream.send(asking(limit_s=0.05))
        started = upstream.process_id
        waiting = asyncio.create_task(answered_by(upstream))
        await held.reached()
        held.let_go()
        assert await waiting == started


async def test_who_stops_waiting_does_not_stop_the_start(tmp_path: Path, held: Held) -> None:
    """The first request is cancelled; the second gets the process that was started for it."""
    environ = stand_in(tmp_path, HELD=str(held.pipe))
    async with litellm_upstream(ManualClock(), environ) as upstream:
        first = asyncio.create_task(upstream.send(asking()))
        second = asyncio.create_task(answered_by(upstream))
        await held.reached()
        started = upstream.process_id
        first.cancel()
        held.let_go()
        assert await second == started


async def test_a_start_that_fails_says_why_and_pauses(tmp_path: Path) -> None:
    """The last line of its stderr is told. It is tried again at once, then after 1 s, after 2 s:
    in between a request fails without any waiting."""
    clock = ManualClock()
    environ = stand_in(tmp_path, BROKEN="luck")
    async with litellm_upstream(clock, environ) as upstream:
        for pause_s in (0, 1, 2):
            with pytest.raises(NotConnected, match=r"did not start: .* no such thing as luck"):
                await upstream.send(asking())
            if pause_s:
                with pytest.raises(NotConnected, match=rf"luck\); .* anew in {pause_s}\.0 s"):
                    await upstream.send(asking())
            clock.advance(pause_s)


async def test_what_is_no_litellm_url_is_not_sent(tmp_path: Path) -> None:
    """A URL of another kind starts nothing."""
    async with litellm_upstream(ManualClock(), stand_in(tmp_path)) as upstream:
        for url in ("https://api.example/v1/chat/completions", "litellm:///chat/completions"):
            with pytest.raises(NotConnected, match="is no litellm://"):
                await upstream.send(UpstreamRequest(url, {}, b"{}", 1.0, 1.0))
        assert upstream.process_id is None


# -- its ends


async def test_a_process_that_is_killed_in_the_middle(tmp_path: Path) -> None:
    """What was under way breaks, begun or not: it may have been billed. What comes next has a new
    process."""
    async with litellm_upstream(ManualClock(), stand_in(tmp_path)) as upstream:
        stream = await upstream.send(asking(stream=True))
        killed = int(json.loads((await stream.some())[6:])["choices"][0]["delta"]["content"])
        waiting = asyncio.create_task(upstream.send(asking(messages="wait")))
        assert await answered_by(upstream) == killed  # by now the other has been sent, too
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(Broken):
            await stream.all(UNBOUNDED)
        stream.close()
        with pytest.raises(Broken):
            await waiting
        assert await answered_by(upstream) != killed


async def test_a_process_that_died_while_nobody_asked(tmp_path: Path) -> None:
    """The next request has a new one, without an error, even if nobody has noticed yet; but not for
    ever: one that dies again and again is left alone for a while, until it has lived for long."""
    clock = ManualClock()
    async with litellm_upstream(clock, stand_in(tmp_path)) as upstream:
        await dies(await answered_by(upstream))
        await dies(await answered_by(upstream))
        with pytest.raises(NotConnected, match=r"keeps ending \(status -9, .*\)"):
            await upstream.send(asking())
        clock.advance(1)
        last = await answered_by(upstream)
        clock.advance(STEADY_S)
        await dies(last)
        assert await answered_by(upstream) != last


async def test_signals_are_the_parents(tmp_path: Path) -> None:
    """Ctrl-C and a service manager reach both processes; what is under way is the parent's to
    finish, so this one stays until it is told."""
    async with litellm_upstream(ManualClock(), stand_in(tmp_path)) as upstream:
        process_id = await answered_by(upstream)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(process_id, number)
            assert await answered_by(upstream) == process_id


@pytest.mark.parametrize("state", ["idle", "answering", "starting"])
async def test_close_leaves_nothing(tmp_path: Path, folder: Path, held: Held, state: str) -> None:
    """Neither a process nor a file, whatever it was at; who waits for it is not left waiting."""
    starting, asked = state == "starting", None
    environ = stand_in(tmp_path, **({"HELD": str(held.pipe)} if starting else {}))
    async with litellm_upstream(ManualClock(), environ) as upstream:
        if starting:
            asked = asyncio.create_task(upstream.send(asking()))
            await held.reached()
        else:
            await answered_by(upstream)
        if state == "answering":
            await (await upstream.send(asking(stream=True))).some()
        process_id = upstream.process_id
    assert process_id is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)
    assert names_in(folder) == []
    if asked is not None:
        with pytest.raises(asyncio.CancelledError):
            await asked
        held.let_go()


PARENT = """
import asyncio, os, sys
from proxy.clock import SystemClock
from proxy.litellm_upstream import litellm_upstream
from proxy.upstream import UpstreamRequest

async def main():
    async with litellm_upstream(SystemClock(), os.environ) as upstream:
        asked = b'{"model": "m", "messages": "hello"}'
        url = "litellm://any/chat/completions"
        answer = await upstream.send(UpstreamRequest(url, {}, asked, 30, 30))
        print(upstream.process_id, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_it_does_not_outlive_its_parent(tmp_path: Path, folder: Path) -> None:
    """A parent that is killed cannot say so: its process ends all the same, and takes the socket
    and its folder along."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=PIPE, env=stand_in(tmp_path, TMPDIR=str(folder))
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert len(names_in(folder)) == 1
    parent.kill()
    await dies(child, 0)
    assert names_in(folder) == []
    await parent.wait()


# -- who may talk to it, and how much


@pytest.mark.parametrize("why", ["no unix sockets", "a path that is too long"])
async def test_a_port_where_there_is_no_unix_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Where a Unix socket cannot be had, it listens on loopback."""
    unix = why != "no unix sockets"
    if unix:
        deep = tmp_path / ("deep" * 30)
        deep.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(deep))
    environ = stand_in(tmp_path)
    async with litellm_upstream(ManualClock(), environ, unix_sockets=unix) as upstream:
        assert await answered_by(upstream) == upstream.process_id


@asynccontextmanager
async def listening(environ: Mapping[str, str], socket: str | None) -> AsyncIterator[int]:
    """The process alone, as its parent starts it. Yields its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.litellm_child", stdin=PIPE, stdout=PIPE, env=environ
    )
    assert process.stdin is not None
    assert process.stdout is not None
    start = Start(secret="s3cret", socket=socket, max_body_bytes=UNBOUNDED, calls_at_once=9)
    process.stdin.write(msgspec.json.encode(start) + b"\n")
    yield int(await process.stdout.readline())
    process.stdin.close()
    assert await process.wait() == 0


@pytest.mark.parametrize("unix", [True, False], ids=["unix socket", "port"])
async def test_it_answers_only_who_knows_the_secret(
    tmp_path: Path, folder: Path, unix: bool
) -> None:
    """Somebody else on this machine cannot use our accounts."""
    path = str(folder / "socket") if unix else None
    async with listening(stand_in(tmp_path), path) as port:
        connector = aiohttp.UnixConnector(path) if path else aiohttp.TCPConnector()
        url = f"http://127.0.0.1:{port or 80}/any/chat/completions"
        body = {"model": "m", "messages": "hello"}
        async with aiohttp.ClientSession(connector=connector) as http:
            for secret in ("", "s3cre", "s3cret!", "ä", "s3cret"):
                async with http.post(url, json=body, headers={SECRET_HEADER: secret}) as answer:
                    assert answer.status == (200 if secret == "s3cret" else 403)


async def test_so_many_calls_at_once_and_so_long_a_body(tmp_path: Path) -> None:
    """What is beyond a bound is refused at once: 429 with a time to return, 413."""
    async with litellm_upstream(
        ManualClock(), stand_in(tmp_path), calls_at_once=1, max_body_bytes=1000
    ) as upstream:
        long = await upstream.send(asking(messages="x" * 1001))
        stream = await upstream.send(asking(stream=True))
        refused = await upstream.send(asking())
        assert long.status == 413
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        for answer in (long, stream, refused):
            answer.close()
