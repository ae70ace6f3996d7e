"""Disclosures, and the log of changes."""

from __future__ import annotations

from hedge.effectiveness.accounting import HedgeAccounting
from hedgerow.reports.cells import columns, count, moment_text, month_text, rate, text, usd
from hedgerow.reports.document import Row, Section, Table, Unit
from hedgerow.reports.hedge_pages.book_sources import lines_source, replay_source
from hedgerow.reports.sources import Sources


def disclosures_section(accounting: HedgeAccounting, sources: Sources) -> Section:
    found = accounting.disclosures
    source = replay_source(accounting, sources)
    lines = sources.computed("Lines of the book by account.", lines_source(accounting, sources))
    nominal = Table(
        "nominal",
        "Nominal amounts and average prices, by the month of settlement",
        columns(
            contract="Contract",
            month="Settles",
            lots="Lots",
            units="Index units",
            average="Average price, USD per unit",
            notional="Nominal, USD",
        ),
        tuple(
            Row(
                f"n{place}",
                (
                    one.contract,
                    month_text(one.month),
                    count(one.lots, source),
                    count(one.index_units, source),
                    rate(one.average_usd, source, unit=Unit.USD_PER_UNIT),
                    usd(one.notional, source),
                ),
            )
            for place, one in enumerate(found.nominal)
        ),
        empty="No lot of a derivative is open.",
    )
    carrying = Table(
        "carrying",
        "Carrying amounts",
        columns(line="Line of the balance sheet", amount="USD"),
        tuple(Row(one.line, (one.line, usd(one.amount, lines))) for one in found.carrying),
        empty="Nothing is carried.",
        notes=("Assets (debits) are above zero.",) if found.carrying else (),
    )
    effects = Table(
        "effects",
        "Effect of hedge accounting in the month, if it applied (IFRS 9)",
        columns(what="What", amount="USD"),
        (
            Row("effective", ("Gains into the reserve", usd(found.effective, source))),
            Row("ineffective", ("Ineffectiveness, a result", usd(found.ineffective, source))),
            Row("reclassified", ("Out of the reserve", usd(found.reclassified, source))),
        ),
        empty="There is no effect.",
    )
    payments = Table(
        "payments",
        "Minimum payments for commitments, by year",
        columns(
            year="Year", payable="Due and not paid, USD", later="Not due yet, USD", total="USD"
        ),
        tuple(
            Row(
                f"y{one.year}",
                (
                    str(one.year),
                    usd(one.payable, source),
                    usd(one.later, source),
                    usd(one.total, source, "{payable}+{later}"),
                ),
            )
            for one in found.payments
        ),
        empty="No payment is to come.",
    )
    strategy = found.strategy or ("No hedge is designated, so that no strategy is documented.",)
    return Section(
        "disclosures",
        "Disclosures",
        (
            text(
                "Tables that notes to the accounts ask for. Which standard asks for which, and in"
                " what words, is the controller's to say."
            ),
            text(*strategy),
            nominal,
            carrying,
            effects,
            payments,
        ),
    )


def changes_section(accounting: HedgeAccounting) -> Section:
    return Section(
        "changes",
        "Changes in the month",
        (
            text(
                "Approvals, corrections, overrides, rolls, and fixings that were restated, in the"
                " order in which they were written or known."
            ),
            Table(
                "changes",
                "Log of changes",
                columns(
                    at="At",
                    who="Who",
                    what="What",
                    subject="Of",
                    old="Before",
                    new="After",
                    why="Why",
                    record="Record",
                ),
                tuple(
                    Row(
                        f"c{place}",
                        (
                            moment_text(one.at_ns),
                            one.who,
                            one.what,
                            one.subject,
                            one.old,
                            one.new,
                            one.why,
                            one.record,
                        ),
                    )
                    for place, one in enumerate(accounting.changes)
                ),
                empty="Nothing was changed in this month.",
            ),
        ),
    )
