"""Charges: every attempt that was charged, as exports and reconciliation read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ledger.money import Money
from ledger.rates import RateCard
from ledger.schema import PRICES, USAGE
from ledger.sqlite_store import SqliteStore
from ledger.usage import TokenUsage

_CARDS_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """One charged attempt.

    at_ns, ended_at_ns: when it was held, and when it was charged; budgets and statements count it
    at the first. model: as the client asked; `upstream_model` is the provider's.
    account: which of our accounts at the provider pays; None where there is but one.
    rate_card: the version of `rates`. billed … cheapest: as in `ledger.attempts.Charge`.
    held: what was reserved for it. overrun: what it cost above that.
    ttft_ms, total_ms: to its first token and to its end; None where nobody measured it.
    """

    attempt_id: str
    request_id: str
    at_ns: int
    ended_at_ns: int
    org: str | None
    team: str | None
    project: str | None
    user: str | None
    key_id: str
    tags: tuple[str, ...]
    model: str
    provider: str
    upstream_model: str
    account: str | None
    streamed: bool
    batch: str | None
    rate_card: str
    rates: RateCard
    usage: TokenUsage
    billed: Money
    effective: Money
    contracted: Money
    list: Money
    first_offer: Money | None
    cheapest: Money | None
    held: Money
    overrun: Money
    estimated: bool
    ttft_ms: float | None
    total_ms: float | None


def charge_rows(
    store: SqliteStore, since_ns: int | None = None, until_ns: int | None = None
) -> Iterator[ChargeRow]:
    """Charged attempts with `since <= at < until`, oldest first, read as they are asked for."""
    for row in store.database.execute(
        _ROWS, {"since": since_ns or 0, "until": 2**63 - 1 if until_ns is None else until_ns}
    ):
        cells: tuple[Any, ...] = (
            *row[:9],
            tuple(json.loads(row[9])),
            *row[10:14],
            bool(row[14]),
            *row[15:17],
            _card(row[34:]),
            TokenUsage(*row[28:34]),
            *row[17:25],
            bool(row[25]),
            *row[26:28],
        )
        yield ChargeRow(*cells)


_ROWS = f"""SELECT usage.attempt_id, usage.request_id, usage.at_ns, resolutions.at_ns,
    usage.org, usage.team, usage.project, usage.user, usage.key_id, usage.tags,
    usage.model, usage.provider, usage.upstream_model, usage.account, usage.streamed, holds.batch,
    usage.rate_card, billed_nanos, effective_nanos, contracted_nanos, list_nanos,
    first_offer_nanos, cheapest_nanos, held_nanos, overrun_nanos, estimated, ttft_ms, total_ms,
    {USAGE}, {PRICES}
    FROM usage JOIN resolutions ON resolutions.attempt_id = usage.attempt_id
    JOIN holds ON holds.attempt_id = usage.attempt_id
    JOIN rate_cards ON version = usage.rate_card
    WHERE usage.at_ns >= :since AND usage.at_ns < :until
    ORDER BY usage.at_ns, usage.attempt_id"""


@lru_cache(_CARDS_REMEMBERED)
def _card(row: tuple[str | None, ...]) -> RateCard:
    return RateCard.of_row(row)
