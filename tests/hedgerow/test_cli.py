"""The command line as a whole: help, exit codes, and errors that a person can act on."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from hedgerow import cli
from hedgerow.arguments import LABEL, LABELS, MOMENT, USD, Ratio
from hedgerow.printing import dollars, table
from ledger.money import Money, as_usd
from tests.hedgerow.processes import NOWHERE, SCRIPT, hedgerow, write_config

ROOT = Path(cli.__file__).parents[1]


def commands(
    group: click.Group = cli.hedgerow, path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command and group, by its words."""
    found: list[tuple[tuple[str, ...], click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


def test_help_groups_every_command() -> None:
    """Each command stands under one heading, with one whole sentence on one line."""
    lines = CliRunner().invoke(cli.hedgerow, ["--help"]).stdout.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings[1:] == ["Run:", "Keys:", "Market and routing:", "Books:", "Hedge:"]
    for (name, *rest), _ in commands():
        if not rest:
            (line,) = [line for line in lines if line.startswith(f"  {name} ")]
            assert line.endswith(".")
            assert "..." not in line
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_each_command_has_help(words: tuple[str, ...]) -> None:
    """Exit code 0, usage first, and every option says what it is for."""
    done = CliRunner().invoke(cli.hedgerow, [*words, "--help"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: hedgerow {' '.join(words)} ")
    for parameter in dict(commands())[words].params:
        if isinstance(parameter, click.Option):
            assert parameter.help


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_tables_have_json_and_configurations_a_short_name(words: tuple[str, ...]) -> None:
    """Every command takes --json but `serve`, those that only take away or say that it is done,
    `schema`, which prints nothing else, and `report`, of which it is a format."""
    command = dict(commands())[words]
    if isinstance(command, click.Group):
        return
    options = {name for parameter in command.params for name in parameter.opts}
    silent = {("serve",), ("key", "revoke"), ("budget", "remove"), ("budget", "lower"), ("schema",)}
    silent |= {("ledger", "write-off")}
    assert ("--json" in options) == (words not in silent and words[0] != "report")
    assert ("--config" in options) == ("-c" in options)


WRONG_USAGE: list[list[str]] = [
    [],
    ["nonsense"],
    ["--nonsense"],
    ["key"],
    ["key", "create"],
    ["key", "create", "-c", "CONFIG", "--budget", "nan"],
    ["key", "create", "-c", "CONFIG", "--budget", "-1"],
    ["key", "create", "-c", "CONFIG", "--budget", "1.1234567891"],
    ["key", "create", "-c", "CONFIG", "--budget", "1e300"],
    ["key", "create", "-c", "CONFIG", "--window", "day"],
    ["key", "create", "-c", "CONFIG", "--expires", "tomorrow"],
    ["key", "create", "-c", "CONFIG", "--expires", "9999-12-31"],
    ["key", "create", "-c", "CONFIG", "--expires", "0001-01-01"],
    ["key", "create", "-c", "CONFIG", "--expires", "2020-01-01"],
    ["key", "create", "-c", "CONFIG", "--models", "elm"],
    ["key", "create", "-c", "CONFIG", "--models", ""],
    ["key", "create", "-c", "CONFIG", "--team", ""],
    ["key", "create", "-c", "CONFIG", "--team", "a\nb"],
    ["key", "create", "-c", "CONFIG", "--user", "\udcff"],
    ["key", "create", "-c", "CONFIG", "--tags", "a,,b"],
    ["key", "create", "-c", "CONFIG", "--role", "admin"],
    ["key", "create", "-c", "CONFIG", "--role", "king", "--name", "anna"],
    ["key", "create", "-c", "CONFIG", "--role", "admin", "--name", "anna", "--budget", "5"],
    ["key", "create", "-c", "CONFIG", "--role", "reader", "--name", "anna", "--team", "t"],
    ["key", "revoke", "-c", "CONFIG"],
    ["serve"],
    ["serve", "-c", "CONFIG", "--port", "65536"],
    ["serve", "-c", "CONFIG", "--workers", "65"],
    ["serve", "-c", "CONFIG", "--host", ""],
    ["market"],
    ["route", "-c", "CONFIG", "--model", "oak"],
    ["route", "-c", "CONFIG", "--model", "oak", "--input-tokens", "0"],
    ["route", "-c", "CONFIG", "--model", "oak", "--input-tokens", "1", "--needs", "magic"],
    ["explain", "-c", "CONFIG"],
    ["spend", "-c", "CONFIG", "--by", "mood"],
    ["spend", "-c", "CONFIG", "--from", "9999-12-31"],
    ["spend", "-c", "CONFIG", "--from", "2026-02-02", "--to", "2026-02-01"],
    ["budget"],
    ["ledger"],
    ["simulate", "-c", "CONFIG"],
    ["simulate", "-c", "CONFIG", "--trace", "T", "--speedup", "nan"],
    ["simulate", "-c", "CONFIG", "--trace", "T", "--rows", "0"],
    ["demo", "--speedup", "nan"],
    ["demo", "--requests", "99"],
    ["hedge", "plan"],
    ["hedge", "plan", "--demo", "--confidence", "nan"],
]

NOT_SO: list[list[str]] = [
    ["market", "-c", "CONFIG", "--model", "elm"],
    ["route", "-c", "CONFIG", "--model", "elm", "--input-tokens", "1"],
    ["simulate", "-c", "CONFIG", "--trace", "T", "--model", "elm"],
    ["simulate", "-c", "CONFIG", "--trace", "no-such.csv"],
    ["spend", "-c", "CONFIG"],
    ["explain", "-c", "CONFIG", "req_1"],
    ["budget", "status", "-c", "CONFIG"],
    ["ledger", "verify", "-c", "CONFIG"],
    ["key", "list", "-c", "CONFIG"],
    ["key", "revoke", "-c", "CONFIG", "key_1"],
    ["serve", "-c", "CONFIG", "--host", "192.0.2.1"],
    ["serve", "-c", "CONFIG", "--host", "x" * 70],
    ["demo", "--once", "--folder", "/proc/nowhere"],
    ["demo", "--once", "--folder", "FOLDER"],
    *([words, "-c", "no-such.yaml"] for words in ("serve", "check", "market", "spend")),
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, NOWHERE)


def invoke(arguments: list[str], config: Path) -> tuple[int, str, str]:
    """Run it here, which is quicker than a process; any exception but an exit is a failure."""
    named = {"CONFIG": str(config), "FOLDER": str(config.parent)}
    done = CliRunner().invoke(
        cli.hedgerow, [named.get(one, one) for one in arguments], catch_exceptions=False
    )
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("arguments", WRONG_USAGE, ids=" ".join)
def test_wrong_usage(arguments: list[str], config: Path) -> None:
    """Exit code 2, nothing on stdout, the reason on stderr, no file made."""
    code, out, err = invoke(arguments, config)
    assert (code, out) == (2, "")
    assert err.strip()
    assert [one.name for one in config.parent.iterdir()] == ["hedgerow.yaml"]


@pytest.mark.parametrize("arguments", NOT_SO, ids=" ".join)
def test_what_is_not_so(arguments: list[str], config: Path) -> None:
    """Exit code 1, nothing on stdout, one line on stderr that says what to do; no books made."""
    before = config.read_text()
    code, out, err = invoke(arguments, config)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert any(mark in err for mark in (";", ": "))
    assert config.read_text() == before
    if arguments[0] != "serve":
        assert [one.name for one in config.parent.iterdir()] == ["hedgerow.yaml"]


async def test_a_real_process_says_it_the_same_way(config: Path) -> None:
    """Exit codes 0, 1 and 2 and the two outputs are those of the process itself."""
    version = await hedgerow("--version")
    assert (version.code, version.err) == (0, "")
    assert version.out.startswith("hedgerow, version ")
    long, short = await asyncio.gather(hedgerow("key", "--help"), hedgerow("key", "-h"))
    assert (long.code, long.err) == (0, "")
    assert short == long
    assert (await hedgerow("spend", "-c", config)).failed_in_one_line
    typo = await hedgerow("serv", "-c", config)
    assert (typo.code, typo.out) == (2, "")
    assert "did you mean serve?" in typo.err


@pytest.mark.parametrize("words", [("serve",), ("market",), ("key", "create"), ("spend",)])
def test_an_invalid_configuration(words: tuple[str, ...], config: Path) -> None:
    """Whatever the command: each error on a line of its own that begins with file and line, as
    `check` says it."""
    config.write_text(config.read_text().replace("dialect", "dialekt"))
    checked = invoke(["check", "-c", "CONFIG"], config)
    assert invoke([*words, "-c", "CONFIG"], config) == checked
    assert (checked[0], checked[1]) == (1, "")
    lines = checked[2].splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{config}:{at}" for at in (3, 4)]


def test_a_missing_environment_variable(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with file and line, and with what to write."""
    monkeypatch.delenv("ACORN_KEY", raising=False)
    config.write_text(config.read_text().replace("openai,", "openai, api_key: ${ACORN_KEY},"))
    code, out, err = invoke(["serve", "-c", "CONFIG"], config)
    assert (code, out) == (1, "")
    assert err.splitlines()[0] == (
        f"{config}:3: providers.a.api_key: environment variable ACORN_KEY is not set;"
        " set it, as in export ACORN_KEY=..."
    )


def test_a_reader_that_has_enough(config: Path) -> None:
    """A closed pipe is no error worth a traceback."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [SCRIPT, "market", "-c", config],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
    )
    os.close(write)
    assert "Traceback" not in done.stderr


# Somebody else's `proxy`


@pytest.mark.parametrize("room", cli.ROOMS)
def test_a_stranger_in_the_house(room: str, tmp_path: Path) -> None:
    """Another package of a room's name before ours on the path: one line that names it."""
    (tmp_path / room).mkdir()
    (tmp_path / room / "__init__.py").write_text("version = 1\n")
    done = subprocess.run(
        [SCRIPT, "--help"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"{tmp_path / room} is not Hedgerow's `{room}`" in done.stderr


def test_overwritten_files_are_strangers_too(tmp_path: Path) -> None:
    """Installed over ours, proxy.py leaves its own __init__.py: code where ours has none."""
    for room in ("hedgerow", *cli.ROOMS):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    said = [run_from(tmp_path)]
    init = tmp_path / "proxy" / "__init__.py"
    init.write_text('"""proxy.py"""\nfrom .proxy import entry_point\n')
    said.append(run_from(tmp_path))
    assert [one.returncode for one in said] == [0, 1]
    assert said[1].stderr.startswith(f"Error: {init.parent} is not Hedgerow's `proxy`")


def run_from(site: Path) -> subprocess.CompletedProcess[str]:
    """`hedgerow --version`, with every room taken from `site`."""
    return subprocess.run(
        [sys.executable, "-P", "-c", "from hedgerow.cli import main; main()", "--version"],
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        check=False,
        text=True,
    )


# What is read and printed


@given(st.text())
def test_labels_are_what_tables_can_show(text: str) -> None:
    """A label is taken as it is or refused, and then neither empty nor more than a line."""
    try:
        taken = LABEL.convert(text, None, None)
    except click.BadParameter:
        return
    assert taken == text
    assert taken.encode().decode().splitlines() == [text]


@given(st.lists(st.sampled_from(["oak", "elm", "ash"]), min_size=1))
def test_lists_of_labels(names: list[str]) -> None:
    """Spaces around commas do not count; each stands once, in the order written."""
    assert list(LABELS.convert(" , ".join(names), None, None)) == list(dict.fromkeys(names))


@given(st.text() | st.dates().map(str) | st.datetimes().map(lambda at: at.isoformat()))
@example("9999-12-31T23:59:59-12:00")
@example("0001-01-01T00:00:00+12:00")
def test_any_date_is_taken_or_refused(text: str) -> None:
    """Whatever is written: an int64 of nanoseconds after 1970, or wrong usage."""
    try:
        at_ns = MOMENT.convert(text, None, None)
    except click.BadParameter:
        return
    assert 0 <= at_ns < 2**63


def test_dates_are_utc() -> None:
    """Without a zone UTC is meant; with one, it counts."""
    at_ns = MOMENT.convert("2027-01-31", None, None)
    assert at_ns == 1_801_353_600_000_000_000
    assert MOMENT.convert("2027-01-31T01:00:00+01:00", None, None) == at_ns


@given(st.decimals(allow_nan=True, allow_infinity=True) | st.text())
def test_amounts_are_exact_or_refused(written: Decimal | str) -> None:
    """An amount is what was written, to the last digit, and above zero."""
    try:
        amount = USD.convert(str(written), None, None)
    except click.BadParameter:
        return
    assert as_usd(amount) == Decimal(str(written)) > 0


@pytest.mark.parametrize("text", ["nan", "-nan", "NaN", "0.5", "101", "inf"])
def test_ratios_have_limits(text: str) -> None:
    """No number outside its limits, and above all no NaN, passes."""
    with pytest.raises(click.BadParameter):
        Ratio(1, 100).convert(text, None, None)


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "$0.00"),
        (10_000_000, "$0.01"),
        (50 * 10**9, "$50.00"),
        (1_234_567, "$0.001235"),
        (99_999_999_999, "$100.000000"),
        (-1_500_000, "-$0.001500"),
        (123_456_789_012, "$123.46"),
        (12_345_678 * 10**9, "$12,345,678.00"),
    ],
)
def test_dollars(nanos: int, text: str) -> None:
    """Cents for whole cents and from 100 dollars on, six digits for the rest."""
    assert dollars(Money(nanos)) == text


def test_numbers_stand_right() -> None:
    """Columns of numbers, unknown ones among them, align right; all others left."""
    lines = table(("n", "t"), [("1,000.50", "a"), ("?", "bb"), ("7 ms", "?")]).splitlines()
    assert lines[2:] == ["1,000.50  a", "       ?  bb", "    7 ms  ?"]
