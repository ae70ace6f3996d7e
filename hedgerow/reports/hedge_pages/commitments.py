"""What commitments covered, what was left of them, what certainty cost, and other sizes."""

from __future__ import annotations

from collections.abc import Iterable

from hedge.effectiveness.coverage import CommitmentUse, Coverage
from hedge.effectiveness.regret import Regret, Regrets
from hedge.effectiveness.report import EffectivenessReport
from hedgerow.charts import Chart, Mark, Series
from hedgerow.reports.cells import columns, count, dollars_of, part, rate, text, usd
from hedgerow.reports.document import Row, Section, Table
from hedgerow.reports.figures import shown
from hedgerow.reports.hedge_pages.cost import all_in_source, of
from hedgerow.reports.sources import Sources
from ledger.money import Money

_DELETED = "Retention has deleted the rows of this time."
_NO_USE = "Nothing of what it covers was asked for."
_OPEN = "Its period is not over: what is left of it may still be used."
_CURVES = 3
_NONE = "No commitment had a day in this month."


def commitments_section(report: EffectivenessReport, sources: Sources) -> Section:
    found = report.coverage
    charts = (_use_chart(found),) if found.uses else ()
    curves = tuple(
        _curve(one, place) for place, one in enumerate(report.regrets.judged[:_CURVES], 1)
    )
    return Section(
        "commitments",
        "Commitments: coverage, use, and regret",
        (
            text(
                "Coverage is the part of the work that drew on a commitment; use is the part of"
                " what was bought that was drawn. What was left is stranded money. The price of"
                " certainty is what a commitment cost above what its draws would have cost at the"
                " cheapest quotes: below zero, the commitment was the cheaper one, too."
            ),
            _use(found, sources),
            *charts,
            _price(found, sources),
            _premium(report, sources),
            text(
                "Regret is what another size would have cost by the month that really came, billed"
                " anew minute by minute. Routing is held as it was, so hindsight bounds what a"
                " better size could have saved, not what another router would."
            ),
            _regret(report.regrets, sources),
            *curves,
            _not_judged(report.regrets),
        ),
    )


def _drawn_source(use: CommitmentUse, sources: Sources) -> str:
    if use.drawn is not None and not use.drawn.requests:
        return sources.computed(
            "What drew on it; without a row that is nothing.", of(sources, use.query)
        )
    return of(sources, use.query)


def _book_source(use: CommitmentUse, sources: Sources) -> str:
    return sources.computed(
        "The commitment by the hedge book: its units, its fee by the days of its schedule (booked,"
        " or over and not booked yet), and what its period has of use.",
        of(sources, use.fee_query),
        of(sources, use.used_query),
        command="hedgerow hedge book -c FILE --json",
    )


def _together(uses: Iterable[CommitmentUse], sources: Sources) -> str:
    return sources.computed(
        "Of all commitments together.", *(_book_source(one, sources) for one in uses)
    )


def _use(found: Coverage, sources: Sources) -> Table:
    rows = []
    for one in found.uses:
        book = _book_source(one, sources)
        drawn, offered = _drawn_source(one, sources), of(sources, one.offered_query)
        ratio = sources.computed("Drawn tokens of all of its offers' tokens.", drawn, offered)
        rows.append(
            Row(
                one.commitment,
                (
                    one.commitment,
                    one.contract,
                    one.provider,
                    count(one.units, book),
                    count(one.offered_tokens, offered),
                    count(None if one.drawn is None else one.drawn.tokens, drawn, why_not=_DELETED),
                    part(
                        one.coverage,
                        ratio,
                        "{drawn}/{offered}",
                        _DELETED if one.drawn is None else _NO_USE,
                    ),
                    part(one.utilisation, book, why_not="Nothing of its period is over yet."),
                    usd(one.stranded, book, why_not=_OPEN),
                ),
            )
        )
    if rows:
        every = _together(found.uses, sources)
        rows.append(
            Row(
                "total",
                (
                    *("All", "", "", None, None),
                    count(found.drawn_tokens, every, "SUM({use.drawn})", _DELETED),
                    None,
                    None,
                    usd(found.stranded, every, "SUM({use.stranded})"),
                ),
                is_total=True,
            )
        )
    return Table(
        "use",
        "Coverage and use",
        columns(
            commitment="Commitment",
            contract="Contract",
            provider="Provider",
            units="Units",
            offered="Tokens of its offers",
            drawn="Tokens drawn",
            coverage="Coverage",
            utilisation="Use of what was bought",
            stranded="Stranded, USD",
        ),
        tuple(rows),
        empty=_NONE,
        notes=_shared(found),
    )


def _shared(found: Coverage) -> tuple[str, ...]:
    if found.share is None:
        return ()
    said = (
        f"Of all {found.tokens:,} tokens of the month, {shown(part(found.share, ''))} drew on one."
    )
    return (said,)


def _price(found: Coverage, sources: Sources) -> Table:
    rows = []
    for one in found.uses:
        book = _book_source(one, sources)
        source = _drawn_source(one, sources)
        sums = sources.computed("Fee and overage, by the draws of the month.", book, source)
        drawn = one.drawn
        rows.append(
            Row(
                one.commitment,
                (
                    one.commitment,
                    usd(one.fee, book),
                    usd(None if drawn is None else drawn.billed, source, why_not=_DELETED),
                    usd(one.cost, sums, "{fee}+{overage}", _DELETED),
                    usd(None if drawn is None else drawn.cheapest, source, why_not=_DELETED),
                    usd(one.certainty, sums, "{cost}-{cheapest}", _DELETED),
                    count(None if drawn is None else drawn.tokens, source, why_not=_DELETED),
                    rate(
                        one.usd_per_mtok,
                        sums,
                        _DELETED if drawn is None else "Nothing was drawn on it.",
                    ),
                ),
            )
        )
    if rows:
        every = _together(found.uses, sources)
        fee = Money(sum(one.fee for one in found.uses))
        rows.append(
            Row(
                "total",
                (
                    "All",
                    usd(fee, every, "SUM({certainty.fee})"),
                    None,
                    usd(found.cost, every, "SUM({certainty.cost})", _DELETED),
                    None,
                    usd(found.certainty, every, "SUM({certainty.certainty})", _DELETED),
                    count(found.drawn_tokens, every, "SUM({certainty.tokens})", _DELETED),
                    rate(found.usd_per_mtok, every, "Nothing was drawn."),
                ),
                is_total=True,
            )
        )
    return Table(
        "certainty",
        "What it cost, and the price of certainty",
        columns(
            commitment="Commitment",
            fee="Fee of the days, USD",
            overage="Overage, USD",
            cost="Cost, USD",
            cheapest="Its draws at the cheapest quotes, USD",
            certainty="Price of certainty, USD",
            tokens="Tokens drawn",
            per_mtok="USD per million tokens",
        ),
        tuple(rows),
        empty=_NONE,
    )


def certainty_source(report: EffectivenessReport, sources: Sources) -> str:
    read = (_drawn_source(one, sources) for one in report.coverage.uses)
    return sources.computed(
        "What commitments cost above their draws at the cheapest quotes, and what derivatives and"
        " fees took.",
        *read,
        all_in_source(sources, report.economics),
    )


def _premium(report: EffectivenessReport, sources: Sources) -> Table:
    found, source = report.premium, certainty_source(report, sources)
    return Table(
        "premium",
        "What certainty cost in all",
        columns(what="What", amount="USD"),
        (
            Row(
                "commitments",
                (
                    "Price of certainty of commitments",
                    usd(found.commitments, source, None, _DELETED),
                ),
            ),
            Row("derivatives", ("Result of derivatives", usd(found.derivatives, source))),
            Row("fees", ("Fees of trades", usd(found.fees, source))),
            Row(
                "total",
                ("All", usd(found.total, source, "SUM({premium.amount})", _DELETED)),
                is_total=True,
            ),
        ),
        empty=_NONE,
    )


def _use_chart(found: Coverage) -> Chart:
    names = tuple(one.commitment for one in found.uses)

    def percent(shares: list[float | None]) -> tuple[float | None, ...]:
        return tuple(None if one is None else one * 100 for one in shares)

    return Chart(
        "use_chart",
        "Coverage and use of commitments",
        "For each commitment: of its offers' tokens the part that drew on it, and of what was"
        " bought the part that was used.",
        "commitment",
        "%",
        (
            Series("coverage", Mark.BAR, names, percent([one.coverage for one in found.uses])),
            Series("use", Mark.BAR, names, percent([one.utilisation for one in found.uses])),
        ),
    )


def _regret(found: Regrets, sources: Sources) -> Table:
    rows = []
    for one in found.judged:
        source = of(sources, one.query)
        billed = sources.computed(
            "The use of the period, billed anew for each size that is sold.", source
        )
        rows.append(
            Row(
                one.commitment,
                (
                    one.commitment,
                    count(one.held.units, billed),
                    usd(one.held.cost, billed),
                    count(one.best.units, billed),
                    usd(one.best.cost, billed),
                    usd(one.never.cost, billed),
                    usd(one.break_even, billed),
                    usd(one.against_hindsight, billed, "{held_cost}-{best_cost}"),
                    usd(one.against_never, billed, "{held_cost}-{never_cost}"),
                    usd(one.against_break_even, billed, "{held_cost}-{break_even}"),
                ),
            )
        )
    return Table(
        "regret",
        "Regret: what was held against other sizes",
        columns(
            commitment="Commitment",
            held="Units held",
            held_cost="Cost so, USD",
            best="Best units in hindsight",
            best_cost="Cost with them, USD",
            never_cost="Cost without any, USD",
            break_even="Cost by the break-even rule, USD",
            hindsight="Above hindsight, USD",
            never="Above never reserving, USD",
            rule="Above the rule, USD",
        ),
        tuple(rows),
        empty="There is no commitment whose other sizes could be billed anew.",
        notes=() if not rows else ("Below zero, what was held was the better one.",),
    )


def _curve(one: Regret, place: int) -> Chart:
    units = tuple(float(size.units) for size in one.sizes)
    held = (Series("held", Mark.POINTS, (float(one.held.units),), (dollars_of(one.held.cost),)),)
    return Chart(
        f"sizes_{place}",
        f"What other sizes of {one.commitment} would have cost",
        f"The cost of the period with each number of units; held were {one.held.units:,},"
        f" best would have been {one.best.units:,}.",
        "units",
        "USD",
        (
            Series("cost", Mark.LINE, units, tuple(dollars_of(size.cost) for size in one.sizes)),
            *held,
        ),
    )


def _not_judged(found: Regrets) -> Table:
    return Table(
        "not_judged",
        "Commitments without a regret",
        columns(commitment="Commitment", contract="Contract", why="Why"),
        tuple(
            Row(one.commitment, (one.commitment, one.contract, one.why)) for one in found.not_judged
        ),
        empty="Every commitment of the month was judged." if found.judged else _NONE,
    )
