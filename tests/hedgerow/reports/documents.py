"""Documents to render: all blocks, and what is hard to fit on a page."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hedgerow.charts import Band, Chart, Mark, Series
from hedgerow.reports.document import (
    Block,
    Cell,
    Column,
    Document,
    Figure,
    Headline,
    Reproduction,
    Row,
    Section,
    SignOff,
    Source,
    Table,
    Text,
    Tone,
    Unit,
    Verdict,
)

LONGEST_WORD = "meta-llama/Llama-3.3-70B-Instruct-Turbo-" + "extraordinarily" * 8
NAMES = (
    "research",
    "=HYPERLINK(1)",
    "+ops",
    "-legal",
    "@support",
    "Отдел продаж",
    "Ελληνική ομάδα",
    "研究開発チーム",
    "연구팀",
    "Ünïcödé & <b>bold</b>",
    "अनुसंधान",
    "ops 🚀",
    LONGEST_WORD,
)
DAYS = tuple(f"2027-01-{day:02d}" for day in range(1, 32))


def usd(amount: str, formula: str | None = None, source: str = "S1") -> Figure:
    return Figure(Decimal(amount), Unit.USD, source, formula)


def unknown(why: str, unit: Unit = Unit.USD) -> Figure:
    return Figure(None, unit, "S2", why_not=why)


def spend_table() -> Table:
    """Names that are hard to write, sums as formulas, and one that is not known."""
    rows: list[Row] = []
    total, requests = Decimal(0), 0
    for number, name in enumerate(NAMES):
        spent = Decimal(number * 123_456_789_012) / Decimal(10**9) - 200
        cap = Decimal(1_000 + number)
        total, requests = total + spent, requests + number * 7
        cells: tuple[Cell, ...] = (
            name,
            Figure(number * 7, Unit.COUNT, "S1"),
            usd(str(spent)),
            usd(str(cap)),
            Figure(float(spent / cap), Unit.PART, "S3", "{spent}/{cap}"),
        )
        rows.append(Row(f"team.{number}", cells))
    rows.append(
        Row(
            "nobody",
            ("no team", Figure(0, Unit.COUNT, "S1"), usd("0"), unknown("It has no budget."), None),
        )
    )
    sums: tuple[Cell, ...] = (
        "Total",
        Figure(requests, Unit.COUNT, "S1", "SUM({spend.requests})"),
        usd(str(total), "SUM({spend.spent})"),
        None,
        None,
    )
    rows.append(Row("total", sums, is_total=True))
    return Table(
        "spend",
        "Spend by team",
        (
            Column("team", "Team"),
            Column("requests", "Requests"),
            Column("spent", "Spent (USD)"),
            Column("cap", "Cap (USD)"),
            Column("part", "Part of the cap"),
        ),
        tuple(rows),
        "Nothing was spent.",
        ("Teams in the order in which they were made.",),
    )


def statistics_table() -> Table:
    """Over the rows of another table, on another sheet; sources that differ in a row."""
    xs, ys = series()
    n = len(xs)
    mean_x, mean_y = sum(xs) / n, sum(ys) / n
    sxx = sum((x - mean_x) ** 2 for x in xs)
    sxy = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    syy = sum((y - mean_y) ** 2 for y in ys)
    slope, r2 = sxy / sxx, sxy * sxy / sxx / syy
    return Table(
        "tests",
        "Tests of the relation",
        (Column("test", "Test"), Column("value", "Value"), Column("limit", "Limit")),
        (
            Row(
                "slope",
                (
                    "Slope",
                    Figure(slope, Unit.NUMBER, "S3", "SLOPE({changes.item},{changes.hedge})"),
                    Figure(Decimal("0.8"), Unit.NUMBER, "S2"),
                ),
            ),
            Row(
                "r2",
                (
                    "R²",
                    Figure(r2, Unit.NUMBER, "S3", "RSQ({changes.item},{changes.hedge})"),
                    Figure(Decimal("0.8"), Unit.NUMBER, "S2"),
                ),
            ),
            Row(
                "p", ("p", Figure(5.97e-7, Unit.NUMBER, "S3"), unknown("None is set.", Unit.NUMBER))
            ),
        ),
        "No pairs of changes.",
    )


def series() -> tuple[list[float], list[float]]:
    xs = [((7 * i) % 31 - 15) / 100 for i in range(36)]
    return xs, [0.91 * x + ((11 * i) % 13 - 6) / 700 for i, x in enumerate(xs)]


def changes_table() -> Table:
    xs, ys = series()
    return Table(
        "changes",
        "Changes of the pair",
        (Column("day", "Day"), Column("hedge", "Hedge"), Column("item", "Item")),
        tuple(
            Row(
                f"c{i}",
                (
                    date(2024 + i // 12, 1 + i % 12, 1),
                    Figure(x, Unit.NUMBER, "S1"),
                    Figure(y, Unit.NUMBER, "S1"),
                ),
            )
            for i, (x, y) in enumerate(zip(xs, ys, strict=True))
        ),
        "No changes.",
    )


def amounts_table() -> Table:
    """Amounts that a spreadsheet's numbers cannot hold, and others at the edge of what is shown."""
    amounts = (
        "9223372036.854775807",
        "-9223372036.854775807",
        "1234567.123456789",
        "0.000000001",
        "-0.004",
        "0",
        "999999.999999999",
    )
    return Table(
        "amounts",
        "Amounts",
        (Column("what", "What"), Column("amount", "Amount (USD)"), Column("price", "Price")),
        tuple(
            Row(
                f"a{i}",
                (f"Amount {i}", usd(one), Figure(Decimal("0.0753"), Unit.USD_PER_MTOK, "S1")),
            )
            for i, one in enumerate(amounts)
        ),
        "No amounts.",
    )


def empty_table() -> Table:
    return Table(
        "reservations",
        "Reservations",
        (Column("name", "Name"), Column("fee", "Fee (USD)")),
        (),
        "There was no reservation in this month: record one with `hedgerow hedge book`.",
        ("Reservations are contracts of capacity.",),
    )


def wide_table(columns: int = 30, rows: int = 8) -> Table:
    return Table(
        "wide",
        "By hour and provider",
        (
            Column("name", "Name"),
            *(Column(f"c{i}", f"Provider {i} (USD)") for i in range(1, columns)),
        ),
        tuple(
            Row(
                f"r{row}",
                (f"Hour {row}", *(usd(f"{row * 1000 + i}.25") for i in range(1, columns))),
            )
            for row in range(rows)
        ),
        "No hours.",
    )


def long_table(rows: int = 2_000, name: str = "requests") -> Table:
    made = [
        Row(
            f"r{i}",
            (
                date(2027, 1, 1 + i % 31),
                f"req_{i:08d}",
                f"team-{i % 17}",
                Figure(1_000 + i, Unit.COUNT, "S1"),
                usd(f"{i}.{i % 1000:03d}"),
                Figure(Decimal(i) / Decimal(max(1, rows)), Unit.PART, "S1"),
            ),
        )
        for i in range(rows)
    ]
    total = sum((Decimal(f"{i}.{i % 1000:03d}") for i in range(rows)), Decimal(0))
    made.append(
        Row(
            "total",
            ("", "Total", None, None, usd(str(total), f"SUM({{{name}.cost}})"), None),
            is_total=True,
        )
    )
    return Table(
        name,
        "Requests",
        (
            Column("day", "Day"),
            Column("id", "Request"),
            Column("team", "Team"),
            Column("tokens", "Tokens"),
            Column("cost", "Cost (USD)"),
            Column("part", "Part"),
        ),
        tuple(made),
        "No requests.",
    )


def line_chart() -> Chart:
    spent = tuple(37.5 * i + (i * i % 7) * 11 for i in range(20))
    fan = DAYS[19:]
    return Chart(
        "spend_by_day",
        "Spend so far against the cap",
        "Spend stays below the cap of $1,000 and is forecast to reach $940 at the end.",
        "day (UTC)",
        "USD",
        (
            Series("spent", Mark.LINE, DAYS[:20], spent),
            Series("month before", Mark.LINE, DAYS, tuple(30.0 * i for i in range(31))),
            Series("cap", Mark.LIMIT, (), (1000.0,)),
        ),
        (
            Band(
                "forecast 5%–95%",
                fan,
                tuple(700 + 12.0 * i for i in range(12)),
                tuple(740 + 30.0 * i for i in range(12)),
            ),
        ),
        notes=("Forecast of 2027-01-20 12:00 UTC.",),
    )


def bar_chart() -> Chart:
    months = tuple(f"2027-{month:02d}" for month in range(1, 7))
    return Chart(
        "cost_by_month",
        "Cost by month",
        "Each month cost less than its cap.",
        "month",
        "USD",
        (
            Series("pay as you go", Mark.BAR, months, (10.0, 20.0, 15.0, None, 12.0, 9.0)),
            Series("reserved", Mark.BAR, months, (30.0, 30.0, 30.0, 30.0, 30.0, 30.0)),
            Series("cap", Mark.LIMIT, (), (60.0,)),
        ),
        stacked=True,
    )


def lying_chart() -> Chart:
    return Chart(
        "by_team",
        "Spend by team",
        "Most is spent by the team with the longest name.",
        "team",
        "USD",
        (Series("spend", Mark.BAR, NAMES, tuple(100.0 + 37 * i for i in range(len(NAMES)))),),
    )


def scatter_chart() -> Chart:
    xs, ys = series()
    return Chart(
        "scatter",
        "Changes of item and hedge",
        "The points lie along a line of slope 0.91.",
        "change of the hedge (USD/GPU-h)",
        "change of the item (USD/GPU-h)",
        (
            Series("months", Mark.POINTS, tuple(xs), tuple(ys)),
            Series("fit", Mark.LINE, (-0.15, 0.15), (-0.1365, 0.1365)),
        ),
        (Band("95%", (-0.15, 0.15), (-0.16, 0.11), (-0.11, 0.16)),),
    )


def step_chart() -> Chart:
    return Chart(
        "price",
        "Price of the model",
        "The price was raised once.",
        "day (UTC)",
        "USD per Mtok",
        (Series("list", Mark.STEP, DAYS, tuple(0.88 if i < 15 else 1.1 for i in range(31))),),
    )


def no_chart() -> Chart:
    return Chart(
        "nothing",
        "Utilisation",
        "There is nothing to show.",
        "day (UTC)",
        "part",
        (Series("utilisation", Mark.LINE, (), ()),),
    )


def document(*sections: Section, labels: tuple[str, ...] = ("Prices are simulated",)) -> Document:
    return Document(
        "Hedge effectiveness",
        "2027-01, to 2027-01-20 12:00 UTC",
        labels,
        Verdict(
            (
                "The month cost $812.35 against a cap of $1,000.00.",
                "One reservation was used for less than half: it is worth a look before it renews.",
            ),
            (
                Headline("Cost of the month", usd("812.345678901"), "cap $1,000.00", Tone.GOOD),
                Headline(
                    "Variance taken off",
                    Figure(Decimal("0.834"), Unit.PART, "S3"),
                    "at least 80%",
                    Tone.GOOD,
                ),
                Headline("Months above the cap", Figure(2, Unit.COUNT, "S2"), "of 36", Tone.WARN),
                Headline("Premium for certainty", usd("-12.5"), "of the fee of $400", Tone.BAD),
                Headline("Regret", unknown("The month is not over."), "against hindsight"),
            ),
            Tone.GOOD,
        ),
        sections,
        (
            Source(
                "S1",
                "Charges of the month",
                "SELECT team, count(*), sum(effective_nanos)\nFROM usage\nWHERE at_ns >= 0"
                "\n  AND at_ns < 1801440000000000000\nGROUP BY team",
                "hedgerow spend --by team --from 2027-01 --to 2027-02",
            ),
            Source("S2", "Budgets and their caps", "SELECT name, cap_nanos FROM budgets"),
            Source("S3", "Least squares of the changes", of=("S1", "S2")),
        ),
        Reproduction(
            "hedgerow report hedge --month 2027-01 --at 2027-01-20T12:00:00Z -c hedgerow.yaml",
            (("ledger", "9f" * 32), ("hedge book", "3c" * 32)),
            (("hedgerow", "0.1.0"), ("numpy", "2.4.0")),
            (("bootstrap", 7),),
        ),
    )


def full() -> Document:
    blocks: tuple[tuple[str, str, tuple[Block, ...]], ...] = (
        (
            "spend",
            "Spend",
            (Text(("Where the money went.", "No more than that. " * 30)), spend_table()),
        ),
        ("tests", "Tests", (statistics_table(), scatter_chart(), changes_table())),
        ("amounts", "Amounts", (amounts_table(), empty_table())),
        ("charts", "Charts", (line_chart(), bar_chart(), lying_chart(), step_chart(), no_chart())),
        ("wide", "Hours and providers", (wide_table(),)),
        (
            "sign-off",
            "Sign-offs",
            (SignOff(("Preparer", "Treasury", "Controller"), "I have read this report."),),
        ),
    )
    return document(*(Section(*one) for one in blocks))


def empty() -> Document:
    return document(labels=())


def long(rows: int = 2_000) -> Document:
    return document(Section("requests", "Requests", (long_table(rows),)))
