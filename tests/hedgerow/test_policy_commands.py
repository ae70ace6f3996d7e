"""`key` with limits and rotation, and budgets that are kept in the books."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hedgerow.cli import hedgerow
from tests.hedgerow.processes import write_config

BUDGETS = '  - {name: all, scope: {team: "*"}, window: month, cap_usd: 1000}\n'
LATER = "2200-01-31"


class Shell:
    """Commands with a configuration."""

    def __init__(self, config: Path) -> None:
        self._config = config

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(hedgerow, [*words, "-c", str(self._config)])

    def told(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *words: str) -> str:
        done = self.run(*words)
        assert done.exit_code != 0
        assert done.stdout == ""
        return str(done.stderr)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(write_config(tmp_path, {"a": "http://127.0.0.1:9/v1"}, budgets=BUDGETS))


def test_a_key_is_made_with_limits_and_changed(shell: Shell) -> None:
    """What is named is limited; what a change leaves out stays, and `none` takes a limit away."""
    limits = ("--budget", "5", "--window", "rolling:7d", "--rpm", "60", "--tpm", "1000")
    made = shell.told("key", "create", "--name", "ci", *limits, "--parallel", "3")
    assert made["limits"] == {
        "budget_usd": 5,
        "window": "rolling:7d",
        "rpm": 60,
        "tpm": 1000,
        "parallel": 3,
    }
    changed = shell.told("key", "update", made["id"], "--rpm", "none", "--budget", "7", "--block")
    assert changed["limits"] == made["limits"] | {"budget_usd": 7, "rpm": None}
    assert (changed["name"], changed["blocked"]) == ("ci", True)
    (listed,) = shell.told("key", "list")["keys"]
    assert listed == changed
    assert "blocked" in shell.run("key", "list").stdout
    assert "$7.00 per rolling:7d, 1,000 tpm, 3 at once" in shell.run("key", "list").stdout
    shell.told("key", "create", "--team", "other")
    assert shell.told("key", "list", "--team", "none")["keys"] == []
    assert [one["team"] for one in shell.told("key", "list", "--team", "other")["keys"]] == [
        "other"
    ]
    assert shell.told("key", "update", made["id"], "--budget", "none")["limits"]["window"] is None
    assert "--window" in shell.refused("key", "update", made["id"], "--window", "day")


def test_a_key_is_rotated(shell: Shell) -> None:
    """Its id stays, its secret is another; stdout has the secret alone."""
    made = shell.told("key", "create", "--team", "t")
    rotated = shell.told("key", "rotate", made["id"], "--grace", "24h")
    assert rotated["id"] == made["id"]
    assert rotated["key"] != made["key"]
    done = shell.run("key", "rotate", made["id"])
    assert done.stdout.startswith("sk-hedge-")
    assert done.stdout.count("\n") == 1
    assert len(shell.told("key", "list")["keys"]) == 1
    assert "is no length of time" in shell.refused("key", "rotate", made["id"], "--grace", "91d")
    shell.run("key", "revoke", made["id"])
    assert "is revoked" in shell.refused("key", "rotate", made["id"])
    assert "there is no key" in shell.refused("key", "rotate", "key_none")


def test_budgets_of_the_books(shell: Shell) -> None:
    """Added, listed beside those of files, under `budget status`, raised, removed."""
    scope = ("--scope", "team=research", "--scope", "user=*")
    made = shell.told("budget", "add", "mine", *scope, "--window", "month", "--usd", "20")
    assert made == {
        "budget": "mine",
        "scope": "team=research,user=*",
        "window": "month",
        "timezone": "UTC",
        "cap_usd": 20,
        "mode": "enforce",
        "kept_in": "books",
    }
    shell.told("budget", "add", "few", "--parallel", "3", "--shadow")
    listed = shell.told("budget", "list")["budgets"]
    assert [(one["budget"], one["kept_in"]) for one in listed] == [
        ("all", "file"),
        ("mine", "books"),
        ("few", "books"),
    ]
    assert {one["budget"] for one in shell.told("budget", "status")["budgets"]} == {
        "all",
        "mine",
        "few",
    }
    until = ("--until", LATER, "--name", "release week")
    raised = shell.told("budget", "raise", "all", "--by-usd", "50", "--member", "team=x", *until)
    assert (raised["by_usd"], raised["member"], raised["kept_in"]) == (50, "team=x", "books")
    assert shell.told("budget", "list")["increases"] == [raised]
    assert "release week" in shell.run("budget", "list").stdout
    shell.run("budget", "lower", raised["id"])
    assert shell.told("budget", "list")["increases"] == []
    assert "is not over" in shell.refused("budget", "lower", raised["id"])
    assert shell.run("budget", "remove", "mine").exit_code == 0
    assert "there is no budget mine" in shell.refused("budget", "remove", "mine")
    assert "kept in a policy file" in shell.refused("budget", "remove", "all")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("add", "all", "--window", "month", "--usd", "1"), "has a budget all already"),
        (("add", "key x", "--window", "month", "--usd", "1"), "those of limits"),
        (("add", "x", "--window", "month"), "write one of --usd"),
        (("add", "x", "--window", "month", "--usd", "1", "--tokens", "1"), "write one of --usd"),
        (("add", "x", "--usd", "1"), "write one, as in month"),
        (("add", "x", "--parallel", "1", "--window", "day"), "it has no window"),
        (("add", "x", "--usd", "1", "--window", "moon"), "is no window"),
        (("add", "x", "--usd", "1", "--window", "day", "--timezone", "Europe"), "no time zone"),
        (("add", "x", "--usd", "1", "--window", "day", "--scope", "galaxy=1"), "is none"),
        (("add", "x", "--usd", "1", "--window", "day", "--scope", "team="), "is none"),
        (("raise", "all", "--by", "1", "--until", LATER, "--name", "x"), "write --by-usd alone"),
        (("raise", "all", "--until", LATER, "--name", "x"), "write --by-usd alone"),
        (("raise", "no", "--by", "1", "--until", LATER, "--name", "x"), "there is no budget no"),
        (("raise", "all", "--by-usd", "1", "--until", "2001-01-01", "--name", "x"), "is over"),
    ],
)
def test_what_makes_no_budget(shell: Shell, words: tuple[str, ...], why: str) -> None:
    """It is said, and nothing is kept."""
    shell.told("key", "create")
    assert why in shell.refused("budget", *words)
    assert [one["budget"] for one in shell.told("budget", "list")["budgets"]] == ["all"]
    assert shell.told("budget", "list")["increases"] == []
