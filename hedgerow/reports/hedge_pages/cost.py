"""What the month cost, all in, and what it would have cost otherwise."""

from __future__ import annotations

from hedge.effectiveness.economics import CostKind, CostLine, Economics, Otherwise
from hedge.effectiveness.query import Query
from hedge.effectiveness.report import EffectivenessReport
from hedgerow.charts import Chart, Mark, Series
from hedgerow.reports.cells import columns, count, dollars_of, part, sentence, text, usd
from hedgerow.reports.document import Row, Section, Table
from hedgerow.reports.sources import Sources

LINES = {
    CostKind.BILLED: "Usage, as providers bill it",
    CostKind.EXPENSE: "Commitments: fees of the days of the month",
    CostKind.EXPENSE_TO_BOOK: "Commitments: fees of days that are not booked yet",
    CostKind.RESALE: "Capacity sold on: its fee less what it brought",
    CostKind.REALISED: "Derivatives: realised result (a gain is below zero)",
    CostKind.UNREALISED: "Derivatives: change of what is open (a gain is below zero)",
    CostKind.FUNDING: "Perpetuals: funding (received is below zero)",
    CostKind.FEES: "Fees of trades and settlements",
    CostKind.ROLL_FEES: "Fees of rolls",
}
OTHERWISE = {
    Otherwise.FIRST_OFFER: "Nobody routes, nobody hedges: the first-listed offer of each model",
    Otherwise.LIST: "At the public prices of the offers that served",
    Otherwise.CHEAPEST: "Routed with hindsight: the cheapest eligible quote of each moment",
}
_MEASURED = (
    "Each row of the ledger was given its price at the first-listed offer, and at the cheapest"
    " quote, in the moment of its request: this is measured, not modelled."
)
_DELETED = "Retention has deleted the rows of this time, so that nobody can count them."


def of(sources: Sources, query: Query) -> str:
    return sources.sql(sentence(query.says), query.sql)


def line_source(sources: Sources, line: CostLine) -> str:
    if line.query is None:
        return sources.computed(sentence(line.says), command="hedgerow hedge book -c FILE --json")
    return of(sources, line.query)


def all_in_source(sources: Sources, economics: Economics) -> str:
    lines = (line_source(sources, one) for one in economics.lines)
    return sources.computed("The all-in cost: the sum of its lines.", *lines)


def cost_section(report: EffectivenessReport, sources: Sources) -> Section:
    economics = report.economics
    return Section(
        "cost",
        "What the month cost",
        (
            text(
                "In the cost is what was paid, or fell due, to anybody outside: usage, the fees of"
                " commitments by the days of the month, derivatives, and fees of trades. Not in it"
                " are margin deposits, which come back, fees of days still to come, and what teams"
                " were charged: that is the other side, further below.",
                *map(sentence, report.notes),
            ),
            _lines(economics, sources),
            _by_day_chart(report),
            _otherwise(economics, sources),
            _teams(economics, sources),
            _activity(economics, sources),
            _by_day(report, sources),
        ),
    )


def _lines(economics: Economics, sources: Sources) -> Table:
    rows = [
        Row(
            one.kind.value,
            (LINES[one.kind], usd(one.amount, line_source(sources, one)), sentence(one.says)),
        )
        for one in economics.lines
    ]
    all_in = usd(economics.all_in, all_in_source(sources, economics), "SUM({cost.amount})")
    rows.append(Row("total", ("All in", all_in, ""), is_total=True))
    return Table(
        "cost",
        "All-in cost of the month",
        columns(line="Line", amount="USD", says="What it is"),
        tuple(rows),
        empty="The month has no cost.",
    )


def _otherwise(economics: Economics, sources: Sources) -> Table:
    all_in = all_in_source(sources, economics)
    rows = []
    for what, title in OTHERWISE.items():
        one = economics.otherwise(what)
        source = of(sources, one.query)
        saved = sources.computed("What it would have cost less the all-in cost.", source, all_in)
        unmeasured = of(sources, one.unmeasured_query)
        measured = sources.computed(
            "The part of it that is measured: a row whose price otherwise is unknown counts at its"
            " own cost, and is not.",
            source,
            unmeasured,
        )
        why = None if one.unmeasured is not None else _DELETED
        of_cost = float(one.saved / one.cost) if one.cost else None
        rows.append(
            Row(
                what.value,
                (
                    title,
                    usd(one.cost, source),
                    usd(one.saved, saved, "{would}-{cost.amount.total}"),
                    part(of_cost, saved, "{saved}/{would}", "It would have cost nothing."),
                    usd(one.unmeasured, unmeasured, why_not=why),
                    count(one.unmeasured_requests, unmeasured, why_not=why),
                    part(
                        one.measured_share,
                        measured,
                        "1-{unmeasured}/{would}",
                        why or "It would have cost nothing.",
                    ),
                ),
            )
        )
    return Table(
        "otherwise",
        "What the same usage would have cost, all at pay-as-you-go",
        columns(
            what="If",
            would="Would have cost, USD",
            saved="Saved, USD",
            share="Saved",
            unmeasured="Not measured, USD",
            unmeasured_requests="Requests not measured",
            measured="Measured",
        ),
        tuple(rows),
        empty="Nothing was asked of any model.",
        notes=(_MEASURED,),
    )


def _teams(economics: Economics, sources: Sources) -> Table:
    teams = economics.teams
    charged, fixed = of(sources, teams.query), of(sources, teams.fixed_fees_query)
    all_in = all_in_source(sources, economics)
    variance = sources.computed(
        "What teams bear less the all-in cost: it is the platform's own.", charged, fixed, all_in
    )
    return Table(
        "teams",
        "The other side: what teams bear",
        columns(line="Line", amount="USD"),
        (
            Row("charged", ("Charged to teams, as budgets count it", usd(teams.charged, charged))),
            Row(
                "fixed_fees",
                ("Fixed fees above what is metered of them", usd(teams.fixed_fees, fixed)),
            ),
            Row(
                "variance",
                (
                    "Above the all-in cost (below zero: less than it), the platform's",
                    usd(
                        teams.variance,
                        variance,
                        "{teams.amount.charged}+{teams.amount.fixed_fees}-{cost.amount.total}",
                    ),
                ),
                is_total=True,
            ),
        ),
        empty="Nobody was charged.",
    )


def _activity(economics: Economics, sources: Sources) -> Table:
    usage = of(sources, economics.usage.query)
    counted = sources.computed("The sum of all models.", usage)
    of_draws = sources.computed(
        "What teams were charged less what providers billed.",
        of(sources, economics.teams.query),
        line_source(sources, economics.lines[0]),
    )
    overage = of(sources, economics.overage_query)
    rolls = sources.computed(
        "What the opened months cost above what the closed ones brought, fees left out.",
        of(sources, economics.roll_query),
    )
    total = economics.usage.total
    return Table(
        "activity",
        "Beside the cost",
        columns(what="What", number="Number"),
        (
            Row("requests", ("Charged requests", count(total.requests, counted))),
            Row("tokens", ("Tokens in and out", count(total.tokens, counted))),
            Row(
                "of_draws",
                (
                    "Charged to teams for draws on commitments, USD",
                    usd(economics.teams.of_draws, of_draws),
                ),
            ),
            Row(
                "overage",
                (
                    "Of what was billed: overage of commitments, USD",
                    usd(economics.overage, overage, why_not=_DELETED),
                ),
            ),
            Row(
                "roll_spread",
                ("Spread of rolls, in no line of the cost, USD", usd(economics.roll_spread, rolls)),
            ),
        ),
        empty="Nothing was asked of any model.",
    )


def by_day_source(report: EffectivenessReport, sources: Sources) -> str:
    return sources.computed(
        "The all-in cost by day, out of what was billed and booked.",
        of(sources, report.history.billed_query),
        of(sources, report.history.records_query),
    )


def _by_day(report: EffectivenessReport, sources: Sources) -> Table:
    source = by_day_source(report, sources)
    rows = []
    before: str | None = None
    for one in report.history.days:
        key = one.day.isoformat()
        so_far = "{cost}" if before is None else f"{{days.so_far.{before}}}+{{cost}}"
        rows.append(Row(key, (one.day, usd(one.cost, source), usd(one.sum, source, so_far))))
        before = key
    return Table(
        "days",
        "All-in cost by day",
        columns(day="Day (UTC)", cost="USD", so_far="So far, USD"),
        tuple(rows),
        empty="No day of this month has begun.",
    )


def _by_day_chart(report: EffectivenessReport) -> Chart:
    days = report.history.days
    places = tuple(one.day.isoformat() for one in days)
    lines = [Series("all in", Mark.LINE, places, tuple(dollars_of(one.sum) for one in days))]
    says = "The all-in cost added up day by day."
    if report.cap is not None:
        lines.append(Series("cap", Mark.LIMIT, (), (dollars_of(report.cap),)))
        says = "The all-in cost added up day by day, against the cap of the month."
    return Chart("days_chart", "Cost over the month", says, "day (UTC)", "USD", tuple(lines))
