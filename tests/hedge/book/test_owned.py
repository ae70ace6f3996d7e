"""From a plan to the next one: what was planned is bought, and the next plan takes it for given."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hedge.book.approving import approve, keep
from hedge.book.book import HedgeBook
from hedge.book.facts import Fill
from hedge.book.fills import enter_fill
from hedge.book.owned import held_lots, owned
from hedge.book.settling import settle
from hedge.contracts.offered import HeldLots
from hedge.planning.plan import HedgePlan, PlannedPosition
from hedgerow.printing import json_bytes
from ledger.databases.sql import Sql
from tests.hedge.book.contracts import (
    ALL,
    APPROVER,
    DESK,
    MAKER,
    approved,
    at,
    day,
    terms,
)


def test_a_plan_as_planning_tells_it(sql: Sql) -> None:
    """Its positions are read as they are written, with their terms and months, and every digit is
    kept; the same plan is kept once, as of whom made it first."""
    positions = [
        PlannedPosition("ptu", 20, Decimal("5200.00"), "why", term_months=12, utilisation=0.9),
        PlannedPosition("GPU1", -3, Decimal("16.50"), "why", month=date(2026, 12, 1)),
        PlannedPosition("H100-SWAP", 0, Decimal(0), "why not"),
    ]
    plan = dict.fromkeys(HedgePlan.__dataclass_fields__) | {
        "status": "optimal",
        "positions": positions,
        "inputs_sha256": "ab",
        "bid_prices": (),
        "seed": 7,
    }
    text = json_bytes(plan)
    with sql.transaction():
        book = HedgeBook(sql, at("2026-11-20"))
        kept_plan = keep(book, text, map(terms, ALL), MAKER)
        assert keep(book, text, map(terms, ALL), "somebody else").made_by == MAKER
        approve(book, kept_plan.id, APPROVER, None)
    book = HedgeBook(sql, at("2026-11-20"))
    found = book.plan(kept_plan.id)
    assert (found.text, found.state(book.now_ns)) == (text, "approved")
    assert [(one.contract, one.units, one.term_months, one.month) for one in found.positions] == [
        (one.contract, one.units, one.term_months, one.month) for one in positions
    ]
    assert found.contracts == {one.name: one for one in map(terms, ALL)}


def test_what_is_open_is_held(sql: Sql) -> None:
    """Open lots, each since its own entry; what was settled, or is over, is held no longer, and a
    commitment whose term is over is owned no longer."""
    plan = approved(sql, "2026-01-01", {"GPU1": 9, "ptu": 20})
    with sql.transaction():
        book = HedgeBook(sql, at("2026-01-05"))
        for number, (units, price, month) in enumerate(
            [(1, "2.50", "2026-03-01"), (2, "2.56", "2026-03-01"), (3, "2.40", "2026-01-01")]
        ):
            fact = Fill(plan, "GPU1", units, Decimal(price), at("2026-01-05"), month=day(month))
            enter_fill(book, f"fill:{number}", fact, DESK)
        fact = Fill(plan, "ptu", 20, Decimal(260), at("2026-01-05"), months=1)
        enter_fill(book, "fill:p", fact, DESK)
    with sql.transaction():
        book = HedgeBook(sql, at("2026-02-04"))
        settle(book)
        assert list(held_lots(book)) == [
            HeldLots("GPU1", day("2026-03-01"), units, Decimal(since))
            for units, since in ((1, "2.50"), (2, "2.56"))
        ]
        assert [one.commitment.id for one in owned(book)] == ["fill:p"]
        assert list(owned(HedgeBook(sql, at("2026-02-05")))) == []
