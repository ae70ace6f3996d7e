"""FOCUS 1.0, as its own validator sees it. It pins old packages, so it has an environment of its
own, `.venv/focus`, which `make test` makes."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from ledger.commitment_fees import fees_by_time
from ledger.commitment_periods import Period
from ledger.commitments import CommitmentKind
from ledger.exports.commitments import period_rows, purchase_rows
from ledger.exports.export import write_focus
from ledger.exports.focus import focus_rows
from ledger.exports.focus_row import FocusRow, FocusVersion
from ledger.money import Money
from ledger.rates import RateCard
from ledger.usage import TokenUsage, Unit
from tests.ledger.charges import DAY_NS, charge_row
from tests.ledger.entries import NOW_NS
from tests.ledger.owned import commitment

FOCUS = Path(__file__).parents[2] / ".venv" / "focus"

pytestmark = pytest.mark.skipif(
    not (FOCUS / "bin" / "focus-validator").exists(), reason="there is no .venv/focus: make test"
)


def validated(path: Path) -> str:
    """What the validator says. It reads its list of currencies by a path from its own folder, so
    it starts there; a proxy that refuses everything proves that it asks no network."""
    (home,) = (FOCUS / "lib").glob("python3.*/site-packages")
    done = subprocess.run(
        [FOCUS / "bin" / "focus-validator", "--data-file", path, "--validate-version", "1.0"],
        cwd=home,
        capture_output=True,
        check=False,
        text=True,
        env={"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
    )
    return done.stdout + done.stderr


@pytest.fixture
def rows() -> list[FocusRow]:
    """Every kind of row: of tokens, of units, estimated, rounded, and of a commitment."""
    by_second = RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.0001"), per=Unit.SECOND)
    owned = commitment(kind=CommitmentKind.SPEND)
    fee = Money(10**12)
    period = Period(owned, NOW_NS, NOW_NS + DAY_NS, fee, 10**9, NOW_NS, fee)
    use = replace(charge_row(5), billed=Money(0), commitment=owned.id, micro_units=10**8)
    return [
        *focus_rows(
            [
                charge_row(1, usage=TokenUsage(1001, 100, cached=200, cache_write=1)),
                replace(charge_row(2), team=None, tags=("a", "b")),
                charge_row(3, usage=TokenUsage(None, None), cost=5, estimated=True),
                charge_row(4, usage=TokenUsage(None, None, units=61), rates=by_second),
            ]
        ),
        *(row for row, _ in purchase_rows(owned, fees_by_time(owned).dues, is_once=True)),
        *(row for row, _ in period_rows(period, [use])),
    ]


def test_the_validator_is_satisfied(tmp_path: Path, rows: list[FocusRow]) -> None:
    """With every kind of row, and with those of tokens alone, where whole columns are null."""
    for name, some in (("all", rows), ("tokens", rows[:1])):
        path = tmp_path / f"{name}.csv"
        write_focus(path, some, FocusVersion.V1_0)
        assert validated(path) == "Validation succeeded.\n"


def test_the_validator_sees_what_is_wrong(tmp_path: Path, rows: list[FocusRow]) -> None:
    """It would say so if a row were not as FOCUS has it."""
    path = tmp_path / "f.csv"
    write_focus(path, [replace(rows[0], charge_frequency="Seldom")], FocusVersion.V1_0)
    assert "ChargeFrequency_Enum failed" in validated(path)
