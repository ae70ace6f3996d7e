"""Fees: book, ledger and FOCUS tell the same of each month's bills and expenses."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedge.book.book import HedgeBook
from hedge.book.entries import enter_correction, enter_resale
from hedge.book.facts import Correction, Fill, Resale
from hedge.book.fees import fees_as_bought, fees_of
from hedge.book.fills import enter_fill
from hedge.book.settling import settle
from ledger.accounting import GlAccount
from ledger.audit import verify
from ledger.calendar_months import months_later
from ledger.commitment_fees import Ending
from ledger.databases.migrations.history import NEWEST, migrate
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.exports.commitments import commitment_rows
from ledger.exports.focus_row import FocusRow
from ledger.instants import day_ns, instant
from ledger.money import Money, as_usd
from ledger.tables.commitment_fees import BY_TIME, FeeTable
from ledger.tables.commitments import CommitmentTable
from ledger.tables.records import RecordTable
from tests.hedge.book.contracts import DESK, PTU, approved

DAY = timedelta(days=1)
BOUGHT = date(2027, 11, 3)
PLANNED = "2027-11-01"
QUOTA: dict[str, object] = {key: PTU[key] for key in ("source", "resale", "size")} | {
    "kind": "flat_plan",
    "name": "ptu",
    "provider": "azure",
    "covers": [{"provider": "azure"}],
    "quota_units": "1000003",
    "burndown": {"prompt": "1", "cached": "0.1", "completion": "4", "request": "0.5"},
}


@dataclass(frozen=True)
class Term:
    """resales: days after the purchase, and lots of 5 units each. undone_after: it is corrected so
    many days after the purchase; settled_after: it had been settled before that."""

    is_quota: bool
    months: int
    upfront: Decimal
    price: Decimal
    units: int
    starts_after: int
    resales: tuple[tuple[int, int], ...]
    undone_after: int | None
    settled_after: int


@st.composite
def terms(draw: st.DrawFn) -> Term:
    """Terms across the leap day of 2028, from any day of a month on."""
    units = draw(st.integers(4, 12)) * 5
    days = draw(st.lists(st.integers(0, 300), max_size=2, unique=True))
    is_undone = not days and draw(st.integers(0, 3)) == 0
    return Term(
        draw(st.booleans()),
        draw(st.sampled_from([1, 2, 5, 12])),
        draw(st.sampled_from(["0", "0.5", "0.333", "1"]).map(Decimal)),
        draw(st.decimals("0.01", 300, places=9)),
        units,
        draw(st.sampled_from([0, 1, 11, 27, 58, 117])),
        tuple((day, draw(st.integers(1, 3))) for day in sorted(days)),
        draw(st.integers(0, 200)) if is_undone else None,
        draw(st.integers(0, 200)),
    )


def contract(one: Term) -> dict[str, object]:
    price = {"months": one.months, "usd_per_month": "300", "upfront": str(one.upfront)}
    return (QUOTA if one.is_quota else PTU) | {"prices": [price]}


def at(day: date) -> int:
    return day_ns(day)


def play(sql: Sql, one: Term) -> None:
    """All of its life, and then everything that comes due."""
    plan = approved(sql, PLANNED, {"ptu": one.units}, contract(one))
    starts = BOUGHT + DAY * one.starts_after
    fill = Fill(plan, "ptu", one.units, one.price, at(BOUGHT), months=one.months, starts=starts)
    with sql.transaction():
        enter_fill(HedgeBook(sql, at(BOUGHT)), "fill:1", fill, DESK)
    ends = months_later(starts, one.months)
    for number, (after, lots) in enumerate(one.resales):
        day = BOUGHT + DAY * after
        if day < ends:
            with sql.transaction():
                book = HedgeBook(sql, at(day))
                if book.holdings["fill:1"].units >= 5 * lots:
                    fact = Resale("fill:1", 5 * lots, Money(10**9 + 7))
                    enter_resale(book, f"resale:{number}", fact, day, DESK)
    if one.undone_after is not None:
        day = BOUGHT + DAY * one.undone_after
        with sql.transaction():
            settle(HedgeBook(sql, at(BOUGHT + DAY * min(one.undone_after, one.settled_after))))
        with sql.transaction():
            enter_correction(HedgeBook(sql, at(day)), Correction("fill:1", "wrong"), day, DESK)
    with sql.transaction():
        settle(HedgeBook(sql, at(ends + 400 * DAY)))


Months = dict[str, Decimal]


def of_book(sql: Sql) -> tuple[Months, Months]:
    """What the records of the book have moved in each month: what was owed, and what was expense,
    that of what was sold on among it."""
    owed: defaultdict[str, Decimal] = defaultdict(Decimal)
    cost: defaultdict[str, Decimal] = defaultdict(Decimal)
    for record in RecordTable(sql).read():
        moved = {line.account: as_usd(line.amount) for line in record.lines}
        month = f"{record.day:%Y-%m}"
        owed[month] -= moved.get(GlAccount.COMMITMENT_PAYABLE, Decimal(0))
        cost[month] += moved.get(GlAccount.COMMITMENT_EXPENSE, Decimal(0))
        if GlAccount.RESALE_RESULT in moved or record.kind == "resale":
            cost[month] += moved.get(GlAccount.RESALE_RESULT, Decimal(0)) + moved[GlAccount.CASH]
    return clean(owed), clean(cost)


def of_focus(rows: list[FocusRow]) -> tuple[Months, Months]:
    billed: defaultdict[str, Decimal] = defaultdict(Decimal)
    cost: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        month = f"{instant(row.billing_period_start):%Y-%m}"
        billed[month] += row.billed_cost
        cost[month] += row.effective_cost
    return clean(billed), clean(cost)


def of_sql(sql: Sql) -> tuple[Months, Months]:
    """As a reviewer asks the books."""
    rows = sql.execute(
        "SELECT substr(day, 1, 7), sum(billed_nanos), sum(cost_nanos) FROM held_fees GROUP BY 1"
    ).fetchall()
    return (
        clean({month: as_usd(Money(billed)) for month, billed, _ in rows}),
        clean({month: as_usd(Money(cost)) for month, _, cost in rows}),
    )


def clean(months: Months) -> Months:
    return {month: amount for month, amount in months.items() if amount}


def agree(sql: Sql, one: Term) -> None:
    with sql.view():
        rows = list(commitment_rows(sql, 0, at(date(2031, 1, 1))))
    book = of_book(sql)
    assert of_focus(rows) == book
    assert of_sql(sql) == book
    fee = as_usd(Money(int(one.price * 10**9) * one.units * one.months))
    expected = Decimal(0) if one.undone_after is not None else fee
    assert sum(row.billed_cost for row in rows) == expected
    assert sum(row.effective_cost for row in rows) == expected
    assert verify(sql).findings == ()


@pytest.fixture
def new(tmp_path: Path) -> Callable[[], Sql]:
    """Opens books that are empty again, as often as it is called."""
    template = tmp_path / "empty.db"
    SqliteFile.open(template).close()

    def opened() -> Sql:
        path = tmp_path / "books.db"
        for old in tmp_path.glob("books.db*"):
            old.unlink()
        shutil.copy(template, path)
        return SqliteFile.open(path)

    return opened


@given(terms())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_book_ledger_and_focus_agree(new: Callable[[], Sql], one: Term) -> None:
    """For any term, upfront part, first day, resale and correction: in each month what is billed
    and what it costs is the same in all three, to the nano-USD; over the term it is the fee."""
    with closing(new()) as sql:
        play(sql, one)
        agree(sql, one)


EXAMPLES = [
    Term(
        False, 12, Decimal("0.333"), Decimal("99.999999999"), 35, 27, ((40, 2), (130, 3)), None, 0
    ),
    Term(True, 5, Decimal("0.5"), Decimal("7.000000001"), 20, 58, ((30, 1),), None, 0),
    Term(False, 12, Decimal(1), Decimal(300), 20, 0, (), 35, 30),
]


@pytest.mark.parametrize("one", EXAMPLES)
def test_on_both_databases(sql: Sql, one: Term) -> None:
    """The same on PostgreSQL."""
    play(sql, one)
    agree(sql, one)


@pytest.mark.parametrize("one", EXAMPLES[:2])
def test_books_of_before(sql: Sql, one: Term) -> None:
    """Commitments that were bought before the ledger kept their schedule count by time at first,
    and sum to the same; when the book is settled they are as if they had always had it."""
    play(sql, one)
    kept = FeeTable(sql).all()
    migrate(sql, 13)
    migrate(sql, NEWEST)
    versions = sql.execute("SELECT DISTINCT version FROM commitment_fees").fetchall()
    assert versions == [(BY_TIME,)]
    held = CommitmentTable(sql).all()
    for its in held:
        fees = FeeTable(sql).one(its.id)
        assert fees is not None
        assert sum(due.amount for due in fees.dues) == its.fee
        assert sum(cost.amount for cost in fees.costs) == its.fee
    with sql.transaction():
        settle(HedgeBook(sql, at(date(2030, 1, 1))))
    assert FeeTable(sql).all() == kept
    agree(sql, one)
    migrate(sql, 13)


def test_sold_on_before_it_began(sql: Sql) -> None:
    """All of it is sold before its first day: nothing was ever a cost of a month, what is owed for
    it is owed at once, and there is no commitment."""
    one = Term(False, 2, Decimal("0.5"), Decimal(10), 20, 30, ((5, 4),), None, 0)
    play(sql, one)
    agree(sql, one)
    fees = FeeTable(sql).all()["fill:1"]
    assert (fees.dues, fees.costs) == ((), ())
    assert fees.given_up is not None
    assert (fees.given_up.ending, fees.given_up.billed) == (Ending.SOLD, 400 * 10**9)
    assert CommitmentTable(sql).all() == []


def test_what_is_kept_when_it_is_bought(sql: Sql) -> None:
    """Before anything comes due the ledger knows all of it: a half in advance with the first month,
    and then month by month."""
    one = Term(False, 12, Decimal("0.5"), Decimal(12), 20, 0, (), None, 0)
    plan = approved(sql, PLANNED, {"ptu": 20}, contract(one))
    with sql.transaction():
        book = HedgeBook(sql, at(BOUGHT))
        fill = Fill(plan, "ptu", 20, one.price, at(BOUGHT), months=12)
        enter_fill(book, "fill:1", fill, DESK)
        (holding,) = book.holdings.values()
        fees = FeeTable(sql).one("fill:1")
        assert fees == fees_of(book, holding)["fill:1"] == fees_as_bought(holding.schedule)
    assert fees is not None
    assert [(due.day, due.until, due.amount) for due in fees.dues[:2]] == [
        (BOUGHT, date(2027, 12, 3), 1560 * 10**9),
        (date(2027, 12, 3), date(2028, 1, 3), 120 * 10**9),
    ]
    assert [cost.month for cost in fees.costs][:2] == [date(2027, 11, 1), date(2027, 12, 1)]
    assert len(fees.costs) == 13


def test_the_audit_sees_a_month_that_is_missing(sql: Sql) -> None:
    """A commitment whose months do not cost its fee is named."""
    play(sql, EXAMPLES[0])
    assert verify(sql).findings == ()
    with sql.transaction():
        sql.execute("DELETE FROM commitment_fees WHERE commitment = 'resale:1' AND kind = 'cost'")
    assert [one.where for one in verify(sql).findings] == ["commitment resale:1"]
