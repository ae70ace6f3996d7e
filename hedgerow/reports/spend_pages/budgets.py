"""The month's budgets."""

from __future__ import annotations

from decimal import Decimal

from hedgerow.reports.cells import columns, part, usd
from hedgerow.reports.document import Cell, Row, Table
from hedgerow.reports.spend_pages.sources import SpendSources
from ledger.budgets import Balance
from ledger.money import Money

_MOST_ROWS = 100


def budgets_table(sources: SpendSources) -> Table:
    source = sources.budgets()
    rows = [
        Row(
            f"b{at}",
            (
                one.account.budget,
                one.account.member or "",
                usd(
                    None if one.account.cap is None else Money(one.account.cap),
                    source,
                    why_not="It has no cap.",
                ),
                usd(Money(one.posted), source),
                usd(Money(one.pending), source),
                _of_cap(one, source),
                usd(_over(one), source),
            ),
        )
        for at, one in enumerate(sources.report.budgets[:_MOST_ROWS], start=1)
    ]
    return Table(
        "budgets",
        "Budgets of the month",
        columns(
            budget="Budget",
            member="Of",
            cap="Cap, USD",
            spent="Spent, USD",
            held="Held, USD",
            share="Of the cap",
            over="Above the cap, USD",
        ),
        tuple(rows),
        empty="No budget counts USD by the month: write one in a policy file (docs/budgets.md).",
        notes=(
            (
                "What was spent in the window of the budget's own time zone, as the books have it"
                " now: a late charge counts in the month in which its request began."
            ),
        ),
    )


def _of_cap(one: Balance, source: str) -> Cell:
    cap = one.account.cap
    share = None if not cap else Decimal(one.posted) / cap
    return part(share, source, None if share is None else "{spent}/{cap}", "Its cap is 0.")


def _over(one: Balance) -> Money:
    cap = one.account.cap
    return Money(0 if cap is None else max(0, one.posted - cap))
