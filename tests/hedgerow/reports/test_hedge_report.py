"""The hedge's report of real books: its figures, their sources, its sums, and what it says of
nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from hedge.book.book import HedgeBook
from hedge.book.facts import Fill
from hedge.book.fills import enter_fill
from hedgerow.books import books
from hedgerow.config import load_config
from hedgerow.plan_question import lowest_cap
from hedgerow.reports.as_json import as_json
from hedgerow.reports.document import Document, Figure, Table, Tone, Unit
from hedgerow.reports.figures import exact, known
from hedgerow.reports.formats import Format, rendered
from hedgerow.reports.hedge_report import RUNNING, hedge_report
from hedgerow.reports.html import html
from hedgerow.reports.xlsx import workbook
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.money import NANOS_PER_USD
from ledger.retention import Limits, retire
from ledger.store import Store
from tests.hedge.book.contracts import DESK, approved, at
from tests.hedge.effectiveness.months import Asked, buy_flat, charge
from tests.hedgerow.reports import months
from tests.hedgerow.reports.calculating import check_live, needs_libreoffice

UNREAD = "Terms that nobody has read at their source: GPU1 (assumed), flat (assumed)."
SEPTEMBER, AFTER = date(2026, 9, 1), "2026-10-07"


@pytest.fixture(scope="module")
def config_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Books that no test writes into."""
    return months.hedged(tmp_path_factory.mktemp("books"))


def made(path: Path, month: date = SEPTEMBER, when: str = AFTER) -> Document:
    config = load_config(path, {})
    with books(config, create=False) as store:
        return hedge_report(config, store, month, at(when))


def table(document: Document, name: str) -> Table:
    return next(one for one in document.tables() if one.id == name)


def cell(found: Table, row: str, column: str) -> Figure:
    place = [one.key for one in found.columns].index(column)
    its = next(one for one in found.rows if one.key == row).cells[place]
    assert isinstance(its, Figure)
    return its


def figures(document: Document) -> Iterator[tuple[str, Figure]]:
    for one in document.verdict.headlines:
        yield one.label, one.figure
    for found in document.tables():
        for row in found.rows:
            for column, its in zip(found.columns, row.cells, strict=True):
                if isinstance(its, Figure):
                    yield f"{found.id}.{column.key}.{row.key}", its


def check_sources(sql: Sql, document: Document) -> int:
    """Every source is there and every query runs; a figure that names a query is one of the
    numbers that it gives. How many were compared."""
    sources = {one.id: one for one in document.sources}
    given: dict[str, set[Decimal]] = {}
    for source in document.sources:
        assert all(of in sources for of in source.of)
        if source.sql is not None:
            rows = sql.execute(source.sql).fetchall()
            numbers = [one for row in rows for one in row if isinstance(one, int | Decimal)]
            given[source.id] = {abs(Decimal(one)) for one in numbers}
    compared = 0
    for name, figure in figures(document):
        assert figure.source in sources, name
        value = known(figure)
        if sources[figure.source].sql is not None and value is not None:
            scale = NANOS_PER_USD if figure.unit is Unit.USD else 1
            assert abs(Decimal(value) * scale) in given[figure.source], name
            compared += 1
    return compared


def check_sums(document: Document) -> int:
    """A total whose formula is the SUM of its column is that sum, to the last digit."""
    summed = 0
    for found in document.tables():
        for row in found.rows:
            for place, column in enumerate(found.columns):
                total = row.cells[place]
                if not isinstance(total, Figure) or known(total) is None:
                    continue
                if total.formula == f"SUM({{{found.id}.{column.key}}})":
                    parts = (one.cells[place] for one in found.rows if not one.is_total)
                    values = (known(one) for one in parts if isinstance(one, Figure))
                    assert sum(Decimal(one or 0) for one in values) == known(total), row.key
                    summed += 1
    return summed


def test_every_query_gives_its_figures_and_every_total_is_its_sum(config_path: Path) -> None:
    """Of a month with usage, draws, a future, a designation: each number that names a query is
    found in what it gives, on the books as they are."""
    document = made(config_path)
    with closing(SqliteFile.open(config_path.parent / "hedgerow.db")) as sql, sql.view():
        assert check_sources(sql, document) > 60
    assert check_sums(document) > 15


def test_the_queries_are_those_of_postgresql_too(
    config_path: Path, tmp_path: Path, sql: Sql
) -> None:
    """The same books in either database give the same report, and its queries run there."""
    config = load_config(months.configured(tmp_path), {})
    months.fill(sql)
    document = hedge_report(config, Store(sql), SEPTEMBER, at(AFTER))
    with sql.view():
        assert check_sources(sql, document) > 60
    written = list(figures(made(config_path)))
    assert [(name, one.value) for name, one in figures(document)] == [
        (name, one.value) for name, one in written
    ]


def test_what_no_query_has_a_row_of(tmp_path: Path) -> None:
    """A model that was asked in one of the months alone, and a commitment that nobody drew on, are
    zeros that no query gives: their source says so."""
    path = months.configured(tmp_path)
    with closing(SqliteFile.open(tmp_path / "hedgerow.db")) as sql:
        buy_flat(sql, "2026-09-05")
        charge(sql, Asked("2026-08-05T08:00", 5, "gone"), Asked("2026-09-05T08:00", 7, "new"))
    document = made(path)
    sources = {one.id: one for one in document.sources}
    for name, row, column in (
        ("models", "new", "cost_before"),
        ("models", "gone", "cost_now"),
        ("use", "fill:flat", "drawn"),
    ):
        found = cell(table(document, name), row, column)
        assert found.value == 0
        assert "without a row" in sources[found.source].says


def test_what_the_tests_speak_against_is_doubted_where_it_stands(config_path: Path) -> None:
    """The reserve and its entries under ASC 815 name the test that the hedge missed; those under
    IFRS 9, which draws no such line, do not."""
    tables = {one.id: one for one in made(config_path).tables()}
    for name in ("reserve", "journal_asc815"):
        assert any("fill:GPU1: highly effective" in one for one in tables[name].notes)
    assert tables["journal_ifrs9"].notes == ()


def test_the_first_page_says_how_the_month_went(config_path: Path) -> None:
    """In words and five numbers: cost, headroom, savings, the price of certainty, exceedances. Its
    cap held, and its derivative did not pass: the month as a whole is not in order."""
    verdict = made(config_path).verdict
    assert any("none passed every test" in one for one in verdict.sentences)
    assert (verdict.tone, verdict.headlines[1].tone) == (Tone.WARN, Tone.GOOD)
    assert verdict.sentences[0] == (
        "September 2026 cost $15,922.47 in all: $8,077.53 (33.7%) below its cap of $24,000.00."
    )
    assert len(verdict.headlines) == 5
    cost, headroom, saved, premium, above = (one.figure.value for one in verdict.headlines)
    assert cost is not None
    assert headroom == 24_000 - Decimal(cost)
    document = made(config_path)
    would = cell(table(document, "otherwise"), "first_offer", "would").value
    assert would is not None
    assert saved == Decimal(would) - Decimal(cost)
    assert premium == cell(table(document, "premium"), "total", "amount").value
    assert above == 0


def test_a_derivative_that_is_settled_is_not_said_to_lack_a_mark(config_path: Path) -> None:
    """Nothing of it is left to be valued, at no level; while it was open it had both."""
    settled, held = made(config_path), made(config_path, date(2026, 8, 1))
    mark = cell(table(settled, "positions"), "p0", "mark")
    assert mark.value is None
    assert "settled" in (mark.why_not or "")
    (row,) = (one for one in table(settled, "values").rows if not one.is_total)
    assert row.cells[4] is None
    (row,) = (one for one in table(held, "values").rows if not one.is_total)
    assert row.cells[4] == "1"


def test_moves_of_prices_say_over_how_many_fixings(config_path: Path) -> None:
    """One that took twenty is not told as one from a day to the next."""
    moves = table(made(config_path, date(2026, 8, 1)), "worst").rows
    held = {one.cells[1].value for one in moves if isinstance(one.cells[1], Figure)}
    assert held == {1, 20}
    assert "No derivative is open" in table(made(config_path), "worst").empty


def test_a_running_month_and_months_of_nothing_say_so(config_path: Path, tmp_path: Path) -> None:
    """A month that runs is to date; one that has not begun, one before the books and books without
    anything are reports, too, that say what to do."""
    running = made(config_path, when="2026-09-20T12:00")
    assert running.labels == (RUNNING, UNREAD)
    assert made(config_path).labels == (UNREAD,)
    assert running.verdict.sentences[0].startswith("So far September 2026 has cost $")
    assert "running" in running.subtitle
    ahead = made(config_path, month=date(2026, 12, 1))
    assert "has not begun" in ahead.verdict.sentences[0]
    before = made(config_path, month=date(2026, 3, 1))
    assert "no usage and no cost of 2026-03" in before.verdict.sentences[0]
    path = months.configured(tmp_path, budgets="")
    SqliteFile.open(tmp_path / "hedgerow.db").close()
    empty = made(path)
    assert empty.verdict.tone is Tone.NONE
    for document in (running, ahead, before, empty):
        assert html(document)
    for form in Format:
        assert rendered(empty, form)


def test_the_month_above_its_cap_is_bad(tmp_path: Path) -> None:
    """Said in words, by tone, and in the table of months."""
    path = months.hedged(tmp_path)
    (tmp_path / "policy.yaml").write_text(
        months.CAP.replace("24000", "100").join(("budgets:\n", ""))
    )
    document = made(path)
    assert document.verdict.tone is Tone.BAD
    assert "above its cap of $100.00" in document.verdict.sentences[0]
    assert cell(table(document, "exceedances"), "count", "value").value == 3


def test_what_is_compared_is_told(config_path: Path) -> None:
    """Beside the tests stands by what the item is priced, and which lots are the hedge."""
    (told,) = table(made(config_path), "tests").notes[1:]
    assert told.startswith("fill:GPU1: the purchases are priced by SD-H100, as the contract is")
    assert "The hedge: 10 lots of GPU1 2026-09 at 2.50 USD" in told


def test_a_budget_in_shadow_mode_is_no_cap(tmp_path: Path) -> None:
    """Months are held against the cap that is kept, as the dashboard does."""
    trial = "  - {name: trial, scope: {}, window: month, cap_usd: 100, mode: shadow}\n"
    config = load_config(months.configured(tmp_path, months.CAP + trial), {})
    assert lowest_cap(one.budget() for one in config.budgets) == 24_000 * NANOS_PER_USD


def test_json_has_every_figure_exactly(config_path: Path) -> None:
    """Numbers with all their digits, under the keys of their rows and columns."""
    document = made(config_path)
    told = json.loads(as_json(document), parse_float=Decimal)
    tables = {
        block["id"]: block
        for section in told["sections"]
        for block in section["blocks"]
        if block["kind"] == "table"
    }
    compared = 0
    for found in document.tables():
        rows = {row["key"]: row["cells"] for row in tables[found.id]["rows"]}
        for row in found.rows:
            for column, its in zip(found.columns, row.cells, strict=True):
                if isinstance(its, Figure):
                    number = rows[row.key][column.key]["value"]
                    value = known(its)
                    assert (number is None) == (value is None)
                    assert value is None or Decimal(exact(its)) == Decimal(number)
                    compared += 1
    assert compared > 500
    assert [one["id"] for one in told["sources"]] == [one.id for one in document.sources]
    assert told["reproduction"]["command"] == document.reproduction.command


@needs_libreoffice
@pytest.mark.filterwarnings("ignore:Unable to read chart")  # openpyxl, LibreOffice's own charts
def test_libreoffice_gives_every_number_of_the_report(config_path: Path, tmp_path: Path) -> None:
    """Sums, differences, ratios, slopes and R² of the workbook are live formulas: computed anew
    they are the printed numbers."""
    assert check_live(made(config_path), tmp_path) > 120


def test_the_same_books_and_moment_give_the_same_bytes(config_path: Path) -> None:
    """Made twice, from books that are opened twice."""
    one, other = made(config_path), made(config_path)
    assert one == other
    assert (html(one), as_json(one), workbook(one)) == (
        html(other),
        as_json(other),
        workbook(other),
    )


def test_what_is_written_later_changes_no_past_report(tmp_path: Path) -> None:
    """Usage of the months after leaves the report of a month that is over as it was, the heads of
    its inputs too."""
    path = months.hedged(tmp_path)
    before = as_json(made(path))
    with closing(SqliteFile.open(tmp_path / "hedgerow.db")) as sql:
        charge(sql, Asked("2026-10-20T10:00", 5_000_000_000, first_offer=1))
    assert as_json(made(path)) == before


def test_what_retention_has_deleted_is_said_to_be_unknown(tmp_path: Path) -> None:
    """The cost stands, by its sums; what only the rows knew is not known, with the reason, on the
    first page too, and every format says so."""
    path = months.hedged(tmp_path)
    whole = made(path)
    with closing(SqliteFile.open(tmp_path / "hedgerow.db")) as sql:
        retire(sql, Limits(entries_ns=at("2026-10-01")))
    left = made(path)
    assert left.reproduction.inputs == whole.reproduction.inputs
    premium = next(one for one in left.verdict.headlines if one.label == "Paid for certainty")
    assert premium.figure.value is None
    assert "Retention" in (premium.figure.why_not or "")
    total = cell(table(left, "cost"), "total", "amount").value
    assert total == cell(table(whole, "cost"), "total", "amount").value
    for form in Format:
        assert rendered(left, form)


def test_derivatives_of_every_kind_without_a_memo(tmp_path: Path, sql: Sql) -> None:
    """A future, a perpetual, a swap over three months and an event that nobody designated are
    shown by trade and month, as not designated, and still tested where they can be."""
    config = load_config(months.configured(tmp_path), {})
    months.fill(sql)
    bought = (
        ("GPU1", -4, "2.60", "2026-10-01"),
        ("H100-PERP", 3, "2.55", None),
        ("H100-SWAP", 2, "2.58", "2026-09-01"),
        ("H100-ABOVE-3", 5, "0.40", "2026-09-01"),
    )
    plan = approved(sql, "2026-08-04", {name: 90 for name, *_ in bought})
    for name, lots, price, month in bought:
        with sql.transaction():
            its = None if month is None else date.fromisoformat(month)
            fact = Fill(plan, name, lots, Decimal(price), at("2026-08-05"), its, over="a test")
            enter_fill(HedgeBook(sql, at("2026-08-05")), f"fill:{name}:2", fact, DESK)
    document = hedge_report(config, Store(sql), date(2026, 8, 1), at("2026-09-01"))
    rows = table(document, "positions").rows
    assert {row.cells[1] for row in rows} == {name for name, *_ in bought}
    assert len(rows) >= 5
    states = [row.cells[2] for row in table(document, "tests").rows]
    assert {"designated", "not designated"} <= set(states)
    with sql.view():
        assert check_sources(sql, document) > 60
    check_sums(document)
    assert html(document)
