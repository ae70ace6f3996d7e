"""The spend report of real books: its figures, their sources, its sums, and what FOCUS says."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from hedgerow.books import books
from hedgerow.cli import hedgerow
from hedgerow.config import load_config
from hedgerow.reports.document import Document, Figure, Table, Tone
from hedgerow.reports.figures import exact, known
from hedgerow.reports.formats import Format, rendered
from hedgerow.reports.spend_report import spend_report
from ledger.charges import charge_rows
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.exports.commitments import commitment_rows
from ledger.exports.focus import focus_rows
from ledger.instants import day_ns
from ledger.retention import Limits, retire
from ledger.store import Store
from ledger.tables.reconciliations import ReconciliationTable
from tests.hedge.book.contracts import at
from tests.hedge.effectiveness.months import Asked, charge
from tests.hedgerow.reports import months
from tests.hedgerow.reports.calculating import check_live, needs_libreoffice
from tests.hedgerow.reports.test_hedge_report import (
    AFTER,
    SEPTEMBER,
    cell,
    check_sources,
    check_sums,
    figures,
    table,
)
from tests.ledger.test_kept import ONE


@pytest.fixture(scope="module")
def config_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Books that no test writes into."""
    return months.hedged(tmp_path_factory.mktemp("books"))


def made(path: Path, month: date = SEPTEMBER, when: str = AFTER) -> Document:
    config = load_config(path, {})
    with books(config, create=False) as store:
        return spend_report(config, store, month, at(when))


def amount(found: Table, row: str, column: str) -> Decimal:
    return Decimal(exact(cell(found, row, column)))


def test_every_query_gives_its_figures_and_every_total_is_its_sum(config_path: Path) -> None:
    """Each number that names a query is found in what it gives, and each total is its column's."""
    document = made(config_path)
    with closing(SqliteFile.open(config_path.parent / "hedgerow.db")) as sql, sql.view():
        assert check_sources(sql, document) > 60
    assert check_sums(document) > 20


def test_the_same_on_postgresql(config_path: Path, tmp_path: Path, sql: Sql) -> None:
    """The same books in either database give the same report, and its queries run there."""
    config = load_config(months.configured(tmp_path), {})
    months.fill(sql)
    document = spend_report(config, Store(sql), SEPTEMBER, at(AFTER))
    with sql.view():
        assert check_sources(sql, document) > 60
    written = list(figures(made(config_path)))
    assert [(name, one.value) for name, one in figures(document)] == [
        (name, one.value) for name, one in written
    ]


@pytest.mark.parametrize("month", [date(2026, 8, 1), SEPTEMBER])
def test_what_focus_tells(config_path: Path, month: date) -> None:
    """What all bear is the EffectiveCost of the month's export, and what its table says of each
    kind of row is what the export has, to the nano-USD."""
    document = made(config_path, month)
    first_ns, last_ns = day_ns(month), day_ns(date(2026, month.month + 1, 1))
    with closing(SqliteFile.open(config_path.parent / "hedgerow.db")) as sql, sql.view():
        usual = list(focus_rows(charge_rows(sql, first_ns, last_ns)))
        owned = list(commitment_rows(sql, first_ns, last_ns))
    focus = table(document, "focus")
    rows = [*usual, *owned]
    total = sum(row.effective_cost for row in rows)
    assert amount(focus, "total", "effective") == total
    assert amount(focus, "total", "billed") == sum(row.billed_cost for row in rows)
    assert amount(table(document, "teams"), "total", "bears") == total
    headline = document.verdict.headlines[0].figure
    assert Decimal(exact(headline)) == total
    assert amount(focus, "focus1", "effective") == sum(row.effective_cost for row in usual)
    purchases = [row for row in owned if row.charge_category == "Purchase"]
    assert amount(focus, "focus2", "billed") == sum(row.billed_cost for row in purchases)
    for key, status in (("focus3", "Used"), ("focus4", "Unused")):
        its = [row for row in owned if row.commitment_discount_status == status]
        assert amount(focus, key, "effective") == sum(row.effective_cost for row in its)
    assert any(row.commitment_discount_status == "Used" for row in owned)


def test_what_it_says_of_a_month(config_path: Path) -> None:
    """The verdict names the cost, what is left of the cap, and what is not done yet."""
    document = made(config_path)
    said = " ".join(document.verdict.sentences)
    assert "cap of $24,000.00" in said
    assert "The month is not closed" in said
    left = document.verdict.headlines[1]
    assert (left.label, left.tone) == ("Left of the cap", Tone.GOOD)
    assert document.verdict.tone is Tone.WARN  # of invoices, not of the cap
    assert "--at 2026-10-07" in document.reproduction.command
    assert [len(one) for _, one in document.reproduction.inputs if len(one) == 64]


def test_nothing_in_it(tmp_path: Path) -> None:
    """Books without a row, and a month that has not begun, are told as a sentence in every
    format."""
    path = months.configured(tmp_path)
    SqliteFile.open(tmp_path / "hedgerow.db").close()
    empty = made(path)
    assert empty.verdict.sentences[0].startswith("Nothing was charged in 2026-09")
    later = made(path, date(2027, 1, 1))
    assert later.verdict.sentences == (
        "2027-01 has not begun: there is nothing to tell of it yet.",
    )
    for one in (empty, later):
        for form in Format:
            assert rendered(one, form)


def test_a_month_that_runs(config_path: Path) -> None:
    """To date: what commitments cost beyond their draws is not known, and nothing says zero."""
    document = made(config_path, SEPTEMBER, "2026-09-15T10:20")
    assert document.labels
    teams = table(document, "teams")
    assert cell(teams, "total", "unused").value is None
    assert "still runs" in (cell(teams, "total", "unused").why_not or "")
    assert_no_sum_of_what_is_unknown(document)
    assert "were charged" in document.verdict.sentences[0]
    with closing(SqliteFile.open(config_path.parent / "hedgerow.db")) as sql, sql.view():
        assert check_sources(sql, document) > 40


def assert_no_sum_of_what_is_unknown(document: Document) -> None:
    """What commitments cost beyond their draws is not known: nothing that has a part of it is."""
    for name, column in (("teams", "bears"), ("focus", "effective")):
        found = cell(table(document, name), "total", column)
        assert (found.value, bool(found.why_not)) == (None, True)
    headline = document.verdict.headlines[0]
    assert headline.label == "Charged to requests"
    assert known(headline.figure) == known(cell(table(document, "models"), "total", "cost"))


def test_a_month_whose_charges_are_gone(tmp_path: Path) -> None:
    """Retention leaves what requests were charged; what they drew, and so what the month cost, is
    not known any more, and is not shown as zero."""
    path = months.hedged(tmp_path)
    with closing(SqliteFile.open(tmp_path / "hedgerow.db")) as sql:
        charge(sql, Asked("2026-09-05T08:00", 7, estimated=True))
    before = made(path)
    assert amount(table(before, "teams"), "total", "estimated") == Decimal("0.000000007")
    assert cell(table(before, "teams"), "total", "refused").value == 0
    with closing(SqliteFile.open(tmp_path / "hedgerow.db")) as sql:
        retire(sql, Limits(at("2026-09-12"), at("2026-09-12")))
    document = made(path)
    assert_no_sum_of_what_is_unknown(document)
    for name, row, column in (
        ("focus", "focus3", "effective"),
        ("teams", "team1", "estimated"),
        ("teams", "total", "refused"),
        ("state", "refused", "value"),
    ):
        found = cell(table(document, name), row, column)
        assert (found.value, bool(found.why_not)) == (None, True), (name, column)
    total = amount(table(document, "models"), "total", "cost")
    assert total == amount(table(before, "models"), "total", "cost")
    assert "left out" in run(path, "ledger", "chargeback", "--month", "2026-09")
    told = json.loads(run(path, "ledger", "chargeback", "--month", "2026-09", "--json"))
    assert {one["total_usd"] for one in (told, told["platform"], *told["teams"])} == {None}
    told = json.loads(run(path, "ledger", "chargeback", "--month", "2026-07", "--json"))
    assert None not in {one["total_usd"] for one in (told, told["platform"], *told["teams"])}


def test_the_same_bytes(config_path: Path) -> None:
    """The same books and the same moment give the same files."""
    one, other = (made(config_path) for _ in range(2))
    for form in (Format.HTML, Format.JSON, Format.XLSX):
        assert rendered(one, form) == rendered(other, form)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "reconciled"),
        ({"is_explained": False}, "differs: see its causes"),
        ({"first": date(2026, 9, 2)}, "only some of its days, or one account"),
        ({"account": "eu"}, "only some of its days, or one account"),
        ({"first": date(2026, 8, 1), "last": date(2026, 12, 31)}, "reconciled"),
        ({"first": date(2026, 10, 1), "last": date(2026, 10, 31)}, "no invoice was compared"),
    ],
)
def test_how_far_an_invoice_was_compared(
    tmp_path: Path, changes: dict[str, object], status: str
) -> None:
    """Reconciled is what was explained for all days and accounts; only that is not open."""
    path = months.hedged(tmp_path)
    whole = replace(ONE, first=SEPTEMBER, last=date(2026, 9, 30), is_explained=True)
    one = replace(whole, **changes)  # type: ignore[arg-type]
    before = document_open(made(path))
    with closing(SqliteFile.open(tmp_path / "hedgerow.db")) as sql, sql.transaction():
        ReconciliationTable(sql).add(one)
    document = made(path)
    (row,) = (one for one in table(document, "providers").rows if one.cells[0] == "acme")
    assert row.cells[3] == status
    billed = Decimal(exact(row.cells[1])) if isinstance(row.cells[1], Figure) else Decimal(0)
    assert billed > 0
    assert document_open(document) == before - (billed if status == "reconciled" else 0)


def document_open(document: Document) -> Decimal:
    (headline,) = (one for one in document.verdict.headlines if one.label == "Not reconciled")
    return Decimal(exact(headline.figure))


def run(config: Path, *words: str) -> str:
    done = CliRunner().invoke(hedgerow, [*words, "-c", str(config)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_closing_a_month(tmp_path: Path) -> None:
    """From the command line: an invoice is compared, the books are verified, the month is closed,
    and what comes late is a correction; the report says each of it."""
    path = months.hedged(tmp_path)
    run(path, "hedge", "settle")
    before = table(made(path), "providers")
    assert {row.cells[3] for row in before.rows} == {"no invoice was compared"}
    invoice = tmp_path / "invoice.csv"
    invoice.write_text("period,amount,kind\n2026-09,12.50,usage\n")
    words = ["ledger", "reconcile", str(invoice), "--provider", "a", "--by", "ada"]
    done = CliRunner().invoke(hedgerow, [*words, "-c", str(path)])
    assert "12.500000 USD are open" in done.output, done.output
    CliRunner().invoke(hedgerow, ["ledger", "verify", "-c", str(path)])  # charges without cards
    told = json.loads(run(path, "ledger", "chargeback", "--month", "2026-09", "--json"))
    run(path, "ledger", "close", "--month", "2026-09", "--by", "ada")
    document = made(path)
    (row,) = (one for one in table(document, "providers").rows if one.cells[0] == "a")
    assert row.cells[3] == "differs: see its causes"
    assert str(row.cells[8]).startswith("ada, ")
    assert row.cells[9] == hashlib.sha256(invoice.read_bytes()).hexdigest()[:12]
    assert Decimal(str(told["total_usd"])) == amount(table(document, "teams"), "total", "bears")
    closing_text = str([one for one in document.sections if one.id == "closing"])
    assert "ada closed the month" in closing_text
    assert "places did not agree" in closing_text
    assert document.verdict.tone is Tone.BAD
    with closing(SqliteFile.open(tmp_path / "hedgerow.db")) as sql:
        charge(sql, Asked("2026-09-12T08:00", 123_456_789))
    october = json.loads(run(path, "ledger", "chargeback", "--month", "2026-10", "--json"))
    late = [Decimal(str(one["amount_usd"])) for one in october["corrections"]]
    assert sum(late) == Decimal("0.123456789")
    late_table = table(made(path, date(2026, 10, 1)), "late")
    assert sum(
        Decimal(exact(one))
        for row in late_table.rows
        for one in row.cells
        if isinstance(one, Figure)
    ) == Decimal("0.123456789")


@needs_libreoffice
@pytest.mark.filterwarnings("ignore:Unable to read chart")  # openpyxl, LibreOffice's own charts
def test_libreoffice_gives_every_number(config_path: Path, tmp_path: Path) -> None:
    """What each bears, totals, savings and shares of caps are live formulas: computed anew they
    are the printed numbers."""
    assert check_live(made(config_path), tmp_path) > 20
