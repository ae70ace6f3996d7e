"""`hedgerow demo`: the main job on loopback, without keys and without network."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import click

from benchmarks.trace import azure_conversation
from hedgerow.app import books, running
from hedgerow.arguments import Ratio
from hedgerow.commands.ledger import audit_line
from hedgerow.commands.rehearsals import progress, rehearsed_json, rehearsed_lines
from hedgerow.commands.route import request_lines, request_with_charges
from hedgerow.config import Config, load_config
from hedgerow.demo import MODEL, TEAMS, write_config
from hedgerow.loops import run, told_to_stop
from hedgerow.printing import json_option, print_json
from hedgerow.rehearsal import Rehearsed, last_answered, rehearse, sandbox_instead
from ledger.keys import hash_of, mint

MAX_TOKENS = 1024
"""What the demo's clients allow for an answer; longer answers of the trace end there."""


@click.command()
@click.option("--once", is_flag=True, help="End after the show instead of serving on.")
@click.option(
    "--requests",
    "count",
    type=click.IntRange(100, 4000),
    default=600,
    show_default=True,
    help="How much of the trace is replayed.",
)
@click.option(
    "--speedup",
    type=Ratio(1, 10_000),
    default=20.0,
    show_default=True,
    help="How many times faster than it happened.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything random.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Listen here. [default: any free]"
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the configuration and the books here. [default: a folder that is removed]",
)
@json_option
def demo(
    once: bool,
    count: int,
    speedup: float,
    seed: int,
    port: int,
    folder: Path | None,
    as_json: bool,
) -> None:
    """The main job on loopback: a real trace, and what became of the money.

    Providers are sandbox servers on this machine: their prices are real, their latencies and
    failures simulated. No API key and no network is used.
    """
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hedgerow-")))
        path = write_config(folder)
        show = _Show(load_config(path, os.environ), once, count, speedup, seed, port, as_json)
        run(show.go())


class _Show:
    def __init__(
        self,
        config: Config,
        once: bool,
        count: int,
        speedup: float,
        seed: int,
        port: int,
        as_json: bool,
    ) -> None:
        self.written, self.once, self.count = config, once, count
        self.speedup, self.seed, self.port, self.as_json = speedup, seed, port, as_json

    def say(self, *lines: str) -> None:
        """For people; in JSON mode stdout holds nothing but the object."""
        if not self.as_json:
            click.echo("\n".join(lines))

    def title(self, text: str) -> None:
        self.say("", click.style(text, bold=True))

    async def go(self) -> None:
        rows = azure_conversation(self.count)
        keys = dict(zip(TEAMS, (self._key(team) for team in TEAMS), strict=True))
        async with (
            sandbox_instead(self.written, self.seed) as config,
            running(config, port=self.port) as server,
        ):
            self.title("1. A real trace through the proxy")
            self.say(
                f"{len(rows)} requests of the Azure LLM inference trace 2023 (conversation, CC BY"
                f" 4.0), {self.speedup:g} times as fast,",
                f"to {len(config.providers)} sandbox providers of {MODEL}: real prices, simulated"
                " latencies and failures.",
            )
            rehearsed = await rehearse(
                config,
                server.base_url,
                rows,
                keys=list(keys.values()),
                model=MODEL,
                speedup=self.speedup,
                max_tokens=MAX_TOKENS,
                seed=self.seed,
                on_progress=None if self.as_json else progress(),
            )
            self.say(*rehearsed_lines(rehearsed))
            if self.as_json:
                print_json(rehearsed_json(rehearsed) | {"base_url": server.base_url})
            else:
                await self._explain(config, rehearsed, server.base_url, keys["interns"])
            if not self.once:
                stop = told_to_stop()
                self._invite(server.base_url, keys["research"])
                await stop.wait()

    async def _explain(
        self, config: Config, rehearsed: Rehearsed, base_url: str, spent_key: str
    ) -> None:
        self.title("2. Why a request went where it went (`hedgerow explain`)")
        self.say(*await asyncio.to_thread(_one_decision, config, rehearsed))
        self.title("3. A budget that has run out")
        self.say(*await _refused(base_url, spent_key))
        self.title("4. The books, recomputed from their rows (`hedgerow ledger verify`)")
        self.say(audit_line(rehearsed.audit))
        self.title("5. Which contracts keep a month under its cap (`hedgerow hedge plan --demo`)")
        self.say(*await asyncio.to_thread(_plan))

    def _key(self, team: str) -> str:
        name = f"demo {team}"
        secret, record = mint(time.time_ns(), secrets.token_bytes, name=name, team=team)
        with books(self.written) as store, store.transaction():
            store.add_key(record, hash_of(secret))
        return secret

    def _invite(self, base_url: str, key: str) -> None:
        self.title("It goes on serving; try it (Ctrl-C ends it)")
        body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]})
        click.echo(
            f"curl {base_url}/chat/completions -H 'Authorization: Bearer {key}' -d '{body}'\n\n"
            f'OPENAI_BASE_URL={base_url} OPENAI_API_KEY={key} python -c "import openai;'
            f' print(openai.OpenAI().models.list().data)"',
            err=self.as_json,
        )


def _one_decision(config: Config, rehearsed: Rehearsed) -> list[str]:
    record = last_answered(config, rehearsed.replayed)
    if record is None:
        return ["no request was answered"]
    with books(config, create=False) as store:
        return request_lines(*request_with_charges(store, record.id))


async def _refused(base_url: str, key: str) -> list[str]:
    """What a client of a team without money is told."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "x" * 400_000}]}
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{base_url}/chat/completions", json=body) as answer,
    ):
        return [f"HTTP {answer.status}", json.dumps(await answer.json(), indent=2)]


def _plan() -> list[str]:
    from hedge.sample import demo_plan
    from hedgerow.commands.hedge import plan_lines

    return plan_lines(demo_plan(None, 0.95, 1))
