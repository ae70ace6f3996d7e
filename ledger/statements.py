"""Statements: what was spent, by any dimension, and how budgets stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.budgets import Balance, Budget
from ledger.money import Money
from ledger.rates import RateCard
from ledger.schema import PRICES, USAGE
from ledger.sqlite_store import SqliteStore
from ledger.usage import TokenUsage


class Dimension(StrEnum):
    ORG = "org"
    TEAM = "team"
    PROJECT = "project"
    USER = "user"
    KEY = "key"
    MODEL = "model"
    PROVIDER = "provider"
    ACCOUNT = "account"
    TAG = "tag"
    DAY = "day"


_COLUMNS = {
    Dimension.KEY: "key_id",
    Dimension.DAY: "strftime('%Y-%m-%d', at_ns / 1000000000, 'unixepoch')",
    Dimension.TAG: "tag.value",
    Dimension.ACCOUNT: "provider || '/' || account",
}


@dataclass(frozen=True, slots=True)
class SpendRow:
    """Charged attempts of one member of a dimension. `name` is None where requests had none.

    first_offer, cheapest: what the same tokens would have cost at the first-listed offer and at the
    cheapest eligible quote of their moment; an attempt for which that is unknown counts at its own
    cost.
    """

    name: str | None
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: Money
    first_offer: Money
    cheapest: Money
    estimated: int


@dataclass(frozen=True, slots=True)
class Spend:
    """Rows, dearest first, and their total. By tag, a request counts once for each of its tags."""

    rows: tuple[SpendRow, ...]
    total: SpendRow


def spend(
    store: SqliteStore,
    by: Dimension,
    since_ns: int | None = None,
    until_ns: int | None = None,
) -> Spend:
    """Effective cost of all charged attempts with `since <= at < until`, by `by` (days in UTC)."""
    column = _COLUMNS.get(by, by.value)
    source = "usage"
    if by is Dimension.TAG:
        source = "usage LEFT JOIN json_each(usage.tags) AS tag"
    where, values = _between(since_ns, until_ns)
    by_name = (
        f"SELECT {column}, {_SUMS} FROM {source} {where}"
        " GROUP BY 1 ORDER BY sum(effective_nanos) DESC, 1"
    )
    in_all = f"SELECT NULL, {_SUMS} FROM usage {where}"
    with store.view():
        rows = tuple(_row(row) for row in store.database.execute(by_name, values))
        return Spend(rows, _row(store.database.execute(in_all, values).fetchone()))


_SUMS = (
    "count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0),"
    " coalesce(sum(effective_nanos), 0),"
    " coalesce(sum(coalesce(first_offer_nanos, effective_nanos)), 0),"
    " coalesce(sum(coalesce(cheapest_nanos, effective_nanos)), 0), coalesce(sum(estimated), 0)"
)


def _row(row: tuple[str | None, int, int, int, int, int, int, int]) -> SpendRow:
    name, requests, prompt, completion, cost, first_offer, cheapest, estimated = row
    return SpendRow(
        name,
        requests,
        prompt,
        completion,
        Money(cost),
        Money(first_offer),
        Money(cheapest),
        estimated,
    )


def _between(since_ns: int | None, until_ns: int | None) -> tuple[str, list[int]]:
    limits = [("at_ns >= ?", since_ns), ("at_ns < ?", until_ns)]
    used = [(text, value) for text, value in limits if value is not None]
    if not used:
        return "", []
    return "WHERE " + " AND ".join(text for text, _ in used), [value for _, value in used]


@dataclass(frozen=True, slots=True)
class Charged:
    """One row of usage, as far as statements elsewhere need it.

    account: which of our accounts at the provider paid; None where there was but one.
    """

    attempt_id: str
    request_id: str
    at_ns: int
    provider: str
    account: str | None
    upstream_model: str
    usage: TokenUsage
    rates: RateCard
    effective: Money
    list: Money
    first_offer: Money | None
    cheapest: Money | None
    estimated: bool


def charged(
    store: SqliteStore, request_id: str | None = None, since_ns: int = 0
) -> Iterator[Charged]:
    """Charged attempts, all or those of one request, oldest first."""
    values: tuple[int | str, ...]
    where, values = "WHERE at_ns >= ?", (since_ns,)
    if request_id is not None:
        where, values = "WHERE at_ns >= ? AND request_id = ?", (since_ns, request_id)
    for row in store.database.execute(
        "SELECT attempt_id, request_id, at_ns, provider, account, upstream_model,"
        " effective_nanos, list_nanos, first_offer_nanos, cheapest_nanos, estimated,"
        f" {USAGE}, {PRICES}"
        f" FROM usage JOIN rate_cards ON version = rate_card {where} ORDER BY at_ns, attempt_id",
        values,
    ):
        attempt_id, request, at_ns, provider, account, upstream_model = row[:6]
        effective, listed, first_offer, cheapest, estimated = row[6:11]
        yield Charged(
            attempt_id,
            request,
            at_ns,
            provider,
            account,
            upstream_model,
            TokenUsage(*row[11:17]),
            RateCard.of_row(row[17:]),
            effective,
            listed,
            first_offer,
            cheapest,
            bool(estimated),
        )


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt of a request, charged or not. number: from 1 on, in the order they were made."""

    attempt_id: str
    number: int
    provider: str
    upstream_model: str
    account: str | None


def tried(store: SqliteStore, request_id: str) -> list[Tried]:
    """The attempts that were made for a request, first to last."""
    rows = store.database.execute(
        "SELECT attempt_id, provider, upstream_model, account FROM holds"
        " WHERE request_id = ? ORDER BY rowid",
        (request_id,),
    )
    return [Tried(row[0], number, *row[1:]) for number, row in enumerate(rows, start=1)]


def standing(store: SqliteStore, budgets: Iterable[Budget], now: datetime) -> list[Balance]:
    """Each budget's balance in the window of `now`, for each member that has an account."""
    balances: list[Balance] = []
    with store.view():
        for budget in budgets:
            start_ns = budget.account("", now).window_start_ns
            members = store.members(budget.name, budget.window, start_ns) or ("",)
            balances.extend(store.balance(budget.account(member, now)) for member in members)
    return balances
