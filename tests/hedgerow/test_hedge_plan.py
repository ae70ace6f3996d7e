"""`hedgerow hedge plan` as a person calls it: on the sample, and on books of our own."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import hedge as room
from benchmarks.market import Quoted
from hedge.planning.planning import plan_months
from hedge.planning.sample import sample
from hedgerow.books import keep_history
from hedgerow.cli import hedgerow
from hedgerow.commands.hedge_planned import plan_lines
from hedgerow.config import load_config
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers
from hedgerow.plan_question import of_config, of_sample
from ledger.instants import as_ns
from ledger.usage import TokenUsage
from tests.books import opened_store, written
from tests.hedge.planning.worlds import question
from tests.hedge.scenarios.test_calibration import quote
from tests.hedgerow.processes import NOWHERE, write_config
from tests.ledger.entries import attempt, hold_of, settlement

FIELDS = [
    "status",
    "cap_usd",
    "confidence",
    "expected_usd",
    "cvar_usd",
    "p_within_cap",
    "p_interval",
    "min_reachable_cap_usd",
    "positions",
    "frontier",
    "bid_prices",
    "attempts",
    "inputs_sha256",
    "seed",
]


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(hedgerow, ["hedge", "plan", *map(str, args)])


@cache
def demo() -> Any:
    result = run("--demo", "--months", "1", "--json")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return json.loads(result.stdout)


def test_json_has_the_published_fields() -> None:
    """One object on stdout, its first fields in order, every amount a number."""
    plan = demo()
    assert list(plan)[: len(FIELDS)] == FIELDS
    assert list(plan["positions"][0])[:4] == ["contract", "units", "cost_usd", "why"]
    for name in ("cap_usd", "expected_usd", "cvar_usd", "min_reachable_cap_usd"):
        assert isinstance(plan[name], int | float)
    assert plan["status"] == "optimal"
    assert plan["expected_usd"] <= plan["cvar_usd"] <= plan["cap_usd"]
    low, high = plan["p_interval"]
    assert low <= plan["p_within_cap"] <= high
    assert len(plan["frontier"]) >= 5
    assert any(one["units"] for one in plan["positions"])
    assert plan["bid_prices"]


def test_a_reader_sees_what_is_simulated_and_why() -> None:
    """The label comes first; every contract stands under the reasons; 100 columns are enough, and
    nothing is left out that JSON has."""
    result = run("--demo", "--months", "1")
    assert result.exit_code == 0
    assert result.stdout.startswith(sample().label[:40])
    for contract in sample().contracts:
        assert f"- {contract.name}" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    for chapter in ("Why:", "What other caps", "in other worlds", "would change", "held back"):
        assert chapter in result.stdout


def test_what_it_all_comes_to_is_said() -> None:
    """The fees of all purchases, what all months cost beside nothing bought, and a cap that is
    reached already, instead of a multiple of 1.00."""
    plan = plan_months(question("420"))
    text = " ".join("\n".join(plan_lines(plan)).split())
    bought = [one for one in plan.positions if one.units]
    assert len(bought) > 1
    assert f"together {sum(one.cost_usd for one in bought):,.2f}" in text
    spared = 3 * plan.unhedged.expected_usd - plan.total_expected_usd
    assert f"{plan.total_expected_usd:,.2f} USD, {abs(spared):,.2f} " in text
    assert "is as high as the cap: any more demand breaks it" in text
    assert "at 1.00 times" not in text


def test_nothing_bought_is_said_first() -> None:
    """A plan without positions says so before the reasons."""
    bundled = sample()
    asked = of_sample(bundled, None, confidence=0.95, months=1, seed=1)
    plan = plan_months(asked, is_shaken=False)
    assert not any("buy nothing" in line for line in plan_lines(plan))
    nothing = type(plan)(
        **{name: getattr(plan, name) for name in plan.__dataclass_fields__ if name != "positions"},
        positions=(),
    )
    assert any("buy nothing" in line for line in plan_lines(nothing))


def test_an_unreachable_cap_is_one_line_with_the_lowest() -> None:
    """Exit code 1; with JSON the plan that overruns it least is there all the same."""
    result = run("--demo", "--months", "1", "--cap-usd", "100", "--json")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    plan = json.loads(result.stdout)
    assert plan["status"] == "cap_unreachable"
    lowest = result.stderr.split("lowest reachable cap is ")[1].split(" USD")[0]
    assert float(lowest.replace(",", "")) == plan["min_reachable_cap_usd"]
    assert plan["min_reachable_cap_usd"] == demo()["min_reachable_cap_usd"]
    assert plan["months"][0]["slack_usd"] > 0


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("--demo", ()),
        ("not both", ("--demo", "-c", "hedgerow.yaml")),
        ("--by", ("-c", "hedgerow.yaml", "--save")),
        ("--cap-usd", ("--demo", "--cap-usd", "0")),
        ("--cap-usd", ("--demo", "--cap-usd", "nan")),
        ("--confidence", ("--demo", "--confidence", "0.999")),
        ("--months", ("--demo", "--months", "0")),
        ("--seed", ("--demo", "--seed", "-1")),
    ],
)
def test_wrong_options_are_wrong_usage(said: str, options: tuple[str, ...]) -> None:
    """Exit code 2, with what to write."""
    result = run(*options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


CONTRACTS = """
contracts:
  - kind: flat_plan
    name: team-plan
    provider: acme
    models: [oak]
    source: {url: an offer, retrieved_at: 2026-11-20, verification: primary}
    size: {max: 50}
    prices: [{months: 1, usd_per_month: 10}]
    quota_units: 40000000
  - kind: future
    name: gpu-future
    provider: exchange
    source: {url: a filing, retrieved_at: 2026-11-20, verification: transcribed}
    status: pending
    size: {max: 10}
    multiplier: 730
    settlement: {index: H100, averaging: arith_bd}
"""
BUDGETS = "budgets: [{name: all, scope: {}, window: month, cap_usd: 900}]\n"


def configured(folder: Path, days: int, *, contracts: str = CONTRACTS) -> Path:
    """A configuration with contracts and a budget for everything, and books of some days."""
    config = Path(write_config(folder, NOWHERE))
    (folder / "contracts.yaml").write_text(contracts)
    (folder / "budgets.yaml").write_text(BUDGETS)
    with config.open("a") as file:
        file.write("\ncontracts: [contracts.yaml]\npolicies: [budgets.yaml]\n")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    store = opened_store(folder / "hedgerow.db")
    for hour in range(-days * 24 - 1, 0, 2):
        at_ns = as_ns(today + timedelta(hours=hour, minutes=7))
        nanos = 1_000_000_000 + hour % 24 * 40_000_000
        hold = hold_of(attempt(f"a{hour}", nanos, at_ns=at_ns, model="oak"))
        usage = TokenUsage(2_000_000, nanos // 10_000)
        written(store, hold, settlement_of(nanos, at_ns, usage))
    store.close()
    return config


def settlement_of(nanos: int, at_ns: int, usage: TokenUsage) -> Any:
    from dataclasses import replace

    return replace(settlement(nanos, at_ns=at_ns), usage=usage)


def test_our_own_books_and_contracts_make_a_plan_that_can_be_approved(tmp_path: Path) -> None:
    """The cap is the budget for everything; what cannot be bought says why; --save keeps the plan,
    and a second person approves it."""
    config = configured(tmp_path, 20)
    result = run("-c", config, "--months", "2", "--json", "--save", "--by", "ada")
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    assert plan["cap_usd"] == 900
    bought, pending = plan["positions"]
    assert bought["units"] > 0
    assert "breaks even at" in bought["why"]
    assert pending["units"] == 0
    assert "announced and cannot be bought yet" in pending["why"]
    kept = result.stderr.removeprefix("kept as ").strip()
    own = CliRunner().invoke(hedgerow, ["hedge", "approve", kept, "--by", "ada", "-c", str(config)])
    assert own.exit_code == 1
    other = ["hedge", "approve", kept, "--by", "grace", "-c", str(config)]
    assert CliRunner().invoke(hedgerow, other).exit_code == 0


def test_what_prices_did_is_in_the_plan(tmp_path: Path) -> None:
    """Past demand is taken at today's prices: a price that was halved yesterday halves it all."""
    path = configured(tmp_path, 20)
    config = load_config(path, {})
    at = datetime.now(UTC)
    offers = quoted_offers(config, known_prices(config, at), at)["oak"]
    asked = of_config(config, None, at, confidence=0.95, months=1, seed=1)
    for days, usd in ((30, "4"), (1, "2")):
        then = at - timedelta(days=days)
        keep_history(
            config.ledger, {"oak": [Quoted(one.offer, quote(usd, then)) for one in offers]}, then
        )
    halved = of_config(config, None, at, confidence=0.95, months=1, seed=1)
    usual, now = (float(one.draw(1, 300).list_usd.mean()) for one in (asked, halved))
    assert now == pytest.approx(usual / 2, rel=0.1)


@pytest.mark.parametrize(
    ("said", "days", "contracts"),
    [
        ("whole days, a plan needs", 1, CONTRACTS),
        ("has 0 whole days", 0, CONTRACTS),
        ("max 5 is below min 9", 4, CONTRACTS.replace("max: 50", "min: 9, max: 5")),
        ("usd_per_month", 4, CONTRACTS.replace("usd_per_month: 10", "usd_per_month: -10")),
    ],
)
def test_what_cannot_be_planned_is_a_sentence(
    tmp_path: Path, said: str, days: int, contracts: str
) -> None:
    """Empty books, one day of history, contradictory and negative terms: exit code 1, one line on
    stderr for each, no traceback."""
    result = run("-c", configured(tmp_path, days, contracts=contracts), "--months", "1")
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert 1 <= len(result.stderr.splitlines()) <= 3
    assert said in result.stderr


def test_a_dead_contract_is_left_out_and_says_so(tmp_path: Path) -> None:
    """What could be bought until last year is no error: buying nothing is the answer."""
    expired = CONTRACTS.replace(
        "    size: {max: 50}", "    valid_to: 2020-01-01\n    size: {max: 5}"
    )
    config = configured(tmp_path, 4, contracts=expired)
    result = run("-c", config, "--months", "1", "--cap-usd", "90000")
    assert result.exit_code == 0, result.output
    assert "buy nothing" in result.stdout
    assert "it could be bought until 2020-01-01" in result.stdout


def test_only_a_plan_pays_for_cvxpy() -> None:
    """Loading the command imports neither numpy nor cvxpy."""
    code = "import sys, hedgerow.commands.hedge; print(*{'numpy', 'cvxpy'} & {*sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert loaded.stdout.split() == []


def test_cvxpy_has_one_home() -> None:
    """Of the hedge room only the program imports it."""
    here = Path(str(room.__file__)).parent
    homes = {
        path.relative_to(here).as_posix()
        for path in here.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom) and "cvxpy" in ast.unparse(node)
    }
    assert homes == {"program/master.py"}
