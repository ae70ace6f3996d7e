"""`hedgerow route` and `hedgerow explain`: what would be chosen now, and what was chosen then."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.market import Market
from benchmarks.offers import Feature, Task
from hedgerow.app import books
from hedgerow.config import load_config
from hedgerow.errors import NotFound
from hedgerow.offers import price_file, quoted_offers
from hedgerow.printing import config_option, dollars, json_option, moment, print_json, table
from ledger.money import Money, as_usd
from ledger.requests import RequestRecord
from ledger.sqlite_store import SqliteStore
from ledger.statements import Charged, charged
from ledger.usage import Unit
from routing.breaker import Breakers
from routing.decide import Limits, decide
from routing.explanation import ExplainedOffer, Explanation, from_text
from routing.explanation import explain as explained
from routing.intent import RoutingIntent
from routing.learned import FIRST_COMPLETION_TOKENS

_CLOSED = Breakers()


@click.command()
@config_option
@click.option("--model", required=True, help="A model name of the configuration.")
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
    as_json: bool,
) -> None:
    """What would be chosen now for a request of this size, and why.

    Prices are today's; latencies and failures are known only to a running proxy.
    """
    config = load_config(path, os.environ)
    at = datetime.now(UTC)
    config.model(model)
    models = quoted_offers(config, price_file(config), at)
    expected = output_tokens if max_tokens is None else min(output_tokens, max_tokens)
    intent = RoutingIntent(
        model=model,
        prompt_tokens=input_tokens,
        completion_tokens=expected if Task(task).is_writing else 0,
        max_completion_tokens=max_tokens,
        features=frozenset(Feature(one) for one in needs),
        task=Task(task),
        units=units,
    )
    limits = Limits(ttft_ms_p95_max=config.routing.ttft_ms_p95_max)
    decision = decide(intent, Market(models, at, 0.0).snapshot, _CLOSED, limits, 0.0, 0.0)
    explanation = explained(decision)
    if as_json:
        print_json(_described(explanation))
    else:
        click.echo("\n".join(decision_lines(explanation)))


@click.command()
@config_option
@click.argument("request_id")
@json_option
def explain(path: Path, request_id: str, as_json: bool) -> None:
    """What was chosen for a request, why, and what it cost. The id is its x-request-id."""
    with books(load_config(path, os.environ), create=False) as store:
        record, charges = request_with_charges(store, request_id)
    explanation = None if record.decision is None else from_text(record.decision)
    if as_json:
        cost = Money(sum(one.effective for one in charges))
        print_json(
            {
                "request_id": record.id,
                "at": moment(record.at_ns),
                "model": record.model,
                "outcome": record.outcome,
                "status": record.status,
                "attempts": record.attempts,
                "cost_usd": as_usd(cost),
                "charges": [_charge(one) for one in charges],
                "decision": None if explanation is None else _described(explanation),
            }
        )
    else:
        click.echo("\n".join(request_lines(record, charges)))


def request_with_charges(
    store: SqliteStore, request_id: str
) -> tuple[RequestRecord, list[Charged]]:
    """A request and what was charged for it. Raises NotFound."""
    record = store.request(request_id)
    if record is None:
        raise NotFound(
            f"there is no request {request_id} in these books: the id is the x-request-id of the"
            " answer, and requests with a wrong key or an unreadable body are not kept"
        )
    return record, list(charged(store, request_id))


def request_lines(record: RequestRecord, charges: list[Charged]) -> list[str]:
    """A request for people."""
    tries = f"{record.attempts} attempt{'' if record.attempts == 1 else 's'}"
    lines = [f"{record.id}, {moment(record.at_ns)}: {record.outcome} ({record.status}), {tries}"]
    for one in charges:
        how = "estimated" if one.estimated else "as the provider counted"
        where = f"{one.provider}/{one.upstream_model}"
        lines.append(f"charged {dollars(one.effective)} at {where}: {_used(one)} ({how})")
    if record.would_have_cost is not None:
        lines.append(f"it would have cost about {dollars(record.would_have_cost)}")
    if record.decision is not None:
        lines += ["", *decision_lines(from_text(record.decision))]
    return lines


def _used(one: Charged) -> str:
    usage, per = one.usage, one.rates.per
    said = [f"{usage.prompt} tokens in, {usage.completion} out"] if usage.is_known else []
    if per is not None and usage.units is not None:
        said.append(_counted(usage.units, per))
    return ", ".join(said) or "usage unknown"


def _counted(units: int, per: Unit) -> str:
    plural = "searches" if per is Unit.SEARCH else f"{per}s"
    return f"{units} {per if units == 1 else plural}"


def decision_lines(one: Explanation) -> list[str]:
    """A decision for people."""
    wanted = [] if one.task == Task.CHAT else [one.task]
    if (per := Task(one.task).unit) is not None and one.units:
        wanted.append(_counted(one.units, per))
    wanted.append(f"about {one.prompt_tokens} tokens in, {one.completion_tokens} out")
    if one.features:
        wanted.append(f"needs {', '.join(one.features)}")
    title = f"{one.model}: {', '.join(wanted)} (market snapshot {one.snapshot_version})"
    rows = [
        (str(place), offer.offer, _cost(offer), _number(offer.ttft_ms_p95, " ms"), offer.why)
        for place, offer in enumerate(one.candidates, start=1)
    ]
    rows += [("-", offer.offer, "", "", f"refused: {offer.why}") for offer in one.refused]
    return [title, "", table(("", "offer", "expected cost", "TTFT p95", "why"), rows)]


def _cost(offer: ExplainedOffer) -> str:
    nanos = offer.expected_cost_nanos
    return "" if nanos is None else dollars(Money(nanos))


def _number(value: float | None, unit: str) -> str:
    return "?" if value is None else f"{value:.0f}{unit}"


def _described(one: Explanation) -> dict[str, object]:
    return {
        "model": one.model,
        "task": one.task,
        "units": one.units,
        "prompt_tokens": one.prompt_tokens,
        "completion_tokens": one.completion_tokens,
        "max_completion_tokens": one.max_completion_tokens,
        "features": one.features,
        "snapshot_version": one.snapshot_version,
        "candidates": [_offer(offer) for offer in one.candidates],
        "refused": [_offer(offer) for offer in one.refused],
    }


def _offer(one: ExplainedOffer) -> dict[str, object]:
    nanos = one.expected_cost_nanos
    return {
        "offer": one.offer,
        "place": one.place,
        "expected_cost_usd": None if nanos is None else as_usd(Money(nanos)),
        "ttft_ms_p95": one.ttft_ms_p95,
        "error_rate": one.error_rate,
        "why": one.why,
    }


def _charge(one: Charged) -> dict[str, object]:
    return {
        "attempt_id": one.attempt_id,
        "provider": one.provider,
        "account": one.account,
        "model": one.upstream_model,
        "prompt_tokens": one.usage.prompt,
        "completion_tokens": one.usage.completion,
        "cached_tokens": one.usage.cached,
        "units": one.usage.units,
        "per": one.rates.per,
        "cost_usd": as_usd(one.effective),
        "price": one.rates.as_text(),
        "price_version": one.rates.version,
        "estimated": one.estimated,
    }
