"""Plain: a row for each charged attempt, with all that the books know of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal

from ledger.charges import ChargeRow
from ledger.exports.columns import Column, Kind, Row
from ledger.money import Money, as_usd

COLUMNS = (
    Column("attempt_id", Kind.ID),
    Column("request_id", Kind.ID),
    Column("at", Kind.MOMENT),
    Column("ended_at", Kind.MOMENT),
    Column("org", Kind.LABEL),
    Column("team", Kind.LABEL),
    Column("project", Kind.LABEL),
    Column("user", Kind.LABEL),
    Column("key_id", Kind.TEXT),
    Column("tags", Kind.TEXT),
    Column("model", Kind.LABEL),
    Column("provider", Kind.LABEL),
    Column("upstream_model", Kind.LABEL),
    Column("account", Kind.LABEL),
    Column("streamed", Kind.FLAG),
    Column("batch", Kind.TEXT),
    Column("rate_card", Kind.TEXT),
    Column("prompt_tokens", Kind.COUNT),
    Column("cached_tokens", Kind.COUNT),
    Column("cache_write_tokens", Kind.COUNT),
    Column("cache_write_1h_tokens", Kind.COUNT),
    Column("completion_tokens", Kind.COUNT),
    Column("reasoning_tokens", Kind.COUNT),
    Column("units", Kind.COUNT),
    Column("unit", Kind.TEXT),
    Column("billed_usd", Kind.NANOS),
    Column("effective_usd", Kind.NANOS),
    Column("contracted_usd", Kind.NANOS),
    Column("list_usd", Kind.NANOS),
    Column("first_offer_usd", Kind.NANOS),
    Column("cheapest_usd", Kind.NANOS),
    Column("held_usd", Kind.NANOS),
    Column("overrun_usd", Kind.NANOS),
    Column("estimated", Kind.FLAG),
    Column("ttft_ms", Kind.MILLISECONDS),
    Column("total_ms", Kind.MILLISECONDS),
    Column("commitment", Kind.TEXT),
    Column("capacity_micro_units", Kind.COUNT),
    Column("overage_micro_units", Kind.COUNT),
)


def plain_rows(charges: Iterable[ChargeRow]) -> Iterator[Row]:
    """The cells of COLUMNS."""
    for one in charges:
        usage = one.usage
        yield (
            one.attempt_id,
            one.request_id,
            one.at_ns,
            one.ended_at_ns,
            one.org,
            one.team,
            one.project,
            one.user,
            one.key_id,
            json.dumps(one.tags, ensure_ascii=False),
            one.model,
            one.provider,
            one.upstream_model,
            one.account,
            one.streamed,
            one.batch,
            one.rate_card,
            usage.prompt,
            usage.cached,
            usage.cache_write,
            usage.cache_write_1h,
            usage.completion,
            usage.reasoning,
            usage.units,
            one.rates.per,
            as_usd(one.billed),
            as_usd(one.effective),
            as_usd(one.contracted),
            as_usd(one.list),
            _usd(one.first_offer),
            _usd(one.cheapest),
            as_usd(one.held),
            as_usd(one.overrun),
            one.estimated,
            one.ttft_ms,
            one.total_ms,
            one.commitment,
            None if one.commitment is None else one.micro_units,
            None if one.commitment is None else one.overage_micro_units,
        )


def _usd(amount: Money | None) -> Decimal | None:
    return None if amount is None else as_usd(amount)
