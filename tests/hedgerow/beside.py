"""Commands that run here, beside sandbox providers that have a thread of their own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from benchmarks.sandbox import Behaviour, SandboxProvider
from hedgerow.cli import hedgerow

PATIENCE_S = 10.0


@contextmanager
def providers(**behaviours: Behaviour) -> Iterator[Mapping[str, SandboxProvider]]:
    """A provider of each behaviour, by its name."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    found = {name: SandboxProvider(one) for name, one in behaviours.items()}
    try:
        for one in found.values():
            asyncio.run_coroutine_threadsafe(one.start(), loop).result(PATIENCE_S)
        yield found
    finally:
        for one in found.values():
            asyncio.run_coroutine_threadsafe(one.close(), loop).result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


def urls(of: Mapping[str, SandboxProvider]) -> dict[str, str]:
    return {name: one.base_url for name, one in of.items()}


def said(*words: str | Path) -> Result:
    """Run a command to its end."""
    return CliRunner().invoke(hedgerow, [str(one) for one in words])


def told(*words: str | Path) -> Any:
    """What a command that succeeds says with --json."""
    done = said(*words, "--json")
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    return json.loads(done.stdout)
