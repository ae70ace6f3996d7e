"""`hedgerow eval`: how good the offers are, on prompts of your own."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np

from benchmarks.errors import PromptsInvalid
from benchmarks.evals.asking import Asker
from benchmarks.evals.drift import Look, look
from benchmarks.evals.graders import Judge, Similarity
from benchmarks.evals.history import EvalHistory, EvalRun, by_benchmark
from benchmarks.evals.prompts import Prompt, read_prompts
from benchmarks.evals.purse import Purse
from benchmarks.evals.report import outcome_lines, runs_of
from benchmarks.evals.run import Contestant, Outcome, Plan, Ran, run_eval
from benchmarks.market import Quoted
from benchmarks.offers import Task
from benchmarks.quotes import Quote
from benchmarks.tables.facts import Fact
from hedgerow.arguments import LABELS, USD
from hedgerow.books import market_books
from hedgerow.commands.eval_train import train
from hedgerow.config import Config, load_config
from hedgerow.errors import FolderRefused, NotFound
from hedgerow.loops import run as run_loop
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers, sold_as
from hedgerow.printing import config_option, dollars, json_option, print_json, table
from hedgerow.visiting import Address, Visitor, visiting
from ledger.money import Money, as_usd, usd
from proxy.clock import SystemClock

OURS = "ours"
"""What our own measure is called, unless a run names another."""
_BENCHMARK = re.compile(r"[A-Za-z0-9._-]{1,64}")


@click.group()
def eval() -> None:  # noqa: A001 - the command's own word
    """Measure how good the offers are, on your own prompts."""


eval.add_command(train)


@eval.command()
@click.argument("prompts_file", metavar="PROMPTS", type=click.Path(path_type=Path))
@config_option
@click.option("--model", "models", multiple=True, help="Only this model's offers; more than once.")
@click.option("--offers", type=LABELS, help="Only these offers, as `hedgerow market` names them.")
@click.option(
    "--repeat",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="How often each prompt is asked.",
)
@click.option(
    "--budget-usd",
    "cap",
    type=USD,
    default=usd(1),
    show_default="1",
    help="The most that it may cost; it ends before that is exceeded.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="How many answers are waited for at once.",
)
@click.option("--benchmark", default=OURS, show_default=True, help="What the scores are called.")
@click.option(
    "--outcomes",
    type=click.Path(path_type=Path),
    help="A file for every single answer with its score, as JSONL.",
)
@click.option("--url", help="A proxy that runs, up to and with /v1. [default: found, or started]")
@click.option(
    "--key",
    envvar="HEDGEROW_KEY",
    help="A key of it, or $HEDGEROW_KEY. [default: one of its own, of the team evals]",
)
@json_option
def run(
    prompts_file: Path,
    path: Path,
    models: tuple[str, ...],
    offers: tuple[str, ...] | None,
    repeat: int,
    cap: Money,
    concurrency: int,
    benchmark: str,
    outcomes: Path | None,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Ask every offer every prompt, grade the answers, and keep the scores.

    Each line of PROMPTS is a JSON object; docs/evals.md says what it has. The answers come through
    the proxy, at real prices, charged to a key: the one that serves these books, or one that is
    started for this run. The cap is kept by what each call can cost at most, known before it is
    made, and by a budget in the books. Exit code 1 if no answer could be graded.
    """
    config = load_config(path, os.environ)
    if not _BENCHMARK.fullmatch(benchmark):
        raise click.BadParameter("use letters, digits and . _ -", param_hint="--benchmark")
    prompts = read_prompts(prompts_file)
    at = datetime.now(UTC)
    market = quoted_offers(config, known_prices(config, at), at)
    _check_graders(prompts, config)
    plan = Plan(prompts, _contestants(config, market, models, offers), repeat, concurrency)
    ran = Ran()
    try:
        run_loop(_run(config, plan, market, cap, Address(url, key), ran, quiet=as_json))
    except KeyboardInterrupt:  # what was paid for is kept
        ran.stopped = "interrupted"
    at = datetime.now(UTC)
    found = runs_of(benchmark, plan.contestants, ran.outcomes)
    with market_books(config.ledger) as sql, sql.transaction():
        EvalHistory(sql).keep(found, at, at)
    if outcomes is not None:
        _write(outcomes, ran.outcomes)
    if ran.stopped:
        click.echo(f"ended early: {ran.stopped}", err=True)
    for offer in sorted(ran.given_up):
        click.echo(f"{offer} was asked no more: {_last_failure(ran, offer)}", err=True)
    for line in _shut(config, benchmark, market, found):
        click.echo(line, err=True)
    if as_json:
        asked = {"prompts": len(prompts), "repeat": repeat, "stopped": ran.stopped or None}
        print_json({"benchmark": benchmark, **asked, "offers": [_described(one) for one in found]})
    else:
        click.echo(_board(found) if found else "no answer could be graded")
    if not found:
        raise click.exceptions.Exit(1)


def _shut(
    config: Config,
    benchmark: str,
    market: Mapping[str, Sequence[Quoted]],
    found: Sequence[EvalRun],
) -> Iterator[str]:
    """Names for which these scores leave nobody: a floor counts the lower end of an interval, which
    is low after few prompts."""
    low = {one.offer: one.low for one in found}
    for name, model in config.models.items():
        floor = model.quality
        if floor is None or floor.benchmark != benchmark:
            continue
        sold = [one for each in (model.any_of or (name,)) for one in market[each] if one.quote]
        best = max((low.get(one.offer.id, 1.0) for one in sold), default=1.0)
        if best < floor.at_least:
            yield (
                f"{name}: every request is refused now: it wants {floor.at_least:g}, and no offer"
                f" is sure to have more than {best:.3f}; more prompts make that surer"
            )


@eval.command()
@config_option
@click.option("--model", help="Only this model's offers.")
@click.option("--benchmark", help="Only these scores.")
@click.option("--check", is_flag=True, help="Exit with 1 where an offer has become worse.")
@json_option
def show(path: Path, model: str | None, benchmark: str | None, check: bool, as_json: bool) -> None:
    """The newest scores, and which offers have become worse.

    The newest run of an offer is held against its runs before, and against the newest runs of the
    other offers of its model, prompt by prompt.
    """
    config = load_config(path, os.environ)
    now = datetime.now(UTC)
    with market_books(config.ledger, create=False) as sql:
        history = EvalHistory(sql)
        latest = [one for one in history.latest(now) if _is_wanted(one, model, benchmark)]
        looks = {
            name: _look(history, name, runs, now) for name, runs in by_benchmark(latest).items()
        }
    if as_json:
        print_json({"benchmarks": [_shown(one, latest, looks[one]) for one in looks]})
    elif not latest:
        click.echo("nothing has been measured yet: `hedgerow eval run PROMPTS` does")
    else:
        click.echo("\n\n".join(_page(one, latest, looks[one]) for one in looks))
    if check and any(one.alarms for one in looks.values()):
        raise click.exceptions.Exit(1)


async def _run(
    config: Config,
    plan: Plan,
    market: Mapping[str, Sequence[Quoted]],
    cap: Money,
    address: Address,
    ran: Ran,
    *,
    quiet: bool,
) -> None:
    def quotes(model: str) -> list[Quote]:
        every = (one for name in sold_as(config, model) for one in market[name])
        return [one.quote for one in every if one.quote is not None]

    who = Visitor(name="eval", team="evals", user=None, most=cap)
    async with visiting(config, who, address) as api:
        asker = Asker(api, Purse(cap), quotes, secrets.token_hex(8))
        clock = SystemClock()
        await run_eval(plan, asker, clock.sleep, _progress(plan.count, quiet=quiet), ran)


def _progress(wanted: int, *, quiet: bool) -> Callable[[Outcome], None]:
    """A running count on a terminal; nothing in a pipe."""
    done = 0

    def show_one(_: Outcome) -> None:
        nonlocal done
        done += 1
        if not quiet and sys.stderr.isatty() and (done % 10 == 0 or done == wanted):
            click.echo(f"\r  {done} of {wanted} answers", err=True, nl=done == wanted)

    return show_one


def _contestants(
    config: Config,
    market: Mapping[str, Sequence[Quoted]],
    models: Sequence[str],
    offers: Sequence[str] | None,
) -> list[Contestant]:
    """Whom to ask: each offer once, by the first model that has it. Raises NotFound."""
    wanted = [one for model in models for one in sold_as(config, model)]
    found: dict[str, Contestant] = {}
    for model in wanted or market:
        for one in market[model]:
            tasks = one.offer.tasks
            if tasks is not None and Task.CHAT not in tasks:
                continue
            if one.quote is None:
                click.echo(f"{one.offer.id} is left out: nobody knows its price", err=True)
                continue
            found.setdefault(one.offer.id, Contestant(model, one.offer, one.quote))
    known = found.keys()
    if unknown := [one for one in offers or () if one not in known]:
        there = ", ".join(known) or "none"
        raise NotFound(f"there is no offer {unknown[0]} to be measured; there are: {there}")
    asked = [one for one in found.values() if offers is None or one.offer.id in offers]
    if not asked:
        raise NotFound(f"{config.path} has no offer that can be measured: chat, with a price")
    return asked


def _check_graders(prompts: Sequence[Prompt], config: Config) -> None:
    """Raises PromptsInvalid for a grader that asks a model which is not configured."""
    for one in prompts:
        match one.grader:
            case Judge(model) | Similarity(model) if model not in config.models:
                known = ", ".join(config.models)
                raise PromptsInvalid(
                    f"prompt {one.id}: its grader asks {model}, and {config.path} has no such"
                    f" model; there are: {known}"
                )


def _last_failure(ran: Ran, offer: str) -> str:
    failures = (one.why for one in reversed(ran.outcomes) if one.contestant.offer.id == offer)
    return next(failures, "no answer")


def _write(file: Path, outcomes: Sequence[Outcome]) -> None:
    try:
        with file.open("wb") as lines:
            lines.writelines(outcome_lines(outcomes))
    except OSError as error:
        raise FolderRefused(f"cannot write {file}: {error.strerror}; name another file") from error


def _is_wanted(one: Fact[EvalRun], model: str | None, benchmark: str | None) -> bool:
    run_of = one.said
    return (
        run_of is not None
        and (model is None or run_of.model == model)
        and (benchmark is None or run_of.benchmark == benchmark)
    )


def _look(history: EvalHistory, benchmark: str, latest: Sequence[EvalRun], now: datetime) -> Look:
    models = {one.offer: one.model for one in latest}
    runs = {offer: history.runs(benchmark, offer, now) for offer in models}

    def same_model(offer: str) -> list[str]:
        return [one for one, model in models.items() if model == models[offer]]

    return look(runs, same_model, np.random.default_rng(len(runs)))


def _board(runs: Sequence[EvalRun]) -> str:
    return table(
        (
            *("offer", "score", "90% interval", "prompts", "failed", "ungraded"),
            *("cost", "grading", "median time"),
        ),
        [
            (
                one.offer,
                f"{one.score:.3f}",
                f"{one.low:.3f} to {one.high:.3f}",
                f"{one.n:,}",
                f"{one.failed:,}",
                f"{one.ungraded:,}",
                dollars(Money(one.cost_nanos)),
                dollars(Money(one.grading_nanos)),
                "?" if one.seconds_p50 is None else f"{one.seconds_p50 * 1000:,.0f} ms",
            )
            for one in sorted(runs, key=lambda one: -one.score)
        ],
    )


def _page(benchmark: str, latest: Sequence[Fact[EvalRun]], seen: Look) -> str:
    runs = [one.said for one in latest if one.said and one.said.benchmark == benchmark]
    lines = [benchmark, "", _board(runs)]
    if seen.alarms:
        lines.append("")
    lines += [f"quality_drop: {one.offer}: {one.why}" for one in seen.alarms]
    return "\n".join(lines)


def _described(one: EvalRun) -> dict[str, object]:
    return {
        "offer": one.offer,
        "model": one.model,
        "score": one.score,
        "low": one.low,
        "high": one.high,
        "prompts": one.n,
        "failed": one.failed,
        "ungraded": one.ungraded,
        "cost_usd": as_usd(Money(one.cost_nanos)),
        "grading_usd": as_usd(Money(one.grading_nanos)),
        "seconds_p50": one.seconds_p50,
    }


def _shown(benchmark: str, latest: Sequence[Fact[EvalRun]], seen: Look) -> dict[str, object]:
    return {
        "benchmark": benchmark,
        "offers": [
            {**_described(one.said), "at": one.value_time.isoformat()}
            for one in latest
            if one.said is not None and one.said.benchmark == benchmark
        ],
        "comparisons": [
            {
                "offer": one.offer,
                "against": one.against,
                "prompts": one.prompts,
                "before": one.before,
                "now": one.now,
                "drop": one.drop,
                "low": one.low,
                "high": one.high,
                "better": one.better,
                "worse": one.worse,
                "p": one.p,
                "p_adjusted": one.p_adjusted,
            }
            for one in seen.comparisons
        ],
        "trends": [
            {"offer": one.offer, "runs": one.runs, "cusum": one.cusum, "drop": one.drop}
            for one in seen.trends
        ],
        "alarms": [
            {
                "alarm": "quality_drop",
                "offer": one.offer,
                "against": one.against,
                "drop": one.size,
                "p": one.p,
                "why": one.why,
            }
            for one in seen.alarms
        ],
    }


eval.add_command(train)
