"""`hedgerow report hedge`, as finance meets it."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path

import pytest

from ledger.databases.sqlite_file import SqliteFile
from tests.hedgerow.beside import said
from tests.hedgerow.processes import hedgerow
from tests.hedgerow.reports import months

BEGINNINGS = {"html": b"<!doctype html>", "pdf": b"%PDF-", "xlsx": b"PK\x03\x04", "json": b"{"}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Books that no test writes into."""
    return months.hedged(tmp_path_factory.mktemp("books"))


def test_files_are_what_their_names_say(config: Path, tmp_path: Path) -> None:
    """All formats of one reading, each whole, the same as alone; what is printed says which month;
    --format says it for other names, and for one file only."""
    month = ("report", "hedge", "-c", config, "--month", "2026-09")
    files = [tmp_path / f"september.{ending}" for ending in BEGINNINGS]
    done = said(*month, *(word for file in files for word in ("-o", file)))
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    told = done.stderr.splitlines()
    for line, file, begins in zip(told, files, BEGINNINGS.values(), strict=True):
        assert line.startswith(f"{file}: 2026-09, ")
        assert file.read_bytes().startswith(begins)
    assert said(*month).stdout_bytes == files[-1].read_bytes()
    done = said(*month, "--format", "json", "-o", files[0], "-o", files[1])
    assert (done.exit_code, "say by their names" in done.stderr) == (2, True)
    other = tmp_path / "september.txt"
    words = (*month, "-o", other)
    done = said(*words)
    assert done.exit_code == 2
    assert "does not say what to write" in done.stderr
    assert said(*words, "--format", "json").exit_code == 0
    assert json.loads(other.read_bytes())["title"] == "Hedge effectiveness"
    assert sorted(one.suffix for one in tmp_path.iterdir() if one.suffix == ".part") == []


def test_without_a_file_it_is_json_of_the_month_before(config: Path) -> None:
    """On stdout, and nothing else; of a month that is over, as of its end."""
    done = said("report", "hedge", "-c", config)
    assert (done.exit_code, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    today = date.today().replace(day=1)  # noqa: DTZ011 - which month it is hangs on no zone here
    assert f"--at {today:%Y-%m}-01T00:00:00" in told["reproduction"]["command"]
    assert not told["subtitle"].startswith(f"{today:%Y-%m}")


def test_elsewhere_it_writes_the_same_bytes(config: Path, tmp_path: Path) -> None:
    """The command of the last page, run by another process with another hash seed in another time
    zone, gives the same HTML and JSON."""
    at = ("--month", "2026-09", "--at", "2026-10-07T00:00:00")
    words = ("report", "hedge", "-c", config, *at)
    here, there = (
        [tmp_path / f"{name}.{ending}" for ending in ("html", "json")] for name in ("here", "there")
    )
    assert said(*words, *(word for file in here for word in ("-o", file))).exit_code == 0
    env = {"PYTHONHASHSEED": "11", "TZ": "Asia/Kolkata"}
    other = (*words, *(word for file in there for word in ("-o", file)))
    done = asyncio.run(hedgerow(*other, env=env))
    assert (done.code, done.out) == (0, "")
    assert [one.read_bytes() for one in there] == [one.read_bytes() for one in here]


def test_what_cannot_be_is_said_in_one_line(config: Path, tmp_path: Path) -> None:
    """A moment that has not come, a folder that is not there, books that are not; a file that was
    there stays as it was."""
    words = ("report", "hedge", "-c", config, "--month", "2026-09")
    done = said(*words, "--at", "2100-01-01")
    assert (done.exit_code, "has not come yet" in done.stderr) == (2, True)
    done = said(*words, "-o", tmp_path / "no" / "r.html")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "cannot write" in done.stderr
    bare = months.configured(tmp_path)
    done = said("report", "hedge", "-c", bare)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)


def test_an_empty_book_gives_a_report_that_says_so(tmp_path: Path) -> None:
    """In every format, with what to do."""
    path = months.configured(tmp_path)
    SqliteFile.open(tmp_path / "hedgerow.db").close()
    file = tmp_path / "r.html"
    assert said("report", "hedge", "-c", path, "--month", "2026-09", "-o", file).exit_code == 0
    assert b"no usage and no cost of 2026-09" in file.read_bytes()
