"""`hedgerow explain`: what was chosen for a request, why, and what it cost."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import click

from hedgerow.books import books
from hedgerow.config import load_config
from hedgerow.decisions import counted, decision_lines, described
from hedgerow.errors import NotFound
from hedgerow.failed_attempts import Failure, failures_of
from hedgerow.printing import config_option, dollars, iso, json_option, moment, print_json
from ledger.commitments import MICRO
from ledger.money import Money, as_usd
from ledger.requests import RequestRecord
from ledger.statements import Charged, Tried, charged, tried
from ledger.store import Store
from routing.explanation import from_text


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
                    _failure(one, charges) for one in failures_of(record.failures, attempts)
                ],
                "charges": [_charge(one) for one in charges],
                "decision": None if explanation is None else described(explanation),
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
    planned: dict[str, str] = {}
    if record.decision is not None:
        decision = from_text(record.decision)
        lines += ["", *decision_lines(decision)]
        planned = {one.offer: one.commitment for one in decision.candidates if one.commitment}
    failures = failures_of(record.failures, attempts)
    failed = {one.tried.attempt_id: one.tried.number for one in failures if one.tried is not None}
    ends = [_failure_line(one) for one in failures]
    ends += [_charge_line(one, failed.get(one.attempt_id), planned) for one in charges]
    if record.would_have_cost is not None:
        ends.append(f"it would have cost about {dollars(record.would_have_cost)}")
    if record.would_block:
        ends.append(f"in shadow mode, these would have refused it: {', '.join(record.would_block)}")
    return [*lines, "", *ends] if ends else lines


def _attempts(count: int) -> str:
    return f"{count} attempt{'' if count == 1 else 's'}"


def _failure_line(one: Failure) -> str:
    number = "?" if one.tried is None else one.tried.number
    account = "" if one.why.account is None else f" (account {one.why.account})"
    after = f"after {one.why.after_ms:.0f} ms"
    return f"attempt {number}, {one.why.offer}{account}, {after}: {one.why.why}"


def _charge_line(one: Charged, failed: int | None, planned: Mapping[str, str]) -> str:
    """failed: the number of its attempt, if that failed. planned: the commitment that each offer
    was to draw on."""
    how = "estimated" if one.estimated else "as the provider counted"
    where = f"{one.provider}/{one.upstream_model}"
    line = f"charged {dollars(one.effective)} at {where}: {_used(one)} ({how})"
    if one.commitment is not None:
        units = Decimal(one.micro_units) / MICRO
        line += f", drawn on commitment {one.commitment}: {units:,f} capacity units"
    elif where in planned:
        line += f", not drawn on commitment {planned[where]}: its worst case did not fit there"
        line += ", or not into a budget at what is drawn"
    return line if failed is None else f"{line}, for attempt {failed}, which failed"


def _used(one: Charged) -> str:
    usage, per = one.usage, one.rates.per
    said = [f"{usage.prompt} tokens in, {usage.completion} out"] if usage.is_known else []
    if per is not None and usage.units is not None:
        said.append(counted(usage.units, per))
    return ", ".join(said) or "usage unknown"


def _failure(one: Failure, charges: Iterable[Charged]) -> dict[str, object]:
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
        "commitment": one.commitment,
        "capacity_units": None if one.commitment is None else Decimal(one.micro_units) / MICRO,
    }
