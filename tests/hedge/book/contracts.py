"""Contracts and plans for tests of the book, made by hand."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

from hedge.book.book import HedgeBook
from hedge.book.plans import AnyContract, approval_of, kept_plan, terms_json
from hedge.contracts.contract import contracts_of
from ledger.databases.sql import Sql
from ledger.instants import as_ns

SOURCE = {"url": "a test", "retrieved_at": "2026-11-20", "verification": "assumed"}
MAKER, APPROVER, DESK = "ada", "ben", "cleo"

GPU1: dict[str, object] = {
    "kind": "future",
    "name": "GPU1",
    "provider": "cme",
    "source": SOURCE,
    "settlement": {"index": "SD-H100", "averaging": "arith_bd"},
    "multiplier": "730",
    "tick_usd": "0.01",
    "size": {"max": 1000},
    "fees": {"trade": "5.50", "settle": "1.35"},
    "margin": {"initial": "300", "maintenance": "250"},
}
PERP: dict[str, object] = GPU1 | {
    "kind": "perp",
    "name": "H100-PERP",
    "provider": "ax",
    "settlement": {"index": "OCPI-H100", "averaging": "last"},
    "multiplier": "100",
    "fees": {},
    "taker_fee": "0.0025",
    "funding_hours": 24,
    "funding_cap": "0.01",
}
EVENT: dict[str, object] = GPU1 | {
    "kind": "event",
    "name": "H100-ABOVE-3",
    "provider": "kalshi",
    "settlement": {"index": "OCPI-H100", "averaging": "last", "calendar": "all"},
    "multiplier": "1",
    "fees": {},
    "margin": None,
    "strike": "3",
}
SWAP: dict[str, object] = GPU1 | {
    "kind": "swap",
    "name": "H100-SWAP",
    "provider": "ornn",
    "months": 3,
}
PTU: dict[str, object] = {
    "kind": "throughput_reservation",
    "name": "ptu",
    "provider": "azure",
    "source": SOURCE,
    "covers": [{"provider": "azure", "model": "gpt-5.2"}],
    "size": {"min": 15, "step": 5, "max": 500},
    "prices": [
        {"months": 1, "usd_per_month": "260"},
        {"months": 12, "usd_per_month": "221", "upfront": "0.5"},
    ],
    "units_per_minute": "3400",
    "auto_renew": True,
    "notice_days": 30,
    "resale": {"venue": "a broker", "haircut": "0.25", "min_lot": 5},
}
ALL = (GPU1, PERP, EVENT, SWAP, PTU)


def terms(raw: dict[str, object]) -> AnyContract:
    return contracts_of([raw], "test")[0]


def at(text: str) -> int:
    return as_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


def day(text: str) -> date:
    return date.fromisoformat(text)


def plan_json(positions: dict[str, int] | list[dict[str, object]], **more: object) -> bytes:
    rows = (
        [{"contract": name, "units": units} for name, units in positions.items()]
        if isinstance(positions, dict)
        else positions
    )
    return json.dumps(
        {"status": "optimal", "positions": rows, "inputs_sha256": "ab", "seed": 1, **more}
    ).encode()


def keep(book: HedgeBook, plan: bytes, *contracts: dict[str, object]) -> str:
    """A plan in the book, made by MAKER."""
    texts = terms_json([terms(one) for one in contracts or ALL])
    plan_id, kept = kept_plan(plan, texts)
    book.write(plan_id, kept, book.today, who=MAKER)
    return plan_id


def approve(book: HedgeBook, plan_id: str) -> None:
    plan = book.plan(plan_id)
    fact = approval_of(plan, APPROVER, book.now_ns, None, valid_days=400)
    book.write(f"approval:{plan_id}:{book.now_ns}", fact, book.today, who=APPROVER)


def approved(sql: Sql, when: str, positions: dict[str, int], *contracts: dict[str, object]) -> str:
    """A plan that was kept and approved at a moment."""
    with sql.transaction():
        book = HedgeBook(sql, at(when))
        plan_id = keep(book, plan_json(positions), *contracts)
        approve(book, plan_id)
    return plan_id


def usd(text: str) -> Decimal:
    return Decimal(text)
