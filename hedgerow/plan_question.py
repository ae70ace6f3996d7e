"""PlanQuestion: what a hedge plan is asked, out of a configuration and its books, or the sample."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from hedge.book.book import HedgeBook
from hedge.book.owned import held_lots, owned
from hedge.contracts.offered import Offered
from hedge.planning.question import Question, question_of
from hedge.planning.sample import Sample
from hedge.scenarios.calibration import calibrated
from hedge.scenarios.forecast import forecast
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.market_moves import IndexSeries
from hedge.scenarios.validation import validated
from hedgerow.books import books
from hedgerow.config import Config
from hedgerow.errors import NotFound
from hedgerow.hedging import offered
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers
from ledger.budgets import Budget, Mode, Scope
from ledger.databases.sql import Sql
from ledger.instants import as_ns, instant
from ledger.measures import Measure
from ledger.money import Money
from ledger.tables.fixings import FixingTable
from ledger.windows import Window


def of_config(
    config: Config,
    cap: Money | None,
    at: datetime,
    *,
    confidence: float,
    months: int,
    seed: int,
) -> Question:
    """About the months after the ledger's history, with the contracts of the contract files.

    Raises NotFound without contracts or a cap, and what reading the history and quotes raises.
    """
    if not config.contracts:
        raise NotFound(
            f"{config.path} names no contract files: write contracts: [contracts/*.yaml], or see"
            " what there is with `hedgerow hedge contracts`"
        )
    plain = offered(config, at)
    with books(config, create=False) as store:
        with store.view():
            book = HedgeBook(store.sql, as_ns(at))
            what = replace(plain, owned=tuple(owned(book)), held=tuple(held_lots(book)))
        if cap is None:
            budgets = (*(one.budget() for one in config.budgets), *store.policy.named_budgets())
            cap = monthly_cap(budgets)
        found = forecast(
            store.sql,
            at,
            quoted_offers(config, known_prices(config, at), at),
            workloads=what.workloads,
            series=_series(store.sql, what, at),
        )
    return question_of(
        found.history,
        found.outlook,
        what,
        cap,
        confidence=confidence,
        months=months,
        seed=seed,
        today=at.date(),
        validation=_validation(found.history, seed),
    )


def of_sample(
    bundled: Sample, cap: Money | None, *, confidence: float, months: int, seed: int
) -> Question:
    """About the months after the bundled sample, under its own cap if none is given."""
    history = bundled.history
    return question_of(
        history,
        calibrated(history),
        Offered(bundled.contracts),
        bundled.cap if cap is None else cap,
        confidence=confidence,
        months=months,
        seed=seed,
        today=history.until.date(),
        validation=_validation(history, seed),
    )


def monthly_cap(budgets: Iterable[Budget]) -> Money:
    """The lowest USD cap of a calendar month on everything; a budget in shadow mode caps nothing.
    Raises NotFound if there is none."""
    cap = lowest_cap(budgets)
    if cap is None:
        raise NotFound(
            "no budget caps everything in a month: say --cap-usd, or write a budget with scope {},"
            " window month and cap_usd"
        )
    return cap


def lowest_cap(budgets: Iterable[Budget]) -> Money | None:
    """The same; None if there is none."""
    caps = [
        Money(one.cap)
        for one in budgets
        if one.scope == Scope()
        and one.window is Window.MONTH
        and one.measure is Measure.USD
        and one.mode is Mode.ENFORCE
    ]
    return min(caps, default=None)


def _validation(history: DemandHistory, seed: int) -> tuple[str, ...]:
    found = validated(history, seed=seed)
    if found is None:
        return ("nothing was held back: the history is shorter than three weeks",)
    return (found.sentence(),)


def _series(sql: Sql, what: Offered, at: datetime) -> tuple[IndexSeries, ...]:
    """The indices that derivatives settle on, as far as their fixings are kept."""
    fixings = FixingTable(sql)
    now_ns = as_ns(at)
    names = dict.fromkeys(one.settlement.index for one in what.derivatives)
    known = {name: fixings.known(name, now_ns, 0, now_ns) for name in names}
    return tuple(
        IndexSeries.of(name, [(instant(one.at_ns).date(), float(one.value)) for one in found])
        for name, found in known.items()
        if found
    )
