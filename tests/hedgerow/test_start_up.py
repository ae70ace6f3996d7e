"""Start-up: what costs seconds or hundreds of MB is imported by nobody who does not need it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hedgerow.processes import NOWHERE, write_config

HEAVY = {"litellm", "cvxpy", "scipy", "pandas", "openai"}
"""numpy is none of ours either, but sqlite-utils loads it wherever it is installed."""


def modules_after(words: tuple[str, ...], folder: Path) -> set[str]:
    """The top-level modules that a process has loaded when the command has ended."""
    report = folder / "modules.txt"
    code = (
        "import atexit, pathlib, sys\n"
        "atexit.register(lambda: pathlib.Path(sys.argv[-1]).write_text("
        "' '.join({one.partition('.')[0] for one in sys.modules})))\n"
        "from hedgerow.cli import hedgerow\n"
        "hedgerow(sys.argv[1:-1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words, report],
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
        env=os.environ,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return set(report.read_text().split())


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = write_config(tmp_path, NOWHERE)
    path.write_text(path.read_text().replace("feeds: []", "feeds: [{kind: litellm}]"))
    return str(path)


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("check",),
        ("key", "create"),
        ("market",),
        ("route", "--model", "oak", "--input-tokens", "10"),
        ("hedge", "plan"),
    ],
    ids=lambda words: words[0],
)
def test_light_commands(words: tuple[str, ...], config: str, tmp_path: Path) -> None:
    """Not even with the price file of litellm read."""
    given = words if words[0] in {"--help", "hedge"} else (*words, "-c", config)
    assert modules_after(given, tmp_path) & HEAVY == set()


def test_serve_is_light(config: str) -> None:
    """Everything that `serve` imports until it is ready, and what it needs to stop."""
    code = (
        "import asyncio, os, pathlib, sys\n"
        "import hedgerow.commands.serve\n"
        "from hedgerow.app import running\n"
        "from hedgerow.config import load_config\n"
        "async def main():\n"
        "    async with running(load_config(pathlib.Path(sys.argv[1]), os.environ), port=0):\n"
        "        print(*{one.partition('.')[0] for one in sys.modules})\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, config],
        capture_output=True,
        check=True,
        text=True,
        timeout=30,
    )
    loaded = set(done.stdout.split())
    assert "aiohttp" in loaded
    assert loaded & HEAVY == set()
