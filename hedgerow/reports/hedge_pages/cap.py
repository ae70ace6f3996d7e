"""The cap: what was promised, how often it held, and what a tighter one would have cost."""

from __future__ import annotations

from hedge.effectiveness.report import EffectivenessReport, PlannedMonth
from hedgerow.charts import Chart, Mark, Series
from hedgerow.reports.cells import (
    columns,
    count,
    dollars_of,
    estimate,
    moment_text,
    part,
    sentence,
    text,
    usd,
)
from hedgerow.reports.document import Block, Row, Section, Table
from hedgerow.reports.hedge_pages.approved import ApprovedPlan
from hedgerow.reports.hedge_pages.cost import all_in_source, by_day_source
from hedgerow.reports.sources import Sources
from ledger.money import Money

NO_CAP = (
    "No budget in USD stands over everything of a month, so there is no cap: add one to a policy"
    " file, with scope {} and window month."
)
_NO_PLAN = (
    "No plan was approved by the end of this month: `hedgerow hedge plan --save` keeps one, and a"
    " second person approves it with `hedgerow hedge approve`."
)


_NOT_SAID = "The plan does not say."


def cap_source(sources: Sources) -> str:
    return sources.computed(
        "The lowest USD budget of a month on everything, as it stands now: of policy files and of"
        " budgets in the books.",
        command="hedgerow budget status -c FILE",
    )


def plan_source(sources: Sources) -> str:
    return sources.computed(
        "The last plan that was approved by the end of the month, as it is kept in the hedge book;"
        " estimates from its scenarios.",
        command="hedgerow hedge book -c FILE --json",
    )


def cap_section(
    report: EffectivenessReport,
    plan: ApprovedPlan | None,
    sources: Sources,
) -> Section:
    charts: tuple[Block, ...] = ()
    if report.history.months:
        charts = (_months_chart(report),)
    if plan is not None:
        charts = (*charts, *_plan_charts(report, plan))
    return Section(
        "cap",
        "The cap, and how often it held",
        (
            text(NO_CAP if report.exceedances is None else report.exceedances.sentence()),
            _standing(report, sources),
            _months(report, sources),
            _chances(report, sources),
            _planned(report.plan, sources),
            _against(report, sources),
            *charts,
            _frontier(plan, sources),
        ),
    )


def _standing(report: EffectivenessReport, sources: Sources) -> Table:
    cap, all_in = cap_source(sources), all_in_source(sources, report.economics)
    left = sources.computed("The cap less the all-in cost.", cap, all_in)
    share = None
    if report.cap:
        share = float(report.realised / report.cap)
    return Table(
        "cap",
        "This month",
        columns(what="What", amount="USD", share="Of the cap"),
        (
            Row("cap", ("Cap of the month", usd(report.cap, cap, why_not=NO_CAP), None)),
            Row(
                "realised",
                (
                    "All-in cost",
                    usd(report.realised, all_in, "{cost.amount.total}"),
                    part(share, left, "{cap.amount.realised}/{cap.amount.cap}", NO_CAP),
                ),
            ),
            Row(
                "headroom",
                (
                    "Headroom (below zero: above the cap)",
                    usd(
                        report.headroom,
                        left,
                        "{cap.amount.cap}-{cap.amount.realised}",
                        why_not=NO_CAP,
                    ),
                    None,
                ),
                is_total=True,
            ),
        ),
        empty=NO_CAP,
    )


def _months(report: EffectivenessReport, sources: Sources) -> Table:
    source, cap = by_day_source(report, sources), cap_source(sources)
    by_month = sources.computed("The all-in cost of each month that the books have.", source)
    rows = []
    for one in report.history.months:
        over = report.cap is not None and one.cost > report.cap
        held = "above" if over else "kept"
        if report.cap is None:
            held = "no cap"
        elif not one.is_over:
            held = f"{held}, so far"
        rows.append(
            Row(
                f"{one.month:%Y-%m}",
                (
                    f"{one.month:%Y-%m}",
                    usd(one.cost, by_month),
                    usd(report.cap, cap, why_not=NO_CAP),
                    held,
                ),
            )
        )
    return Table(
        "months",
        "Months by their all-in cost",
        columns(month="Month", cost="USD", cap="Cap, USD", held="The cap"),
        tuple(rows),
        empty="No month has had any cost yet.",
        notes=("Every month is held against the cap as it stands now.",),
    )


def _chances(report: EffectivenessReport, sources: Sources) -> Table:
    found = report.exceedances
    if found is None:
        return Table("exceedances", "Months above the cap", columns(what="What"), (), empty=NO_CAP)
    source = sources.computed(
        "Months that are over, and how many of them cost more than the cap; exact binomial.",
        by_day_source(report, sources),
        cap_source(sources),
    )
    low, high = found.interval or (None, None)
    none_over = "No month with a cap is over yet."
    no_promise = "No approved plan promised a confidence."
    seen, of_all = "{exceedances.value.count}", "{exceedances.value.periods}"
    return Table(
        "exceedances",
        "Months above the cap",
        columns(what="What", value="Value"),
        (
            Row("count", ("Months above the cap", count(found.count, source))),
            Row("periods", ("Months that are over", count(found.periods, source))),
            Row(
                "low",
                (
                    "Chance of a month above it: low end of the 95% interval",
                    part(
                        low,
                        source,
                        f"IF({seen}=0,0,BETAINV(0.025,{seen},{of_all}-{seen}+1))",
                        none_over,
                    ),
                ),
            ),
            Row(
                "high",
                (
                    "Chance of a month above it: high end",
                    part(
                        high,
                        source,
                        f"IF({seen}={of_all},1,BETAINV(0.975,{seen}+1,{of_all}-{seen}))",
                        none_over,
                    ),
                ),
            ),
            Row(
                "promised",
                (
                    "Chance that the plan allowed for",
                    part(found.promised, plan_source(sources), why_not=no_promise),
                ),
            ),
            Row(
                "p",
                (
                    "Chance of so many or more, if that is true",
                    part(
                        found.p,
                        source,
                        why_not=none_over if found.promised is not None else no_promise,
                    ),
                ),
            ),
            Row(
                "power",
                (
                    "Chance that so many months would show one twice as high",
                    part(
                        found.power,
                        source,
                        why_not=none_over if found.promised is not None else no_promise,
                    ),
                ),
            ),
        ),
        empty=none_over,
    )


def _planned(plan: PlannedMonth | None, sources: Sources) -> Table:
    rows: tuple[Row, ...] = ()
    if plan is not None:
        source = plan_source(sources)
        outside = "The plan does not reach as far as this month."
        when = "before" if plan.is_ahead else "after"
        rows = (
            Row("plan", ("Plan", plan.plan)),
            Row("approved_by", ("Approved by", plan.approved_by)),
            Row(
                "approved_at",
                ("Approved at", f"{moment_text(plan.approved_at_ns)}, {when} the month began"),
            ),
            Row("confidence", ("Confidence", part(plan.confidence, source, why_not=_NOT_SAID))),
            Row("cap", ("Its cap of a month, USD", estimate(plan.cap_usd, source, _NOT_SAID))),
            Row(
                "expected",
                ("Expected cost of this month, USD", estimate(plan.expected_usd, source, outside)),
            ),
            Row(
                "fees",
                ("Of that, fees of commitments, USD", estimate(plan.fees_usd, source, outside)),
            ),
            Row(
                "p_within",
                (
                    "Chance to stay within the cap, on fresh scenarios",
                    part(plan.p_within_cap, source, why_not=outside),
                ),
            ),
        )
    return Table(
        "plan",
        "The approved plan",
        columns(what="What", value="Value"),
        rows,
        empty=_NO_PLAN,
    )


def _against(report: EffectivenessReport, sources: Sources) -> Table:
    found = report.against_plan
    rows: tuple[Row, ...] = ()
    if found is not None:
        source = sources.computed(
            "The all-in cost and the fees of commitments, less what the plan expected.",
            all_in_source(sources, report.economics),
            plan_source(sources),
        )
        so = "{against_plan.amount.expected}+{against_plan.amount.fees}+{against_plan.amount.rest}"
        rows = (
            Row("expected", ("Expected by the plan", usd(found.expected, plan_source(sources)))),
            Row("fees", ("Fees of commitments above the planned ones", usd(found.fees, source))),
            Row("rest", ("All else: usage and derivatives", usd(found.rest, source))),
            Row("now", ("All-in cost", usd(report.realised, source, so)), is_total=True),
        )
    return Table(
        "against_plan",
        "The month against its plan",
        columns(what="What", amount="USD"),
        rows,
        empty=sentence(report.against_plan_why_not or "there is no plan to hold it against"),
    )


def _months_chart(report: EffectivenessReport) -> Chart:
    """The exceedance strip: what lies above the cap is hatched."""
    months = tuple(f"{one.month:%Y-%m}" for one in report.history.months)
    costs = [one.cost for one in report.history.months]
    cap = report.cap
    if cap is None:
        bars = [Series("all in", Mark.BAR, months, tuple(map(dollars_of, costs)))]
    else:
        within = tuple(dollars_of(min(one, cap)) for one in costs)
        above = tuple(dollars_of(Money(max(0, one - cap))) for one in costs)
        bars = [
            Series("all in", Mark.BAR, months, within),
            Series("above the cap", Mark.BAR, months, above),
            Series("cap", Mark.LIMIT, (), (dollars_of(cap),)),
        ]
    return Chart(
        "months_chart",
        "Cost by month against the cap",
        "A bar for each month's all-in cost; what lies above the cap is hatched.",
        "month",
        "USD",
        tuple(bars),
        stacked=True,
    )


def _plan_charts(report: EffectivenessReport, plan: ApprovedPlan) -> tuple[Chart, ...]:
    charts = []
    if plan.months:
        months = tuple(f"{one.month:%Y-%m}" for one in plan.months)
        real = {f"{one.month:%Y-%m}": dollars_of(one.cost) for one in report.history.months}
        expected = tuple(float(one.expected_usd) for one in plan.months)
        bad = tuple(None if one.cvar_usd is None else float(one.cvar_usd) for one in plan.months)
        series = [
            Series("expected", Mark.LINE, months, expected),
            Series("bad months", Mark.LINE, months, bad),
            Series("all-in cost", Mark.POINTS, months, tuple(real.get(one) for one in months)),
        ]
        if report.cap is not None:
            series.append(Series("cap", Mark.LIMIT, (), (dollars_of(report.cap),)))
        charts.append(
            Chart(
                "ahead_chart",
                "What the plan expected, and what came",
                "The plan's expected cost of each month, and the mean of its worst months (CVaR);"
                " points are what months did cost.",
                "month",
                "USD",
                tuple(series),
            )
        )
    if plan.frontier:
        charts.append(
            Chart(
                "frontier_chart",
                "What a tighter cap would cost",
                "The least expected cost of a month under each cap, by the approved plan: the line"
                " rises to the left, where the cap is tighter.",
                "cap of a month, USD",
                "expected cost of a month, USD",
                (
                    Series(
                        "least expected cost",
                        Mark.LINE,
                        tuple(float(one.cap_usd) for one in plan.frontier),
                        tuple(float(one.expected_usd) for one in plan.frontier),
                    ),
                ),
            )
        )
    return tuple(charts)


def _frontier(plan: ApprovedPlan | None, sources: Sources) -> Table:
    source = plan_source(sources)
    found = () if plan is None else plan.frontier
    return Table(
        "frontier",
        "The efficient frontier of the approved plan",
        columns(
            point="Point",
            cap="Cap of a month, USD",
            expected="Expected cost of a month, USD",
            cvar="CVaR of the worst month, USD",
            end_value="Of the cost, what lasts beyond, USD",
        ),
        tuple(
            Row(
                f"p{place}",
                (
                    str(place),
                    estimate(one.cap_usd, source),
                    estimate(one.expected_usd, source),
                    estimate(one.cvar_usd, source),
                    estimate(one.end_value_usd, source),
                ),
            )
            for place, one in enumerate(found, 1)
        ),
        empty=_NO_PLAN if plan is None else "The approved plan was kept without a frontier.",
    )
