"""Commitments in the month, and what FOCUS tells of all of it."""

from __future__ import annotations

from decimal import Decimal

from hedgerow.reports.cells import columns, count, part, usd
from hedgerow.reports.document import Row, Table
from hedgerow.reports.spend_pages.sources import SpendSources
from ledger.commitments import MICRO
from ledger.money import Money


def commitments_table(sources: SpendSources) -> Table:
    bears = sources.report.bears
    fees, draws, shares, why = (
        sources.commitments(),
        sources.charged(),
        sources.shares(),
        bears.why_not,
    )
    rows = [
        Row(
            f"c{at}",
            (
                one.contract,
                one.commitment,
                one.provider,
                usd(one.billed, fees),
                usd(one.cost, fees),
                usd(one.charged, draws, why_not=why),
                usd(one.unused, shares, why_not=why),
                usd(one.variance, shares, why_not=why),
                part(
                    None
                    if one.drawn_micro is None or not one.there_micro
                    else min(Decimal(1), Decimal(one.drawn_micro) / one.there_micro),
                    draws,
                    why_not=why or "Nothing of it could be used in the month.",
                ),
                count(Decimal(one.there_micro) / MICRO, fees),
            ),
        )
        for at, one in enumerate(bears.commitments, start=1)
    ]
    return Table(
        "commitments",
        "Commitments in the month",
        columns(
            contract="Contract",
            commitment="Commitment",
            provider="Provider",
            billed="Billed, USD",
            cost="Cost of the month, USD",
            charged="Charged to teams, USD",
            unused="Unused, USD",
            variance="Variance, USD",
            used="Used",
            units="Units there",
        ),
        tuple(rows),
        empty="No commitment was billed, or cost anything, in the month.",
        notes=(
            (
                "Billed is what fell due in the month; the cost of the month is the fee of its"
                " days, as the hedge's book expenses it. Cost = charged + unused + variance. What"
                " is unused of a quota of a whole term shows in its last month."
            ),
        ),
    )


def focus_table(sources: SpendSources) -> Table:
    report = sources.report
    source = sources.all.computed(
        "What `hedgerow ledger export --format focus` tells of the month.",
        sources.total(),
        sources.shares(),
    )
    why = report.bears.why_not
    rows = [
        Row(
            f"focus{at}",
            (
                one.category,
                one.status,
                usd(one.billed, source),
                usd(one.effective, source, why_not=why),
            ),
        )
        for at, one in enumerate(report.focus, start=1)
    ]
    billed = Money(sum(one.billed for one in report.focus))
    total = (
        usd(report.bears.total, source, "SUM({focus.effective})")
        if why is None
        else usd(None, source, why_not=why)
    )
    rows.append(
        Row("total", ("All", "", usd(billed, source, "SUM({focus.billed})"), total), is_total=True)
    )
    return Table(
        "focus",
        "What the FOCUS export has",
        columns(
            category="ChargeCategory",
            status="Status",
            billed="BilledCost, USD",
            effective="EffectiveCost, USD",
        ),
        () if report.is_empty else tuple(rows),
        empty="The export of the month has no rows.",
        notes=("EffectiveCost of all rows is what the month cost; BilledCost what is invoiced.",),
    )
