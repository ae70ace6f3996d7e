"""`hedgerow hedge contracts`: one table for each kind, in standard units."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hedge.contracts.comparison import Mix, compared
from hedge.contracts.contract import KINDS
from hedge.contracts.shipped import catalogue
from hedge.contracts.terms import Reference
from hedge.errors import ContractInvalid
from hedgerow.cli import hedgerow
from tests.hedge.contracts.builders import serving
from tests.hedgerow.files.test_contracts_file import FULL, written


def run(*args: str) -> str:
    found = CliRunner().invoke(hedgerow, ["hedge", "contracts", *args])
    assert found.exit_code == 0, found.output
    return found.stdout


def rows(*args: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("--json", *args))["contracts"]
    return found


def test_the_catalogue_fits_a_terminal() -> None:
    """Every contract, in at most 100 columns; those that are pending say so."""
    told = run("--notes").splitlines()
    assert max(map(len, told)) <= 100
    for contract in catalogue().values():
        (line, *_) = [one for one in told if one.split(" ")[0] == contract.name]
        assert ("pending" in line) == (contract.status == "pending")
        assert contract.source.verification in line


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind(kind: str) -> None:
    """Only contracts of it."""
    names = {row["contract"] for row in rows("--kind", kind)}
    assert names == {one.name for one in catalogue().values() if one.kind == kind}


def test_ours_stand_beside_our_market(tmp_path: Path) -> None:
    """Break-even is against the cheapest quote of the cheapest model that a contract serves: oak
    at 0.50, whoever sells it."""
    config = written(tmp_path, FULL)
    (plan, *_) = rows("-c", str(config), "--kind", "flat_plan")
    assert (plan["against"], plan["against_usd_per_mtok"]) == ("oak", 0.5)
    assert plan["usd_per_mtok"] == 0.4975
    assert plan["break_even"] == 0.995
    (ptu, year) = rows("-c", str(config), "--kind", "throughput_reservation", "--mix", "100/0/0")
    assert (ptu["against_usd_per_mtok"], ptu["break_even"]) == (1.75, 0.9977)
    assert (ptu["term"], year["term"]) == ("1 mo", "12 mo")
    assert rows("-c", str(config), "--kind", "perp") == []
    assert "no contracts" in run("-c", str(config), "--kind", "perp")


def test_venues_best_prices_are_shown(tmp_path: Path) -> None:
    """A row for each month that a venue quotes, with the lots that stand there; what is stale is
    told on stderr, and not shown."""
    config = written(tmp_path, FULL + "venues: [q.csv]\n")
    now = datetime.now(UTC)
    (tmp_path / "contracts" / "q.csv").write_text(
        "contract,month,at,bid,bid_lots,ask,ask_lots\n"
        f"cme-gpu1-h100,2087-01,{now.isoformat()},2.5,3,2.6,4\n"
        f"cme-gpu1-h100,2087-02,{now.isoformat()},,,2.7,5\n"
        f"cme-gpu1-h100,2087-03,{(now - timedelta(days=3)).isoformat()},2.5,3,2.6,4\n"
    )
    found = CliRunner().invoke(hedgerow, ["hedge", "contracts", "-c", str(config)])
    assert found.exit_code == 0, found.output
    lines = [line.split() for line in found.stdout.splitlines() if line.startswith("cme")]
    assert [line[1] for line in lines] == ["2087-01", "2087-02"]
    assert "2.5 × 3" in found.stdout
    assert "2.7 × 5" in found.stdout
    assert "cme-gpu1-h100 2087-03 is of" in found.stderr
    (first, _) = rows("-c", str(config), "--kind", "future")
    assert (first["bid"], first["ask"]) == (
        {"price": 2.5, "lots": 3},
        {"price": 2.6, "lots": 4},
    )


def test_a_long_name_is_cut_before_the_table_is_too_wide(tmp_path: Path) -> None:
    """The JSON has all of it."""
    name = "a-plan-with-a-name-of-" + "x" * 90
    config = written(tmp_path, FULL.replace("acme-plan", name))
    told = run("-c", str(config))
    assert max(map(len, told.splitlines())) <= 100
    assert "a-plan-with-a-name-of-xxx" in told
    assert rows("-c", str(config))[0]["contract"] == name


@pytest.mark.parametrize("mix", ["70/10", "70/10/30", "-10/90/20", "a/b/c", "70/10/20/0"])
def test_what_is_no_mix(mix: str) -> None:
    """Exit code 2, and how to write one."""
    found = CliRunner().invoke(hedgerow, ["hedge", "contracts", "--mix", mix])
    assert found.exit_code == 2
    assert "70/10/20" in found.stderr


def test_the_cheapest_of_its_models_is_what_a_contract_is_measured_by() -> None:
    """Whatever their order; a model that the market does not know counts nothing."""
    market = {
        name: Reference(model=name, input=Decimal(usd), output=Decimal(usd))
        for name, usd in (("oak", 3), ("elm", 2), ("ash", 1))
    }
    mix = Mix(Decimal(70), Decimal(10), Decimal(20))
    for models in (["oak", "elm", "yew"], ["elm", "oak"]):
        (row,) = compared(serving("flat_plan", models=models), mix, market)
        assert (row.against, row.against_usd_per_mtok) == ("elm", Decimal(2))


SHARES = st.tuples(st.integers(0, 100), st.integers(0, 100)).filter(lambda two: sum(two) <= 100)


@given(SHARES, st.integers(1, 10**6), st.integers(1, 50), st.integers(1, 50))
def test_break_even_against_counting(
    shares: tuple[int, int], fee_cents: int, burns: int, price: int
) -> None:
    """At the break-even utilisation the tokens that a unit then serves cost its fee at
    pay-as-you-go, to a hundredth of a percent."""
    prompt, cached = shares
    completion = 100 - prompt - cached
    contract = serving(
        "flat_plan",
        prices=[{"usd_per_month": f"{fee_cents}e-2"}],
        quota_units=str(10**9),
        burndown={"cached": "0.5", "completion": str(burns)},
    )
    market = {"oak": Reference(model="oak", input=Decimal(price), output=Decimal(2 * price))}
    (row,) = compared(contract, Mix(Decimal(prompt), Decimal(cached), Decimal(completion)), market)
    assert row.break_even is not None
    units_per_token = (prompt + cached * 0.5 + completion * burns) / 100
    mtok_at_full_use = 1e9 / units_per_token / 1e6
    usd_per_mtok = (prompt * price + cached * price + completion * 2 * price) / 100
    exact = fee_cents / 100 / (mtok_at_full_use * usd_per_mtok)
    assert float(row.break_even) == pytest.approx(exact, abs=1.1e-4)
    assert float(row.break_even) >= exact - 1e-9


def test_a_mix_sums_to_a_hundred() -> None:
    """Else it is refused."""
    with pytest.raises(ContractInvalid, match="does not sum to 100"):
        Mix(Decimal(1), Decimal(2), Decimal(3))
