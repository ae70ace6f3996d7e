"""Charges: every attempt that was charged, as exports and reconciliation read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ledger.databases.sql import Sql
from ledger.money import MAX_NANOS, Money
from ledger.rates import RateCard
from ledger.tables.ddl import CHARGE, DRAW, PRICES, USAGE
from ledger.usage import TokenUsage

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """One charged attempt.

    at_ns, ended_at_ns: when it was held, and when it was charged; budgets and statements count it
    at the first. model: as the client asked; `upstream_model` is the provider's.
    account: which of our accounts at the provider pays; None where there is but one.
    rate_card: the version of `rates`. billed … cheapest: as in `ledger.attempts.Charge`.
    held: what was reserved for it. overrun: what it cost above that.
    ttft_ms, total_ms: to its first token and to its end; None where nobody measured it.
    commitment: what it drew on; None for what was paid for as it went. micro_units,
    overage_micro_units: what it took of that, and what it took beyond the quota, in millionths of a
    capacity unit.
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
    commitment: str | None = None
    micro_units: int = 0
    overage_micro_units: int = 0

    @property
    def is_drawn(self) -> bool:
        """Whether it was served from what was paid for ahead, so that nobody invoices it."""
        return self.commitment is not None and not self.overage_micro_units


def charge_rows(
    sql: Sql,
    since_ns: int | None = None,
    until_ns: int | None = None,
    commitment: str | None = None,
) -> Iterator[ChargeRow]:
    """Charged attempts with `since <= at < until` that still have a row of their own, oldest first,
    as they are asked for; of a commitment, those that drew on it. To be read within one `view`."""
    drew, on = ("", ()) if commitment is None else (" AND commitment = ?", (commitment,))
    for row in sql.stream(
        "SELECT attempt_id, request_id, at_ns, ended_at_ns, org, team, project, user_id, key_id,"
        " tags, model, provider, upstream_model, account, streamed, batch, rate_card,"
        " held_nanos, overrun_nanos, estimated, ttft_ms, total_ms,"
        f" {CHARGE}, {USAGE}, {PRICES}, {DRAW} FROM entries JOIN rate_cards ON version = rate_card"
        " JOIN subjects ON subjects.id = subject_id"
        f" WHERE kind = 'posted' AND at_ns >= ? AND at_ns < ?{drew} ORDER BY at_ns, attempt_id",
        (0 if since_ns is None else since_ns, MAX_NANOS if until_ns is None else until_ns, *on),
    ):
        held, overrun, estimated, ttft_ms, total_ms = row[17:22]
        billed, effective, contracted, listed, first_offer, cheapest = row[22:28]
        attempt_id, request_id, at_ns, ended_at_ns, org, team, project, user, key_id = row[:9]
        tags, model, provider, upstream_model, account, streamed, batch, rate_card = row[9:17]
        yield ChargeRow(
            attempt_id,
            request_id,
            at_ns,
            ended_at_ns,
            org,
            team,
            project,
            user,
            key_id,
            _tags(tags),
            model,
            provider,
            upstream_model,
            account,
            bool(streamed),
            batch,
            rate_card,
            _card(tuple(row[35:-3])),
            TokenUsage(*row[28:35]),
            billed,
            effective,
            contracted,
            listed,
            first_offer,
            cheapest,
            held,
            overrun,
            bool(estimated),
            ttft_ms,
            total_ms,
            row[-3],
            row[-2] or 0,
            row[-1] or 0,
        )


@lru_cache(_REMEMBERED)
def _card(row: tuple[str | None, ...]) -> RateCard:
    return RateCard.of_row(row)


@lru_cache(_REMEMBERED)
def _tags(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
