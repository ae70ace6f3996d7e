"""Liquidity: what margin binds, what was called for, and what a move of prices would call."""

from __future__ import annotations

from hedge.effectiveness.accounting import HedgeAccounting
from hedgerow.reports.cells import columns, count, moment_text, part, text, usd
from hedgerow.reports.document import Row, Section, Table
from hedgerow.reports.hedge_pages.book_sources import replay_source
from hedgerow.reports.sources import Sources

_NONE = "No margin lies with anybody."


def liquidity_section(accounting: HedgeAccounting, sources: Sources) -> Section:
    found = accounting.liquidity
    source = replay_source(accounting, sources)
    margin = Table(
        "margin",
        "Margin by counterparty, at the end of the month",
        columns(
            counterparty="Counterparty",
            deposits="Deposits, USD",
            unrealised="Open gains, USD",
            equity="Equity, USD",
            initial="Initial margin, USD",
            maintenance="Maintenance margin, USD",
            free="Free, USD",
            assumed="Assumed",
        ),
        tuple(
            Row(
                one.counterparty,
                (
                    one.counterparty,
                    usd(one.deposits, source),
                    usd(one.unrealised, source),
                    usd(one.equity, source, "{deposits}+{unrealised}"),
                    usd(one.initial, source),
                    usd(one.maintenance, source),
                    usd(one.free, source),
                    "; ".join(one.assumed),
                ),
            )
            for one in found.margin
        ),
        empty=_NONE,
    )
    calls = Table(
        "calls",
        "Margin calls",
        columns(
            counterparty="Counterparty",
            day="Called on",
            amount="USD",
            due="Due",
            met="Met on",
            state="State",
        ),
        tuple(
            Row(
                f"c{place}",
                (
                    one.counterparty,
                    one.day,
                    usd(one.amount, source),
                    moment_text(one.due_at_ns),
                    one.met_on,
                    one.state,
                ),
            )
            for place, one in enumerate(found.calls)
        ),
        empty="Nothing was called for.",
    )
    stressed = sources.computed(
        "Open lots at prices that are moved at once, against deposits and margins.", source
    )
    stress = Table(
        "stress",
        "Stress: what a move of all prices at once would call for",
        columns(
            name="Case",
            counterparty="Counterparty",
            move="Move",
            gain="Gain of open lots, USD",
            equity="Equity then, USD",
            call="Called for, USD",
            free="Free before, USD",
        ),
        tuple(
            Row(
                f"s{place}",
                (
                    one.name,
                    one.counterparty,
                    part(one.move, stressed),
                    usd(one.gain, stressed),
                    usd(one.equity, stressed),
                    usd(one.call, stressed),
                    usd(one.free, stressed),
                ),
            )
            for place, one in enumerate(found.stress)
        ),
        empty="No lot is open that a move of prices could touch.",
    )
    fixings = sources.computed(
        "Fixings of each series as known now.", command="hedgerow hedge book -c FILE --json"
    )
    worst = Table(
        "worst",
        "The largest moves of each open derivative's series so far",
        columns(
            series="Series",
            over="Over so many fixings",
            move="Move",
            day="Until",
            since="Known since",
            fixings="Fixings",
        ),
        tuple(
            Row(
                f"w{place}",
                (
                    one.series,
                    count(one.over, fixings),
                    part(one.move, fixings),
                    one.day,
                    one.since,
                    count(one.fixings, fixings),
                ),
            )
            for place, one in enumerate(found.worst)
        ),
        empty="No derivative is open of whose series two fixings are known. Fixings are entered"
        " with `hedgerow hedge settle --prices FILE`.",
    )
    bound = Table(
        "bound",
        "Cash that is bound",
        columns(what="What", amount="USD"),
        (Row("bound", ("Deposits, and what open events cost", usd(found.bound, source))),),
        empty=_NONE,
    )
    return Section(
        "liquidity",
        "Margin and liquidity",
        (text(found.says), bound, margin, calls, stress, worst),
    )
