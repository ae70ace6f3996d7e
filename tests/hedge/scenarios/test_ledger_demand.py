"""The books tell the demand: every charge and every refusal in its hour, on both databases."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hedge.errors import DemandInvalid, DemandTooShort
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.ledger_demand import OTHERS, demand_of
from hedge.scenarios.workload import Workload
from ledger.instants import as_ns
from ledger.money import Money
from ledger.requests import RequestRecord
from ledger.retention import Keep, retire
from ledger.store import Store
from ledger.usage import TokenUsage
from tests.books import written
from tests.ledger.databases import Books
from tests.ledger.entries import attempt, hold_of, settlement

BEGAN = datetime(2026, 3, 10, 15, 20, tzinfo=UTC)
"""The books' first day, which is no whole one."""
FIRST = datetime(2026, 3, 11, tzinfo=UTC)
NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Charge:
    at: datetime
    model: str
    prompt: int
    cached: int
    nanos: int
    """Each a completion token, too."""


def charges() -> list[Charge]:
    """One at the start, then some in every hour; a model that costs little; one of today."""
    rng = np.random.default_rng(7)
    hours = int((NOW - FIRST) / timedelta(hours=1))
    made = [Charge(BEGAN, "chat", 10, 0, 1_000_000)]
    for hour in range(hours):
        for model, scale in (("chat", 500_000), ("code", 200_000), ("tiny", 400)):
            at = FIRST + timedelta(hours=hour, seconds=int(rng.integers(0, 3600)))
            prompt = int(rng.integers(100, 5000))
            cached = int(rng.integers(0, prompt))
            made.append(Charge(at, model, prompt, cached, int(rng.integers(1, scale))))
    return made


def keep(store: Store, made: list[Charge]) -> None:
    for number, one in enumerate(made):
        at_ns = as_ns(one.at)
        hold = hold_of(attempt(f"a{number}", one.nanos, at_ns=at_ns, model=one.model))
        end = settlement(one.nanos, at_ns=at_ns)
        usage = TokenUsage(one.prompt, one.nanos, cached=one.cached)
        written(store, hold, replace(end, usage=usage))


def refuse(store: Store, at: datetime, model: str, nanos: int | None) -> None:
    outcome = "answered" if nanos is None else "budget_exceeded"
    cost = None if nanos is None else Money(nanos)
    record = RequestRecord(
        *(f"r{at}{model}", as_ns(at), "key_1", None, None, model, outcome, 402, 0, cost, None)
    )
    with store.transaction():
        store.requests.add(record)


def test_every_charge_is_in_its_hour(books: Books) -> None:
    """As a naive sum has it: cached tokens apart, a model that costs under 1% with the others, the
    first day, which is none, and today left out."""
    with closing(Store(books.open())) as store:
        made = charges()
        keep(store, made)
        history = demand_of(store.sql, NOW)
    assert history.names == ("chat", "code", OTHERS)
    assert (history.since, history.until) == (FIRST, FIRST + timedelta(days=4))
    amounts = np.zeros((4, 24, 3, 4), dtype=np.int64)
    nanos = np.zeros((4, 24, 3), dtype=np.int64)
    for one in made:
        if history.since <= one.at < history.until:
            where = (one.at - FIRST).days, one.at.hour, ("chat", "code", "tiny").index(one.model)
            amounts[where] += (one.prompt - one.cached, one.cached, one.nanos, 1)
            nanos[where] += one.nanos
    np.testing.assert_array_equal(history.amounts, amounts)
    np.testing.assert_array_equal(history.list_nanos, nanos)
    naive = DemandHistory.of_hours(
        history.workloads, amounts, nanos, FIRST, history.slices, spend=history.spend
    )
    assert history.sha256() == naive.sha256()
    # One request an hour is as uneven as an hour can be.
    assert history.slices[0] == pytest.approx([12.0] + [0.0] * 11)


def test_workloads_that_are_named(books: Books) -> None:
    """Named ones are as they are named, and what they leave is still counted."""
    named = Workload("words", ("chat", "code"), quality_at_least=0.5)
    with closing(Store(books.open())) as store:
        keep(store, charges())
        history, whole = demand_of(store.sql, NOW, [named]), demand_of(store.sql, NOW)
    assert history.workloads == (named, Workload(OTHERS, ("tiny",)))
    assert history.list_cost == whole.list_cost
    np.testing.assert_array_equal(
        history.list_nanos[:, :, 0], whole.list_nanos[:, :, :2].sum(axis=2)
    )


def test_what_a_budget_refused_is_demand(books: Books) -> None:
    """It counts at what it would have cost, in tokens like its model's others; a model that was
    only ever refused, in tokens like all. Answered requests are not counted twice."""
    at = FIRST + timedelta(days=1, hours=3, minutes=7)
    with closing(Store(books.open())) as store:
        keep(store, charges())
        before = demand_of(store.sql, NOW)
        refuse(store, at, "chat", 40_000_000)
        refuse(store, at, "new", 90_000_000)
        refuse(store, at, "code", None)
        refuse(store, NOW, "chat", 40_000_000)
        after = demand_of(store.sql, NOW)
    assert after.refused == 130_000_000
    assert after.list_cost - before.list_cost == 130_000_000
    assert set(after.names) == {"chat", "code", "new", OTHERS}
    chat = after.names.index("chat")
    added = after.amounts[1, 3, chat] - before.amounts[1, 3, 0]
    mix = before.amounts[:, :, 0].sum(axis=(0, 1)) / before.list_nanos[:, :, 0].sum()
    np.testing.assert_allclose(added[:3], mix[:3] * 40_000_000, atol=1)
    assert added[3] == 1
    new = after.names.index("new")
    assert after.amounts[1, 3, new, 3] == 1
    assert after.amounts[1, 3, new, 2] > 0


def test_without_entries_quarters_tell_how_uneven_an_hour_is(books: Books) -> None:
    """Retention leaves rollups: the hours are the same, a lone request fills a quarter of one."""
    with closing(Store(books.open())) as store:
        keep(store, charges())
        before = demand_of(store.sql, NOW)
        retire(store.sql, Keep.days(entries=0, details=None).limits(as_ns(NOW)))
        after = demand_of(store.sql, NOW)
    np.testing.assert_array_equal(before.amounts, after.amounts)
    assert after.slices[0] == pytest.approx([4.0] * 3 + [0.0] * 9)


def test_details_that_are_gone_are_no_history(books: Books) -> None:
    """Where retention has left only whole days, there are no hours to plan from."""
    with closing(Store(books.open())) as store:
        keep(store, charges())
        retire(store.sql, Keep.days(entries=1, details=3).limits(as_ns(NOW)))
        history = demand_of(store.sql, NOW)
    assert history.since >= NOW - timedelta(days=4)
    assert history.days == 3


def test_books_that_hold_too_little(books: Books) -> None:
    """Empty books, books of today, and one day of them: a sentence with what can be had."""
    with closing(Store(books.open())) as store:
        with pytest.raises(DemandInvalid, match="plan --demo"):
            demand_of(store.sql, NOW)
        keep(store, [Charge(NOW, "chat", 10, 0, 100)])
        with pytest.raises(DemandInvalid, match="no use before 2026-03-15"):
            demand_of(store.sql, NOW)
        with pytest.raises(DemandTooShort, match="has 1 whole days, a plan needs 3"):
            demand_of(store.sql, NOW + timedelta(days=2))
