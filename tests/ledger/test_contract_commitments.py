"""FOCUS 1.4's Contract Commitment: what the specification asks, for any commitment."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.commitment_fees import Due, Ending, Fees, GivenUp, MonthCost, fees_by_time
from ledger.commitments import Commitment, CommitmentKind, Covered
from ledger.databases.sql import Sql
from ledger.exports.contract_commitments import ContractCommitment, contract_commitments
from ledger.exports.export import export_contract_commitments
from ledger.instants import day_ns
from ledger.money import MAX_NANOS, Money
from ledger.tables.commitment_fees import FeeTable
from ledger.tables.commitments import CommitmentTable
from tests.ledger.entries_of import undone
from tests.ledger.owned import commitment

STARTS, ENDS = date(2027, 1, 15), date(2028, 1, 15)
YEAR = commitment(
    id="y",
    contract="reserved",
    starts_ns=day_ns(STARTS),
    ends_ns=day_ns(ENDS),
    fee=Money(1200 * 10**9),
    is_monthly=True,
)
with_sql = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

COLUMNS = [
    "BillingCurrency",
    "ContractCommitmentApplicability",
    "ContractCommitmentBenefitCategory",
    "ContractCommitmentCategory",
    "ContractCommitmentCost",
    "ContractCommitmentCreated",
    "ContractCommitmentDescription",
    "ContractCommitmentDiscountPercentage",
    "ContractCommitmentDurationType",
    "ContractCommitmentFulfillmentInterval",
    "ContractCommitmentId",
    "ContractCommitmentLastUpdated",
    "ContractCommitmentLifecycleStatus",
    "ContractCommitmentModel",
    "ContractCommitmentPaymentInterval",
    "ContractCommitmentPaymentModel",
    "ContractCommitmentPaymentUpfrontPercentage",
    "ContractCommitmentPeriodEnd",
    "ContractCommitmentPeriodStart",
    "ContractCommitmentQuantity",
    "ContractCommitmentType",
    "ContractCommitmentUnit",
    "ContractId",
    "ContractPeriodEnd",
    "ContractPeriodStart",
    "InvoiceIssuerName",
    "ServiceProviderName",
]
"""Those of 1.4 but ContractCommitmentOfferCategory, which the books do not know, and the two of a
pricing currency, which are for other currencies than the billing one."""


def told(sql: Sql, now: date = STARTS) -> list[ContractCommitment]:
    return list(contract_commitments(sql, 0, MAX_NANOS, day_ns(now)))


def dues(*amounts: int) -> Fees:
    """Month by month from the start."""
    days = [date(2027 + at // 12, at % 12 + 1, 15) for at in range(len(amounts) + 1)]
    return Fees(
        tuple(
            Due(day, until, Money(amount))
            for day, until, amount in zip(days, days[1:], amounts, strict=False)
        ),
        (MonthCost(date(2027, 1, 1), Money(sum(amounts))),),
    )


@given(
    st.sampled_from(CommitmentKind),
    st.booleans(),
    st.integers(0, 10**14),
    st.integers(1, 10**6),
    st.integers(0, 1000),
    st.integers(1, 1000),
    st.lists(st.integers(0, 3), max_size=3),
)
@with_sql
def test_what_the_specification_asks(
    sql: Sql,
    kind: CommitmentKind,
    monthly: bool,
    fee: int,
    capacity: int,
    after: int,
    days: int,
    covers: list[int],
) -> None:
    """Nothing is null that must not be, each value is one of those that are allowed, and those that
    hang on one another agree."""
    one = commitment(
        kind=kind,
        is_monthly=monthly and kind is not CommitmentKind.THROUGHPUT,
        fee=Money(fee),
        capacity_units=capacity,
        starts_ns=day_ns(STARTS) + after * 86_400 * 10**9,
        ends_ns=day_ns(STARTS) + (after + days) * 86_400 * 10**9,
        covers=tuple(Covered("acme", f"m{n}" if n else None) for n in covers),
    )
    with undone(sql):
        CommitmentTable(sql).add(one)
        (row,) = told(sql)
    check(row, one)


def check(row: ContractCommitment, one: Commitment) -> None:
    its = {name.removeprefix("contract_commitment_"): getattr(row, name) for name in FIELDS}
    may_be_null = {"discount_percentage", "quantity", "unit"}
    assert {name for name, value in its.items() if value is None} <= may_be_null
    is_spend = its["category"] == "Spend"
    assert its["category"] in ("Spend", "Usage")
    assert (its["quantity"] is None) == (its["unit"] is None)
    assert is_spend or its["quantity"] is not None
    assert its["benefit_category"] in ("Discount", "Availability", "Other")
    if its["benefit_category"] == "Discount":
        assert 0 <= its["discount_percentage"] <= 1
    if its["benefit_category"] == "Availability":
        assert its["discount_percentage"] is None
    assert its["model"] in ("Continuous", "Discontinuous")
    assert its["fulfillment_interval"] in ("Monthly", "Full Period", "Custom")
    if its["fulfillment_interval"] == "Full Period":
        assert its["model"] == "Discontinuous"
    part = {"All Upfront": (1, 1), "No Upfront": (0, 0), "Partial Upfront": (0, 1)}
    low, high = part[its["payment_model"]]
    assert low <= its["payment_upfront_percentage"] <= high
    assert its["payment_interval"] in ("One-Time", "Monthly")
    if its["payment_model"] == "All Upfront":
        assert its["payment_interval"] == "One-Time"
    count, unit = str(its["duration_type"]).split()
    assert int(count) > 0
    assert unit in ("Day", "Days", "Month", "Months", "Year", "Years")
    assert its["last_updated"] >= its["created"]
    assert its["period_start"] < its["period_end"]
    scope = json.loads(str(its["applicability"]))
    assert scope["InclusionOperator"] == "Or"
    (rule,) = scope["Inclusions"]
    assert (rule["Dimension"], rule["Operator"]) == ("SkuId", "StartsWith")
    assert len(rule["Values"]) == len(one.covers)


FIELDS = tuple(ContractCommitment.__dataclass_fields__)


@pytest.mark.parametrize(
    ("fees", "payment"),
    [
        (dues(1200), ("All Upfront", "One-Time", Decimal(1))),
        (dues(*[100] * 12), ("No Upfront", "Monthly", Decimal(0))),
        (dues(101, *[100] * 11), ("No Upfront", "Monthly", Decimal(0))),
        (dues(650, *[50] * 11), ("Partial Upfront", "Monthly", Decimal("0.5"))),
    ],
)
def test_how_it_is_paid(sql: Sql, fees: Fees, payment: tuple[str, str, Decimal]) -> None:
    """As its dues are; a nano-USD that does not come out even is no upfront part."""
    with sql.transaction():
        CommitmentTable(sql).add(YEAR, fees, 7 * 10**9)
    (row,) = told(sql)
    assert (
        row.contract_commitment_payment_model,
        row.contract_commitment_payment_interval,
        row.contract_commitment_payment_upfront_percentage,
    ) == payment
    assert row.contract_commitment_duration_type == "1 Year"
    assert row.contract_commitment_created == 7 * 10**9


def test_what_becomes_of_it(sql: Sql) -> None:
    """Not begun, running, used up, over; sold on, in part (what is kept is another one), or taken
    back."""
    table = CommitmentTable(sql)
    with sql.transaction():
        table.add(YEAR)

    def status(now: date) -> str:
        return told(sql, now)[0].contract_commitment_lifecycle_status

    assert status(date(2027, 1, 14)) == "Pending"
    assert status(STARTS) == "Active"
    assert status(ENDS) == "Expired"
    with sql.transaction():
        sql.execute(
            "INSERT INTO accounts (budget, measure, member, time_window, window_start_ns, posted)"
            " VALUES ('commitment y', 'units', '', 'month', ?, ?)",
            (day_ns(date(2027, 3, 1)), YEAR.micro_units),
        )
    assert status(date(2027, 3, 20)) == "Exhausted"
    assert status(date(2027, 4, 1)) == "Active"
    for ending, expected in (
        (Ending.PART_SOLD, "Superseded"),
        (Ending.SOLD, "Canceled"),
        (Ending.TAKEN_BACK, "Canceled"),
    ):
        with undone(sql):
            gone = GivenUp(date(2027, 5, 1), ending, Money(1), Money(1))
            fees = replace(fees_by_time(YEAR), given_up=gone)
            FeeTable(sql).keep("y", fees, day_ns(date(2027, 5, 1)))
            (row,) = told(sql, date(2027, 6, 1))
            assert row.contract_commitment_lifecycle_status == expected
            assert row.contract_commitment_last_updated == day_ns(date(2027, 5, 1))


def test_terms_by_hand(sql: Sql) -> None:
    """A commitment of spend that covers 1,500 USD for 1,200; and throughput by the minute."""
    spend = replace(YEAR, id="s", kind=CommitmentKind.SPEND, capacity_units=1500, is_monthly=False)
    minutes = replace(YEAR, id="t", kind=CommitmentKind.THROUGHPUT, is_monthly=False, units=2)
    with sql.transaction():
        for one in (spend, minutes):
            CommitmentTable(sql).add(one)
    s, t = told(sql)
    assert s.contract_commitment_discount_percentage == Decimal("0.2")
    assert s.contract_commitment_quantity is None
    assert s.contract_commitment_cost == 1200
    assert t.contract_commitment_quantity == 2 * 10**6 * 365 * 24 * 60
    assert (t.contract_commitment_model, t.contract_commitment_fulfillment_interval) == (
        "Continuous",
        "Custom",
    )


def test_the_file(sql: Sql, tmp_path: Path) -> None:
    """As CSV and as Parquet: the columns of the specification in their order."""
    with sql.transaction():
        CommitmentTable(sql).add(YEAR)
    path = tmp_path / "c.csv"
    assert export_contract_commitments(path, told(sql)) == 1
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert list(row) == COLUMNS
    assert row["ContractCommitmentPeriodStart"] == "2027-01-15T00:00:00Z"
    assert row["ContractCommitmentCost"] == "1200.0"
    parquet = tmp_path / "c.parquet"
    export_contract_commitments(parquet, told(sql))
    assert pq.read_table(parquet).column_names == COLUMNS
