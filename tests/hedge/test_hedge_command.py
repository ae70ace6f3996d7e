"""`hedgerow hedge plan` as a person calls it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import hedge as room
from hedge.month.sample import demo_plan, sample
from hedgerow.commands.hedge import hedge
from hedgerow.commands.hedge_plan import plan_lines

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


def run(*args: str) -> Result:
    return CliRunner().invoke(hedge, ["plan", *args])


def test_json_has_the_published_fields() -> None:
    """One object on stdout, its fields in order, every amount a number."""
    result = run("--demo", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    plan = json.loads(result.stdout)
    assert list(plan) == FIELDS
    for position in plan["positions"]:
        assert list(position) == ["contract", "units", "cost_usd", "why"]
    for name in ("cap_usd", "expected_usd", "cvar_usd", "min_reachable_cap_usd"):
        assert isinstance(plan[name], int | float)
    assert plan["cvar_usd"] <= plan["cap_usd"]
    assert {attempt["status"] for attempt in plan["attempts"]} == {"optimal"}


def test_a_reader_sees_what_is_simulated_and_why() -> None:
    """The label comes first; every contract stands in the table and under the reasons."""
    result = run("--demo", "--cap-usd", "36000", "--seed", "5")
    assert result.exit_code == 0
    assert result.stdout.startswith(sample().label[:40])
    assert "Under a cap of 36,000.00 USD" in result.stdout
    for contract in sample().contracts:
        assert result.stdout.count(contract.name) >= 2
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_nothing_bought_is_said_first() -> None:
    """A plan without positions says so before the reasons."""
    plan = demo_plan(None, 0.95, 1)
    assert not any("Buy nothing" in line for line in plan_lines(plan))
    nothing = type(plan)(
        **{name: getattr(plan, name) for name in FIELDS if name != "positions"}, positions=()
    )
    assert any("Buy nothing" in line for line in plan_lines(nothing))


def test_an_unreachable_cap_is_one_line_with_the_lowest() -> None:
    """Exit code 1; the cap that the line names is granted."""
    result = run("--demo", "--cap-usd", "100")
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1
    lowest = result.stderr.split("lowest reachable cap is ")[1].split(" USD")[0].replace(",", "")
    assert run("--demo", "--cap-usd", lowest).exit_code == 0


def test_without_demo_it_says_what_to_add() -> None:
    """Exit code 2, one line."""
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert "add --demo" in result.stderr


@pytest.mark.parametrize(
    "option",
    [
        ("--cap-usd", "0"),
        ("--cap-usd", "-5"),
        ("--cap-usd", "much"),
        ("--cap-usd", "nan"),
        ("--confidence", "0.999"),
        ("--seed", "-1"),
    ],
)
def test_wrong_options_are_wrong_usage(option: tuple[str, str]) -> None:
    """Exit code 2, with the option's name."""
    result = run("--demo", *option)
    assert result.exit_code == 2
    assert option[0] in result.stderr


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
    assert homes <= {"month/program.py", "program/master.py"}
