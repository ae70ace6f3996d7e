"""The hedge's report of a month: read out of the books, and laid out."""

from __future__ import annotations

from datetime import date

from hedge.book.book import HedgeBook
from hedge.effectiveness.report import effectiveness_report
from hedgerow.config import Config
from hedgerow.plan_question import lowest_cap
from hedgerow.reports.document import Document
from hedgerow.reports.hedge_pages.approved import approved_plan
from hedgerow.reports.hedge_pages.layout import hedge_document
from hedgerow.reports.reproduction import reproduction
from ledger.store import Store

RUNNING = "The month is running: all figures are to date."


def hedge_report(config: Config, store: Store, month: date, at_ns: int) -> Document:
    """month: its first day. at_ns: of which moment it tells; the same books and moment give the
    same document."""
    with store.view():
        book = HedgeBook(store.sql, at_ns)
        budgets = (*(one.budget() for one in config.budgets), *store.policy.named_budgets())
        found = effectiveness_report(book, month, lowest_cap(budgets))
        plan = None if found.plan is None else approved_plan(book.plan(found.plan.plan))
        made = reproduction(
            store.sql,
            config.path,
            "hedge",
            month,
            at_ns,
            found.period.until_ns,
            seeds=() if plan is None else ((f"scenarios of {plan.id}", plan.seed),),
            inputs=() if plan is None else ((f"inputs of {plan.id}", plan.inputs_sha256),),
        )
    is_running = found.period.has_begun and not found.period.is_over
    return hedge_document(found, plan, made, (RUNNING,) if is_running else ())
