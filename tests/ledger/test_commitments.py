"""Commitments in FOCUS: the invariants of the specification, for any use of any commitment, and the
rows of any span of the books."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ledger.charges import ChargeRow, charge_rows
from ledger.commitment_fees import fees_by_time
from ledger.commitment_periods import Period, periods
from ledger.commitments import Commitment, CommitmentKind
from ledger.databases.sql import Sql
from ledger.exports.commitments import commitment_rows, period_rows, purchase_rows
from ledger.exports.focus import focus_rows
from ledger.exports.focus_row import FocusRow
from ledger.money import ZERO, Money, as_usd
from ledger.tables.commitments import CommitmentTable
from tests.ledger.charges import charge_row
from tests.ledger.entries import NOW_NS
from tests.ledger.entries_of import DAY_0_NS, DAY_NS, various, write
from tests.ledger.owned import commitment

END_NS = NOW_NS + 7 * DAY_NS


def period(kind: CommitmentKind, fee: int, micro_units: int) -> Period:
    one = commitment(kind=kind, id="c1", contract="Reserved")
    return Period(one, NOW_NS, END_NS, Money(fee), micro_units, NOW_NS, Money(fee))


def use(number: int, effective: int, micro_units: int) -> ChargeRow:
    return replace(
        charge_row(number, at_ns=NOW_NS + number),
        billed=ZERO,
        effective=Money(effective),
        contracted=Money(2 * effective),
        list=Money(3 * effective),
        commitment="c1",
        micro_units=micro_units,
    )


amounts = st.integers(0, 10**10)
kinds = st.sampled_from(CommitmentKind)


@given(kinds, st.lists(st.tuples(amounts, amounts), max_size=5), amounts, amounts)
def test_the_effective_cost_of_its_rows_is_its_fee(
    kind: CommitmentKind, uses: list[tuple[int, int]], fee: int, micro_units: int
) -> None:
    """All is billed nothing and costs the fee, whatever teams were charged; used and unused units
    are what was there, also where providers have counted more; each row has what its kind must
    have."""
    one = period(kind, fee, micro_units)
    taken = [use(n, *some) for n, some in enumerate(uses)]
    rows = [row for row, _ in period_rows(one, taken)]
    assert sum(row.effective_cost for row in rows) == as_usd(one.fee)
    assert sum(row.billed_cost for row in rows) == 0
    usage = [row for row in rows if row.charge_category == "Usage"]
    quantities = [row.commitment_discount_quantity for row in usage]
    assert sum(each for each in quantities if each is not None) == Decimal(micro_units) / 10**6
    check(rows, kind)
    used = [row for row in usage if row.commitment_discount_status == "Used"]
    assert [row.effective_cost for row in used] == [as_usd(one.effective) for one in taken]
    for row in usage:
        assert row.pricing_category == "Committed"
        is_unused = row.commitment_discount_status == "Unused"
        assert (row.consumed_quantity is None) == is_unused
        assert row.effective_cost >= 0
    assert len(used) == len(uses)
    assert len(usage) - len(used) == (sum(each for _, each in uses) < micro_units)


def check(rows: list[FocusRow], kind: CommitmentKind) -> None:
    """What the specification asks of every row of a commitment."""
    for row in rows:
        assert row.commitment_discount_id == "c1"
        is_spend = kind is CommitmentKind.SPEND
        assert row.commitment_discount_category == ("Spend" if is_spend else "Usage")
        assert row.charge_period_start < row.charge_period_end
        if row.charge_category != "Adjustment":
            assert row.pricing_quantity == 1
            assert row.list_unit_price == row.list_cost
            assert row.contracted_unit_price == row.contracted_cost


@given(
    kinds,
    st.booleans(),
    st.integers(DAY_0_NS - 400 * DAY_NS, DAY_0_NS),
    st.integers(1, 500 * DAY_NS),
    st.integers(0, 10**15),
)
def test_fees_by_time(
    kind: CommitmentKind, monthly: bool, starts_ns: int, length_ns: int, fee: int
) -> None:
    """Periods one after the other from the start to the end, whose fees are the fee, to the
    nano-USD; so are the purchases, whose quantities are what could be used in all periods. No month
    begins to cost anything before it is billed."""
    one = commitment(
        id="c1",
        kind=kind,
        is_monthly=monthly,
        starts_ns=starts_ns,
        ends_ns=starts_ns + length_ns,
        fee=Money(fee),
    )
    fees = fees_by_time(one)
    found = list(periods(one, fees))
    assert sum(each.fee for each in found) == fee
    edges = [each.start_ns for each in found] + [found[-1].end_ns]
    assert [each.end_ns for each in found] == edges[1:]
    assert (edges[0], edges[-1]) == (one.starts_ns, one.ends_ns)
    assert all(each.fee >= 0 for each in found)
    rows = list(purchase_rows(one, fees.dues, is_once=len(fees.dues) == 1))
    check([row for row, _ in rows], kind)
    assert sum(row.billed_cost for row, _ in rows) == as_usd(one.fee)
    if len(rows) == len(found) or is_whole(one):
        bought = sum(row.commitment_discount_quantity or 0 for row, _ in rows)
        there = sum(each.micro_units for each in found if each.is_last)
        assert bought == Decimal(there if rows else 0) / 10**6
    for row, at_ns in rows:
        assert row.effective_cost == 0
        assert row.consumed_quantity is None
        billed = sum(each.billed_cost for each, then_ns in rows if then_ns <= at_ns)
        assert billed >= as_usd(Money(sum(one.fee for one in found if one.end_ns <= at_ns)))


def is_whole(one: Commitment) -> bool:
    return one.kind is not CommitmentKind.THROUGHPUT and not one.is_monthly


MONTHLY = commitment(
    id="own", is_monthly=True, starts_ns=DAY_0_NS - 40 * DAY_NS, ends_ns=DAY_0_NS + 40 * DAY_NS
)
WHOLE = commitment(id="whole", starts_ns=DAY_0_NS - 2 * DAY_NS, ends_ns=DAY_0_NS + 2 * DAY_NS)


def test_of_the_books(sql: Sql) -> None:
    """Draws are told with their commitments and nowhere else; teams are charged what the books
    say; however a time is cut into spans, each row is told in one of them."""
    made = [one for one in various(200) if one.kind == "posted"]
    write(sql, made)
    with sql.transaction():
        for one in (MONTHLY, WHOLE):
            CommitmentTable(sql).add(one)
    edges = [0, DAY_0_NS - 3 * DAY_NS, DAY_0_NS - DAY_NS, DAY_0_NS, DAY_0_NS + 2 * DAY_NS]
    edges += [DAY_0_NS + 40 * DAY_NS, DAY_0_NS + 500 * DAY_NS]
    with sql.view():
        whole = list(commitment_rows(sql, 0, edges[-1]))
        cut = [
            row for since, until in pairwise(edges) for row in commitment_rows(sql, since, until)
        ]
        usual = list(focus_rows(charge_rows(sql)))
    assert sorted(map(repr, cut)) == sorted(map(repr, whole))
    drawn = [one for one in made if one.drawn_on == "c1"]
    ids = {row.x_attempt_id for row in usual}
    told = [row for row in whole if row.x_attempt_id is not None]
    within = [one for one in drawn if one.at_ns >= DAY_0_NS]  # c1 begins then
    assert drawn
    assert len(told) == len(within)
    assert sum(row.effective_cost for row in told) == as_usd(Money(sum(o.cost for o in within)))
    assert not ids & {row.x_attempt_id for row in told}
    for name, fee in (("own", MONTHLY.fee), ("whole", WHOLE.fee), ("c1", Money(10**9))):
        its = [row for row in whole if row.commitment_discount_id == name]
        assert sum(row.billed_cost for row in its) == as_usd(fee)
        assert sum(row.effective_cost for row in its) == as_usd(fee)
