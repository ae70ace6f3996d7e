"""`ledger export` and `ledger reconcile`, as finance meets them."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner

from hedgerow.books import books
from hedgerow.cli import hedgerow as command_line
from hedgerow.config import load_config
from tests.hedgerow.processes import NOWHERE, Done, hedgerow, write_config
from tests.ledger.entries_of import DAY_0_NS, DAY_NS, Made, Who, write
from tests.ledger.owned import FLAT

WHO = Who(team="=1+1", provider="a", model="m")
MADE = [
    Made(DAY_0_NS + 1, who=WHO),
    Made(DAY_0_NS + DAY_NS, who=WHO),
    Made(DAY_0_NS + DAY_NS, who=Who(provider="b")),
    Made(DAY_0_NS, kind="voided", who=WHO),
]
"""Each of the charged ones: 10 tokens in at 1 nano-USD, 5 out at 2."""
LINES = (
    "date,model,quantity,unit,amount,kind\n"
    "2026-02-16,a-m,10,input tokens,0.00000001,usage\n"
    "2026-02-16,a-m,5,output tokens,0.00000001,usage\n"
    "2026-02-17,a-m,10,input tokens,0.00000001,usage\n"
    "2026-02-17,a-m,5,output tokens,0.00000001,usage\n"
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = write_config(tmp_path, NOWHERE)
    with books(load_config(path, {})) as store:
        write(store.sql, MADE)
    return path


async def run(config: Path, *words: str | Path) -> Done:
    return await hedgerow("ledger", *words, "-c", config)


def run_here(config: Path, *words: str | Path) -> Done:
    """The same in this process, for what starts often."""
    done = CliRunner().invoke(command_line, ["ledger", *map(str, words), "-c", str(config)])
    return Done(done.exit_code, done.stdout, done.stderr)


def test_export_of_contract_commitments(config: Path, tmp_path: Path) -> None:
    """A dataset of its own: of FOCUS, of 1.4, and of those whose term has some of the days."""
    with books(load_config(config, {})) as store, store.transaction():
        store.commitments.add(FLAT)
    file = tmp_path / "owned.csv"
    words = ("export", "--format", "focus", "--dataset", "contract-commitments", "-o", file)
    done = run_here(config, *words)
    assert (done.code, done.err) == (0, f"1 rows in {file}\n")
    with file.open(newline="") as text:
        (row,) = csv.DictReader(text)
    assert (row["ContractCommitmentId"], row["ContractCommitmentCost"]) == ("flat", "100.0")
    assert run_here(config, *words, "--to", "2020-01", "--json").json["rows"] == 0
    for more, said in (
        (("--focus-version", "1.2"), "leave it out"),
        (("--format", "csv"), "--format focus"),
    ):
        done = run_here(config, *words, *more)
        assert done.code == 2
        assert said in done.err


async def test_export(config: Path, tmp_path: Path) -> None:
    """Each format, and how many rows; stdout stays empty but for --json, and a team that is called
    like a formula is none."""
    file = tmp_path / "out.csv"
    done = await run(config, "export", "--format", "csv", "-o", file)
    assert (done.code, done.out, done.err) == (0, "", f"3 rows in {file}\n")
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["team"] for row in rows] == ["'=1+1", "'=1+1", ""]
    assert {row["billed_usd"] for row in rows} == {"0.00000002"}
    done = await run(
        config, "export", "--format", "csv", "--from", "2026-02-17", "-o", file, "--json"
    )
    assert done.json == {"file": str(file), "rows": 2}
    for zone, count in (("UTC", 1), ("America/New_York", 3)):
        where = ("--from", "2026-02", "--to", "2026-02-17", "--timezone", zone)
        done = await run(config, "export", "--format", "csv", *where, "-o", file, "--json")
        assert done.json["rows"] == count
    parquet = tmp_path / "out.parquet"
    assert (await run(config, "export", "--format", "parquet", "-o", parquet)).code == 0
    assert pq.read_table(parquet).column("billed_usd").to_pylist() == [Decimal("0.00000002")] * 3
    for version, columns in (("1.2", ("SkuMeter", "ProviderName")), ("1.0", ("Provider",))):
        words = ("--format", "focus", "--focus-version", version, "-o", parquet)
        assert (await run(config, "export", *words)).code == 0
        table = pq.read_table(parquet)
        assert set(columns) <= set(table.column_names)
        assert sum(table.column("BilledCost").to_pylist()) == Decimal("0.00000006")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "csv", "--focus-version", "1.2"), "it goes with --format focus"),
        (("--format", "csv", "--from", "2027-01-02", "--to", "2027-01-01"), "not after --from"),
        (("--format", "xml"), "'xml' is not one of"),
        (("--format", "csv", "-o", "-"), "name a file"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], message: str, config: Path) -> None:
    """Exit code 2."""
    done = run_here(config, "export", "-o", "f", *words)
    assert (done.code, done.out) == (2, "")
    assert message in " ".join(done.err.split())


def test_export_to_nowhere(config: Path, tmp_path: Path) -> None:
    """One line."""
    done = run_here(config, "export", "--format", "csv", "-o", tmp_path / "none" / "f.csv")
    assert done.failed_in_one_line
    assert "cannot write" in done.err


async def test_reconcile(config: Path, tmp_path: Path) -> None:
    """An invoice that agrees: code 0. One with a price that does not: code 1, with both prices; a
    tax is no difference that anybody has to ask about."""
    invoice = tmp_path / "invoice.csv"
    invoice.write_text(LINES)
    words = ("reconcile", invoice, "--provider", "a")
    done = await run(config, *words, "--tolerance-usd", "0")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("explained: 0.000000 USD are open, 0 are tolerated\n")
    dearer = LINES.replace("0.00000001,usage", "0.00000003,usage", 1)
    invoice.write_text(dearer + "2026-02-17,,,,0.19,tax\n")
    done = await run(config, *words, "--tolerance-usd", "0", "--json")
    found = json.loads(done.out, parse_float=Decimal)
    assert (done.code, found["explained"], found["charges"]) == (1, False, 2)
    assert (found["ours_usd"], found["theirs_usd"]) == (Decimal("4e-8"), Decimal("0.19000006"))
    assert found["causes"] == [
        {"cause": "tax", "usd": Decimal("0.19")},
        {"cause": "price differs", "usd": Decimal("2e-8")},
    ]
    (gap,) = [one for row in found["rows"] for one in row["prices"]]
    prices = {"ours_usd": Decimal("0.001"), "theirs_usd": Decimal("0.003")}
    assert gap == {"meter": "Input Tokens", **prices}
    done = await run(config, *words)
    assert done.code == 0
    assert "price differs" in done.out


def test_reconcile_by_a_mapping(config: Path, tmp_path: Path) -> None:
    """Names of columns and models, the provider and the currency; a rate and a discount."""
    invoice, mapping = tmp_path / "invoice.csv", tmp_path / "mapping.yaml"
    invoice.write_text(
        "Tag,Modell,Menge,Einheit,Betrag\n"
        "2026-02-16,M,10,input tokens,0.0000000072\n"
        "2026-02-16,M,5,output tokens,0.0000000072\n"
        "2026-02-17,M,10,input tokens,0.0000000072\n"
        "2026-02-17,M,5,output tokens,0.0000000072\n"
    )
    mapping.write_text(
        "provider: a\ncurrency: EUR\nmodels: {M: a-m}\ntimezone: UTC\n"
        "columns: {date: Tag, model: Modell, quantity: Menge, unit: Einheit, amount: Betrag}\n"
    )
    words = ("reconcile", invoice, "--mapping", mapping, "--tolerance-usd", "0", "--json")
    done = run_here(config, *words, "--rate", "EUR=1.25", "--discount", "10%")
    assert (done.code, [one["cause"] for one in done.json["causes"]]) == (0, ["discount"])
    done = run_here(config, *words)
    assert done.failed_in_one_line
    assert "--rate EUR=1.08" in done.err
    mapping.write_text("provider: a\ncolums: {}\n")
    done = run_here(config, *words)
    assert done.code == 1
    assert done.err.startswith(f"{mapping}:2: colums: ")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "whose invoice is it? One of a, b"),
        (("--provider", "zeta"), 2, "whose invoice is it?"),
        (("--provider", "a", "--rate", "EUR"), 2, "write EUR=1.08"),
        (("--provider", "a", "--rate", "EUR=0"), 2, "write EUR=1.08"),
        (("--provider", "a", "--discount", "10"), 2, "write 12.5%"),
        (("--provider", "a", "--discount", "100%"), 2, "write 12.5%"),
        (("--provider", "a", "--timezone", "Berlin"), 2, "as in Europe/Berlin"),
        (("--provider", "a", "--tolerance-usd", "-1"), 2, "from 0 on"),
        (("--provider", "a"), 1, "invoice.csv:1: this header is of no invoice"),
    ],
)
def test_reconcile_says_what_is_wrong(
    words: tuple[str, ...], code: int, message: str, config: Path, tmp_path: Path
) -> None:
    """With what to write instead."""
    invoice = tmp_path / "invoice.csv"
    invoice.write_text(LINES if code == 2 else "what,ever\n1,2\n")
    done = run_here(config, "reconcile", invoice, *words)
    assert (done.code, done.out) == (code, "")
    assert message in " ".join(done.err.split())
