"""Exports: what was charged stands in the file, exactly, and nothing in it does anything."""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charges import ChargeRow
from ledger.errors import FileRefused, PackageMissing
from ledger.exports.csv_sheet import guarded, number, unguarded
from ledger.exports.export import export_csv, export_focus, export_parquet
from ledger.exports.focus import focus_rows
from ledger.exports.focus_row import FocusVersion
from ledger.exports.plain import COLUMNS
from ledger.meters import EXACT
from ledger.money import as_usd
from ledger.usage import TokenUsage
from tests.ledger.charges import charge_row, charges

COSTS = ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost")
LABELS = ("team", "user", "account")
several = st.lists(charges(), min_size=1, max_size=4)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


@given(several)
def test_csv_is_exact(rows: list[ChargeRow]) -> None:
    """Every amount has all its digits, every text is found again, and None is not zero."""
    with TemporaryDirectory() as name:
        path = Path(name) / "f.csv"
        assert export_csv(path, rows) == len(rows)
        assert path.read_bytes().count(b"\r\n") >= len(rows) + 1
        found = read(path)
    for row, cells in zip(rows, found, strict=True):
        assert list(cells) == [one.name for one in COLUMNS]
        assert Decimal(cells["billed_usd"]) == as_usd(row.billed)
        assert Decimal(cells["list_usd"]) == as_usd(row.list)
        first = None if row.first_offer is None else as_usd(row.first_offer)
        assert (Decimal(cells["first_offer_usd"]) if cells["first_offer_usd"] else None) == first
        assert cells["prompt_tokens"] == ("" if row.usage.prompt is None else str(row.usage.prompt))
        assert tuple(json.loads(cells["tags"])) == row.tags
        for label in LABELS:
            assert unguarded(cells[label]) == (getattr(row, label) or "")
        at = datetime.fromisoformat(f"{cells['at'][:26]}+00:00")
        assert int(at.timestamp()) == row.at_ns // 10**9
        assert cells["at"].endswith(f"{row.at_ns % 10**9:09d}Z")


@given(several)
def test_nothing_in_a_csv_is_a_formula(rows: list[ChargeRow]) -> None:
    """Whatever a team or a tag is called: only a number begins with a sign."""
    with TemporaryDirectory() as name:
        plain, focus = Path(name) / "p.csv", Path(name) / "f.csv"
        export_csv(plain, rows)
        export_focus(focus, rows)
        cells = [cell for path in (plain, focus) for one in read(path) for cell in one.values()]
    for cell in cells:
        if cell.startswith(("=", "+", "-", "@", "\t", "\r")):
            Decimal(cell)


@given(st.text())
def test_a_guarded_text_is_found_again(text: str) -> None:
    """Whatever it begins with."""
    assert unguarded(guarded(text)) == text
    assert guarded(text)[:1] not in {"=", "+", "-", "@"}


@pytest.mark.parametrize(
    ("exact", "text"),
    [("0", "0.0"), ("1E+2", "100.0"), ("1E-21", "0.000000000000000000001"), ("-2.50", "-2.5")],
)
def test_numbers_have_a_point_and_no_exponent(exact: str, text: str) -> None:
    """As FOCUS's numeric format asks, and so that a guessed type is the same in every row."""
    assert number(Decimal(exact)) == text


@settings(max_examples=20)
@given(several)
def test_parquet_is_exact(rows: list[ChargeRow]) -> None:
    """Decimals are decimals, moments have their nanoseconds, labels are dictionaries."""
    with TemporaryDirectory() as name:
        path = Path(name) / "f.parquet"
        assert export_parquet(path, rows) == len(rows)
        table = pq.read_table(path)
    types = {field.name: str(field.type) for field in table.schema}
    assert types["billed_usd"] == "decimal128(38, 9)"
    assert types["at"] == "timestamp[ns, tz=UTC]"
    assert types["team"].startswith("dictionary<values=string")
    at = table.column("at").cast("int64").to_pylist()
    for row, at_ns, cells in zip(
        rows, at, table.drop_columns(["at", "ended_at"]).to_pylist(), strict=True
    ):
        assert at_ns == row.at_ns
        assert cells["billed_usd"] == as_usd(row.billed)
        assert cells["cheapest_usd"] is None
        assert cells["unit"] == row.rates.per
        assert cells["ttft_ms"] == row.ttft_ms
        assert [cells[label] for label in LABELS] == [getattr(row, label) for label in LABELS]


def test_parquet_comes_in_groups(folder: Path) -> None:
    """100,000 rows each, with labels that differ from one to the next."""
    path = folder / "f.parquet"
    few = [charge_row(number, model=f"m{number}") for number in range(3)]
    rows = (few[number // 60_000] for number in range(130_000))
    assert export_parquet(path, rows) == 130_000
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(one).num_rows for one in range(2)] == [100_000, 30_000]
    models = file.read(["upstream_model"]).column(0).to_pylist()
    assert models == [f"m{number // 60_000}" for number in range(130_000)]


@given(several, st.sampled_from(FocusVersion))
def test_focus_adds_up(rows: list[ChargeRow], version: FocusVersion) -> None:
    """The rows of an attempt are its charge to the nano, in each of the four costs; a unit price
    times the quantity is the cost, and the periods hold the moment."""
    rows = [replace(row, attempt_id=f"a{number}") for number, row in enumerate(rows)]
    with TemporaryDirectory() as name:
        path = Path(name) / "f.csv"
        export_focus(path, rows, version)
        found = read(path)
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for cells in found:
        for cost in COSTS:
            key = (cells["x_AttemptId"], cost)
            sums[key] = EXACT.add(sums[key], Decimal(cells[cost]))
        if cells["ChargeCategory"] == "Usage":
            quantity = Decimal(cells["PricingQuantity"])
            for kind in ("List", "Contracted"):
                price, cost = cells[f"{kind}UnitPrice"], cells[f"{kind}Cost"]
                assert EXACT.multiply(quantity, Decimal(price)) == Decimal(cost)
            per = int(cells["PricingUnit"].split()[0]) if " " in cells["PricingUnit"] else 1
            assert Decimal(cells["ConsumedQuantity"]) == Decimal(cells["PricingQuantity"]) * per
        else:
            assert cells["ChargeCategory"] == "Adjustment"
            assert cells["ConsumedQuantity"] == cells["SkuId"] == ""
        assert cells["BillingPeriodStart"] <= cells["ChargePeriodStart"] < cells["BillingPeriodEnd"]
        assert cells["ChargePeriodStart"] < cells["ChargePeriodEnd"]
    for row in rows:
        amounts = (row.billed, row.effective, row.contracted, row.list)
        for cost, amount in zip(COSTS, amounts, strict=True):
            assert sums[row.attempt_id, cost] == as_usd(amount)


def test_focus_of_one_charge(folder: Path) -> None:
    """By hand: 800 input, 200 cached and 100 output tokens, at 0.15, 0.075 and 0.60 USD a
    million."""
    path = folder / "f.csv"
    row = charge_row(usage=TokenUsage(1000, 100, cached=200))
    assert row.billed == 195_000
    assert export_focus(path, [row]) == 3
    plain, cached, output = read(path)
    assert {name: plain[name] for name in plain if not name.startswith("x_") and plain[name]} == {
        "BilledCost": "0.00012",
        "BillingAccountId": "acme",
        "BillingAccountName": "acme",
        "BillingAccountType": "Provider account",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": "2026-04-01T00:00:00Z",
        "BillingPeriodStart": "2026-03-01T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeDescription": "Input Tokens of acme-llama at acme",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": "2026-03-14T15:09:28Z",
        "ChargePeriodStart": "2026-03-14T15:09:26Z",
        "ConsumedQuantity": "800.0",
        "ConsumedUnit": "Tokens",
        "ContractedCost": "0.00012",
        "ContractedUnitPrice": "0.15",
        "EffectiveCost": "0.00012",
        "InvoiceIssuerName": "acme",
        "ListCost": "0.00012",
        "ListUnitPrice": "0.15",
        "PricingCategory": "Standard",
        "PricingQuantity": "0.0008",
        "PricingUnit": "1000000 Tokens",
        "ProviderName": "acme",
        "PublisherName": "acme",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "acme inference",
        "ServiceSubcategory": "Generative AI",
        "SkuId": "acme/acme-llama/Input Tokens",
        "SkuMeter": "Input Tokens",
        "SkuPriceDetails": f'{{"Model": "acme-llama", "RateCard": "{row.rate_card}"}}',
        "SkuPriceId": f"acme/acme-llama/Input Tokens/{row.rate_card}",
        "SubAccountId": "team/research",
        "SubAccountName": "research",
        "SubAccountType": "Team",
        "Tags": "{}",
    }
    assert [one["BilledCost"] for one in (cached, output)] == ["0.000015", "0.00006"]


def test_a_billing_period_is_a_month() -> None:
    """Of UTC, the last one of a year, too."""
    at = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    (one, *_) = focus_rows([charge_row(at_ns=int(at.timestamp()) * 10**9)])
    ends = (one.billing_period_start, one.billing_period_end)
    assert [datetime.fromtimestamp(end / 1e9, UTC).isoformat()[:10] for end in ends] == [
        "2026-12-01",
        "2027-01-01",
    ]


def test_focus_as_parquet_says_the_same(folder: Path) -> None:
    """By the ending of the name; costs with all their decimals."""
    rows = [charge_row(1), charge_row(2, usage=TokenUsage(7, 1))]
    export_focus(folder / "f.csv", rows)
    export_focus(folder / "f.parquet", rows)
    table = pq.read_table(folder / "f.parquet")
    assert str(table.schema.field("BilledCost").type) == "decimal128(38, 21)"
    for texts, cells in zip(read(folder / "f.csv"), table.to_pylist(), strict=True):
        assert list(texts) == list(cells)
        assert [Decimal(texts[cost]) for cost in COSTS] == [cells[cost] for cost in COSTS]
        assert cells["ChargePeriodStart"].isoformat() == texts["ChargePeriodStart"].replace(
            "Z", "+00:00"
        )


def test_without_pyarrow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install, and CSV does not ask for it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "ledger.exports.parquet_sheet", raising=False)
    with pytest.raises(PackageMissing, match=r"pip install 'hedgerow\[parquet\]'"):
        export_parquet(folder / "f.parquet", [charge_row()])
    assert export_csv(folder / "f.csv", [charge_row()]) == 1


def test_a_file_is_there_as_a_whole_or_not_at_all(folder: Path) -> None:
    """What breaks off leaves the old file, and nothing beside it; a folder that is not there is
    named."""
    path = folder / "f.csv"
    path.write_text("old")

    def breaks_off() -> Iterator[ChargeRow]:
        yield charge_row()
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        export_csv(path, breaks_off())
    assert path.read_text() == "old"
    assert list(folder.iterdir()) == [path]
    with pytest.raises(FileRefused, match="No such file"):
        export_csv(folder / "none" / "f.csv", [charge_row()])
