"""`hedgerow ledger` and `hedgerow spend` on books that are there."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest

from ledger.databases.sqlite_file import SqliteFile
from tests.hedgerow.processes import NOWHERE, hedgerow, told, write_config
from tests.ledger.entries_of import DAY_0_NS, DAY_NS, HOUR_NS, Made, Who, write

MADE = [
    Made(DAY_0_NS + day * DAY_NS + 23 * HOUR_NS, who=Who(team=f"team{day}")) for day in range(4)
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of books with a charge an hour before each of four midnights (UTC)."""
    path = write_config(tmp_path, NOWHERE)
    with closing(SqliteFile.open(tmp_path / "hedgerow.db")) as books:
        write(books, MADE)
    return path


def edit(config: Path, statement: str) -> None:
    with closing(SqliteFile.open(config.with_name("hedgerow.db"))) as books:
        books.execute(statement)


async def test_heads_are_kept_elsewhere_and_looked_for(config: Path) -> None:
    """What `heads --json` said is found again by `verify --heads`; if not, the writer is named."""
    found = await told("ledger", "heads", "-c", config)
    assert [(one["writer"], one["seq"]) for one in found["heads"]] == [("w1", 4), ("w2", 0)]
    table = await hedgerow("ledger", "heads", "-c", config)
    assert found["heads"][0]["head"] in table.out
    kept = config.with_name("heads.json")
    kept.write_text(json.dumps(found))
    audit = await told("ledger", "verify", "-c", config, "--heads", kept)
    assert (audit["verified"], audit["heads"], audit["heads_gone"]) == (True, 2, 0)
    found["heads"][0]["head"] = "00" * 32
    kept.write_text(json.dumps(found))
    done = await hedgerow("ledger", "verify", "-c", config, "--heads", kept)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("chain of w1: ")
    assert done.out.startswith("1 place does not agree: ")


@pytest.mark.parametrize("text", ["", "[]", '{"heads": [{"writer": "w1", "seq": 1, "head": "x"}]}'])
async def test_what_are_no_heads(config: Path, text: str) -> None:
    """A file that is something else is wrong usage, not a finding."""
    kept = config.with_name("heads.json")
    kept.write_text(text)
    done = await hedgerow("ledger", "verify", "-c", config, "--heads", kept)
    assert (done.code, done.out) == (2, "")
    assert "hedgerow ledger heads --json" in done.err


async def test_what_is_old_goes(config: Path) -> None:
    """By day; the books are verified after it, and say how much is gone. Not twice."""
    day = "2026-02-18"  # two days after DAY_0
    words = ("ledger", "retire", "-c", config, "--before", day, "--details-before", day)
    assert await told(*words) == {"entries": 2, "requests": 0, "rollups": 2, "partitions": []}
    assert (await told(*words))["entries"] == 0
    audit = await told("ledger", "verify", "-c", config)
    assert (audit["verified"], audit["attempts"], audit["retired"]) == (True, 2, 2)
    said = await hedgerow("ledger", "verify", "-c", config)
    assert said.out.endswith(", 2 older ones retired\n")
    assert (await told("spend", "-c", config))["total"]["requests"] == 4


async def test_what_is_old_is_in_the_configuration(config: Path) -> None:
    """Without a date, by ledger.keep; without that, nothing is deleted."""
    nothing = await hedgerow("ledger", "retire", "-c", config)
    assert (nothing.code, nothing.out) == (2, "")
    assert "ledger.keep" in nothing.err
    with config.open("a") as file:
        file.write("ledger: {keep: 1d}\n")
    done = await hedgerow("ledger", "retire", "-c", config)
    assert done.out.startswith("deleted 4 entries, 0 requests, 0 rollups")


async def test_the_future_is_not_old(config: Path) -> None:
    """A slip of the keyboard does not empty the books."""
    done = await hedgerow("ledger", "retire", "-c", config, "--before", "2222-01-31")
    assert (done.code, done.out) == (2, "")
    assert "future" in done.err


async def test_days_of_a_time_zone(config: Path) -> None:
    """An hour before midnight in UTC is the next day in Berlin; so are --from and --to."""
    words = ("spend", "-c", config, "--by", "day", "--timezone", "Europe/Berlin")
    found = await told(*words)
    assert sorted(row["day"] for row in found["rows"]) == [
        f"2026-02-{day}" for day in range(17, 21)
    ]
    found = await told(*words, "--from", "2026-02-18", "--to", "2026-02-19T00:00:00+00:00")
    assert [row["day"] for row in found["rows"]] == ["2026-02-18", "2026-02-19"]
    assert (found["from"], found["to"]) == (
        "2026-02-18T00:00:00+01:00",
        "2026-02-19T01:00:00+01:00",
    )
    done = await hedgerow("spend", "-c", config, "--timezone", "Mars/Olympus")
    assert (done.code, done.out) == (2, "")
    assert "is no time zone" in done.err


async def test_a_statement_says_what_it_could_not_count(config: Path) -> None:
    """Where only days are left, one says from when to when was counted."""
    day = "2026-02-18"
    words = ("ledger", "retire", "-c", config, "--before", day, "--details-before", day)
    await told(*words)
    asked = ("spend", "-c", config, "--by", "team", "--from", "2026-02-16T12:00:00")
    found = await told(*asked)
    assert found["from"] == "2026-02-17T00:00:00+00:00"
    assert len(found["rows"]) == 3
    done = await hedgerow(*asked)
    assert "counted is 2026-02-17T00:00:00+00:00 to now" in done.err


async def test_an_edit_is_named(config: Path) -> None:
    """Exit code 1, a line for each place, and the sentence."""
    await asyncio.to_thread(edit, config, "UPDATE accounts SET posted = posted + 1")
    done = await hedgerow("ledger", "verify", "-c", config)
    assert (done.code, done.err.count("\n")) == (1, 7)
    assert done.out.startswith("7 places do not agree: ")
