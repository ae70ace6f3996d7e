"""`hedge approve`, `hedge book` and `hedge settle`: the book from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hedge.book.book import HedgeBook
from hedgerow.cli import hedgerow
from ledger.business_days import business_days_of_month
from ledger.databases.sqlite_file import SqliteFile
from tests.hedge.book.contracts import approve, at, keep, plan_json
from tests.hedgerow.processes import NOWHERE, write_config

POSITIONS = {"GPU1": 10, "ptu": 20}
KEPT_AT = "2026-01-05T12:00"


class Shell:
    """Commands with a configuration, and the book behind them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = write_config(folder, NOWHERE)
        with self.book(KEPT_AT) as book:
            self.plan = keep(book, plan_json(POSITIONS))

    @contextmanager
    def book(self, when: str) -> Iterator[HedgeBook]:
        with closing(SqliteFile.open(self.folder / "hedgerow.db")) as sql, sql.transaction():
            yield HedgeBook(sql, at(when))

    def run(self, *words: str | Path) -> Result:
        arguments = [str(one) for one in ("hedge", *words, "-c", self.config)]
        return CliRunner().invoke(hedgerow, arguments)

    def done(self, *words: str | Path) -> Result:
        done = self.run(*words)
        assert done.exit_code == 0, done.output
        return done

    def told(self, *words: str | Path) -> Any:
        return json.loads(self.done(*words, "--json").stdout)

    def refused(self, *words: str | Path) -> str:
        """What a command that fails says, in one line."""
        done = self.run(*words)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.output
        return str(done.stderr)

    def write(self, name: str, rows: list[dict[str, str]]) -> Path:
        path = self.folder / name
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


GPU1_FILL = ("--contract", "GPU1", "--units", "10", "--price", "2.50", "--month", "2026-02")


def test_from_a_plan_to_a_settlement(shell: Shell) -> None:
    """A plan is approved by a second person, bought, marked and settled; the book tells all of it,
    settling again changes nothing, and the books are verified."""
    with shell.book(KEPT_AT) as book:
        approve(book, shell.plan)
    fill = ("book", "--plan", shell.plan, "--at", "2026-01-06T15:00:00", "--by", "cleo")
    assert shell.done(*fill, *GPU1_FILL, "--line", "t1").stderr == "entered fill:t1\n"
    assert shell.done(*fill, *GPU1_FILL, "--line", "t1").stderr == "known already: fill:t1\n"
    shell.done(*fill, "--contract", "ptu", "--units", "20", "--price", "260", "--months", "1")
    days = [one.isoformat() for one in business_days_of_month(2026, 2)]
    prices = [{"series": "SD-H100", "at": one, "value": "2.80"} for one in days]
    prices.append({"series": "GPU1 2026-02", "at": "2026-01-09", "value": "2.40"})
    done = shell.told("settle", "--prices", shell.write("prices.csv", prices))
    assert (done["prices"], done["marks"], done["bills_and_expenses"]) == (len(days) + 1, 1, 32)
    (settled,) = done["settled"]
    assert (settled["gain_usd"], settled["fee_usd"]) == (2190, 13.5)
    again = shell.told("settle", "--prices", shell.folder / "prices.csv")
    assert (again["prices"], again["marks"], again["bills_and_expenses"]) == (0, 0, 0)
    assert again["settled"] == []
    seen = shell.told("book")
    (result,) = seen["results"]
    assert (result["realised_usd"], result["fees_usd"]) == (2190, -68.5)
    assert seen["accounts"]["commitment_expense"] == 5200
    assert sum(seen["accounts"].values()) == 0
    text = shell.done("book").stdout
    assert "GPU1" in text
    assert max(map(len, text.splitlines())) <= 100
    verified = CliRunner().invoke(hedgerow, ["ledger", "verify", "-c", str(shell.config), "--json"])
    assert json.loads(verified.stdout)["verified"]


def test_approving(shell: Shell) -> None:
    """Not by the maker, however the name is written; not twice; what is withdrawn is no more
    approved, and nothing can be bought of it then."""
    assert "ada, who cannot approve it" in shell.refused("approve", shell.plan, "--by", "A da")
    assert "no plan plan-x" in shell.refused("approve", "plan-x", "--by", "ben")
    told = shell.told("approve", shell.plan[:8], "--by", "ben", "--note", "as discussed")
    assert (told["plan"], told["state"], told["by"]) == (shell.plan, "approved", "ben")
    assert "approved already, by ben" in shell.refused("approve", shell.plan, "--by", "cleo")
    shell.done("approve", shell.plan, "--by", "cleo", "--withdraw")
    assert "nothing to withdraw" in shell.refused("approve", shell.plan, "--by", "c", "--withdraw")
    late = ("book", "--plan", shell.plan, "--at", "2026-01-06", "--by", "cleo", *GPU1_FILL)
    assert "was not approved at 2026-01-06" in shell.refused(*late)


def test_designating(shell: Shell) -> None:
    """A memo of today, rebalanced and ended; the book tells all of it, and refuses yesterday."""
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    bought, month = now - timedelta(days=1), f"{now:%Y-%m}"
    with shell.book((now - timedelta(days=2)).isoformat()) as book:
        approve(book, shell.plan)
    by = ("--by", "cleo")
    fill = (*GPU1_FILL[:-1], month, "--plan", shell.plan, "--at", bought.isoformat())
    shell.done("book", *fill, "--line", "1", *by)
    memo = ["--kind", "designation", "--of", "fill:1", "--models", "a; b", *by]
    memo += ["--objective", "keep the price"]
    today = [*memo, "--line", "memo", "--at", f"{now:%Y-%m-%d}"]
    assert "needs a probability" in shell.refused("book", *today)
    today += ["--probability", "0.95"]
    assert "entered designation:memo" in shell.done("book", *today).stderr
    assert "known already" in shell.done("book", *today).stderr
    yesterday = [*memo, "--line", "late", "--at", f"{bought:%Y-%m-%d}", "--probability", "1"]
    assert "never for a day before or after" in shell.refused("book", *yesterday)
    later = ("--of", "designation:memo", "--reason", "fewer", *by, "--at", f"{now:%Y-%m-%d}")
    shell.done("book", "--kind", "rebalancing", "--volume", "7000.5", *later)
    shell.done("book", "--kind", "dedesignation", "--not-expected", *later)
    (seen,) = shell.told("book")["designations"]
    assert (seen["lots"], seen["volume"], seen["month"]) == (10, 7000.5, month)
    assert seen["ended"] == f"{now:%Y-%m-%d}"
    assert "designation:memo" in shell.done("book").stdout
