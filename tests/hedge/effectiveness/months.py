"""Months of money for tests: usage, and capacity and futures that were bought, made by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count

from hedge.book.book import HedgeBook
from hedge.book.facts import Fill
from hedge.book.fills import enter_fill
from hedge.effectiveness.report import EffectivenessReport, effectiveness_report
from ledger.allowances import allowance
from ledger.attempts import Charge, Settlement
from ledger.budgets import Account
from ledger.databases.sql import Sql
from ledger.draws import Draw
from ledger.journal_records import Ended, Held, held_of, posted_as
from ledger.money import Money
from ledger.store import Store
from ledger.tables.commitments import CommitmentTable
from ledger.usage import TokenUsage
from tests.hedge.book.contracts import DESK, SOURCE, approved, at, day
from tests.ledger.entries import NANO_PER_TOKEN, attempt, writer_of

FLAT: dict[str, object] = {
    "kind": "flat_plan",
    "name": "flat",
    "provider": "acme",
    "source": SOURCE,
    "covers": [{"provider": "acme"}],
    "size": {"max": 10},
    "prices": [{"usd_per_month": "100"}],
    "quota_units": "1000",
    "burndown": {"prompt": "1", "cached": "0.1", "completion": "4"},
    "overage": {"then": "bill", "usd_per_unit": "0.02"},
}
"""A unit: 1000 capacity units a month for 100 USD."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A charged request. paid: at pay-as-you-go of the offer that served it, in nano-USD.
    commitment: what it drew on instead, is_overage: beyond its quota."""

    when: str
    paid: int
    model: str = "llama"
    provider: str = "acme"
    prompt: int = 10
    completion: int = 0
    first_offer: int | None = None
    cheapest: int | None = None
    listed: int | None = None
    commitment: str | None = None
    is_overage: bool = False
    batch: str | None = None
    estimated: bool = False


_numbers = count(1)


def charge(sql: Sql, *asked: Asked) -> None:
    """Write them as a worker's journal is folded."""
    store = Store(sql)
    writer_id = writer_of(store)
    with store.transaction():
        store.writers.write(writer_id, [_ended(sql, one) for one in asked])


def _ended(sql: Sql, one: Asked) -> tuple[Held, Ended]:
    at_ns, usage = at(one.when), TokenUsage(one.prompt, one.completion)
    its = replace(
        attempt(f"a{next(_numbers):09}", one.paid, at_ns=at_ns, batch=one.batch),
        model=one.model,
        provider=one.provider,
        upstream_model=f"{one.provider}-{one.model}",
    )
    paid = billed = effective = Money(one.paid)
    accounts: tuple[Account, ...] = ()
    if one.commitment is not None:
        owned = CommitmentTable(sql).one(one.commitment)
        assert owned is not None
        draw = Draw(allowance(owned, at_ns), 10**9, one.is_overage)
        its, accounts = replace(its, draw=draw), draw.accounts
        used = draw.used(usage, paid)
        billed, effective = draw.bills(used), draw.costs(used)
    amounts = Charge(
        billed=billed,
        effective=effective,
        contracted=paid,
        list=Money(one.paid if one.listed is None else one.listed),
        first_offer=None if one.first_offer is None else Money(one.first_offer),
        cheapest=None if one.cheapest is None else Money(one.cheapest),
    )
    end = Settlement(at_ns, usage, NANO_PER_TOKEN, amounts, one.estimated, None, 12.5)
    spent = tuple(end.spends(its, account.measure) for account in accounts)
    return held_of(its, accounts), posted_as(its, end, spent, spent)


def buy_flat(sql: Sql, when: str, units: int = 2) -> str:
    """From that day on, for a month; the name of what is drawn on."""
    plan = approved(sql, when, {"flat": units}, FLAT)
    with sql.transaction():
        fact = Fill(plan, "flat", units, Decimal(100), at(when), months=1)
        enter_fill(HedgeBook(sql, at(when)), "fill:flat", fact, DESK)
    return "fill:flat"


def trade(
    sql: Sql, plan: str, name: str, when: str, units: int, price: str, **more: str | None
) -> None:
    """Lots of GPU1. month: of settlement; roll: what they are part of."""
    month = more.get("month")
    fact = Fill(
        plan,
        "GPU1",
        units,
        Decimal(price),
        at(when),
        None if month is None else day(month),
        roll=more.get("roll"),
        over="a test",
    )
    with sql.transaction():
        enter_fill(HedgeBook(sql, at(when)), name, fact, DESK)


def report(sql: Sql, month: str, when: str, cap: Money | None = None) -> EffectivenessReport:
    with sql.view():
        return effectiveness_report(HedgeBook(sql, at(when)), day(f"{month}-01"), cap)
