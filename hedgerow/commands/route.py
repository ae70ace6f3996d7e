"""`hedgerow route`: what would be chosen now, and why."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from benchmarks.evals.history import EvalHistory
from benchmarks.market import Market
from benchmarks.offers import Feature, Task
from benchmarks.traffic.observations import MINUTE_S, RECENT_MINUTES
from benchmarks.traffic.observed import told
from hedgerow.books import market_books
from hedgerow.commands.decisions import decision_lines, described
from hedgerow.config import Config, load_config
from hedgerow.manners import classes, manners, ttft_limits_ms
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers
from hedgerow.printing import config_option, json_option, print_json
from ledger.errors import StoreUnavailable
from proxy.errors import Invalid
from proxy.terms import on_terms
from proxy.wires.vocabulary import for_router
from proxy.wires.wire import Ask
from routing.decide import Moment, Wanted, decide
from routing.explanation import explain as explained
from routing.intent import RoutingIntent
from routing.learned import FIRST_COMPLETION_TOKENS
from routing.preferences import Preferences
from routing.second_offers import second_offer
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
    preferences, model = _asked(config, model, provider)
    config.model(model)
    expected = output_tokens if max_tokens is None else min(output_tokens, max_tokens)
    intent = RoutingIntent(
        model=model,
        prompt_tokens=input_tokens,
        completion_tokens=expected if Task(task).is_writing else 0,
        max_completion_tokens=max_tokens,
        features=frozenset(Feature(one) for one in needs),
        task=Task(task),
        units=units,
        preferences=preferences,
    )
    its, members = manners(config, model), classes(config).get(model)
    names = (model,) if members is None else members.members
    floor = its.limits.quality
    wanted = []
    for name in names:
        limits = manners(config, name).limits
        limits = limits if floor is None else replace(limits, quality=floor)
        wanted.append(Wanted(replace(intent, model=name), limits))
    moment = Moment(int(at.timestamp()) * 1_000_000_000, 0.0)
    decision = decide([wanted], _market(config, at).snapshot, State(), moment)
    if its.second_offer is not None and Task(task).is_writing:
        decision = replace(
            decision, second=second_offer(decision.candidates, its.second_offer, 0.0)
        )
    explanation = explained(decision, model)
    if as_json:
        print_json(described(explanation))
    else:
        click.echo("\n".join(decision_lines(explanation)))


def _asked(config: Config, model: str, provider: str | None) -> tuple[Preferences, str]:
    """What a request with this model's name, and this field, says; and the model without suffix."""
    said = {} if provider is None else {"provider": msgspec.Raw(provider.encode())}
    try:
        ask = on_terms(for_router(Ask(model, Task.CHAT, 0), said), {}, config.models)
    except Invalid as invalid:
        raise click.BadParameter(invalid.message, param_hint="--provider") from invalid
    return ask.preferences, ask.model


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
