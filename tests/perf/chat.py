"""The chat path on one core: what the proxy does in a second, and what it adds.

The proxy runs on core 0; the static upstream and the load on core 1.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from hedgerow.printing import table
from tests.perf.load import Load, load

HEDGEROW = str(Path(sys.executable).with_name("hedgerow"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


def _config(folder: Path, upstream: int) -> Path:
    """Ten offers of one model, three nested budgets: nothing is switched off."""
    lines = ["ledger: {url: 'sqlite:///bench.db'}", "providers:"]
    url = f"http://127.0.0.1:{upstream}/v1"
    lines += [f"  u{n}: {{dialect: openai, base_url: '{url}', api_key: sk}}" for n in range(10)]
    lines += ["models:", "  gpt-4o-mini:", "    offers:"]
    lines += [
        f"      - {{provider: u{n}, model: gpt-4o-mini,"
        f" price: {{input: 0.{15 + n}, output: 0.{60 + n}}}}}"
        for n in range(10)
    ]
    lines.append("policies: [policy.yaml]")
    path = folder / "hedgerow.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    (folder / "policy.yaml").write_text(
        "budgets:\n"
        "  - {name: everyone, scope: {}, window: month, cap_usd: 1000000}\n"
        "  - {name: team, scope: {team: bench}, window: month, cap_usd: 500000}\n"
        "  - {name: user, scope: {user: bench}, window: day, cap_usd: 100000}\n",
        encoding="utf-8",
    )
    return path


def _pinned(core: int, *command: str) -> subprocess.Popen[str]:
    cores = {core} if core < (os.cpu_count() or 1) else {0}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    os.sched_setaffinity(server.pid, cores)
    return server


def _serve(path: Path, port: int) -> tuple[subprocess.Popen[str], float]:
    """A server that is ready, and how long that took."""
    began = time.perf_counter()
    server = _pinned(0, HEDGEROW, "serve", "-c", str(path), "--port", str(port))
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1).read()
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError):
            # HTTPException: a port that is not served may be connected to itself
            if server.poll() is not None:
                raise RuntimeError("the server ended before it was ready") from None
            time.sleep(0.01)
        else:
            return server, time.perf_counter() - began


def _memory_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _median(runs: list[Load], what: str) -> float:
    return float(statistics.median(getattr(one, what) for one in runs))


def show() -> None:
    print(f"The chat path, everything on (keys, 3 budgets, 10 offers, SQLite), {ROUNDS} rounds of")
    print(f"{SECONDS:g} s, medians:\n")
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {1} if (os.cpu_count() or 1) > 1 else {0})
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        upstream = _pinned(1, sys.executable, "-m", "tests.perf.upstream", "0")
        assert upstream.stdout is not None
        upstream_port = int(upstream.stdout.readline())
        path = _config(folder, upstream_port)
        named = ("--team", "bench", "--user", "bench", "--json")
        made = subprocess.run(
            [HEDGEROW, "key", "create", "-c", str(path), *named],
            capture_output=True,
            check=True,
            text=True,
        )
        key = json.loads(made.stdout)["key"]
        port = upstream_port + 1 if upstream_port < 65000 else upstream_port - 1
        server, cold_s = _serve(path, port)
        try:
            idle_mib = _memory_mib(server.pid)
            load(port, key, 32, 1.0, streamed=False)
            rows = []
            for what, streamed, connections in (
                ("plain, 1 connection", False, 1),
                ("plain, 32 connections", False, 32),
                ("22 events, 32 connections", True, 32),
            ):
                direct, through, cpu_us = [], [], []
                for _ in range(ROUNDS):
                    direct.append(load(upstream_port, key, connections, SECONDS, streamed=streamed))
                    before = _cpu_s(server.pid)
                    one = load(port, key, connections, SECONDS, streamed=streamed)
                    cpu_us.append((_cpu_s(server.pid) - before) / one.requests * 1e6)
                    through.append(one)
                added_ms = _median(through, "p50_ms") - _median(direct, "p50_ms")
                rates = sorted(one.per_second for one in through)
                rows.append(
                    (
                        what,
                        f"{_median(direct, 'per_second'):,.0f}",
                        f"{_median(through, 'per_second'):,.0f}",
                        f"{rates[0]:,.0f} to {rates[-1]:,.0f}",
                        f"{_median(through, 'p50_ms'):.2f}",
                        f"{added_ms:.2f}",
                        f"{_median(through, 'p99_ms'):.2f}",
                        f"{statistics.median(cpu_us):.0f}",
                        str(sum(one.errors for one in through)),
                    )
                )
            heads = ("load", "direct/s", "through/s", "spread", "p50 ms", "added p50 ms", "p99 ms")
            print(table((*heads, "CPU µs each", "errors"), rows))
            loaded_mib = _memory_mib(server.pid)
            print(f"\ncold start to ready {cold_s:.2f} s; ", end="")
            print(f"memory {idle_mib:.0f} MiB idle, {loaded_mib:.0f} MiB after the load")
        finally:
            server.terminate()
            server.wait(30)
            upstream.kill()
            upstream.wait()
            os.sched_setaffinity(0, everywhere)
