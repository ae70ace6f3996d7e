"""`hedgerow demo`: the main job on loopback, without keys and without network."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import click
from pydantic import SecretStr

from benchmarks.trace import azure_conversation
from hedgerow.app import Running, running
from hedgerow.arguments import Ratio
from hedgerow.books import books
from hedgerow.commands.explain import request_lines, request_with_charges
from hedgerow.commands.ledger import audit_line
from hedgerow.commands.rehearsals import progress, rehearsed_json, rehearsed_lines
from hedgerow.config import Config, load_config
from hedgerow.demo import MODEL, TEAMS, write_config
from hedgerow.loops import run, told_to_stop
from hedgerow.printing import json_option, print_json
from hedgerow.rehearsal import Rehearsed, last_answered, rehearse, sandbox_instead, team_key
from proxy.clock import SystemClock

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
        written = load_config(write_config(folder), os.environ)
        show = _in_json if as_json else _in_words
        run(_demo(written, show, once=once, count=count, speedup=speedup, seed=seed, port=port))


Show = Callable[[Rehearsed, Config, str, dict[str, str]], Awaitable[None]]


async def _demo(
    written: Config, show: Show, *, once: bool, count: int, speedup: float, seed: int, port: int
) -> None:
    in_words = show is _in_words
    rows = azure_conversation(count)
    keys = {team: team_key(written, team, SystemClock()) for team in TEAMS}
    # Made anew at each start, and nowhere written: it opens the dashboard of this process alone.
    admin_key = f"sk-demo-{secrets.token_urlsafe(24)}"
    lent = written.server.model_copy(update={"admin_key": SecretStr(admin_key)})
    written = replace(written, server=lent)
    async with sandbox_instead(written, seed) as config, running(config, port=port) as server:
        if in_words:
            _chapter(
                "1. A real trace through the proxy",
                f"{count} requests of the Azure LLM inference trace 2023 (conversation, CC BY 4.0),"
                f" {speedup:g} times as fast,",
                f"to {len(config.providers)} sandbox providers of {MODEL}: real prices, simulated"
                " latencies and failures.",
            )
        rehearsed = await rehearse(
            config,
            server,
            rows,
            keys=list(keys.values()),
            model=MODEL,
            speedup=speedup,
            max_tokens=MAX_TOKENS,
            seed=seed,
            on_progress=progress() if in_words else None,
        )
        await show(rehearsed, config, server.base_url, keys)
        if not once:
            stop = told_to_stop()
            lines = _invitation(server, keys["research"], admin_key)
            click.echo("\n".join(lines), err=not in_words)
            await stop.wait()


async def _in_json(
    rehearsed: Rehearsed, _config: Config, base_url: str, _keys: dict[str, str]
) -> None:
    print_json(rehearsed_json(rehearsed) | {"base_url": base_url})


async def _in_words(
    rehearsed: Rehearsed, config: Config, base_url: str, keys: dict[str, str]
) -> None:
    click.echo("\n".join(rehearsed_lines(rehearsed)))
    _chapter(
        "2. Why a request went where it went (`hedgerow explain`)",
        *await asyncio.to_thread(_one_decision, config, rehearsed),
    )
    _chapter("3. A budget that has run out", *await _refused(base_url, keys["interns"]))
    _chapter(
        "4. The books, recomputed from their rows (`hedgerow ledger verify`)",
        audit_line(rehearsed.audit),
    )
    _chapter(
        "5. Which contracts keep every month under its cap (`hedgerow hedge plan --demo`)",
        *await asyncio.to_thread(_plan),
    )


def _chapter(title: str, *lines: str) -> None:
    click.echo("\n".join(("", click.style(title, bold=True), *lines)))


def _one_decision(config: Config, rehearsed: Rehearsed) -> list[str]:
    record = last_answered(config, rehearsed.replayed)
    if record is None:
        return ["no request was answered"]
    with books(config, create=False) as store:
        return request_lines(*request_with_charges(store, record.id))


async def _refused(base_url: str, key: str) -> list[str]:
    """What a client is told whose team cannot pay for what it asks."""
    message = {"role": "user", "content": "Write me a very long story."}
    body = {"model": MODEL, "messages": [message], "max_tokens": 100_000}
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{base_url}/chat/completions", json=body) as answer,
    ):
        return [f"HTTP {answer.status}", json.dumps(await answer.json(), indent=2)]


def _plan() -> list[str]:
    from hedge.planning.planning import plan_months
    from hedge.planning.sample import sample
    from hedgerow.commands.hedge_planned import plan_lines
    from hedgerow.plan_question import of_sample

    bundled = sample()
    asked = of_sample(bundled, None, confidence=0.95, months=12, seed=1)
    return [bundled.label, "", *plan_lines(plan_months(asked, is_shaken=False))]


def _invitation(server: Running, key: str, admin_key: str) -> list[str]:
    base_url = server.base_url
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]})
    python = "import openai; print(openai.OpenAI().models.list().data)"
    return [
        "",
        click.style("It goes on serving; try it (Ctrl-C ends it)", bold=True),
        f"dashboard: {server.admin_url}/",
        f"log in with this key, which ends with the demo: {admin_key}",
        "",
        f"curl {base_url}/chat/completions -H 'Authorization: Bearer {key}' -d '{body}'",
        "",
        f'OPENAI_BASE_URL={base_url} OPENAI_API_KEY={key} python -c "{python}"',
    ]
