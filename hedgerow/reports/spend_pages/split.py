"""What requests cost by model, provider, project and day, and what they would have cost."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate

from hedgerow.charts import Chart, Mark, Series
from hedgerow.reports.cells import columns, count, dollars_of, part, usd
from hedgerow.reports.document import Row, Table
from hedgerow.reports.spend import Asked, Sums
from hedgerow.reports.spend_pages.sources import SpendSources
from ledger.money import Money

MOST_ROWS = 100
"""Of one dimension: what is less is one row."""
NO_NAME = "(none)"


def split_table(table_id: str, title: str, asked: Asked, sources: SpendSources) -> Table:
    source = sources.of(asked)
    shown, others = asked.rows[:MOST_ROWS], asked.rows[MOST_ROWS:]
    rows = [_sums_row(f"row{at}", one, source) for at, one in enumerate(shown, start=1)]
    if others:
        rows.append(_sums_row("others", _added(others), sources.others(asked)))
    names = ("requests", "prompt", "completion", "cost", "billed")
    sums = {name: f"SUM({{{table_id}.{name}}})" for name in names}
    total, source = sources.report.sums, sources.total()
    rows.append(
        Row(
            "total",
            (
                "All",
                count(total.requests, source, sums["requests"]),
                count(total.prompt_tokens, source, sums["prompt"]),
                count(total.completion_tokens, source, sums["completion"]),
                usd(total.effective, source, sums["cost"]),
                usd(total.billed, source, sums["billed"]),
            ),
            is_total=True,
        )
    )
    return Table(
        table_id,
        title,
        columns(
            name="Name",
            requests="Requests",
            prompt="Tokens in",
            completion="Tokens out",
            cost="Cost, USD",
            billed="Billed as usage, USD",
        ),
        tuple(rows) if asked.rows else (),
        empty="No request was charged in the month.",
    )


def _sums_row(key: str, one: Sums, source: str) -> Row:
    return Row(
        key,
        (
            one.name or NO_NAME,
            count(one.requests, source),
            count(one.prompt_tokens, source),
            count(one.completion_tokens, source),
            usd(one.effective, source),
            usd(one.billed, source),
        ),
    )


def _added(rows: Sequence[Sums]) -> Sums:
    return Sums(
        name=f"{len(rows):,} others",
        requests=sum(one.requests for one in rows),
        prompt_tokens=sum(one.prompt_tokens for one in rows),
        completion_tokens=sum(one.completion_tokens for one in rows),
        effective=Money(sum(one.effective for one in rows)),
        billed=Money(sum(one.billed for one in rows)),
        list=Money(sum(one.list for one in rows)),
        first_offer=Money(sum(one.first_offer for one in rows)),
        cheapest=Money(sum(one.cheapest for one in rows)),
        estimated=sum(one.estimated for one in rows),
        overrun=Money(sum(one.overrun for one in rows)),
    )


def days_chart(sources: SpendSources) -> Chart:
    report = sources.report
    days = tuple(one.name or "" for one in report.by_day.rows)
    so_far = tuple(accumulate(dollars_of(one.effective) for one in report.by_day.rows))
    series = [Series("spent so far", Mark.STEP, days, so_far)]
    says = f"The cost of requests rises to ${so_far[-1]:,.2f}." if so_far else "No request."
    if report.cap is not None:
        cap = dollars_of(report.cap)
        series.append(Series("cap", Mark.LIMIT, (), (cap,)))
        says += f" The cap is ${cap:,.2f}."
    return Chart(
        "by_day",
        "Spent, day by day",
        says,
        "day (UTC)",
        "USD",
        tuple(series),
        notes=("What requests were charged: what budgets count.",),
    )


def otherwise_table(sources: SpendSources) -> Table:
    sums, source, saved = sources.report.sums, sources.total(), sources.saved()
    cost = sums.effective
    would = {
        "first": ("The first-listed offer of each model", sums.first_offer),
        "list": ("List prices of the offers that served", sums.list),
        "cheapest": ("The cheapest eligible quote of each moment", sums.cheapest),
    }
    rows = [
        Row(
            key,
            (
                title,
                usd(amount, source),
                usd(cost, source),
                usd(Money(amount - cost), saved, "{would}-{cost}"),
                part(
                    None if not amount else 1 - Decimal(cost) / amount,
                    saved,
                    None if not amount else "1-{cost}/{would}",
                    "It would have cost nothing.",
                ),
            ),
        )
        for key, (title, amount) in would.items()
    ]
    return Table(
        "otherwise",
        "What the same requests would have cost",
        columns(
            what="At",
            would="Would have cost, USD",
            cost="Cost, USD",
            saved="Saved, USD",
            share="Saved",
        ),
        tuple(rows) if sums.requests else (),
        empty="No request was charged in the month.",
        notes=(
            (
                "Measured when each request was charged. Where that was not known, it counts at its"
                " own cost. What drew on commitments is counted at the rate that teams are charged."
            ),
        ),
    )
