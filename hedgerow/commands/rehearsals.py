"""What `demo` and `simulate` print alike."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from hedgerow.printing import dollars, table
from hedgerow.rehearsal import BLOCKED, Rehearsed
from ledger.money import Money, as_usd

MAX_REASONS = 5


def progress() -> Callable[[int, int], None] | None:
    """A running count on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, wanted: int) -> None:
        if done % 20 == 0 or done == wanted:
            click.echo(f"\r  {done} of {wanted} requests", err=True, nl=done == wanted)

    return show


def rehearsed_lines(one: Rehearsed) -> list[str]:
    """The traffic, its cost, and what it would have cost elsewhere."""
    replayed, bounds = one.replayed, one.bounds
    count = len(replayed.outcomes)
    failed = count - replayed.succeeded - one.blocked
    ends = f"{replayed.succeeded} answered, {one.blocked} blocked by a budget, {failed} failed"
    reasons = [
        f"failed: {code}, {number} times" if number > 1 else f"failed: {code}, once"
        for code, number in replayed.by_error.most_common(MAX_REASONS)
        if code != BLOCKED
    ]
    return [
        f"{count} requests in {replayed.seconds:.1f} s: {ends}",
        *reasons,
        f"{replayed.prompt_tokens:,} tokens in, {replayed.completion_tokens:,} out",
        "",
        table(
            ("provider", "charged", "tokens in", "tokens out", "cost"),
            [
                (
                    row.name,
                    f"{row.requests:,}",
                    f"{row.prompt_tokens:,}",
                    f"{row.completion_tokens:,}",
                    dollars(row.cost),
                )
                for row in one.by_provider.rows
            ],
        ),
        "",
        table(
            ("the requests that were answered", "cost", "against ours"),
            [
                ("as Hedgerow routed them", dollars(bounds.spent), ""),
                _against("at the cheapest offer of each moment", bounds.cheapest, bounds.spent),
                _against("at the best single offer", bounds.best_alone, bounds.spent),
                _against("at the first-listed offer alone", bounds.first_offer, bounds.spent),
                _against("at the dearest offer", bounds.dearest, bounds.spent),
            ],
        ),
    ]


def rehearsed_json(one: Rehearsed) -> dict[str, object]:
    """The fields that both commands promise."""
    return {
        "requests": len(one.replayed.outcomes),
        "succeeded": one.replayed.succeeded,
        "blocked": one.blocked,
        "prompt_tokens": one.replayed.prompt_tokens,
        "completion_tokens": one.replayed.completion_tokens,
        "spend_usd": as_usd(one.bounds.spent),
        "cheapest_possible_usd": as_usd(one.bounds.cheapest),
        "best_single_offer_usd": as_usd(one.bounds.best_alone),
        "first_offer_usd": as_usd(one.bounds.first_offer),
        "dearest_usd": as_usd(one.bounds.dearest),
        "by_provider": {
            row.name or "": {
                "requests": row.requests,
                "prompt_tokens": row.prompt_tokens,
                "completion_tokens": row.completion_tokens,
                "cost_usd": as_usd(row.cost),
            }
            for row in one.by_provider.rows
        },
        "ledger_verified": one.audit.verified,
    }


def _against(what: str, cost: Money, ours: Money) -> tuple[str, str, str]:
    return (what, dollars(cost), f"{cost / ours:.2f} ×" if ours else "")
