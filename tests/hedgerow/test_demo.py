"""`hedgerow demo`: the main job, as somebody sees it who has five minutes."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import socket
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hedgerow.config import load_config
from hedgerow.demo import MODEL
from tests.hedgerow.processes import PATIENCE_S, SCRIPT, hedgerow, lines_until, told
from tests.web.visitor import Visitor

QUICK = ("--requests", "120", "--speedup", "1000")
FIELDS = {
    "requests",
    "succeeded",
    "blocked",
    "prompt_tokens",
    "completion_tokens",
    "spend_usd",
    "cheapest_possible_usd",
    "dearest_usd",
    "by_provider",
    "ledger_verified",
    "base_url",
}


def names_in(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


def keeps_its_promises(demo: Any) -> None:
    """The contract of the one JSON object."""
    assert demo.keys() >= FIELDS
    assert demo["requests"] >= 100
    assert demo["succeeded"] + demo["blocked"] <= demo["requests"]
    assert demo["succeeded"] >= 0.5 * demo["requests"]
    assert demo["ledger_verified"] is True
    assert demo["base_url"].startswith("http://127.0.0.1:")
    spent, cheapest, dearest = (
        Decimal(str(demo[name])) for name in ("spend_usd", "cheapest_possible_usd", "dearest_usd")
    )
    assert 0 < cheapest <= spent <= Decimal("1.1") * cheapest
    assert spent < dearest
    providers = demo["by_provider"]
    assert len(providers) >= 2
    assert sum(Decimal(str(one["cost_usd"])) for one in providers.values()) == spent
    # A provider may also be paid for an attempt that failed: never for fewer tokens than counted.
    for name in ("prompt_tokens", "completion_tokens"):
        assert sum(one[name] for one in providers.values()) >= demo[name] > 0


async def test_once_as_json_twice_in_one_folder(tmp_path: Path) -> None:
    """It ends by itself with one object on stdout; run again on the same books it tells of its own
    traffic only. What it leaves is a configuration that the other commands take."""
    folder = tmp_path / "demo"
    runs = [await told("demo", "--once", *QUICK, "--folder", folder) for _ in range(2)]
    for run in runs:
        keeps_its_promises(run)
    config = folder / "hedgerow.yaml"
    await asyncio.to_thread(load_config, config, {})
    both = (await told("spend", "-c", config, "--by", "provider"))["total"]
    total = sum(Decimal(str(run["spend_usd"])) for run in runs)
    assert Decimal(str(both["cost_usd"])) == total
    assert (await told("ledger", "verify", "-c", config))["verified"] is True


async def test_without_any_network() -> None:
    """In a network namespace that has loopback and nothing else it does just the same."""
    unshare, ip = shutil.which("unshare"), shutil.which("ip")
    up = f"{ip} link set lo up" if ip else LOOPBACK_UP
    line = f"{up} && exec {shlex.join([str(SCRIPT), 'demo', '--once', '--json', *QUICK])}"
    if unshare is None or await _code(unshare, "--net", "--map-root-user", "sh", "-c", up) != 0:
        pytest.skip("this machine lets nobody make a network namespace")
    process = await asyncio.create_subprocess_exec(
        unshare, "--net", "--map-root-user", "sh", "-c", line, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert out.count(b"\n") == 1


LOOPBACK_UP = shlex.join(
    [
        str(SCRIPT.parent / "python"),
        "-c",
        (
            "import fcntl, socket, struct; fcntl.ioctl(socket.socket(type=socket.SOCK_DGRAM),"
            " 0x8914, struct.pack('16sH14s', b'lo', 0x41, b''))"  # SIOCSIFFLAGS: up and running
        ),
    ]
)


async def _code(*command: str) -> int:
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL)
    return await process.wait()


async def test_the_show_for_people_and_what_it_prints_to_try() -> None:
    """Five parts; then it serves on, and both commands that it prints do what they promise, as does
    the key of the dashboard. SIGTERM ends it with exit code 0, and its folder is gone."""
    process = await asyncio.create_subprocess_exec(
        SCRIPT, "demo", *QUICK, stdout=PIPE, stderr=PIPE, env={"PATH": "/usr/bin:/bin"}
    )
    try:
        lines = await lines_until(process.stdout, "OPENAI_BASE_URL=")
        curl, client = (line for line in lines if line.startswith(("curl ", "OPENAI_BASE_URL=")))
        if shutil.which("curl"):
            answer = await _stdout(f"{curl} --silent --fail")
            assert '"chat.completion"' in answer
        python = shlex.quote(str(SCRIPT.parent / "python"))
        assert MODEL in await _stdout(client.replace(" python -c ", f" {python} -c "))
        url, key = (
            line.rpartition(" ")[2]
            for line in lines
            if line.startswith(("dashboard: http://127.0.0.1:", "log in with this key"))
        )
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            visitor = Visitor(url.rstrip("/"), http)
            assert (await visitor.log_in(key)).status == 303
            assert MODEL in (await visitor.get("/ui/market")).text
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            rest, err = await process.communicate()
        assert (process.returncode, rest, err) == (0, b"", b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = "\n".join(lines)
    titles = [line for line in lines if line[:2] in {f"{at}." for at in range(1, 6)}]
    assert [line[0] for line in titles] == ["1", "2", "3", "4", "5"]
    for part in (
        "at the dearest offer",
        "at the first-listed offer alone",
        "expected cost",
        "HTTP 402",
        '"code": "budget_exceeded"',
        "verified: ",
        "0 holds open",
        "buy now:",
    ):
        assert part in text


async def _stdout(line: str) -> str:
    process = await asyncio.create_subprocess_shell(line, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_json_without_once(tmp_path: Path) -> None:
    """One object on stdout as soon as it is known, what to try on stderr; Ctrl-C ends it."""
    process = await asyncio.create_subprocess_exec(
        SCRIPT, "demo", "--json", *QUICK, "--folder", tmp_path, stdout=PIPE, stderr=PIPE
    )
    assert len(await lines_until(process.stdout, '{"requests":120,')) == 1
    await lines_until(process.stderr, "OPENAI_BASE_URL=")
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(PATIENCE_S):
        out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stopped_in_the_middle(number: signal.Signals, tmp_path: Path) -> None:
    """Stopped while it replays: no traceback, and the temporary folder is gone."""
    process = await asyncio.create_subprocess_exec(
        SCRIPT, "demo", "--requests", "4000", "--speedup", "1",
        stdout=PIPE, stderr=PIPE, env={"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    await lines_until(process.stdout, "to ")
    process.send_signal(number)
    async with asyncio.timeout(PATIENCE_S):
        _, err = await process.communicate()
    assert (process.returncode, err) == (1, b"\nAborted!\n")
    assert await asyncio.to_thread(names_in, tmp_path) == []


async def test_a_port_in_use() -> None:
    """One line, before anything is replayed."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        done = await hedgerow("demo", "--once", "--json", "--port", str(port))
    assert done.failed_in_one_line
    assert f"127.0.0.1:{port}" in done.err


async def test_somebody_elses_folder(tmp_path: Path) -> None:
    """A hedgerow.yaml that is not the demo's stays as it is."""
    own = tmp_path / "hedgerow.yaml"
    own.write_text("# mine\n")
    done = await hedgerow("demo", "--once", "--folder", tmp_path)
    assert done.failed_in_one_line
    assert own.read_text() == "# mine\n"
    assert await asyncio.to_thread(names_in, tmp_path) == ["hedgerow.yaml"]
