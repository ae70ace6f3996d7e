"""Positions: what is held, what it is worth, and how sure that worth is."""

from __future__ import annotations

from hedge.effectiveness.accounting import HedgeAccounting
from hedge.effectiveness.positions import Holds, PositionRow
from hedgerow.reports.cells import columns, count, month_text, rate, usd
from hedgerow.reports.document import Row, Section, Table, Unit
from hedgerow.reports.hedge_pages.book_sources import replay_source
from hedgerow.reports.sources import Sources
from ledger.money import Money

_CLOSED = "It is closed or settled: nothing of it is left to be marked."
_NEVER = "It was never marked: enter its price with `hedgerow hedge settle --prices FILE`."


def positions_section(accounting: HedgeAccounting, sources: Sources) -> Section:
    return Section(
        "positions",
        "Positions",
        (
            _derivatives(accounting, sources),
            _values(accounting, sources),
            _commitments(accounting, sources),
            _carried(accounting, sources),
        ),
    )


def _derivatives(accounting: HedgeAccounting, sources: Sources) -> Table:
    source = replay_source(accounting, sources)
    return Table(
        "positions",
        "Derivatives by trade",
        columns(
            trade="Trade",
            contract="Contract",
            kind="Kind",
            counterparty="Counterparty",
            month="Settles",
            holds="In the month",
            traded="Traded on",
            lots="Lots",
            units="Index units",
            entry="Entry, USD per unit",
            mark="Mark, USD per unit",
            marked="Marked on",
        ),
        tuple(
            Row(
                f"p{place}",
                (
                    one.trade,
                    one.contract,
                    one.kind,
                    one.counterparty,
                    month_text(one.month),
                    one.holds.value,
                    one.traded_on,
                    count(one.lots, source),
                    count(one.index_units, source),
                    rate(one.entry_usd, source, unit=Unit.USD_PER_UNIT),
                    rate(one.mark_usd, source, _unmarked(one), unit=Unit.USD_PER_UNIT),
                    one.marked_on,
                ),
            )
            for place, one in enumerate(accounting.positions.derivatives)
        ),
        empty="No derivative was held in this month.",
    )


def _unmarked(one: PositionRow) -> str:
    return _CLOSED if one.holds is Holds.CLOSED else _NEVER


def _values(accounting: HedgeAccounting, sources: Sources) -> Table:
    source = replay_source(accounting, sources)
    found = accounting.positions.derivatives
    rows = [
        Row(
            f"p{place}",
            (
                one.trade,
                one.hypothetical or "not designated",
                usd(one.notional, source),
                usd(one.fair_value, source),
                None if one.level is None else str(one.level),
                one.why_level,
                usd(one.gain, source),
            ),
        )
        for place, one in enumerate(found)
    ]
    if rows:
        fair = Money(sum(one.fair_value for one in found))
        gain = Money(sum(one.gain for one in found))
        rows.append(
            Row(
                "total",
                (
                    *("All", "", None),
                    usd(fair, source, "SUM({values.fair_value})"),
                    *("", ""),
                    usd(gain, source, "SUM({values.gain})"),
                ),
                is_total=True,
            )
        )
    return Table(
        "values",
        "Derivatives: fair value",
        columns(
            trade="Trade",
            hypothetical="Hypothetical derivative",
            notional="Notional, USD",
            fair_value="Fair value, USD",
            level="Level",
            why="Why this level",
            gain="Gain in the month, USD",
        ),
        tuple(rows),
        empty="No derivative was held in this month.",
        notes=(_LEVELS,) if rows else (),
    )


_LEVELS = (
    "Level 1: a price of the same contract in a market; 2: from an index that can be seen; 3:"
    " anything else. As it appears from the terms; which level applies is the controller's to say."
)


def _commitments(accounting: HedgeAccounting, sources: Sources) -> Table:
    source = replay_source(accounting, sources)
    return Table(
        "commitments",
        "Commitments by trade",
        columns(
            trade="Trade",
            contract="Contract",
            kind="Kind",
            provider="Provider",
            holds="In the month",
            units="Units",
            starts="Starts",
            ends="Ends before",
            says="How it is seen",
        ),
        tuple(
            Row(
                one.trade,
                (
                    one.trade,
                    one.contract,
                    one.kind,
                    one.provider,
                    one.holds.value,
                    count(one.units, source),
                    one.starts,
                    one.ends,
                    one.says,
                ),
            )
            for one in accounting.positions.commitments
        ),
        empty="No commitment was held in this month.",
    )


def _carried(accounting: HedgeAccounting, sources: Sources) -> Table:
    replayed = replay_source(accounting, sources)
    names = ("fee", "prepaid", "payable", "expensed", "in_month", "to_bill")
    rows = [
        Row(
            one.trade,
            (
                one.trade,
                *(usd(getattr(one, name), replayed) for name in names),
            ),
        )
        for one in accounting.positions.commitments
    ]
    if rows:
        sums = [
            Money(sum(getattr(one, name) for one in accounting.positions.commitments))
            for name in names
        ]
        rows.append(
            Row(
                "total",
                (
                    "All",
                    *(
                        usd(amount, replayed, f"SUM({{carried.{name}}})")
                        for name, amount in zip(names, sums, strict=True)
                    ),
                ),
                is_total=True,
            )
        )
    return Table(
        "carried",
        "Commitments: what is carried, at the end of the month",
        columns(
            trade="Trade",
            fee="Fee of the term, USD",
            prepaid="Prepaid, USD",
            payable="Payable, USD",
            expensed="Expensed so far, USD",
            in_month="Of it in the month, USD",
            to_bill="Not due yet, USD",
        ),
        tuple(rows),
        empty="No commitment was held in this month.",
    )
