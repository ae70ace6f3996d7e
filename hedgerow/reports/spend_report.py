"""The spend report of a month: read out of the books, and laid out."""

from __future__ import annotations

from datetime import date

from hedgerow.config import Config
from hedgerow.fixed_bills import bills_of
from hedgerow.plan_question import lowest_cap
from hedgerow.reports.document import Document
from hedgerow.reports.reproduction import reproduction
from hedgerow.reports.spend import spend_of_month
from hedgerow.reports.spend_pages.layout import spend_document
from ledger.store import Store


def spend_report(config: Config, store: Store, month: date, at_ns: int) -> Document:
    """month: its first day. at_ns: of which moment it tells; the same books and moment give the
    same document."""
    with store.view():
        budgets = (*(one.budget() for one in config.budgets), *store.policy.named_budgets())
        found = spend_of_month(
            store.sql,
            month,
            at_ns,
            rule=config.ledger.chargeback,
            bills=bills_of(store.sql, at_ns),
            budgets=budgets,
            raises=(*config.raises, *store.policy.raises(at_ns)),
            cap=lowest_cap(budgets),
        )
        made = reproduction(store.sql, config.path, "spend", month, at_ns, found.until_ns)
    return spend_document(found, made)
