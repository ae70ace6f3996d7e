"""Allowance: what a commitment lets all workers draw in one window, as accounts of the books.

Capacity that we own is one more leased scope: a worker takes slices of it from the store, and
admits draws from them in memory, so that no number of workers draws more than there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ledger.budgets import Account
from ledger.commitments import Commitment, CommitmentKind
from ledger.instants import as_ns, instant
from ledger.measures import Measure
from ledger.windows import Span, Window, span_of

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Allowance:
    """Of one window, which lasts until `until_ns`.

    micro_units: what may be drawn in it. capacity: the account that refuses what is more.
    drawn_on: all that a draw counts in; capacity by the minute is counted by the month, too, since
    accounts of minutes are not kept. overage: what counts use beyond it.
    """

    commitment: Commitment
    micro_units: int
    until_ns: int
    capacity: Account
    drawn_on: tuple[Account, ...]
    overage: Account


def allowance(commitment: Commitment, at_ns: int) -> Allowance:
    """Of the window of a moment: nothing outside of the commitment's term."""
    now = instant(at_ns)
    month = span_of(Window.MONTH, _UTC, now)
    if commitment.kind is CommitmentKind.THROUGHPUT:
        window, span = Window.MINUTE, span_of(Window.MINUTE, _UTC, now)
    elif commitment.is_monthly:
        window, span = Window.MONTH, month
    else:
        window, span = Window.LIFETIME, span_of(Window.LIFETIME, _UTC, now)
    micro_units = capacity_in(commitment, span)
    if at_ns < commitment.starts_ns or at_ns >= commitment.ends_ns:
        micro_units = 0
    resets_at = min(one for one in (span.end, instant(commitment.ends_ns)) if one is not None)
    name = account_name(commitment.id)
    capacity = _account(name, window, span, resets_at, micro_units)
    counted = _account(name, Window.MONTH, month, month.end, None)
    return Allowance(
        commitment=commitment,
        micro_units=micro_units,
        until_ns=_until_ns(commitment, at_ns, span),
        capacity=capacity,
        drawn_on=(capacity, counted) if window is Window.MINUTE else (capacity,),
        overage=_account(overage_name(commitment.id), Window.MONTH, month, month.end, None),
    )


def capacity_in(commitment: Commitment, span: Span) -> int:
    """The micro-units of one window: pro rata, where the term has but a part of it."""
    if span.end is None:
        return commitment.micro_units
    start_ns, end_ns = as_ns(span.start), as_ns(span.end)
    inside_ns = min(end_ns, commitment.ends_ns) - max(start_ns, commitment.starts_ns)
    return commitment.micro_units * max(0, inside_ns) // (end_ns - start_ns)


def account_name(commitment_id: str) -> str:
    """What the books call its accounts, where those of budgets have the budget's name."""
    return f"commitment {commitment_id}"


def overage_name(commitment_id: str) -> str:
    return f"{account_name(commitment_id)} overage"


def _until_ns(commitment: Commitment, at_ns: int, span: Span) -> int:
    """When something else holds: the window is over, or the term begins or ends in it."""
    edges = [commitment.starts_ns, commitment.ends_ns]
    if span.end is not None:
        edges.append(as_ns(span.end))
    return min((one for one in edges if one > at_ns), default=commitment.ends_ns)


def _account(
    name: str, window: Window, span: Span, resets_at: datetime | None, cap: int | None
) -> Account:
    return Account(
        budget=name,
        scope=name,
        measure=Measure.UNITS,
        member="",
        window=str(window),
        window_start_ns=as_ns(span.start),
        counted_since_ns=as_ns(span.start),
        resets_at=resets_at,
        cap=cap,
    )
