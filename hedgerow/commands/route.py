"""`hedgerow route` and `hedgerow explain`: what would be chosen now, and what was chosen then."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.market import Market
from benchmarks.offers import Feature, Task
from hedgerow.books import books
from hedgerow.config import load_config
from hedgerow.errors import NotFound
from hedgerow.manners import manners
from hedgerow.offers import price_file, quoted_offers
from hedgerow.printing import config_option, dollars, iso, json_option, moment, print_json, table
from ledger.money import Money, as_usd
from ledger.requests import FailedAttempt, RequestRecord
from ledger.statements import Charged, Tried, charged, tried
from ledger.store import Store
from ledger.usage import Unit
from routing.decide import Moment, Wanted, decide
from routing.explanation import ExplainedOffer, ExplainedSecond, Explanation, from_text
from routing.explanation import explain as explained
from routing.hedged import second_offer
from routing.intent import RoutingIntent
from routing.learned import FIRST_COMPLETION_TOKENS
from routing.state import State


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

    Prices are today's; latencies and failures are known only to a running proxy. A second offer is
    that of a stream.
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
    its = manners(config, model)
    moment = Moment(int(at.timestamp()) * 1_000_000_000, 0.0)
    decision = decide([[Wanted(intent, its.limits)]], Market(models, at).snapshot, State(), moment)
    if its.hedge is not None and Task(task).is_writing:
        decision = replace(decision, second=second_offer(decision.candidates, its.hedge, 0.0))
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
    """What was chosen for a request, why, and what it cost. The id is its x-request-id.

    Each attempt that failed is named with its reason, and what it was charged all the same.
    """
    with books(load_config(path, os.environ), create=False) as store:
        record, charges, attempts = request_with_charges(store, request_id)
    explanation = None if record.decision is None else from_text(record.decision)
    if as_json:
        cost = Money(sum(one.effective for one in charges))
        print_json(
            {
                "request_id": record.id,
                "at": iso(record.at_ns),
                "model": record.model,
                "outcome": record.outcome,
                "status": record.status,
                "attempts": record.attempts,
                "would_block": list(record.would_block),
                "cost_usd": as_usd(cost),
                "failures": [
                    _failure(one, charges) for one in _failures(record.failures, attempts)
                ],
                "charges": [_charge(one) for one in charges],
                "decision": None if explanation is None else _described(explanation),
            }
        )
    else:
        click.echo("\n".join(request_lines(record, charges, attempts)))


def request_with_charges(
    store: Store, request_id: str
) -> tuple[RequestRecord, list[Charged], list[Tried]]:
    """A request, what was charged for it, and its attempts. Raises NotFound."""
    with store.view():
        record = store.requests.one(request_id)
        charges, attempts = list(charged(store.sql, request_id)), tried(store.sql, request_id)
    if record is None:
        raise _not_kept(request_id, charges, attempts)
    return record, charges, attempts


def _not_kept(request_id: str, charges: list[Charged], attempts: list[Tried]) -> NotFound:
    if attempts:
        cost = dollars(Money(sum(one.effective for one in charges)))
        return NotFound(
            f"request {request_id} has made {_attempts(len(attempts))} and was charged {cost}, but"
            " these books do not have its end: it is under way, or its server was stopped, or too"
            " busy to note it"
        )
    return NotFound(
        f"there is no request {request_id} in these books: the id is the x-request-id of an answer."
        " Not kept are requests with a wrong key, an unreadable body, an unknown path, more at once"
        " than their key may have, or an Idempotency-Key of another request (the answer names that"
        " one), and what is sent to no model: lists of models, a look at one (404 if it is"
        " unknown), counts of tokens, files and batches"
    )


def request_lines(
    record: RequestRecord, charges: list[Charged], attempts: list[Tried]
) -> list[str]:
    """A request for people."""
    ended = f"{record.outcome} ({record.status}), {_attempts(record.attempts)}"
    lines = [f"{record.id}, {moment(record.at_ns)}: {ended}"]
    if record.decision is not None:
        lines += ["", *decision_lines(from_text(record.decision))]
    failures = _failures(record.failures, attempts)
    failed = {one.tried.attempt_id: one.tried.number for one in failures if one.tried is not None}
    ends = [_failure_line(one) for one in failures]
    ends += [_charge_line(one, failed.get(one.attempt_id)) for one in charges]
    if record.would_have_cost is not None:
        ends.append(f"it would have cost about {dollars(record.would_have_cost)}")
    if record.would_block:
        ends.append(f"in shadow mode, these would have refused it: {', '.join(record.would_block)}")
    return [*lines, "", *ends] if ends else lines


def _attempts(count: int) -> str:
    return f"{count} attempt{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an attempt failed, and which one it was; None if the books do not say."""

    why: FailedAttempt
    tried: Tried | None


def _failures(failures: Iterable[FailedAttempt], attempts: Sequence[Tried]) -> list[_Failure]:
    """Both are in order, but an attempt that was never sent is no failure."""
    rest = iter(attempts)
    return [
        _Failure(one, next((made for made in rest if _is_of(one, made)), None)) for one in failures
    ]


def _is_of(why: FailedAttempt, one: Tried) -> bool:
    offer = f"{one.provider}/{one.upstream_model}"
    is_there = why.offer == offer or why.offer.startswith(f"{offer}@")  # a twin's id says more
    return is_there and why.account == one.account


def _failure_line(one: _Failure) -> str:
    number = "?" if one.tried is None else one.tried.number
    account = "" if one.why.account is None else f" (account {one.why.account})"
    after = f"after {one.why.after_ms:.0f} ms"
    return f"attempt {number}, {one.why.offer}{account}, {after}: {one.why.why}"


def _charge_line(one: Charged, failed: int | None) -> str:
    """failed: the number of its attempt, if that failed."""
    how = "estimated" if one.estimated else "as the provider counted"
    where = f"{one.provider}/{one.upstream_model}"
    line = f"charged {dollars(one.effective)} at {where}: {_used(one)} ({how})"
    return line if failed is None else f"{line}, for attempt {failed}, which failed"


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
    lines = [title, "", table(("", "offer", "expected cost", "TTFT p95", "why"), rows)]
    return lines if one.second is None else [*lines, "", _second_line(one.second)]


def _second_line(one: ExplainedSecond) -> str:
    line = f"{one.offer} is asked, too, if nothing has come after {one.after_ms:.0f} ms"
    if one.chance is None or one.expected_extra_cost_nanos is None:
        return f"{line}; how often that is, nobody knows yet"
    extra = dollars(Money(one.expected_extra_cost_nanos))
    return f"{line}: a chance of {one.chance:.1%}, which adds {extra} to the expected cost"


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
        "second": None if one.second is None else _second(one.second),
    }


def _second(one: ExplainedSecond) -> dict[str, object]:
    nanos = one.expected_extra_cost_nanos
    return {
        "offer": one.offer,
        "after_ms": one.after_ms,
        "chance": one.chance,
        "expected_extra_cost_usd": None if nanos is None else as_usd(Money(nanos)),
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


def _failure(one: _Failure, charges: Iterable[Charged]) -> dict[str, object]:
    """cost_usd: what it was charged all the same; None if it was not."""
    attempt_id = None if one.tried is None else one.tried.attempt_id
    costs = [charge.effective for charge in charges if charge.attempt_id == attempt_id]
    return {
        "attempt": None if one.tried is None else one.tried.number,
        "attempt_id": attempt_id,
        "offer": one.why.offer,
        "account": one.why.account,
        "after_ms": one.why.after_ms,
        "why": one.why.why,
        "cost_usd": as_usd(costs[0]) if costs else None,
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
        "cache_write_tokens": one.usage.cache_write,
        "cache_write_1h_tokens": one.usage.cache_write_1h,
        "reasoning_tokens": one.usage.reasoning,
        "units": one.usage.units,
        "per": one.rates.per,
        "cost_usd": as_usd(one.effective),
        "price": one.rates.as_text(),
        "price_version": one.rates.version,
        "estimated": one.estimated,
    }
