"""`hedgerow route`: what would be chosen now, and why."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.evals.history import EvalHistory
from benchmarks.market import Market
from benchmarks.offers import Feature, Task
from benchmarks.traffic.observations import MINUTE_S, RECENT_MINUTES
from benchmarks.traffic.observed import told
from hedgerow.books import market_books
from hedgerow.config import Config, load_config
from hedgerow.decisions import decision_lines, described
from hedgerow.manners import manners, ttft_limits_ms
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers, sold_as
from hedgerow.printing import config_option, json_option, print_json
from hedgerow.router.question import Question, chosen
from ledger.errors import StoreUnavailable
from proxy.errors import Invalid
from proxy.house import Manners
from routing.decide import Moment
from routing.explanation import explain as explained
from routing.learned import FIRST_COMPLETION_TOKENS
from routing.state import State


@click.command()
@config_option
@click.option("--model", required=True, help="A model name of the configuration, also with :floor.")
@click.option(
    "--task",
    type=click.Choice([one.value for one in Task]),
    default=Task.CHAT.value,
    show_default=True,
    help="The kind of work.",
)
@click.option("--input-tokens", type=click.IntRange(1), required=True, help="Of the prompt.")
@click.option(
    "--output-tokens",
    type=click.IntRange(1),
    default=int(FIRST_COMPLETION_TOKENS),
    show_default=True,
    help="Expected in the answer of a chat or a completion.",
)
@click.option("--max-tokens", type=click.IntRange(1), help="The most that the client allows.")
@click.option(
    "--needs",
    type=click.Choice([one.value for one in Feature]),
    multiple=True,
    help="A feature that the request uses; may be given more than once.",
)
@click.option(
    "--units",
    type=click.IntRange(0),
    default=0,
    help="Images, characters to read out, seconds of audio or searches, as the task has it.",
)
@click.option(
    "--provider",
    metavar="JSON",
    help="What the request says in its field `provider`, as in '{\"zdr\": true}'.",
)
@json_option
def route(
    path: Path,
    model: str,
    task: str,
    input_tokens: int,
    output_tokens: int,
    max_tokens: int | None,
    needs: tuple[str, ...],
    units: int,
    provider: str | None,
    as_json: bool,
) -> None:
    """What would be chosen now for a request of this size, and why.

    Prices are today's; latencies and failures are what a running proxy has seen in the last
    minutes, and quality what evals have measured, where its books can be reached. A second offer
    is that of a stream.
    """
    config = load_config(path, os.environ)
    at = datetime.now(UTC)
    question = Question(
        model=model,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        max_tokens=max_tokens,
        task=Task(task),
        needs=frozenset(Feature(one) for one in needs),
        units=units,
        provider=provider,
    )
    try:
        model, _ = question.asked(config.models)
    except Invalid as invalid:
        raise click.BadParameter(invalid.message, param_hint="--provider") from invalid
    config.model(model)
    moment = Moment(int(at.timestamp()) * 1_000_000_000, 0.0)
    decision = chosen(question, _Rules(config), _market(config, at).snapshot, State(), moment)
    explanation = explained(decision, model)
    if as_json:
        print_json(described(explanation))
    else:
        click.echo("\n".join(decision_lines(explanation)))


@dataclass(frozen=True, slots=True)
class _Rules:
    """As the configuration has them."""

    config: Config

    @property
    def names(self) -> Collection[str]:
        return self.config.models

    def models_of(self, name: str) -> tuple[str, ...]:
        return sold_as(self.config, name)

    def manners_of(self, model: str) -> Manners:
        return manners(self.config, model)


def _market(config: Config, at: datetime) -> Market:
    """With what all workers have seen lately; without books, prices alone."""
    market = Market(quoted_offers(config, known_prices(config, at), at), at, ttft_limits_ms(config))
    if config.ledger.path is not None and not config.ledger.path.exists():
        return market
    since_ns = int((at.timestamp() - RECENT_MINUTES * MINUTE_S) * 1e9)
    try:
        with market_books(config.ledger, create=False) as sql:
            for worker, one in told(sql, since_ns):
                market.observations.absorb(worker, one)
            market.grade(EvalHistory(sql).qualities(at))
    except StoreUnavailable as error:
        click.echo(f"prices only, nothing of what was seen: {error}", err=True)
    market.rebuild(at)
    return market
