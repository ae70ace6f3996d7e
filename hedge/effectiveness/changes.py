"""Changes: what was decided, corrected and restated in the month: who, when, what, old and new."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from hedge.book.facts import (
    Approval,
    Correction,
    Dedesignation,
    Designation,
    Fill,
    KeptPlan,
    Notice,
    Rebalancing,
    Resale,
    Withdrawal,
)
from hedge.book.fills import roll_cost
from hedge.book.plans import Plan
from hedge.effectiveness.month_end import MonthEnd
from ledger.accounting import Record
from ledger.databases.sql import Sql
from ledger.instants import day_ns, instant
from ledger.money import usd_text


@dataclass(frozen=True, slots=True)
class Change:
    """at_ns: when it was written, or known. what: as `approval`, `withdrawal`, `correction`,
    `resale`, `notice`, `restatement`, `roll`, `plan`, `terms`, `override`, `designation`,
    `rebalancing`, `dedesignation`. record: of the book; None of a fixing, which has none."""

    at_ns: int
    who: str
    what: str
    subject: str
    old: str | None
    new: str | None
    why: str | None
    record: str | None


def changes(end: MonthEnd) -> tuple[Change, ...]:
    """By time; of one time in the order of the records."""
    found = [*_of_records(end), *_restated(end)]
    return tuple(sorted(found, key=lambda one: one.at_ns))


def _of_records(end: MonthEnd) -> Iterator[Change]:
    """Written in the month, or of a day of it."""
    since_ns, until_ns = day_ns(end.month), day_ns(end.until)
    before: Plan | None = None
    for record in end.records:
        fact = end.book.fact(record.id)
        is_of_month = record.day >= end.month or since_ns <= record.at_ns < until_ns
        if isinstance(fact, KeptPlan):
            plan = end.book.plans[record.id]
            if is_of_month:
                yield from _plan(record, plan, before)
            before = plan
        elif is_of_month and fact is not None:
            yield from _change(end, record, fact)


def _plan(record: Record, plan: Plan, before: Plan | None) -> Iterator[Change]:
    old = None if before is None else f"{before.id}, inputs {before.inputs_sha256[:12]}"
    new = f"{plan.id}, inputs {plan.inputs_sha256[:12]}, seed {plan.seed}"
    yield _of(record, "plan", plan.id, old, new, plan.status)
    if before is None:
        return
    for name, contract in plan.contracts.items():
        was = before.contracts.get(name)
        if was is None or was == contract:
            continue
        then, now = was.model_dump(mode="json"), contract.model_dump(mode="json")
        for field in now:
            if then.get(field) != now[field]:
                yield _of(
                    record,
                    "terms",
                    f"{name}: {field}",
                    _text(then.get(field)),
                    _text(now[field]),
                    f"as {plan.id} was offered it",
                )


def _text(value: object) -> str:
    return "none" if value is None else str(value)


def _change(end: MonthEnd, record: Record, fact: object) -> Iterator[Change]:
    match fact:
        case Approval():
            until = f"approved until {instant(fact.expires_at_ns):%Y-%m-%d %H:%M} UTC"
            yield _of(record, "approval", fact.plan, "proposed", until, fact.note)
        case Withdrawal():
            yield _of(record, "withdrawal", fact.plan, "approved", "withdrawn", fact.note)
        case Correction():
            yield _of(record, "correction", fact.of, "in the books", "reversed", fact.reason)
        case Resale():
            brought = f"{fact.units} units sold on for {usd_text(fact.proceeds)} USD"
            yield _of(record, "resale", fact.fill, None, brought, None)
        case Notice():
            yield _of(record, "notice", fact.fill, "renews itself", "ends with its term", None)
        case Designation():
            new = f"hedges {fact.volume:f} of {fact.item_month:%Y-%m} with {fact.lots} lots"
            yield _of(record, "designation", fact.fill, None, new, fact.objective)
        case Rebalancing():
            old = _volume_before(end, record.id, fact.designation)
            yield _of(
                record, "rebalancing", fact.designation, f"{old:f}", f"{fact.volume:f}", fact.reason
            )
        case Dedesignation():
            new = "ended, purchases are " + ("" if fact.still_expected else "not ") + "expected"
            yield _of(record, "dedesignation", fact.designation, "designated", new, fact.reason)
        case Fill():
            if fact.over is not None:
                units = f"{fact.units} units of {fact.contract}, over what was approved"
                yield _of(record, "override", record.id, None, units, fact.over)
            if fact.roll is not None:
                month = "" if fact.month is None else f" {fact.month:%Y-%m}"
                traded = f"{fact.units:+} {fact.contract}{month} at {fact.price_usd} USD"
                cost = f"the roll costs {usd_text(roll_cost(end.book, fact.roll))} USD so far"
                yield _of(record, "roll", fact.roll, None, traded, cost)
        case _:
            pass


def _volume_before(end: MonthEnd, record_id: str, designation: str) -> Decimal:
    of = end.book.designations[designation]
    volume = of.fact.volume
    for one in of.later:
        if one.record == record_id:
            break
        if isinstance(one.fact, Rebalancing):
            volume = one.fact.volume
    return volume


def _of(
    record: Record, what: str, subject: str, old: str | None, new: str | None, why: str | None
) -> Change:
    return Change(record.at_ns, record.who, what, subject, old, new, why, record.id)


def _restated(end: MonthEnd) -> Iterator[Change]:
    """Fixings of which another value became known in the month."""
    for series, at_ns, known_ns, old, new, source in _restatements(
        end.sql, day_ns(end.month), day_ns(end.until)
    ):
        if Decimal(old) != Decimal(new):
            yield Change(
                known_ns,
                source,
                "restatement",
                f"{series} of {instant(at_ns):%Y-%m-%d %H:%M} UTC",
                old,
                new,
                "settled months stand as they were settled",
                None,
            )


def _restatements(
    sql: Sql, since_ns: int, until_ns: int
) -> list[tuple[str, int, int, str, str, str]]:
    rows = sql.execute(
        "SELECT series, at_ns, known_at_ns, before, value, source FROM (SELECT series, at_ns,"
        " known_at_ns, value, source, lag(value) OVER (PARTITION BY series, at_ns"
        " ORDER BY known_at_ns) AS before FROM fixings) AS told"
        " WHERE before IS NOT NULL AND known_at_ns >= ? AND known_at_ns < ?"
        " ORDER BY known_at_ns, series, at_ns",
        (since_ns, until_ns),
    )
    return [(row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows]
